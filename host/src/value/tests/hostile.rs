//! Awkward arguments, one row each: what is sent as `v`, and what comes back from a function that
//! returns it, or the text of the refusal. `‹…›` stands for anything.

use super::*;

/// Sends each text as a `v` of this type.
fn table(kind: &Kind, rows: &[(&str, Result<&str, &str>)]) {
    let signature = echo(kind.clone());
    for (sent, outcome) in rows {
        let decoded = decode(&signature, &format!("{{\"v\":{sent}}}"));
        match (decoded, outcome) {
            (Ok(values), Ok(expected)) => {
                assert_eq!(emitted(&signature, values), *expected, "{sent}");
            }
            (Err(problem), Err(expected)) => assert_eq!(problem.to_string(), *expected, "{sent}"),
            (Ok(values), Err(_)) => panic!("{sent} was taken as {values:?}"),
            (Err(problem), Ok(_)) => panic!("{sent} was refused: {problem}"),
        }
    }
}

/// A row whose refusal has the same words each time.
fn refuse<'a>(sent: &'a str, text: &'a str) -> (&'a str, Result<&'a str, &'a str>) {
    (sent, Err(text))
}

fn take<'a>(sent: &'a str, emitted: &'a str) -> (&'a str, Result<&'a str, &'a str>) {
    (sent, Ok(emitted))
}

fn point() -> Kind {
    record([
        ("x", Kind::S32),
        ("y", Kind::S32),
        ("label", option(Kind::String)),
    ])
}

fn profile() -> Kind {
    record([
        ("user-id", Kind::String),
        ("display-name", option(Kind::String)),
        ("age", Kind::U8),
        ("balance", Kind::S64),
    ])
}

fn shape() -> Kind {
    Kind::Variant(shared([
        case("circle", Some(Kind::F32)),
        case("poly-line", Some(list(point()))),
        case("empty-shape", None),
    ]))
}

