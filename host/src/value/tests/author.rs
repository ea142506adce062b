//! What authors get: results of every kind of function, schemas, and rules from doc tags.

use serde_json::json;

use super::*;
use crate::value::{NotPublishable, Rules};

fn returned(answer: Answer, results: Vec<Val>) -> (Option<Value>, String) {
    let signature = Signature::new(Scope::default(), answer).unwrap();
    let content = |raw: Box<RawValue>| json(&raw);
    match signature.encode(results, usize::MAX).unwrap() {
        Encoded::Done => (None, "done".to_owned()),
        Encoded::Value { structured, text } => {
            let text = text.unwrap_or_else(|| structured.get().to_owned());
            (Some(content(structured)), text)
        }
        Encoded::Media { media, data } => (None, format!("{media}: {data}")),
        other @ (Encoded::Content(_)
        | Encoded::Prompt { .. }
        | Encoded::Documents(_)
        | Encoded::Completions(_)) => (None, format!("{other:?}")),
        Encoded::Failed { text, error } => (error.map(content), format!("failed: {text}")),
    }
}

fn boxed(value: Val) -> Box<Val> {
    Box::new(value)
}

fn text(text: &str) -> Val {
    Val::String(text.to_owned())
}

#[test]
fn a_result_is_an_object_and_a_text() {
    let point = || record([("x", Kind::S32), ("label", option(Kind::String))]);
    let point_value = || {
        Val::Record(vec![
            ("x".to_owned(), Val::S32(1)),
            ("label".to_owned(), Val::Option(None)),
        ])
    };
    for (answer, results, structured, shown) in [
        (Answer::Nothing, vec![], None, "done"),
        (
            Answer::Value(Kind::String.into()),
            vec![text("hi")],
            Some(json!({"result": "hi"})),
            "hi",
        ),
        (
            Answer::Value(point().into()),
            vec![point_value()],
            Some(json!({"x": 1})),
            r#"{"x":1}"#,
        ),
        (
            Answer::Value(list(point()).into()),
            vec![Val::List(vec![point_value()])],
            Some(json!({"result": [{"x": 1}]})),
            r#"{"result":[{"x":1}]}"#,
        ),
        (
            Answer::Value(option(point()).into()),
            vec![Val::Option(None)],
            Some(json!({"result": null})),
            r#"{"result":null}"#,
        ),
        (
            Answer::Fallible {
                ok: Some(point().into()),
                err: Some(Kind::String.into()),
            },
            vec![Val::Result(Ok(Some(boxed(point_value()))))],
            Some(json!({"x": 1})),
            r#"{"x":1}"#,
        ),
        (
            Answer::Fallible {
                ok: Some(Kind::U8.into()),
                err: Some(Kind::String.into()),
            },
            vec![Val::Result(Err(Some(boxed(text("no such user")))))],
            Some(json!("no such user")),
            "failed: no such user",
        ),
        (
            Answer::Fallible {
                ok: None,
                err: Some(point().into()),
            },
            vec![Val::Result(Err(Some(boxed(point_value()))))],
            Some(json!({"x": 1})),
            r#"failed: {"x":1}"#,
        ),
        (
            Answer::Fallible {
                ok: None,
                err: Some(Kind::U8.into()),
            },
            vec![Val::Result(Ok(None))],
            None,
            "done",
        ),
        (
            Answer::Fallible {
                ok: None,
                err: None,
            },
            vec![Val::Result(Err(None))],
            None,
            "failed: the tool failed and gave no reason",
        ),
    ] {
        let (content, said) = returned(answer, results);
        assert_eq!((content, said.as_str()), (structured, shown));
    }
}

