//! Results that MCP has forms of its own for, and arguments that are texts.

use super::*;
use crate::value::content::{
    Annotations, Block, Body, Document, Embedded, Link, Media, Message, Part, Role,
};
use crate::value::{Native, NotEncoded, NotPublishable};

fn text(text: &str) -> Val {
    Val::String(text.to_owned())
}

fn some(value: Val) -> Val {
    Val::Option(Some(Box::new(value)))
}

fn none() -> Val {
    Val::Option(None)
}

fn fields<const N: usize>(fields: [(&str, Val); N]) -> Val {
    Val::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

fn case_of(name: &str, payload: Val) -> Val {
    Val::Variant(name.to_owned(), Some(Box::new(payload)))
}

fn bytes(bytes: &[u8]) -> Val {
    Val::List(bytes.iter().copied().map(Val::U8).collect())
}

fn role() -> Kind {
    Kind::Enum(names(&["user", "assistant"]))
}

fn body() -> Kind {
    Kind::Variant(shared([
        case("text", Some(Kind::String)),
        case("blob", Some(Kind::Bytes)),
    ]))
}

fn content() -> Kind {
    let media = || record([("data", Kind::Bytes), ("mime-type", Kind::String)]);
    let link = record([
        ("uri", Kind::String),
        ("name", Kind::String),
        ("title", option(Kind::String)),
        ("description", option(Kind::String)),
        ("mime-type", option(Kind::String)),
        ("size", option(Kind::U64)),
    ]);
    let embedded = record([
        ("uri", Kind::String),
        ("mime-type", option(Kind::String)),
        ("body", body()),
    ]);
    Kind::Variant(shared([
        case("text", Some(Kind::String)),
        case("image", Some(media())),
        case("audio", Some(media())),
        case("link", Some(link)),
        case("embedded", Some(embedded)),
    ]))
}

fn annotated() -> Kind {
    let annotations = record([
        ("audience", list(role())),
        ("priority", option(Kind::F64)),
        ("last-modified", option(Kind::String)),
    ]);
    record([
        ("part", content()),
        ("annotations", annotations),
        ("meta", option(Kind::String)),
    ])
}

fn prompt() -> Kind {
    let message = record([("role", role()), ("content", content())]);
    record([
        ("description", option(Kind::String)),
        ("messages", list(message)),
    ])
}

fn contents() -> Kind {
    let document = record([
        ("uri", option(Kind::String)),
        ("mime-type", option(Kind::String)),
        ("body", body()),
        ("meta", option(Kind::String)),
    ]);
    record([("documents", list(document))])
}

fn returning(
    native: Native,
    kind: Kind,
    params: Scope<Member>,
) -> Result<Signature, NotPublishable> {
    Signature::new(params, Answer::Value(kind.into()))?.with_native(native)
}

fn encoded(native: Native, kind: Kind, value: Val) -> Result<Encoded, NotEncoded> {
    let signature = returning(native, kind, Scope::default()).unwrap();
    assert!(signature.output_schema().is_none());
    signature.encode(vec![value], usize::MAX)
}

fn blocks(kind: Kind, value: Val) -> Vec<Block> {
    let found = encoded(Native::Content, kind, value).unwrap();
    let Encoded::Content(blocks) = found else {
        panic!("{found:?}")
    };
    blocks
}

#[test]
fn content_comes_in_parts() {
    let plain = |part| Block {
        part,
        annotations: None,
        meta: None,
    };
    let media = Media {
        data: "iVA=".into(),
        mime_type: "image/png".into(),
    };
    let link = Link {
        uri: "n://1".into(),
        name: "one".into(),
        title: Some("One".into()),
        description: None,
        mime_type: None,
        size: Some(9),
    };
    let embedded = Embedded {
        uri: "n://2".into(),
        mime_type: None,
        body: Body::Blob("iVA=".into()),
    };
    let picture = || fields([("data", bytes(b"\x89P")), ("mime-type", text("image/png"))]);
    let all = Val::List(vec![
        case_of("text", text("hi")),
        case_of("image", picture()),
        case_of("audio", picture()),
        case_of(
            "link",
            fields([
                ("uri", text("n://1")),
                ("name", text("one")),
                ("title", some(text("One"))),
                ("description", none()),
                ("mime-type", none()),
                ("size", some(Val::U64(9))),
            ]),
        ),
        case_of(
            "embedded",
            fields([
                ("uri", text("n://2")),
                ("mime-type", none()),
                ("body", case_of("blob", bytes(b"\x89P"))),
            ]),
        ),
    ]);
    assert_eq!(
        blocks(list(content()), all.clone()),
        [
            plain(Part::Text("hi".into())),
            plain(Part::Image(media.clone())),
            plain(Part::Audio(media)),
            plain(Part::Link(link)),
            plain(Part::Embedded(embedded)),
        ]
    );
    let size = encoded(Native::Content, list(content()), all)
        .unwrap()
        .size();
    assert_eq!(size, 2 + 2 * (4 + 9) + (5 + 3 + 3) + (5 + 4));

    let important = |priority| {
        let annotations = fields([
            ("audience", Val::List(vec![Val::Enum("assistant".into())])),
            ("priority", some(Val::Float64(priority))),
            ("last-modified", some(text("2026-07-28T12:00:00Z"))),
        ]);
        fields([
            ("part", case_of("text", text("hi"))),
            ("annotations", annotations),
            ("meta", some(text(r#"{"a":[1]}"#))),
        ])
    };
    assert_eq!(
        blocks(annotated(), important(1.0)),
        [Block {
            part: Part::Text("hi".into()),
            annotations: Some(Annotations {
                audience: vec![Role::Assistant],
                priority: Some(1.0),
                last_modified: Some("2026-07-28T12:00:00Z".into()),
            }),
            meta: serde_json::from_str(r#"{"a":[1]}"#).unwrap(),
        }]
    );
    for (wrong, got) in [
        (1.5, "1.5"),
        (-0.5, "-0.5"),
        (f64::NAN, "NaN"),
        (1e300, "1e300"),
    ] {
        let cause = encoded(Native::Content, annotated(), important(wrong)).unwrap_err();
        assert_eq!(
            cause.to_string(),
            format!("the `priority` in its result is {got}, and must be from 0 to 1")
        );
    }
}

#[test]
fn a_prompt_has_messages() {
    let message = |role: &str, said: &str| {
        fields([
            ("role", Val::Enum(role.to_owned())),
            ("content", case_of("text", text(said))),
        ])
    };
    let value = fields([
        ("description", some(text("About it"))),
        (
            "messages",
            Val::List(vec![message("user", "a"), message("assistant", "bc")]),
        ),
    ]);
    let found = encoded(Native::Prompt, prompt(), value).unwrap();
    assert_eq!(found.size(), 8 + 1 + 2);
    let Encoded::Prompt {
        description,
        messages,
    } = found
    else {
        panic!("{found:?}")
    };
    let said = |role, said: &str| Message {
        role,
        content: Block {
            part: Part::Text(said.to_owned()),
            annotations: None,
            meta: None,
        },
    };
    assert_eq!(description.as_deref(), Some("About it"));
    assert_eq!(
        messages,
        [said(Role::User, "a"), said(Role::Assistant, "bc")]
    );
}

#[test]
fn a_resource_holds_documents() {
    let read = |meta: Val| {
        let value = fields([
            ("uri", some(text("n://1"))),
            ("mime-type", none()),
            ("body", case_of("text", text("hi"))),
            ("meta", meta),
        ]);
        let value = fields([("documents", Val::List(vec![value]))]);
        encoded(Native::Documents, contents(), value)
    };
    let found = read(some(text(r#" {"a": 1} "#))).unwrap();
    assert_eq!(found.size(), 5 + 2 + r#"{"a":1}"#.len());
    let Encoded::Documents(documents) = found else {
        panic!("{found:?}")
    };
    assert_eq!(
        documents,
        [Document {
            uri: Some("n://1".into()),
            mime_type: None,
            body: Body::Text("hi".into()),
            meta: serde_json::from_str(r#"{"a":1}"#).unwrap(),
        }]
    );
    let long = format!("{:?}", "x".repeat(1_000));
    for (wrong, got) in [
        ("", "not JSON ("),
        ("{} {}", "not JSON ("),
        ("{\"a\"}", "not JSON ("),
        ("[]", "JSON of another kind"),
        ("null", "JSON of another kind"),
        (&*long, "JSON of another kind"),
    ] {
        let cause = read(some(text(wrong))).unwrap_err().to_string();
        let told = cause.strip_prefix("the `meta` in its result is ").unwrap();
        assert!(
            told.starts_with(got) && told.ends_with(", and must be a JSON object as text"),
            "{wrong}: {cause}"
        );
        assert!(cause.len() < 200, "{cause}");
    }
    let longest = format!("{{}}{}", " ".repeat((256 << 10) - 2));
    assert!(read(some(text(&longest))).is_ok());
    let cause = read(some(text(&format!("{longest} ")))).unwrap_err();
    assert_eq!(
        cause.to_string(),
        "the `meta` in its result is more than 256 KiB in all, and must be at most that"
    );
}

#[test]
fn an_err_of_a_prompt_is_a_failure() {
    let answer = Answer::Fallible {
        ok: Some(prompt().into()),
        err: Some(Kind::String.into()),
    };
    let signature = Signature::new(Scope::default(), answer).unwrap();
    let signature = signature.with_native(Native::Prompt).unwrap();
    let failed = Val::Result(Err(Some(Box::new(text("no such book")))));
    let found = signature.encode(vec![failed], usize::MAX).unwrap();
    assert!(
        matches!(&found, Encoded::Failed { text, .. } if text == "no such book"),
        "{found:?}"
    );
}

#[test]
fn a_type_that_only_has_the_name_is_refused() {
    for (native, kind) in [
        (Native::Content, Kind::String),
        (Native::Content, list(list(content()))),
        (Native::Content, option(content())),
        (Native::Prompt, record([("messages", list(Kind::String))])),
        (Native::Prompt, contents()),
        (Native::Documents, prompt()),
        (Native::Documents, record([("documents", list(content()))])),
    ] {
        let refused = returning(native, kind, Scope::default()).map(|_| ());
        assert!(
            matches!(refused, Err(NotPublishable::Native(_))),
            "{native:?}: {refused:?}"
        );
    }
    let nothing = Signature::new(Scope::default(), Answer::Nothing).unwrap();
    assert!(nothing.with_native(Native::Content).is_err());
}

#[test]
fn prompts_ask_for_texts() {
    let params = || {
        scope([
            member("name", Kind::String),
            member("tone", option(Kind::Enum(names(&["plain", "very-formal"])))),
            member("stars", Kind::U8),
            member("spoilers", option(Kind::Bool)),
            member("weight", Kind::F64),
        ])
    };
    let signature = returning(Native::Prompt, prompt(), params()).unwrap();
    let values = [
        text("Ada"),
        some(Val::Enum("very-formal".into())),
        Val::U8(5),
        some(Val::Bool(true)),
        Val::Float64(0.5),
    ];
    let all = r#"{"name":"Ada","tone":"veryFormal","stars":"5","spoilers":"true","weight":"0.5"}"#;
    assert_eq!(signature.decode(Some(&raw(all))).unwrap(), values);
    let in_order = ["Ada", "veryFormal", "5", "true", "0.5"].map(str::to_owned);
    assert_eq!(signature.decode_texts(&in_order).unwrap(), values);

    let wrong = ["Ada", "loud", "6.5", "yes", ""].map(str::to_owned);
    let expected = "/tone: expected one of \"plain\", \"veryFormal\"; got \"loud\"\n\
                    /stars: expected an integer from 0 to 255; got \"6.5\"\n\
                    /spoilers: expected true or false; got \"yes\"\n\
                    /weight: expected a number; got \"\"";
    assert_eq!(
        signature.decode_texts(&wrong).unwrap_err().to_string(),
        expected
    );

    for kind in [
        list(Kind::String),
        option(option(Kind::String)),
        Kind::Bytes,
    ] {
        let refused = returning(Native::Prompt, prompt(), scope([member("v", kind)]));
        let cause = refused.unwrap_err().to_string();
        assert!(cause.starts_with("its parameter `v` is a `"), "{cause}");
    }
}

#[test]
fn what_completes_is_told_what_was_typed() {
    let pairs = || {
        list(Kind::Tuple(
            [Kind::String.into(), Kind::String.into()].into(),
        ))
    };
    let completes = |params| returning(Native::Completions, list(Kind::String), params);
    let chosen = [("a".to_owned(), "1".to_owned())];

    let short = completes(scope([member("value", Kind::String)])).unwrap();
    assert_eq!(short.completing("Mo", &chosen), [text("Mo")]);
    let long = completes(scope([
        member("typed", Kind::String),
        member("context", pairs()),
    ]))
    .unwrap();
    let pair = Val::Tuple(vec![text("a"), text("1")]);
    assert_eq!(
        long.completing("Mo", &chosen),
        [text("Mo"), Val::List(vec![pair])]
    );

    let found = long
        .encode(vec![Val::List(vec![text("Moby-Dick")])], usize::MAX)
        .unwrap();
    assert!(
        matches!(&found, Encoded::Completions(values) if values == &["Moby-Dick"]),
        "{found:?}"
    );

    for params in [
        scope([]),
        scope([member("value", Kind::U8)]),
        scope([
            member("value", Kind::String),
            member("context", Kind::String),
        ]),
        scope([
            member("value", Kind::String),
            member("a", pairs()),
            member("b", pairs()),
        ]),
    ] {
        assert_eq!(completes(params).unwrap_err(), NotPublishable::Completer);
    }
}