#[test]
fn integers_are_taken_in_every_plain_form_and_no_other() {
    let u32 = |sent, got| {
        (
            sent,
            format!("/v: expected an integer from 0 to 4294967295; got {got}"),
        )
    };
    let refused = [
        u32("5.5", "5.5"),
        u32(r#""5.5""#, r#""5.5""#),
        u32(r#""5.0""#, r#""5.0""#),
        u32("-1", "-1"),
        u32("4294967296", "4294967296"),
        u32(r#""4294967296""#, r#""4294967296""#),
        u32(r#"" 5""#, r#"" 5""#),
        u32(r#""+5""#, r#""+5""#),
        u32(r#""05""#, r#""05""#),
        u32(r#""0x10""#, r#""0x10""#),
        u32(r#""1e3""#, r#""1e3""#),
        u32(r#""""#, r#""""#),
        u32("true", "true"),
        u32("[5]", "an array of 1 item"),
        u32("{}", "an empty object"),
        u32("null", "null"),
    ];
    let refused: Vec<_> = refused
        .iter()
        .map(|(sent, text)| refuse(sent, text))
        .collect();
    table(&Kind::U32, &refused);
    table(
        &Kind::U32,
        &[
            take("5", "5"),
            take("5.0", "5"),
            take(r#""5""#, "5"),
            take("1e3", "1000"),
            take("-0", "0"),
            take(r#""-0""#, "0"),
        ],
    );
    table(
        &Kind::U8,
        &[
            take("255.0", "255"),
            refuse("256", "/v: expected an integer from 0 to 255; got 256"),
            refuse(
                r#""256""#,
                "/v: expected an integer from 0 to 255; got \"256\"",
            ),
        ],
    );
    table(
        &Kind::S8,
        &[
            take("-128", "-128"),
            take(r#""-128""#, "-128"),
            refuse("-129", "/v: expected an integer from -128 to 127; got -129"),
        ],
    );
    for kind in [Kind::S16, Kind::S32, Kind::U16] {
        table(
            &kind,
            &[take("7", "7"), take("7.0", "7"), take(r#""7""#, "7")],
        );
    }
}

#[test]
fn wide_integers_are_exact() {
    table(
        &Kind::S64,
        &[
            take("9007199254740993", r#""9007199254740993""#),
            take(r#""9007199254740993""#, r#""9007199254740993""#),
            take("9007199254740991", "9007199254740991"),
            take("9007199254740992", r#""9007199254740992""#),
            take("-9007199254740991.0", "-9007199254740991"),
            take(r#""-9223372036854775808""#, r#""-9223372036854775808""#),
            refuse(
                "5.00000000000000000001",
                "/v: expected an integer from -9223372036854775808 to 9223372036854775807; got 5.00000000000000000001",
            ),
            refuse(
                "1e-400",
                "/v: expected an integer from -9223372036854775808 to 9223372036854775807; got 1e-400",
            ),
            refuse(
                "9007199254740993.0",
                "/v: expected an integer from -9223372036854775808 to 9223372036854775807; got 9007199254740993.0 (send an integer beyond 9007199254740991 as a string of digits)",
            ),
            refuse(
                r#""9223372036854775808""#,
                "/v: expected an integer from -9223372036854775808 to 9223372036854775807; got \"9223372036854775808\"",
            ),
        ],
    );
    table(
        &Kind::U64,
        &[
            take("18446744073709551615", r#""18446744073709551615""#),
            take(r#""18446744073709551615""#, r#""18446744073709551615""#),
            refuse(
                "18446744073709551616",
                "/v: expected an integer from 0 to 18446744073709551615; got 18446744073709551616 (send an integer beyond 9007199254740991 as a string of digits)",
            ),
            refuse(
                "-1",
                "/v: expected an integer from 0 to 18446744073709551615; got -1",
            ),
        ],
    );
}

#[test]
fn floats_may_be_whole_quoted_or_not_finite() {
    table(
        &Kind::F64,
        &[
            take("1", "1.0"),
            take("1.5", "1.5"),
            take("-0.0", "-0.0"),
            take("18446744073709551615", "1.8446744073709552e+19"),
            take(r#""1.5""#, "1.5"),
            take(r#""-1e3""#, "-1000.0"),
            take(r#""NaN""#, r#""NaN""#),
            take(r#""Infinity""#, r#""Infinity""#),
            take(r#""-Infinity""#, r#""-Infinity""#),
            take("0.1", "0.1"),
            take("1.7976931348623157e308", "1.7976931348623157e+308"),
            refuse(r#""nan""#, "/v: expected a number; got \"nan\""),
            refuse(r#""inf""#, "/v: expected a number; got \"inf\""),
            refuse(r#""1e999""#, "/v: expected a number; got \"1e999\""),
            refuse(r#"".5""#, "/v: expected a number; got \".5\""),
            refuse(r#""""#, "/v: expected a number; got \"\""),
        ],
    );
    table(
        &Kind::F32,
        &[
            take("0.3", "0.3"),
            take("7.038531e-26", "7.038531e-26"),
            take("16777217", "16777216.0"),
            // Just above the middle of two: by way of 64 bits it would be the lower one.
            take("1.00000017881393433", "1.0000002"),
            take(r#""1.00000017881393433""#, "1.0000002"),
            take(r#""NaN""#, r#""NaN""#),
            refuse(
                r#""-.5""#,
                "/v: expected a number that fits 32 bits; got \"-.5\"",
            ),
            refuse(
                r#""05""#,
                "/v: expected a number that fits 32 bits; got \"05\"",
            ),
            refuse(
                r#""1.e5""#,
                "/v: expected a number that fits 32 bits; got \"1.e5\"",
            ),
            refuse("1e39", "/v: expected a number that fits 32 bits; got 1e39"),
            take("3.4028235e38", "3.4028235e+38"),
            refuse(
                "3.4028236e38",
                "/v: expected a number that fits 32 bits; got 3.4028236e38",
            ),
        ],
    );
}

#[test]
fn booleans_characters_and_text_are_not_guessed() {
    table(
        &Kind::Bool,
        &[
            take("true", "true"),
            refuse("1", "/v: expected true or false; got 1"),
            refuse(r#""yes""#, "/v: expected true or false; got \"yes\""),
            refuse(
                r#""true""#,
                "/v: expected true or false; got \"true\" (send it without quotes)",
            ),
        ],
    );
    table(
        &Kind::Char,
        &[
            take("\"\u{e9}\"", "\"\u{e9}\""),
            refuse(
                "\"e\u{301}\"",
                "/v: expected a string of exactly one character; got \"e\u{301}\"",
            ),
            refuse(
                r#""""#,
                "/v: expected a string of exactly one character; got \"\"",
            ),
            refuse(
                r#""ab""#,
                "/v: expected a string of exactly one character; got \"ab\"",
            ),
            refuse(
                "\"\u{1f469}\u{200d}\u{1f680}\"",
                "/v: expected a string of exactly one character; got \"\u{1f469}\u{200d}\u{1f680}\"",
            ),
        ],
    );
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    table(
        &Kind::String,
        &[
            take(r#""""#, r#""""#),
            take(&long, &long),
            take(r#""a\u0000b""#, r#""a\u0000b""#),
            refuse("5", "/v: expected a string; got 5 (send it in quotes)"),
            refuse("null", "/v: expected a string; got null"),
            refuse(r#"["a"]"#, "/v: expected a string; got an array of 1 item"),
        ],
    );
}

#[test]
fn what_json_cannot_say_is_a_syntax_error() {
    for (kind, sent) in [(Kind::F64, "1e999"), (Kind::String, r#""\ud800""#)] {
        let problem = decode(&echo(kind), &format!("{{\"v\":{sent}}}")).unwrap_err();
        assert!(matches!(problem, NotDecoded::Syntax(_)), "{problem:?}");
    }
    for depth in [100, 100_000] {
        let deep = format!("{{\"v\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let problem = decode(&echo(list(Kind::U8)), &deep).unwrap_err();
        assert!(matches!(problem, NotDecoded::Syntax(_)), "{problem:?}");
    }
}

#[test]
fn bytes_are_base64_of_either_alphabet_or_an_array() {
    table(
        &Kind::Bytes,
        &[
            take(r#""aGk=""#, r#""aGk=""#),
            take(r#""aGk""#, r#""aGk=""#),
            take(r#""-_8""#, r#""+/8=""#),
            take(r#""+/8=""#, r#""+/8=""#),
            take("[104,105]", r#""aGk=""#),
            take("[]", r#""""#),
            take(r#""""#, r#""""#),
            refuse(r#""a""#, "/v: expected base64 text; got \"a\""),
            refuse(r#""a b=""#, "/v: expected base64 text; got \"a b=\""),
            refuse(r#""+_8=""#, "/v: expected base64 text; got \"+_8=\""),
            refuse("[256]", "/v/0: expected an integer from 0 to 255; got 256"),
            refuse("[1.5]", "/v/0: expected an integer from 0 to 255; got 1.5"),
            refuse("7", "/v: expected base64 text; got 7"),
        ],
    );
}

#[test]
fn lists_are_arrays_of_the_right_length() {
    table(
        &list(Kind::S32),
        &[
            take(r#"[1,"2",3.0]"#, "[1,2,3]"),
            take("[]", "[]"),
            refuse("1", "/v: expected an array; got 1"),
            refuse("null", "/v: expected an array; got null"),
            refuse(r#"{"0":1}"#, "/v: expected an array; got an object"),
            refuse(
                r#""[1]""#,
                "/v: expected an array; got \"[1]\" (send the value itself, not its JSON as text)",
            ),
        ],
    );
    table(
        &Kind::FixedList(Arc::new(Kind::S32.into()), 3),
        &[
            take("[1,2,3]", "[1,2,3]"),
            refuse(
                "[1,2]",
                "/v: expected an array of 3 items; got an array of 2 items",
            ),
            refuse(
                "[1,2,3,4]",
                "/v: expected an array of 3 items; got an array of 4 items",
            ),
        ],
    );
}

#[test]
fn none_is_left_out_or_null() {
    let signature = echo(option(Kind::U32));
    for arguments in ["{}", r#"{"v":null}"#] {
        assert_eq!(decode(&signature, arguments).unwrap(), [Val::Option(None)]);
    }
    table(
        &option(Kind::U32),
        &[
            take("null", "null"),
            take("5", "5"),
            take(r#""5""#, "5"),
            refuse(
                r#""""#,
                "/v: expected an integer from 0 to 4294967295; got \"\"",
            ),
            refuse(
                r#""null""#,
                "/v: expected an integer from 0 to 4294967295; got \"null\"",
            ),
        ],
    );
    table(&list(option(Kind::U32)), &[take("[1,null]", "[1,null]")]);
    table(
        &option(option(Kind::U32)),
        &[
            take("null", "null"),
            take(r#"{"some":null}"#, r#"{"some":null}"#),
            take("{}", r#"{"some":null}"#),
            take(r#"{"some":5}"#, r#"{"some":5}"#),
            refuse("5", "/v: expected null or {\"some\": …}; got 5"),
            refuse(
                r#"{"none":5}"#,
                "/v: expected null or {\"some\": …}; got an object",
            ),
        ],
    );
    table(
        &option(option(option(Kind::U32))),
        &[
            take(r#"{"some":null}"#, r#"{"some":null}"#),
            take(r#"{"some":{"some":null}}"#, r#"{"some":{"some":null}}"#),
            take(r#"{"some":{"some":1}}"#, r#"{"some":{"some":1}}"#),
        ],
    );
}

#[test]
fn a_required_parameter_must_be_there() {
    let signature = echo(Kind::U8);
    let problem = decode(&signature, "{}").unwrap_err().to_string();
    assert_eq!(problem, "/v: missing; expected an integer from 0 to 255");
}

#[test]
fn records_have_their_fields_and_no_others() {
    table(
        &point(),
        &[
            take(r#"{"x":1,"y":2}"#, r#"{"x":1,"y":2}"#),
            take(r#"{"x":1,"y":2,"label":null}"#, r#"{"x":1,"y":2}"#),
            take(
                r#"{"label":"a","y":2,"x":1}"#,
                r#"{"x":1,"y":2,"label":"a"}"#,
            ),
            refuse(
                r#"{"x":1}"#,
                "/v/y: missing; expected an integer from -2147483648 to 2147483647",
            ),
            refuse(
                r#"{"x":1,"y":2,"lable":"a"}"#,
                "/v/lable: unknown field (did you mean \"label\"?)",
            ),
            refuse(
                r#"{"x":1,"y":2,"zoom":"a"}"#,
                "/v/zoom: unknown field; expected \"x\", \"y\", \"label\"",
            ),
            refuse(
                "[1,2]",
                "/v: expected an object with \"x\", \"y\", \"label\"; got an array of 2 items",
            ),
            refuse(r#"{"x":1,"x":1,"y":2}"#, "/v/x: given twice"),
        ],
    );
}

#[test]
fn every_spelling_of_a_field_is_taken_once() {
    let emitted = r#"{"userId":"a","age":1,"balance":2}"#;
    table(
        &profile(),
        &[
            take(r#"{"user-id":"a","age":1,"balance":2}"#, emitted),
            take(r#"{"user_id":"a","age":1,"balance":2}"#, emitted),
            take(r#"{"userId":"a","age":1,"balance":2}"#, emitted),
            refuse(
                r#"{"userId":"a","user_id":"b","age":1,"balance":2}"#,
                "/v/user_id: given twice, here and as \"userId\"",
            ),
            refuse(
                r#"{"userID":"a","age":1,"balance":2}"#,
                "/v/userID: unknown field (did you mean \"userId\"?)\n/v/userId: missing; expected a string",
            ),
            refuse(
                r#"{"UserId":"a","age":1,"balance":2}"#,
                "/v/UserId: unknown field (did you mean \"userId\"?)\n/v/userId: missing; expected a string",
            ),
        ],
    );
}

#[test]
fn enums_are_one_of_their_names() {
    let levels = Kind::Enum(names(&["debug-low", "info", "error-high"]));
    let choice = "/v: expected one of \"debugLow\", \"info\", \"errorHigh\"; got ";
    table(
        &levels,
        &[
            take(r#""debugLow""#, r#""debugLow""#),
            take(r#""debug-low""#, r#""debugLow""#),
            take(r#""debug_low""#, r#""debugLow""#),
            refuse(
                r#""DEBUG_LOW""#,
                &format!("{choice}\"DEBUG_LOW\" (did you mean \"debugLow\"?)"),
            ),
            refuse(
                r#""debug""#,
                &format!("{choice}\"debug\" (did you mean \"debugLow\"?)"),
            ),
            refuse("0", &format!("{choice}0")),
            refuse(r#""""#, &format!("{choice}\"\"")),
        ],
    );
    table(
        &Kind::Enum(names(&["metric", "imperial"])),
        &[refuse(
            r#""metrical""#,
            "/v: expected one of \"metric\", \"imperial\"; got \"metrical\" (did you mean \"metric\"?)",
        )],
    );
}

#[test]
fn flags_are_names_or_booleans() {
    let access = Kind::Flags(names(&["can-read", "can-write", "can-delete"]));
    let choice = "one of \"canRead\", \"canWrite\", \"canDelete\"";
    table(
        &access,
        &[
            take(r#"["canRead","can-write"]"#, r#"["canRead","canWrite"]"#),
            take(r#"["canDelete","canRead"]"#, r#"["canRead","canDelete"]"#),
            take("[]", "[]"),
            take(r#"["canRead","canRead"]"#, r#"["canRead"]"#),
            take(r#"{"canRead":true,"canWrite":false}"#, r#"["canRead"]"#),
            take(r#""canRead,can_write""#, r#"["canRead","canWrite"]"#),
            take(r#""canRead, canWrite""#, r#"["canRead","canWrite"]"#),
            take(r#""""#, "[]"),
            refuse(
                r#"["canFly"]"#,
                &format!("/v/0: expected {choice}; got \"canFly\""),
            ),
            refuse(
                r#"["canread"]"#,
                &format!("/v/0: expected {choice}; got \"canread\" (did you mean \"canRead\"?)"),
            ),
            refuse("[1]", &format!("/v/0: expected {choice}; got 1")),
            refuse(
                r#"{"canRead":1}"#,
                "/v/canRead: expected true or false; got 1",
            ),
            refuse(
                r#"{"canRead":true,"can_read":true}"#,
                "/v/can_read: given twice",
            ),
            refuse(
                "null",
                "/v: expected an array with any of \"canRead\", \"canWrite\", \"canDelete\"; got null",
            ),
        ],
    );
}

#[test]
fn variants_are_tagged_or_short() {
    let tags = "one of \"circle\", \"polyLine\", \"emptyShape\"";
    table(
        &shape(),
        &[
            take(
                r#"{"tag":"circle","val":1.5}"#,
                r#"{"tag":"circle","val":1.5}"#,
            ),
            take(
                r#"{"val":1.5,"tag":"circle"}"#,
                r#"{"tag":"circle","val":1.5}"#,
            ),
            take(r#"{"circle":1.5}"#, r#"{"tag":"circle","val":1.5}"#),
            take(
                r#"{"poly_line":[{"x":1,"y":2}]}"#,
                r#"{"tag":"polyLine","val":[{"x":1,"y":2}]}"#,
            ),
            take(r#"{"tag":"emptyShape"}"#, r#"{"tag":"emptyShape"}"#),
            take(r#""emptyShape""#, r#"{"tag":"emptyShape"}"#),
            take(
                r#"{"tag":"empty-shape","val":null}"#,
                r#"{"tag":"emptyShape"}"#,
            ),
            take(r#"{"emptyShape":null}"#, r#"{"tag":"emptyShape"}"#),
            refuse(
                r#""circle""#,
                "/v: \"circle\" lacks its value: send {\"tag\": \"circle\", \"val\": …} with a number that fits 32 bits",
            ),
            refuse(
                r#"{"tag":"circle"}"#,
                "/v: \"circle\" lacks its value: send {\"tag\": \"circle\", \"val\": …} with a number that fits 32 bits",
            ),
            refuse(
                r#"{"tag":"circle","val":1,"x":2}"#,
                "/v/x: unknown field; expected \"tag\", \"val\"",
            ),
            refuse(
                r#"{"circle":1,"polyLine":[]}"#,
                &format!(
                    "/v: expected {{\"tag\": …, \"val\": …}}, where \"tag\" is {tags}; got an object"
                ),
            ),
            refuse(
                r#"{"tag":"cube","val":1}"#,
                &format!("/v/tag: expected {tags}; got \"cube\""),
            ),
            refuse(r#"{"tag":1}"#, &format!("/v/tag: expected {tags}; got 1")),
            refuse(
                r#"{"tag":"circle","tag":"circle","val":1}"#,
                "/v/tag: given twice",
            ),
            refuse(
                "{}",
                &format!(
                    "/v: expected {{\"tag\": …, \"val\": …}}, where \"tag\" is {tags}; got an empty object"
                ),
            ),
            refuse(
                r#"{"tag":"emptyShape","val":5}"#,
                "/v/val: \"emptyShape\" takes no value; got 5",
            ),
            refuse(
                r#"{"tag":"circle","val":"x"}"#,
                "/v/val: expected a number that fits 32 bits; got \"x\"",
            ),
            refuse(
                r#"{"tag":"circle","val":null}"#,
                "/v/val: expected a number that fits 32 bits; got null",
            ),
        ],
    );
    let mode = Kind::Variant(names(&["fast", "slow"]));
    table(
        &mode,
        &[
            take(r#""fast""#, r#""fast""#),
            take(r#"{"tag":"fast"}"#, r#""fast""#),
        ],
    );
    let maybe = Kind::Variant(shared([
        case("maybe", Some(option(Kind::U8))),
        case("never", None),
    ]));
    table(
        &maybe,
        &[
            take(
                r#"{"tag":"maybe","val":null}"#,
                r#"{"tag":"maybe","val":null}"#,
            ),
            take(r#"{"tag":"maybe"}"#, r#"{"tag":"maybe","val":null}"#),
        ],
    );
}

#[test]
fn tuples_are_arrays_or_objects_of_positions() {
    let pair = Kind::Tuple([Kind::S32.into(), Kind::String.into()].into());
    table(
        &pair,
        &[
            take(r#"[1,"a"]"#, r#"[1,"a"]"#),
            take(r#"{"0":1,"1":"a"}"#, r#"[1,"a"]"#),
            take(r#"{"1":"a","0":1}"#, r#"[1,"a"]"#),
            refuse(
                "[1]",
                "/v: expected an array of 2 items; got an array of 1 item",
            ),
            refuse(
                r#"[1,"a",2]"#,
                "/v: expected an array of 2 items; got an array of 3 items",
            ),
            refuse(
                r#"{"0":1,"0":"a"}"#,
                "/v: expected an array of 2 items; got an object",
            ),
            refuse(
                r#"{"0":1,"01":"a"}"#,
                "/v: expected an array of 2 items; got an object",
            ),
            refuse(
                r#"["a",1]"#,
                "/v/0: expected an integer from -2147483648 to 2147483647; got \"a\"\n/v/1: expected a string; got 1 (send it in quotes)",
            ),
        ],
    );
}

#[test]
fn nested_results_say_which_side() {
    let both = "/v: expected an object with exactly one of \"ok\" and \"err\"";
    table(
        &result(Some(Kind::U32), Some(Kind::String)),
        &[
            take(r#"{"ok":1}"#, r#"{"ok":1}"#),
            take(r#"{"err":"x"}"#, r#"{"err":"x"}"#),
            refuse(r#"{"ok":1,"err":"x"}"#, both),
            refuse("{}", both),
            refuse(r#"{"yes":1}"#, both),
            refuse("1", "/v: expected {\"ok\": …} or {\"err\": …}; got 1"),
        ],
    );
    table(
        &result(None, Some(Kind::String)),
        &[
            take(r#"{"ok":null}"#, r#"{"ok":null}"#),
            refuse(r#"{"ok":1}"#, "/v/ok: expected null; got 1"),
        ],
    );
    table(
        &result(None, None),
        &[take(r#"{"err":null}"#, r#"{"err":null}"#)],
    );
}

#[test]
fn maps_are_objects_or_pairs() {
    table(
        &map(Kind::String, Kind::U32),
        &[
            take(r#"{"a":1}"#, r#"{"a":1}"#),
            take(r#"[["a",1]]"#, r#"{"a":1}"#),
            take(r#"{"a":"1"}"#, r#"{"a":1}"#),
            take("{}", "{}"),
            refuse(r#"{"a":1,"a":2}"#, "/v/a: key given twice"),
            refuse(
                r#"{"a":"x"}"#,
                "/v/a: expected an integer from 0 to 4294967295; got \"x\"",
            ),
        ],
    );
    table(
        &map(Kind::U32, Kind::String),
        &[
            take(r#"[[1,"a"]]"#, r#"[[1,"a"]]"#),
            take(r#"[{"key":1,"value":"a"}]"#, r#"[[1,"a"]]"#),
            take(r#"[{"value":"a","key":1}]"#, r#"[[1,"a"]]"#),
            take(r#"{"1":"a"}"#, r#"[[1,"a"]]"#),
            refuse(r#"[[1,"a"],["1","b"]]"#, "/v/1: key given twice"),
            refuse(
                "[[1]]",
                "/v/0: expected a [key, value] pair; got an array of 1 item",
            ),
            refuse("[5]", "/v/0: expected a [key, value] pair; got 5"),
            refuse(
                "[[1,2]]",
                "/v/0/1: expected a string; got 2 (send it in quotes)",
            ),
        ],
    );
}

#[test]
fn no_parameters_means_none() {
    let signature = Signature::new(Scope::default(), Answer::Nothing).unwrap();
    assert_eq!(signature.decode(None).unwrap(), []);
    for arguments in ["null", "{}", " { } "] {
        assert_eq!(decode(&signature, arguments).unwrap(), []);
    }
    let problem = decode(&signature, r#"{"x":1}"#).unwrap_err();
    assert_eq!(problem.to_string(), "/x: unknown parameter; there are none");
    for arguments in ["[]", r#""{}""#, "5", "true"] {
        assert_eq!(
            decode(&signature, arguments).unwrap_err(),
            NotDecoded::NotAnObject
        );
    }
}

#[test]
fn the_callers_identity_is_no_argument() {
    let params = scope([
        member("user-id", Kind::String),
        member("max-items", option(Kind::U32)),
    ]);
    let signature = Signature::new(params, Answer::Nothing).unwrap();
    let values = decode(&signature, r#"{"userId":"u"}"#).unwrap();
    assert_eq!(values, [Val::String("u".to_owned()), Val::Option(None)]);
    let problem = decode(&signature, r#"{"user":"admin","userId":"u"}"#)
        .unwrap_err()
        .to_string();
    assert_eq!(
        problem,
        "/user: unknown parameter (did you mean \"userId\"?)"
    );
}

#[test]
fn all_mistakes_are_told_at_once_and_not_endlessly() {
    let params = scope([
        member("city", Kind::String),
        member("days", Kind::U8),
        member("units", Kind::Enum(names(&["metric", "imperial"]))),
    ]);
    let signature = Signature::new(params, Answer::Nothing).unwrap();
    let problem = decode(
        &signature,
        r#"{"city":1,"days":999,"units":"metrical","unit":1}"#,
    )
    .unwrap_err()
    .to_string();
    assert_eq!(
        problem.lines().collect::<Vec<_>>(),
        [
            "/unit: unknown parameter (did you mean \"units\"?)",
            "/city: expected a string; got 1 (send it in quotes)",
            "/days: expected an integer from 0 to 255; got 999",
            "/units: expected one of \"metric\", \"imperial\"; got \"metrical\" (did you mean \"metric\"?)",
        ]
    );

    let many = format!("{{\"v\":[{}null]}}", "null,".repeat(99_999));
    let NotDecoded::Mistakes(mistakes) = decode(&echo(list(Kind::Bool)), &many).unwrap_err() else {
        panic!("mistakes")
    };
    assert_eq!(mistakes.len(), 21);
    assert_eq!(mistakes.last().unwrap().to_string(), "and 99980 more");
}

#[test]
fn a_message_quotes_little_and_keeps_to_its_line() {
    let signature = echo(Kind::U8);
    let problem = decode(
        &signature,
        &format!("{{\"v\":\"{}\"}}", "secret\\n".repeat(10_000)),
    )
    .unwrap_err()
    .to_string();
    assert!(
        problem.len() < 200 && problem.lines().count() == 1,
        "{problem}"
    );
    let problem = decode(
        &signature,
        &format!("{{\"v\":1,\"{}\":1}}", "key\\n".repeat(10_000)),
    )
    .unwrap_err()
    .to_string();
    assert!(
        problem.len() < 200 && problem.lines().count() == 1,
        "{problem}"
    );
}

#[test]
fn a_small_request_cannot_fill_the_host() {
    let names: Vec<String> = (0..500)
        .map(|number| format!("field-number-{number}"))
        .collect();
    let fields = names.iter().map(|name| member(name, option(Kind::U8)));
    let signature = echo(list(Kind::Record(shared(fields))));
    let arguments = format!("{{\"v\":[{}{{}}]}}", "{},".repeat(100_000));
    let problem = decode(&signature, &arguments).unwrap_err().to_string();
    assert!(
        problem.ends_with("the values take more than 131072 KiB of memory; send less"),
        "{problem}"
    );
    assert_eq!(problem.lines().count(), 1);
}