#[test]
fn a_value_of_another_type_is_an_error_that_names_the_place() {
    let signature =
        |kind: Kind| Signature::new(Scope::default(), Answer::Value(kind.into())).unwrap();
    for (kind, value, problem) in [
        (
            Kind::U8,
            Val::Bool(true),
            "the result is a `bool` where the type says `u8`",
        ),
        (
            list(Kind::U8),
            Val::List(vec![Val::U8(1), Val::S8(1)]),
            "the result at /1 is an `s8` where the type says `u8`",
        ),
        (
            Kind::Bytes,
            Val::List(vec![Val::S8(1)]),
            "the result is a `list` where the type says `list<u8>`",
        ),
        (
            record([("x", Kind::U8)]),
            Val::Record(vec![("y".to_owned(), Val::U8(1))]),
            "the result is a `record` where the type says `record`",
        ),
        (
            Kind::Enum(names(&["a"])),
            Val::Enum("b".to_owned()),
            "the result is an `enum` where the type says `enum`",
        ),
        (
            Kind::Flags(names(&["a"])),
            Val::Flags(vec!["b".to_owned()]),
            "the result is `flags` where the type says `flags`",
        ),
    ] {
        assert_eq!(
            signature(kind)
                .encode(vec![value], usize::MAX)
                .unwrap_err()
                .to_string(),
            problem
        );
    }
    assert!(signature(Kind::U8).encode(vec![], usize::MAX).is_err());
    assert!(
        signature(Kind::U8)
            .encode(vec![Val::U8(1), Val::U8(1)], usize::MAX)
            .is_err()
    );
}

#[test]
fn repeated_keys_of_a_map_and_unordered_flags_are_set_right() {
    let entry = |key: &str, value| (text(key), Val::U8(value));
    let doubled = Val::Map(vec![entry("a", 1), entry("b", 2), entry("a", 3)]);
    assert_eq!(
        emitted(&echo(map(Kind::String, Kind::U8)), vec![doubled]),
        r#"{"b":2,"a":3}"#
    );
    let entry = |key, value| (Val::U8(key), Val::U8(value));
    let doubled = Val::Map(vec![entry(1, 1), entry(1, 2)]);
    assert_eq!(
        emitted(&echo(map(Kind::U8, Kind::U8)), vec![doubled]),
        "[[1,2]]"
    );
    let flags = Val::Flags(vec!["b".to_owned(), "a".to_owned()]);
    assert_eq!(
        emitted(&echo(Kind::Flags(names(&["a", "b"]))), vec![flags]),
        r#"["a","b"]"#
    );
}

#[test]
fn schemas_are_as_published() {
    let input = |kind: Kind| json(echo(kind).input_schema())["properties"]["v"].clone();
    let output =
        |kind: Kind| json(echo(kind).output_schema().unwrap())["properties"]["result"].clone();
    let empty = json!({"type": "null"});

    assert_eq!(input(Kind::Bool), json!({"type": "boolean"}));
    assert_eq!(
        input(Kind::S8),
        json!({"type": "integer", "minimum": -128, "maximum": 127})
    );
    assert_eq!(
        input(Kind::U32),
        json!({"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32})
    );
    assert_eq!(
        input(Kind::U64),
        json!({"type": "integer", "minimum": 0, "description": "Beyond 9007199254740991 send a string of digits."})
    );
    assert_eq!(
        output(Kind::S64),
        json!({"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "A string of digits beyond ±9007199254740991."})
    );
    assert_eq!(input(Kind::F32), json!({"type": "number"}));
    assert_eq!(
        output(Kind::F64),
        json!({"anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]})
    );
    assert_eq!(
        input(Kind::Char),
        json!({"type": "string", "description": "Exactly one Unicode character."})
    );
    assert_eq!(
        input(Kind::Bytes),
        json!({"type": "string", "description": "Base64."})
    );
    assert_eq!(
        input(list(Kind::Bool)),
        json!({"type": "array", "items": {"type": "boolean"}})
    );
    assert_eq!(
        input(Kind::FixedList(Arc::new(Kind::Bool.into()), 2)),
        json!({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2})
    );
    assert_eq!(input(option(Kind::String)), json!({"type": "string"}));
    assert_eq!(
        output(option(Kind::String)),
        json!({"anyOf": [{"type": "string"}, empty]})
    );
    let nested =
        "An option in an option: {\"some\": null} is there and empty, {\"some\": …} has a value.";
    let wrapped = json!({"type": "object", "properties": {"some": {"anyOf": [{"type": "string"}, empty]}}, "additionalProperties": false});
    let mut described = wrapped.clone();
    described["description"] = nested.into();
    assert_eq!(input(option(option(Kind::String))), described);
    assert_eq!(
        output(option(option(Kind::String))),
        json!({"anyOf": [wrapped, empty], "description": nested})
    );
    assert_eq!(
        input(record([
            ("user-id", Kind::String),
            ("nick", option(Kind::String))
        ])),
        json!({
            "type": "object",
            "properties": {"userId": {"type": "string"}, "nick": {"type": "string"}},
            "required": ["userId"],
            "additionalProperties": false,
        })
    );
    assert_eq!(
        input(Kind::Tuple(
            [Kind::Bool.into(), Kind::String.into(), Kind::Bool.into()].into()
        )),
        json!({
            "type": "array",
            "items": {"anyOf": [{"type": "boolean"}, {"type": "string"}]},
            "minItems": 3,
            "maxItems": 3,
            "description": "The items, in order: boolean, string, boolean.",
        })
    );
    assert_eq!(
        input(Kind::Tuple([Kind::Bool.into()].into()))["items"],
        json!({"type": "boolean"})
    );
    assert_eq!(
        input(Kind::Enum(names(&["a-b", "c"]))),
        json!({"type": "string", "enum": ["aB", "c"]})
    );
    assert_eq!(
        input(Kind::Flags(names(&["a-b"]))),
        json!({"type": "array", "items": {"type": "string", "enum": ["aB"]}})
    );
    assert_eq!(
        input(Kind::Variant(shared([
            case("circle", Some(Kind::Bool)),
            case("none", None)
        ]))),
        json!({"anyOf": [
            {
                "type": "object",
                "properties": {"tag": {"type": "string", "enum": ["circle"]}, "val": {"type": "boolean"}},
                "required": ["tag", "val"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "properties": {"tag": {"type": "string", "enum": ["none"]}},
                "required": ["tag"],
                "additionalProperties": false,
            },
        ]})
    );
    assert_eq!(
        input(result(None, Some(Kind::String))),
        json!({"anyOf": [
            {"type": "object", "properties": {"ok": empty}, "required": ["ok"], "additionalProperties": false},
            {"type": "object", "properties": {"err": {"type": "string"}}, "required": ["err"], "additionalProperties": false},
        ]})
    );
    assert_eq!(
        input(map(Kind::String, Kind::Bool)),
        json!({"type": "object", "additionalProperties": {"type": "boolean"}})
    );
    assert_eq!(
        input(map(Kind::Bool, Kind::Bool))["items"]["minItems"],
        json!(2)
    );

    let none = Signature::new(Scope::default(), Answer::Nothing).unwrap();
    assert_eq!(
        json(none.input_schema()),
        json!({"type": "object", "properties": {}, "additionalProperties": false})
    );
    assert!(none.output_schema().is_none());
    let fallible = Answer::Fallible {
        ok: None,
        err: Some(Kind::String.into()),
    };
    assert!(
        Signature::new(Scope::default(), fallible)
            .unwrap()
            .output_schema()
            .is_none()
    );
}

#[test]
fn documentation_reaches_the_schema() {
    let documented = |kind: Kind, docs: &str| Shape {
        docs: Some(docs.into()),
        ..kind.into()
    };
    let input = |shape: Shape| json(echo(shape).input_schema())["properties"]["v"].clone();
    assert_eq!(
        input(documented(Kind::String, "The city.\n"))["description"],
        "The city."
    );
    assert_eq!(
        input(documented(Kind::Bytes, "An image."))["description"],
        "An image.\n\nBase64."
    );
    let inner = documented(Kind::String, "A name.").optional().kind;
    assert_eq!(input(inner.clone().into())["description"], "A name.");
    assert_eq!(
        input(documented(inner, "Your name."))["description"],
        "Your name."
    );
    let mut metric = case("metric", None);
    metric.docs = Some("Celsius".into());
    let units = Kind::Enum(shared([metric.clone(), case("imperial", None)]));
    assert_eq!(
        input(documented(units, "Units."))["description"],
        "Units.\n\n- `metric`: Celsius"
    );
    metric.payload = Some(Kind::U8.into());
    assert_eq!(
        input(Kind::Variant(shared([metric])).into())["anyOf"][0]["description"],
        "Celsius"
    );
}

fn ruled(kind: Kind, tags: &[(&str, &str)]) -> Shape {
    let (mut rules, mut room) = (Rules::default(), Rules::ROOM);
    for (tag, value) in tags {
        rules.add(tag, value, &kind, &mut room).unwrap();
    }
    Shape {
        rules,
        ..kind.into()
    }
}

#[test]
fn rules_are_checked_and_shown_to_callers() {
    let table = [
        (
            ruled(Kind::U32, &[("min", "1"), ("max", "7")]),
            json!({"type": "integer", "minimum": 1, "maximum": 7}),
            vec!["1", "7"],
            vec![
                ("0", "/v: expected at least 1; got 0"),
                ("8", "/v: expected at most 7; got 8"),
            ],
        ),
        (
            ruled(Kind::F64, &[("min", "0"), ("max", "1.5")]),
            json!({"type": "number", "minimum": 0.0, "maximum": 1.5}),
            vec!["0", "1.5"],
            vec![
                ("-0.1", "/v: expected at least 0; got -0.1"),
                ("2", "/v: expected at most 1.5; got 2"),
                ("\"NaN\"", "/v: expected at least 0; got NaN"),
            ],
        ),
        (
            ruled(Kind::F32, &[("max", "0.1")]),
            json!({"type": "number", "maximum": 0.1}),
            vec!["0.1"],
            vec![("0.11", "/v: expected at most 0.1; got 0.11")],
        ),
        (
            ruled(
                option(Kind::String),
                &[("min-length", "2"), ("max-length", "3")],
            ),
            json!({"type": "string", "minLength": 2, "maxLength": 3}),
            vec!["null", "\"äöü\""],
            vec![
                ("\"a\"", "/v: expected at least 2 characters; got 1"),
                ("\"abcd\"", "/v: expected at most 3 characters; got 4"),
            ],
        ),
        (
            ruled(list(Kind::Bool), &[("min-items", "1"), ("max-items", "2")]),
            json!({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}),
            vec!["[true]"],
            vec![
                ("[]", "/v: expected at least 1 item; got 0"),
                ("[true,true,true]", "/v: expected at most 2 items; got 3"),
            ],
        ),
        (
            ruled(option(Kind::Bytes), &[("max-length", "2")]),
            json!({"type": "string", "description": "Base64 of at most 2 bytes."}),
            vec!["\"aGk=\""],
            vec![("[1,2,3]", "/v: expected at most 2 items; got 3")],
        ),
        (
            ruled(Kind::String, &[("pattern", "^[A-Z]{3}$")]),
            json!({"type": "string", "pattern": "^[A-Z]{3}$"}),
            vec!["\"OSL\""],
            vec![(
                "\"oslo\"",
                "/v: expected text that matches the pattern ^[A-Z]{3}$; got \"oslo\"",
            )],
        ),
        (
            ruled(Kind::String, &[("format", "email")]),
            json!({"type": "string", "format": "email"}),
            vec!["\"a@example.com\""],
            vec![("\"a\"", "/v: expected an e-mail address; got \"a\"")],
        ),
    ];
    for (shape, schema, good, bad) in table {
        let signature = echo(shape);
        assert_eq!(json(signature.input_schema())["properties"]["v"], schema);
        for sent in good {
            decode(&signature, &format!("{{\"v\":{sent}}}")).unwrap();
        }
        for (sent, text) in bad {
            let problem = decode(&signature, &format!("{{\"v\":{sent}}}"))
                .unwrap_err()
                .to_string();
            assert_eq!(problem, text, "{sent}");
        }
        // They bind callers; what a component returns is as its type says.
        let published = json(signature.output_schema().unwrap()).to_string();
        assert!(
            ["minLength", "pattern", "format", "\"minimum\":1"]
                .iter()
                .all(|word| !published.contains(word))
        );
    }
}

#[test]
fn defaults_stand_for_what_is_missing_and_examples_are_shown() {
    let units = Kind::Enum(names(&["metric", "us-customary"]));
    let params = scope([
        Member {
            wit: "units".into(),
            json: "units".into(),
            shape: ruled(units, &[("default", "us-customary")]),
        },
        Member {
            wit: "days".into(),
            json: "days".into(),
            shape: ruled(option(Kind::U8), &[("default", "\"3\""), ("max", "7")]),
        },
        Member {
            wit: "city".into(),
            json: "city".into(),
            shape: ruled(
                Kind::String,
                &[("example", "Oslo"), ("example", "\"Paris\"")],
            ),
        },
    ]);
    let signature = Signature::new(params, Answer::Nothing).unwrap();
    assert_eq!(
        json(signature.input_schema()),
        json!({
            "type": "object",
            "properties": {
                "units": {"type": "string", "enum": ["metric", "usCustomary"], "default": "usCustomary"},
                "days": {"type": "integer", "minimum": 0, "maximum": 7, "default": 3},
                "city": {"type": "string", "examples": ["Oslo", "Paris"]},
            },
            "required": ["city"],
            "additionalProperties": false,
        })
    );
    let expected = [
        Val::Enum("us-customary".to_owned()),
        Val::Option(Some(boxed(Val::U8(3)))),
        text("Bergen"),
    ];
    for arguments in [
        r#"{"city":"Bergen"}"#,
        r#"{"city":"Bergen","units":null,"days":null}"#,
    ] {
        assert_eq!(decode(&signature, arguments).unwrap(), expected);
    }
}

#[test]
fn a_rule_that_does_not_fit_is_refused() {
    let refused = |kind: Kind, tags: &[(&str, &str)]| {
        let (mut rules, mut room) = (Rules::default(), Rules::ROOM);
        tags.iter()
            .find_map(|(tag, value)| rules.add(tag, value, &kind, &mut room).err())
            .map(|error| error.to_string())
    };
    for (kind, tags, text) in [
        (
            Kind::String,
            vec![("min", "1")],
            "`@min 1` does not apply to `string`",
        ),
        (
            Kind::U8,
            vec![("max", "256")],
            "`@max 256`: expected an integer from 0 to 255",
        ),
        (
            Kind::U8,
            vec![("min-length", "1")],
            "`@min-length 1` does not apply to `u8`",
        ),
        (
            Kind::F64,
            vec![("min", "low")],
            "`@min low`: expected a number",
        ),
        (
            Kind::String,
            vec![("min-length", "-1")],
            "`@min-length -1`: expected a whole number from 0 up",
        ),
        (
            Kind::String,
            vec![("pattern", "(")],
            "`@pattern (`: not a regular expression: unclosed group",
        ),
        (
            Kind::String,
            vec![("format", "phone")],
            "`@format phone`: expected one of `email`, `uri`, `date`, `time`, `date-time`, `uuid`, `ipv4`, `ipv6`, `hostname`",
        ),
        (
            Kind::U8,
            vec![("default", "x")],
            "`@default x`: expected an integer from 0 to 255; got \"x\"",
        ),
        (
            list(Kind::U8),
            vec![("default", "[1,-1]")],
            "`@default [1,-1]`: /1: expected an integer from 0 to 255; got -1",
        ),
        (
            Kind::U8,
            vec![("min", "5"), ("max", "4")],
            "`@max 4` leaves no value, with the rules before it",
        ),
        (
            Kind::U8,
            vec![("default", "5"), ("min", "6")],
            "`@min 6` and the default do not agree: expected at least 6; got 5",
        ),
        (
            Kind::F64,
            vec![("header", "X-A")],
            "`@header X-A` does not apply to `f64`",
        ),
        (
            Kind::String,
            vec![("header", "X A")],
            "`@header X A`: expected a header name, made of letters, digits and `-`",
        ),
        (
            Kind::String,
            vec![("colour", "red")],
            "`@colour red` is no rule; there are `@min`, `@max`, `@min-length`, `@max-length`, `@min-items`, `@max-items`, `@pattern`, `@format`, `@default`, `@example`, `@header`",
        ),
    ] {
        assert_eq!(refused(kind, &tags).as_deref(), Some(text));
    }
}

#[test]
fn headers_mirror_parameters_only_where_they_can() {
    let mirrored = |header: &str| ruled(Kind::String, &[("header", header)]);
    let param = |wit: &str, shape: Shape| Member {
        wit: wit.into(),
        json: wit.into(),
        shape,
    };
    let signature = Signature::new(
        scope([param("region", mirrored("Region"))]),
        Answer::Nothing,
    )
    .unwrap();
    assert_eq!(
        json(signature.input_schema())["properties"]["region"]["x-mcp-header"],
        "Region"
    );
    let place = Kind::Record(shared([param(
        "zone-id",
        ruled(option(Kind::U8), &[("header", "Zone")]),
    )]));
    let nested = scope([
        param("region", mirrored("Region")),
        param("place", option(place).into()),
    ]);
    let signature = Signature::new(nested, Answer::Nothing).unwrap();
    for (arguments, region, zone) in [
        (
            r#"{"region":"eu","place":{"zone_id":42.0}}"#,
            Some("eu"),
            Some("42"),
        ),
        (
            r#"{"region":"eu","place":{"zone-id":null}}"#,
            Some("eu"),
            None,
        ),
        (r#"{"place":null}"#, None, None),
        ("[]", None, None),
    ] {
        let mirrored = signature.mirrored(Some(&raw(arguments)));
        let said: Vec<_> = mirrored
            .iter()
            .map(|one| (one.header, one.argument.as_deref()))
            .collect();
        assert_eq!(said, [("Region", region), ("Zone", zone)], "{arguments}");
    }

    // A header that cannot be costs nothing but itself, and a record that is returned has none.
    let twice = scope([
        param("a", mirrored("Region")),
        param("b", mirrored("region")),
        param("c", Kind::List(Arc::new(mirrored("Zone"))).into()),
    ]);
    let returned = Kind::Record(shared([param("d", mirrored("Region"))]));
    let signature = Signature::new(twice, Answer::Value(returned.into())).unwrap();
    assert_eq!(signature.misplaced_headers(), ["region", "Zone"]);
    let schema = signature.input_schema().get();
    assert_eq!(schema.matches("x-mcp-header").count(), 1, "{schema}");
    assert!(
        !signature
            .output_schema()
            .unwrap()
            .get()
            .contains("x-mcp-header")
    );
}

#[test]
fn what_no_client_could_read_is_not_published() {
    let deep = |levels: usize| (0..levels).fold(Kind::Bool, |kind, _| list(kind));
    assert!(Signature::new(scope([member("v", deep(23))]), Answer::Nothing).is_ok());
    assert_eq!(
        Signature::new(scope([member("v", deep(24))]), Answer::Nothing).unwrap_err(),
        NotPublishable::TooDeep
    );
    // The deepest schemas there are must still be read by readers that stop at 128 levels.
    let tagged = |kind| Kind::Variant(shared([case("inner", Some(kind)), case("end", None)]));
    for deepest in [
        (0..23).fold(Kind::Bool, |kind, _| tagged(kind)),
        (0..23).fold(Kind::Bool, |kind, _| result(Some(kind), None)),
        (0..23).fold(Kind::Bool, |kind, _| map(Kind::Bool, kind)),
        (0..23).fold(Kind::Bool, |kind, _| option(kind)),
    ] {
        let signature = echo(deepest);
        json(signature.input_schema());
        json(signature.output_schema().unwrap());
    }
    let wide = (0..16).fold(Kind::Bool, |kind, _| {
        record([("left", kind.clone()), ("right", kind)])
    });
    assert!(matches!(
        Signature::new(Scope::default(), Answer::Value(wide.into())),
        Err(NotPublishable::TooLarge { .. })
    ));
    for name in ["", "ä", "a b", &"x".repeat(65)] {
        let param = Member {
            wit: "v".into(),
            json: name.into(),
            shape: Kind::Bool.into(),
        };
        assert_eq!(
            Signature::new(scope([param]), Answer::Nothing).unwrap_err(),
            NotPublishable::Parameter(name.to_owned())
        );
    }
    let signature = || Signature::new(Scope::default(), Answer::Nothing).unwrap();
    assert!(
        signature()
            .with_input_schema(r#"{"type":"object","$defs":{}}"#)
            .is_ok()
    );
    let combined = signature().with_input_schema(r#"{"type":"object","if":{},"allOf":[{}]}"#);
    assert_eq!(combined.unwrap().unpopular_keyword(), Some("allOf"));
    assert_eq!(signature().unpopular_keyword(), None);
    for schema in ["{", "{}", "true"] {
        assert!(
            matches!(
                signature().with_input_schema(schema),
                Err(NotPublishable::Schema(_))
            ),
            "{schema}"
        );
    }
}

#[test]
fn signatures_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Signature>();
}

#[test]
fn bytes_can_be_content_of_a_media_type() {
    let bytes = || Answer::Value(Kind::Bytes.into());
    let media = |answer: Answer, media: &str| {
        Signature::new(Scope::default(), answer)
            .unwrap()
            .with_media(media)
    };
    let picture = media(bytes(), "image/PNG").unwrap();
    assert!(picture.output_schema().is_none());
    let png = Val::List(vec![Val::U8(0x89), Val::U8(b'P')]);
    let Ok(Encoded::Media { media: kind, data }) = picture.encode(vec![png], usize::MAX) else {
        panic!("content was expected");
    };
    assert_eq!((&*kind, &*data), ("image/png", "iVA="));

    for wrong in ["image", "image/", "/png", "image/p g", ""] {
        assert!(media(bytes(), wrong).is_err(), "{wrong}");
    }
    assert!(media(Answer::Value(Kind::String.into()), "text/plain").is_err());
    assert!(media(Answer::Nothing, "text/plain").is_err());
}
