//! Every WIT type over HTTP: what awkward arguments come to, and that every result keeps to the
//! schema that was listed. The rows go by type; what is sent stands as JSON text, because for some
//! of them the text is the point.

mod nestings; // every type inside every other
mod strangers; // components with types that cannot cross

use std::collections::BTreeMap;
use std::fmt::Write;

use jsonschema::Validator;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::harness::{TestHost, call};

/// Tools whose type asks more than JSON Schema can say in the part of it that clients take: their
/// schema admits values that the host refuses.
const MORE_THAN_A_SCHEMA: [&str; 7] = [
    "echoS64",         // a range wider than readers of JSON have
    "echoU64",         // the same
    "echoF32",         // numbers that 32 bits do not hold
    "echoChar",        // one character, whatever it is made of
    "echoBytes",       // base64
    "echoTuple",       // which item stands where
    "echoNumberedMap", // the same, of key and value
];

/// Tools that return a `string`, whose text block is that string and not its JSON.
const PLAIN: [&str; 4] = ["echoString", "echoRuled", "repeat", "sayHi"];

/// A host that serves the guest with all types.
struct Types {
    host: TestHost,
    token: String,
    tools: BTreeMap<String, Tool>,
}

/// A tool as it was listed.
struct Tool {
    listed: Value,
    input: Validator,
    output: Option<Validator>,
}

/// What came of a call.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Structured content, byte for byte; none for a function that returns nothing.
    Ok(Option<String>),
    /// A result with `isError`, and its text.
    Failed(String),
    /// An error of JSON-RPC.
    Error(i64, String),
}

impl Types {
    async fn start() -> Self {
        let host = TestHost::serving(&[("types", "guest_types")]).await;
        let token = host.token("user_ada");
        let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        let list = host.send(None, &list).await.json();
        let tools = list["result"]["tools"].as_array().unwrap();
        let tools = tools.iter().map(|tool| {
            let validator = |schema: &Value| jsonschema::draft202012::new(schema).unwrap();
            let tool = Tool {
                input: validator(&tool["inputSchema"]),
                output: tool.get("outputSchema").map(validator),
                listed: tool.clone(),
            };
            (tool.listed["name"].as_str().unwrap().to_owned(), tool)
        });
        Self {
            tools: tools.collect(),
            token,
            host,
        }
    }

    /// Calls a tool with arguments as they stand, and checks what holds for every answer.
    async fn call(&self, name: &str, arguments: &str) -> Outcome {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
        );
        let headers = [("mcp-protocol-version", "2025-11-25")];
        let reply = self.host.send_with(Some(&self.token), &headers, body).await;
        let what = format!("{name} of {arguments:.200}: {:.2000}", reply.text);
        let members = members(&reply.text);
        if members.contains_key("error") {
            assert!(!members.contains_key("result"), "{what}");
            let error = &reply.json()["error"];
            let code = error["code"].as_i64().unwrap();
            return Outcome::Error(code, error["message"].as_str().unwrap().to_owned());
        }
        assert_eq!(reply.status, 200, "{what}");
        let result = members["result"].get();
        self.check(name, result, &what)
    }

    /// What holds for every result.
    fn check(&self, name: &str, result: &str, what: &str) -> Outcome {
        let tool = self.tools.get(name).unwrap_or_else(|| panic!("no {name}"));
        let structured = members(result)
            .get("structuredContent")
            .map(|structured| structured.get().to_owned());
        let result: Value = serde_json::from_str(result).unwrap();
        assert_eq!(result["content"].as_array().unwrap().len(), 1, "{what}");
        assert_eq!(result["content"][0]["type"], "text", "{what}");
        let text = result["content"][0]["text"].as_str().unwrap();
        if let Some(is_error) = result.get("isError") {
            assert_eq!(is_error, true, "{what}");
            assert_eq!(
                structured, None,
                "a failure has no structured content: {what}"
            );
            return Outcome::Failed(text.to_owned());
        }
        assert_eq!(
            tool.output.is_some(),
            structured.is_some(),
            "an output schema and structured content come together: {what}"
        );
        if let (Some(schema), Some(structured)) = (&tool.output, &structured) {
            let value: Value = serde_json::from_str(structured).unwrap();
            if let Err(error) = schema.validate(&value) {
                panic!("{error}: {what}");
            }
            if PLAIN.contains(&name) {
                assert_eq!(value, json!({ "result": text }), "{what}");
            } else {
                assert_eq!(text, structured, "the text block says the same: {what}");
            }
        } else {
            assert_eq!(text, "ok", "{what}");
        }
        Outcome::Ok(structured)
    }

    /// Rows of what is sent as `v` and the JSON that comes back.
    async fn takes(&self, name: &str, rows: &[(&str, &str)]) {
        for (sent, expected) in rows {
            let outcome = self.call(name, &format!(r#"{{"v":{sent}}}"#)).await;
            let Outcome::Ok(Some(structured)) = outcome else {
                panic!("{name} of {sent:.200}: {outcome:?}");
            };
            // A record is the structured content itself; anything else has an object around it.
            let inner = structured
                .strip_prefix(r#"{"result":"#)
                .and_then(|rest| rest.strip_suffix('}'))
                .unwrap_or(&structured);
            assert_eq!(inner, *expected, "{name} of {sent:.200}");
        }
    }

    /// Rows of what is sent as `v` and what the model is told.
    async fn refuses(&self, name: &str, rows: &[(&str, &str)]) {
        for (sent, expected) in rows {
            let sent = format!(r#"{{"v":{sent}}}"#);
            self.refuses_arguments(name, &sent, expected).await;
            let value: Value = serde_json::from_str(&sent).unwrap();
            let said = !self.tools[name].input.is_valid(&value);
            assert!(
                said || MORE_THAN_A_SCHEMA.contains(&name),
                "{name} refuses {sent}, which its schema admits"
            );
        }
    }

    /// The same for arguments that are not one `v`.
    async fn refuses_arguments(&self, name: &str, arguments: &str, expected: &str) {
        let expected = format!("the arguments do not fit the tool `{name}`\n{expected}");
        assert_eq!(
            self.call(name, arguments).await,
            Outcome::Failed(expected),
            "{name} of {arguments:.200}"
        );
    }
}

/// The members of an object, as they stand in the text.
fn members(text: &str) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(text).unwrap_or_else(|cause| panic!("{cause}: {text:.2000}"))
}

/// The rows that are refused with the same words, but for what was got.
fn all_refused<'a>(expected: &str, rows: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    rows.iter()
        .map(|(sent, got)| (*sent, format!("/v: expected {expected}; got {got}")))
        .collect()
}

fn borrowed<'a>(rows: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    rows.iter().map(|(sent, text)| (*sent, &**text)).collect()
}

#[tokio::test]
async fn the_list_of_a_service_with_all_types() {
    let types = Types::start().await;
    // A line for each schema, so that a change shows which tool it is of.
    let mut list = String::new();
    for (name, tool) in &types.tools {
        let mut tool = tool.listed.clone();
        let object = tool.as_object_mut().unwrap();
        object.shift_remove("name");
        list.push_str(name);
        list.push('\n');
        for (key, value) in object {
            writeln!(list, "  {key}: {value}").unwrap();
        }
    }
    insta::assert_snapshot!(list);
}

#[tokio::test]
async fn every_schema_is_valid_and_portable() {
    /// What clients and model vendors take, and no others.
    const KEYWORDS: [&str; 12] = [
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "description",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "additionalProperties",
        "anyOf",
    ];
    /// What only stands in a schema because the author asked for it with a tag.
    const RULED: [&str; 4] = ["minLength", "maxLength", "pattern", "default"];

    fn portable(schema: &Value, what: &str) {
        for (keyword, value) in schema.as_object().unwrap() {
            assert!(
                KEYWORDS.contains(&&**keyword) || RULED.contains(&&**keyword),
                "`{keyword}`: {what}"
            );
            match &**keyword {
                "type" => assert!(value.is_string(), "a list of types: {what}"),
                "properties" => {
                    for schema in value.as_object().unwrap().values() {
                        portable(schema, what);
                    }
                }
                "anyOf" => {
                    for schema in value.as_array().unwrap() {
                        portable(schema, what);
                    }
                }
                "items" => portable(value, what),
                "additionalProperties" if *value != json!(false) => portable(value, what),
                _ => {}
            }
        }
    }

    let types = Types::start().await;
    assert!(types.tools.len() > 60, "{}", types.tools.len());
    for (name, tool) in &types.tools {
        for key in ["inputSchema", "outputSchema"] {
            let Some(schema) = tool.listed.get(key) else {
                continue;
            };
            let what = format!("{key} of {name}: {schema}");
            if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
                panic!("{error}: {what}");
            }
            assert_eq!(schema["type"], "object", "{what}");
            assert!(schema.get("anyOf").is_none(), "{what}");
            assert_eq!(schema["additionalProperties"], false, "{what}");
            portable(schema, &what);
            let asks = RULED
                .iter()
                .any(|rule| schema.to_string().contains(&format!("\"{rule}\":")));
            assert_eq!(
                asks,
                key == "inputSchema" && ["echoRuled", "repeat"].contains(&&**name),
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn integers_are_taken_in_every_plain_form_and_no_other() {
    let types = Types::start().await;
    types
        .takes(
            "echoU32",
            &[
                ("5", "5"),
                ("5.0", "5"),
                (r#""5""#, "5"),
                ("1e3", "1000"),
                ("-0", "0"),
                ("4294967295", "4294967295"),
            ],
        )
        .await;
    let rows = all_refused(
        "an integer from 0 to 4294967295",
        &[
            ("5.5", "5.5"),
            (r#""5.5""#, r#""5.5""#),
            (r#""5.0""#, r#""5.0""#),
            ("-1", "-1"),
            ("4294967296", "4294967296"),
            (r#""4294967296""#, r#""4294967296""#),
            (r#"" 5""#, r#"" 5""#),
            (r#""+5""#, r#""+5""#),
            (r#""0x10""#, r#""0x10""#),
            (r#""1e3""#, r#""1e3""#),
            (r#""""#, r#""""#),
            ("true", "true"),
            ("[5]", "an array of 1 item"),
            ("{}", "an empty object"),
            ("null", "null"),
        ],
    );
    types.refuses("echoU32", &borrowed(&rows)).await;
    for (name, least, greatest) in [
        ("echoS8", i64::from(i8::MIN), i64::from(i8::MAX)),
        ("echoS16", i64::from(i16::MIN), i64::from(i16::MAX)),
        ("echoS32", i64::from(i32::MIN), i64::from(i32::MAX)),
        ("echoU8", 0, i64::from(u8::MAX)),
        ("echoU16", 0, i64::from(u16::MAX)),
        ("echoU32", 0, i64::from(u32::MAX)),
    ] {
        for edge in [least, greatest] {
            for sent in [
                format!("{edge}"),
                format!("{edge}.0"),
                format!("\"{edge}\""),
            ] {
                types.takes(name, &[(&sent, &edge.to_string())]).await;
            }
        }
        let expected = format!("an integer from {least} to {greatest}");
        for beyond in [least - 1, greatest + 1] {
            let (number, quoted) = (beyond.to_string(), format!("\"{beyond}\""));
            let rows = all_refused(&expected, &[(&number, &number), (&quoted, &quoted)]);
            types.refuses(name, &borrowed(&rows)).await;
        }
    }
}

#[tokio::test]
async fn wide_integers_are_exact() {
    let types = Types::start().await;
    types
        .takes(
            "echoS64",
            &[
                ("9007199254740991", "9007199254740991"),
                ("-9007199254740991", "-9007199254740991"),
                ("-9007199254740991.0", "-9007199254740991"),
                ("9007199254740992", r#""9007199254740992""#),
                ("-9007199254740992", r#""-9007199254740992""#),
                ("9007199254740993", r#""9007199254740993""#),
                (r#""9007199254740993""#, r#""9007199254740993""#),
                ("-9223372036854775808", r#""-9223372036854775808""#),
                (r#""-9223372036854775808""#, r#""-9223372036854775808""#),
                ("9223372036854775807", r#""9223372036854775807""#),
            ],
        )
        .await;
    let range = "an integer from -9223372036854775808 to 9223372036854775807";
    let hint = " (send an integer beyond 9007199254740991 as a string of digits)";
    let rows = all_refused(
        range,
        &[
            ("9007199254740993.0", &format!("9007199254740993.0{hint}")),
            ("1e19", &format!("1e19{hint}")),
            ("9223372036854775808", "9223372036854775808"),
            (r#""9223372036854775808""#, r#""9223372036854775808""#),
            (r#""-9223372036854775809""#, r#""-9223372036854775809""#),
            ("1.5", "1.5"),
        ],
    );
    types.refuses("echoS64", &borrowed(&rows)).await;
    types
        .takes(
            "echoU64",
            &[
                ("0", "0"),
                ("9007199254740991", "9007199254740991"),
                ("9007199254740992", r#""9007199254740992""#),
                ("18446744073709551615", r#""18446744073709551615""#),
                (r#""18446744073709551615""#, r#""18446744073709551615""#),
            ],
        )
        .await;
    let rows = all_refused(
        "an integer from 0 to 18446744073709551615",
        &[
            (
                "18446744073709551616",
                &format!("18446744073709551616{hint}"),
            ),
            (r#""18446744073709551616""#, r#""18446744073709551616""#),
            ("-1", "-1"),
        ],
    );
    types.refuses("echoU64", &borrowed(&rows)).await;
}

#[tokio::test]
async fn floats_may_be_whole_quoted_or_not_finite() {
    let types = Types::start().await;
    types
        .takes(
            "echoF64",
            &[
                ("1", "1.0"),
                ("1.5", "1.5"),
                (r#""1.5""#, "1.5"),
                ("0.1", "0.1"),
                ("-0.0", "-0.0"),
                ("1.7976931348623157e308", "1.7976931348623157e+308"),
                ("5e-324", "5e-324"),
                (r#""NaN""#, r#""NaN""#),
                (r#""Infinity""#, r#""Infinity""#),
                (r#""-Infinity""#, r#""-Infinity""#),
            ],
        )
        .await;
    let rows = all_refused(
        "a number",
        &[
            (r#""nan""#, r#""nan""#),
            (r#""inf""#, r#""inf""#),
            (r#""""#, r#""""#),
            (r#""1e999""#, r#""1e999""#),
            ("true", "true"),
            ("null", "null"),
        ],
    );
    types.refuses("echoF64", &borrowed(&rows)).await;
    types
        .takes(
            "echoF32",
            &[
                ("0.3", "0.3"),
                (r#""0.3""#, "0.3"),
                ("16777217", "16777216.0"),
                ("7.038531e-26", "7.038531e-26"),
                ("3.4028235e38", "3.4028235e+38"),
                (r#""NaN""#, r#""NaN""#),
                (r#""Infinity""#, r#""Infinity""#),
                (r#""-Infinity""#, r#""-Infinity""#),
            ],
        )
        .await;
    let rows = all_refused(
        "a number that fits 32 bits",
        &[
            ("1e39", "1e39"),
            ("-1e39", "-1e39"),
            (r#""1e39""#, r#""1e39""#),
        ],
    );
    types.refuses("echoF32", &borrowed(&rows)).await;
    // An alias is what it stands for, with rules of its own.
    types.takes("echoCelsius", &[("-273.15", "-273.15")]).await;
    types
        .refuses(
            "echoCelsius",
            &[("-273.16", "/v: expected at least -273.15; got -273.16")],
        )
        .await;
}

#[tokio::test]
async fn booleans_characters_and_text_are_not_guessed() {
    let types = Types::start().await;
    types
        .takes("echoBool", &[("true", "true"), ("false", "false")])
        .await;
    let rows = all_refused(
        "true or false",
        &[
            ("1", "1"),
            (r#""yes""#, r#""yes""#),
            (r#""true""#, r#""true" (send it without quotes)"#),
            ("null", "null"),
        ],
    );
    types.refuses("echoBool", &borrowed(&rows)).await;
    types
        .takes(
            "echoChar",
            &[
                ("\"\u{e9}\"", "\"\u{e9}\""),
                (r#""\u00e9""#, "\"\u{e9}\""),
                (r#""\ud83d\ude00""#, "\"\u{1f600}\""),
                (r#""\u0000""#, r#""\u0000""#),
            ],
        )
        .await;
    let rows = all_refused(
        "a string of exactly one character",
        &[
            ("\"e\u{301}\"", "\"e\u{301}\""),
            (r#""""#, r#""""#),
            (r#""ab""#, r#""ab""#),
            (
                "\"\u{1f469}\u{200d}\u{1f680}\"",
                "\"\u{1f469}\u{200d}\u{1f680}\"",
            ),
            ("5", "5 (send it in quotes)"),
        ],
    );
    types.refuses("echoChar", &borrowed(&rows)).await;
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    types
        .takes(
            "echoString",
            &[
                (r#""""#, r#""""#),
                (&long, &long),
                (r#""a\u0000b""#, r#""a\u0000b""#),
                (r#""\"\\\/\b\f\n\r\t""#, r#""\"\\/\b\f\n\r\t""#),
                (r#""{\"a\":1}""#, r#""{\"a\":1}""#),
            ],
        )
        .await;
    let rows = all_refused(
        "a string",
        &[
            ("5", "5 (send it in quotes)"),
            ("null", "null"),
            (r#"["a"]"#, "an array of 1 item"),
        ],
    );
    types.refuses("echoString", &borrowed(&rows)).await;
}

#[tokio::test]
async fn what_json_cannot_say_is_an_error_of_the_protocol() {
    let types = Types::start().await;
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (name, sent) in [
        ("echoF64", "1e999".to_owned()),
        ("echoS64", "1e999".to_owned()),
        ("echoString", r#""\ud800""#.to_owned()),
        ("echoString", r#""\udc00\ud800""#.to_owned()),
        ("echoString", "\"a\nb\"".to_owned()),
        ("echoList", "[1,]".to_owned()),
        ("echoF64", "NaN".to_owned()),
        ("echoF64", "+1".to_owned()),
        ("echoF64", "01".to_owned()),
        ("echoBool", "True".to_owned()),
        // Deeper than the deepest type, than readers of JSON go, and than a stack is.
        ("echoList", deep(65)),
        ("echoList", deep(200)),
        ("echoList", deep(1_000_000)),
    ] {
        let outcome = types.call(name, &format!(r#"{{"v":{sent}}}"#)).await;
        let Outcome::Error(code, message) = outcome else {
            panic!("{name} of {sent:.100}: {outcome:?}");
        };
        assert_eq!(code, -32700, "{name} of {sent:.100}: {message}");
    }
    // The host is as well as before.
    types.takes("echoF64", &[("1", "1.0")]).await;
}

#[tokio::test]
async fn arguments_are_an_object() {
    let types = Types::start().await;
    for arguments in ["[]", r#""{}""#, "5", "true"] {
        for name in ["sayHi", "echoU32"] {
            assert_eq!(
                types.call(name, arguments).await,
                Outcome::Error(-32602, "`arguments` must be an object".into()),
                "{name} of {arguments}"
            );
        }
    }
    for arguments in ["null", "{}", " { } "] {
        assert_eq!(
            types.call("sayHi", arguments).await,
            Outcome::Ok(Some(r#"{"result":"hi"}"#.into())),
            "{arguments}"
        );
    }
    let mut message = call(1, "sayHi", json!({}));
    message["params"]
        .as_object_mut()
        .unwrap()
        .remove("arguments");
    let reply = types.host.send(None, &message).await.json();
    assert_eq!(
        reply["result"]["structuredContent"],
        json!({ "result": "hi" })
    );
    types
        .refuses_arguments(
            "sayHi",
            r#"{"x":1}"#,
            "/x: unknown parameter; there are none",
        )
        .await;
    for arguments in ["{}", "null", r#"{"v":null}"#] {
        let got = if arguments.contains('v') {
            "/v: expected an integer from 0 to 4294967295; got null"
        } else {
            "/v: missing; expected an integer from 0 to 4294967295"
        };
        types.refuses_arguments("echoU32", arguments, got).await;
    }
}

#[tokio::test]
async fn a_key_given_twice_is_refused_wherever_it_is() {
    let types = Types::start().await;
    for (name, arguments, expected) in [
        ("echoU32", r#"{"v":1,"v":1}"#, "/v: given twice"),
        ("echoU32", r#"{"v":1,"\u0076":2}"#, "/v: given twice"),
        (
            "echoPoint",
            r#"{"v":{"x":1,"x":1,"y":2}}"#,
            "/v/x: given twice",
        ),
        (
            "echoPoint",
            r#"{"v":{"x":1,"y":2,"label":null,"label":"a"}}"#,
            "/v/label: given twice",
        ),
        (
            "echoShape",
            r#"{"v":{"tag":"circle","tag":"circle","val":1}}"#,
            "/v/tag: given twice",
        ),
        (
            "echoAccess",
            r#"{"v":{"canRead":true,"can_read":true}}"#,
            "/v/can_read: given twice",
        ),
        ("echoMap", r#"{"v":{"a":1,"a":2}}"#, "/v/a: key given twice"),
        (
            "echoMap",
            r#"{"v":[["a",1],["a",1]]}"#,
            "/v/1: key given twice",
        ),
        (
            "echoNumberedMap",
            r#"{"v":[[1,"a"],["1","b"]]}"#,
            "/v/1: key given twice",
        ),
        (
            "echoOptionOfOption",
            r#"{"v":{"some":1,"some":1}}"#,
            "/v: expected null or {\"some\": …}; got an object",
        ),
        (
            "echoResult",
            r#"{"v":{"ok":1,"ok":1}}"#,
            "/v: expected an object with exactly one of \"ok\" and \"err\"",
        ),
        (
            "echoTuple",
            r#"{"v":{"0":1,"0":"a"}}"#,
            "/v: expected an array of 2 items; got an object",
        ),
    ] {
        types.refuses_arguments(name, arguments, expected).await;
    }
}

#[tokio::test]
async fn bytes_are_base64_of_either_alphabet_or_an_array() {
    let types = Types::start().await;
    types
        .takes(
            "echoBytes",
            &[
                (r#""aGk=""#, r#""aGk=""#),
                (r#""aGk""#, r#""aGk=""#),
                (r#""-_8""#, r#""+/8=""#),
                (r#""+/8=""#, r#""+/8=""#),
                ("[104,105]", r#""aGk=""#),
                (r#"["104",105.0]"#, r#""aGk=""#),
                ("[]", r#""""#),
                (r#""""#, r#""""#),
            ],
        )
        .await;
    types
        .refuses(
            "echoBytes",
            &[
                (r#""a""#, r#"/v: expected base64 text; got "a""#),
                (r#""a b=""#, r#"/v: expected base64 text; got "a b=""#),
                (r#""+_8=""#, r#"/v: expected base64 text; got "+_8=""#),
                ("[256]", "/v/0: expected an integer from 0 to 255; got 256"),
                ("[1.5]", "/v/0: expected an integer from 0 to 255; got 1.5"),
                ("null", "/v: expected base64 text; got null"),
            ],
        )
        .await;
}

#[tokio::test]
async fn lists_and_tuples_are_arrays_of_the_right_length() {
    let types = Types::start().await;
    types
        .takes("echoList", &[(r#"[1,"2",3.0]"#, "[1,2,3]"), ("[]", "[]")])
        .await;
    let rows = all_refused(
        "an array",
        &[
            ("1", "1"),
            ("null", "null"),
            (r#"{"0":1}"#, "an object"),
            (
                r#""[1]""#,
                r#""[1]" (send the value itself, not its JSON as text)"#,
            ),
        ],
    );
    types.refuses("echoList", &borrowed(&rows)).await;
    types
        .refuses(
            "echoList",
            &[(
                r#"[1,null,"x",1.5]"#,
                "/v/1: expected an integer from -2147483648 to 2147483647; got null\n\
                 /v/2: expected an integer from -2147483648 to 2147483647; got \"x\"\n\
                 /v/3: expected an integer from -2147483648 to 2147483647; got 1.5",
            )],
        )
        .await;
    types
        .takes("echoFixedList", &[("[1,2,3]", "[1,2,3]")])
        .await;
    let rows = all_refused(
        "an array of 3 items",
        &[
            ("[1,2]", "an array of 2 items"),
            ("[1,2,3,4]", "an array of 4 items"),
            ("[]", "an empty array"),
        ],
    );
    types.refuses("echoFixedList", &borrowed(&rows)).await;
    types
        .takes(
            "echoPoints",
            &[(r#"[{"x":1,"y":2}]"#, r#"[{"x":1,"y":2}]"#), ("[]", "[]")],
        )
        .await;
    types
        .takes(
            "echoTuple",
            &[
                (r#"[1,"a"]"#, r#"[1,"a"]"#),
                (r#"{"0":1,"1":"a"}"#, r#"[1,"a"]"#),
            ],
        )
        .await;
    let rows = all_refused(
        "an array of 2 items",
        &[
            ("[1]", "an array of 1 item"),
            (r#"[1,"a",2]"#, "an array of 3 items"),
            (r#"{"0":1}"#, "an object"),
        ],
    );
    types.refuses("echoTuple", &borrowed(&rows)).await;
    types
        .refuses(
            "echoTuple",
            &[(
                r#"["a",1]"#,
                "/v/0: expected an integer from -2147483648 to 2147483647; got \"a\"\n\
                 /v/1: expected a string; got 1 (send it in quotes)",
            )],
        )
        .await;
    types
        .takes("echoEvenTuple", &[("[1,2,255]", "[1,2,255]")])
        .await;
    types.takes("echoSingle", &[(r#"["a"]"#, r#"["a"]"#)]).await;
}

#[tokio::test]
async fn none_is_left_out_or_null() {
    let types = Types::start().await;
    for name in ["echoOption", "echoMaybeNumber", "echoOptionOfPoint"] {
        for arguments in ["{}", r#"{"v":null}"#, "null"] {
            assert_eq!(
                types.call(name, arguments).await,
                Outcome::Ok(Some(r#"{"result":null}"#.into())),
                "{name} of {arguments}"
            );
        }
    }
    for name in ["echoOption", "echoMaybeNumber"] {
        types.takes(name, &[("5", "5"), (r#""5""#, "5")]).await;
        let rows = all_refused(
            "an integer from 0 to 4294967295",
            &[(r#""""#, r#""""#), (r#""null""#, r#""null""#)],
        );
        types.refuses(name, &borrowed(&rows)).await;
    }
    types
        .takes("echoOptions", &[("[1,null]", "[1,null]"), ("[]", "[]")])
        .await;
    types
        .takes(
            "echoOptionOfOption",
            &[
                ("null", "null"),
                (r#"{"some":null}"#, r#"{"some":null}"#),
                ("{}", r#"{"some":null}"#),
                (r#"{"some":5}"#, r#"{"some":5}"#),
            ],
        )
        .await;
    types
        .refuses(
            "echoOptionOfOption",
            &[
                ("5", r#"/v: expected null or {"some": …}; got 5"#),
                (
                    r#"{"none":5}"#,
                    r#"/v: expected null or {"some": …}; got an object"#,
                ),
            ],
        )
        .await;
    types
        .takes(
            "echoOptionOfOptionOfOption",
            &[
                ("null", "null"),
                (r#"{"some":null}"#, r#"{"some":null}"#),
                (r#"{"some":{"some":null}}"#, r#"{"some":{"some":null}}"#),
                (r#"{"some":{"some":1}}"#, r#"{"some":{"some":1}}"#),
            ],
        )
        .await;
}

#[tokio::test]
async fn records_have_their_fields_in_any_spelling_and_no_others() {
    let types = Types::start().await;
    types
        .takes(
            "echoPoint",
            &[
                (r#"{"x":1,"y":2}"#, r#"{"x":1,"y":2}"#),
                (r#"{"x":1,"y":2,"label":null}"#, r#"{"x":1,"y":2}"#),
                (
                    r#"{"label":"a","y":2,"x":1}"#,
                    r#"{"x":1,"y":2,"label":"a"}"#,
                ),
            ],
        )
        .await;
    types
        .refuses(
            "echoPoint",
            &[
                (
                    r#"{"x":1}"#,
                    "/v/y: missing; expected an integer from -2147483648 to 2147483647",
                ),
                (
                    r#"{"x":1,"y":2,"lable":"a"}"#,
                    "/v/lable: unknown field (did you mean \"label\"?)",
                ),
                (
                    "[1,2]",
                    "/v: expected an object with \"x\", \"y\", \"label\"; got an array of 2 items",
                ),
                (
                    "null",
                    "/v: expected an object with \"x\", \"y\", \"label\"; got null",
                ),
            ],
        )
        .await;
    let emitted = r#"{"userId":"a","age":1,"balance":2}"#;
    types
        .takes(
            "echoUserProfile",
            &[
                (r#"{"user-id":"a","age":1,"balance":2}"#, emitted),
                (r#"{"user_id":"a","age":1,"balance":2}"#, emitted),
                (r#"{"userId":"a","age":1,"balance":2}"#, emitted),
                (
                    r#"{"userId":"a","age":1,"balance":2,"display_name":null}"#,
                    emitted,
                ),
            ],
        )
        .await;
    types
        .refuses(
            "echoUserProfile",
            &[
                (
                    r#"{"userId":"a","user_id":"b","age":1,"balance":2}"#,
                    "/v/user_id: given twice, here and as \"userId\"",
                ),
                (
                    r#"{"userID":"a","age":1,"balance":2}"#,
                    "/v/userID: unknown field (did you mean \"userId\"?)\n/v/userId: missing; expected a string",
                ),
                (
                    r#"{"UserId":"a","age":1,"balance":2}"#,
                    "/v/UserId: unknown field (did you mean \"userId\"?)\n/v/userId: missing; expected a string",
                ),
            ],
        )
        .await;
    let emitted = r#"{"access_token":"t","version2":1,"httpStatus":200}"#;
    types
        .takes(
            "echoRenamed",
            &[
                (emitted, emitted),
                (
                    r#"{"accessToken":"t","version_2":1,"http_status":200}"#,
                    emitted,
                ),
                (
                    r#"{"access-token":"t","version-2":1,"http-status":200}"#,
                    emitted,
                ),
            ],
        )
        .await;
    let reserved = r#"{"type":"a","list":["b"],"enum":true,"ref":"c","private":false,"all":true,"tag":"d","val":"e","some":"f","ok":"g"}"#;
    types.takes("echoReserved", &[(reserved, reserved)]).await;
}

#[tokio::test]
async fn enums_are_one_of_their_names() {
    let types = Types::start().await;
    types
        .takes(
            "echoLogLevel",
            &[
                (r#""debugLow""#, r#""debugLow""#),
                (r#""debug-low""#, r#""debugLow""#),
                (r#""debug_low""#, r#""debugLow""#),
                (r#""info""#, r#""info""#),
            ],
        )
        .await;
    let rows = all_refused(
        r#"one of "debugLow", "info", "errorHigh""#,
        &[
            (
                r#""DEBUG_LOW""#,
                r#""DEBUG_LOW" (did you mean "debugLow"?)"#,
            ),
            (r#""debug""#, r#""debug" (did you mean "debugLow"?)"#),
            ("0", "0"),
            (r#""""#, r#""""#),
            ("null", "null"),
        ],
    );
    types.refuses("echoLogLevel", &borrowed(&rows)).await;
}

#[tokio::test]
async fn flags_are_names_or_booleans() {
    let types = Types::start().await;
    types
        .takes(
            "echoAccess",
            &[
                (r#"["canRead","can-write"]"#, r#"["canRead","canWrite"]"#),
                (r#"["canDelete","canRead"]"#, r#"["canRead","canDelete"]"#),
                ("[]", "[]"),
                (r#"["canRead","canRead"]"#, r#"["canRead"]"#),
                (r#"{"canRead":true,"canWrite":false}"#, r#"["canRead"]"#),
                (r#""canRead,can_write""#, r#"["canRead","canWrite"]"#),
                (r#""""#, "[]"),
            ],
        )
        .await;
    let choice = r#"one of "canRead", "canWrite", "canDelete""#;
    types
        .refuses(
            "echoAccess",
            &[
                (r#"["canFly"]"#, &format!("/v/0: expected {choice}; got \"canFly\"")),
                (r#"{"canRead":1}"#, "/v/canRead: expected true or false; got 1"),
                (
                    "null",
                    "/v: expected an array with any of \"canRead\", \"canWrite\", \"canDelete\"; got null",
                ),
            ],
        )
        .await;
    let all: Vec<String> = (0..32).map(|bit| format!("\"b{bit}\"")).collect();
    let all = format!("[{}]", all.join(","));
    types
        .takes(
            "echoSwitches",
            &[(&all, &all), (r#"["b31","b0"]"#, r#"["b0","b31"]"#)],
        )
        .await;
}

#[tokio::test]
async fn variants_are_tagged_or_short() {
    let types = Types::start().await;
    let circle = r#"{"tag":"circle","val":1.5}"#;
    let empty = r#"{"tag":"emptyShape"}"#;
    types
        .takes(
            "echoShape",
            &[
                (circle, circle),
                (r#"{"circle":1.5}"#, circle),
                (empty, empty),
                (r#""emptyShape""#, empty),
                (r#"{"tag":"empty-shape","val":null}"#, empty),
                (
                    r#"{"poly_line":[{"x":1,"y":2,"label":null}]}"#,
                    r#"{"tag":"polyLine","val":[{"x":1,"y":2}]}"#,
                ),
            ],
        )
        .await;
    let tags = r#"one of "circle", "polyLine", "emptyShape""#;
    let shape = format!(r#"/v: expected {{"tag": …, "val": …}}, where "tag" is {tags}; got "#);
    let lacks = r#"/v: "circle" lacks its value: send {"tag": "circle", "val": …} with a number that fits 32 bits"#;
    types
        .refuses(
            "echoShape",
            &[
                (r#""circle""#, lacks),
                (r#"{"tag":"circle"}"#, lacks),
                (
                    r#"{"tag":"circle","val":1,"x":2}"#,
                    "/v/x: unknown field; expected \"tag\", \"val\"",
                ),
                (
                    r#"{"circle":1,"polyLine":[]}"#,
                    &format!("{shape}an object"),
                ),
                (
                    r#"{"tag":"cube","val":1}"#,
                    &format!("/v/tag: expected {tags}; got \"cube\""),
                ),
                ("{}", &format!("{shape}an empty object")),
                ("null", &format!("{shape}null")),
                (
                    r#"{"tag":"emptyShape","val":5}"#,
                    "/v/val: \"emptyShape\" takes no value; got 5",
                ),
            ],
        )
        .await;
    types
        .takes(
            "echoMode",
            &[
                (r#""fast""#, r#""fast""#),
                (r#"{"tag":"fast"}"#, r#""fast""#),
            ],
        )
        .await;
    types
        .takes(
            "echoSearch",
            &[
                (
                    r#"{"tag":"found","val":null}"#,
                    r#"{"tag":"found","val":null}"#,
                ),
                (r#"{"tag":"found"}"#, r#"{"tag":"found","val":null}"#),
                (r#"{"found":7}"#, r#"{"tag":"found","val":7}"#),
                (r#""givenUp""#, r#"{"tag":"givenUp"}"#),
            ],
        )
        .await;
}

#[tokio::test]
async fn nested_results_say_which_side() {
    let types = Types::start().await;
    types
        .takes(
            "echoResult",
            &[
                (r#"{"ok":1}"#, r#"{"ok":1}"#),
                (r#"{"ok":"1"}"#, r#"{"ok":1}"#),
                (r#"{"err":"x"}"#, r#"{"err":"x"}"#),
            ],
        )
        .await;
    let both = r#"/v: expected an object with exactly one of "ok" and "err""#;
    types
        .refuses(
            "echoResult",
            &[
                (r#"{"ok":1,"err":"x"}"#, both),
                ("{}", both),
                ("1", r#"/v: expected {"ok": …} or {"err": …}; got 1"#),
                (
                    r#"{"err":1}"#,
                    "/v/err: expected a string; got 1 (send it in quotes)",
                ),
            ],
        )
        .await;
    types
        .takes(
            "echoResultWithoutOk",
            &[
                (r#"{"ok":null}"#, r#"{"ok":null}"#),
                (r#"{"err":"x"}"#, r#"{"err":"x"}"#),
            ],
        )
        .await;
    types
        .takes(
            "echoResultWithoutErr",
            &[
                (r#"{"ok":1}"#, r#"{"ok":1}"#),
                (r#"{"err":null}"#, r#"{"err":null}"#),
            ],
        )
        .await;
    types
        .takes(
            "echoResultOfNothing",
            &[
                (r#"{"ok":null}"#, r#"{"ok":null}"#),
                (r#"{"err":null}"#, r#"{"err":null}"#),
            ],
        )
        .await;
    types
        .refuses(
            "echoResultOfNothing",
            &[(r#"{"ok":1}"#, "/v/ok: expected null; got 1")],
        )
        .await;
}

#[tokio::test]
async fn maps_are_objects_or_pairs() {
    let types = Types::start().await;
    types
        .takes(
            "echoMap",
            &[
                (r#"{"a":1}"#, r#"{"a":1}"#),
                (r#"[["a",1]]"#, r#"{"a":1}"#),
                (r#"{"a":"1"}"#, r#"{"a":1}"#),
                (r#"{"":0,"type":1,"a b":2}"#, r#"{"":0,"a b":2,"type":1}"#),
                ("{}", "{}"),
                ("[]", "{}"),
            ],
        )
        .await;
    types
        .refuses(
            "echoMap",
            &[(
                r#"{"a":"x"}"#,
                "/v/a: expected an integer from 0 to 4294967295; got \"x\"",
            )],
        )
        .await;
    types
        .takes(
            "echoNumberedMap",
            &[
                (r#"[[1,"a"]]"#, r#"[[1,"a"]]"#),
                (r#"[{"key":1,"value":"a"}]"#, r#"[[1,"a"]]"#),
                (r#"[[2,"b"],["1","a"]]"#, r#"[[1,"a"],[2,"b"]]"#),
                ("[]", "[]"),
            ],
        )
        .await;
    types
        .refuses(
            "echoNumberedMap",
            &[
                (
                    "[[1]]",
                    "/v/0: expected a [key, value] pair; got an array of 1 item",
                ),
                ("[5]", "/v/0: expected a [key, value] pair; got 5"),
                (
                    r#"[["a",2]]"#,
                    "/v/0/0: expected an integer from 0 to 4294967295; got \"a\"\n\
                     /v/0/1: expected a string; got 2 (send it in quotes)",
                ),
            ],
        )
        .await;
}

#[tokio::test]
async fn the_callers_identity_is_no_argument() {
    let types = Types::start().await;
    assert_eq!(
        types.call("getProfile", r#"{"userId":"u"}"#).await,
        Outcome::Ok(Some(
            r#"{"userId":"u","displayName":"u, seen by user_ada","age":36,"balance":-1}"#.into()
        ))
    );
    types
        .refuses_arguments(
            "getProfile",
            r#"{"user":"admin","userId":"u"}"#,
            "/user: unknown parameter (did you mean \"userId\"?)",
        )
        .await;
    assert_eq!(
        types.call("getProfile", r#"{"user_id":"nobody"}"#).await,
        Outcome::Failed("no such user".into())
    );
}

#[tokio::test]
async fn a_result_is_the_outcome_of_the_call() {
    let types = Types::start().await;
    let ok = |structured: &str| Outcome::Ok(Some(structured.to_owned()));
    let failed = |text: &str| Outcome::Failed(text.to_owned());
    let no_reason = "the tool failed and gave no reason";
    for (name, sent, outcome) in [
        ("outcome", r#"{"ok":1}"#, ok(r#"{"result":1}"#)),
        ("outcome", r#"{"err":"no"}"#, failed("no")),
        ("outcome", r#"{"err":""}"#, failed("")),
        (
            "outcomeOfRecord",
            r#"{"ok":{"x":1,"y":2}}"#,
            ok(r#"{"x":1,"y":2}"#),
        ),
        (
            "outcomeOfRecord",
            r#"{"err":{"circle":1.5}}"#,
            failed(r#"{"tag":"circle","val":1.5}"#),
        ),
        (
            "outcomeOfOption",
            r#"{"ok":null}"#,
            ok(r#"{"result":null}"#),
        ),
        (
            "outcomeOfOption",
            r#"{"ok":{"x":1,"y":2}}"#,
            ok(r#"{"result":{"x":1,"y":2}}"#),
        ),
        ("outcomeOfOption", r#"{"err":null}"#, failed("null")),
        (
            "outcomeOfOutcome",
            r#"{"ok":{"err":"no"}}"#,
            ok(r#"{"result":{"err":"no"}}"#),
        ),
        (
            "outcomeOfOutcome",
            r#"{"err":{"ok":1}}"#,
            failed(r#"{"ok":1}"#),
        ),
        ("outcomeWithoutOk", r#"{"ok":null}"#, Outcome::Ok(None)),
        ("outcomeWithoutOk", r#"{"err":"no"}"#, failed("no")),
        ("outcomeWithoutErr", r#"{"ok":1}"#, ok(r#"{"result":1}"#)),
        ("outcomeWithoutErr", r#"{"err":null}"#, failed(no_reason)),
        ("outcomeOfNothing", r#"{"ok":null}"#, Outcome::Ok(None)),
        ("outcomeOfNothing", r#"{"err":null}"#, failed(no_reason)),
    ] {
        assert_eq!(
            types.call(name, &format!(r#"{{"v":{sent}}}"#)).await,
            outcome,
            "{name} of {sent}"
        );
    }
    assert_eq!(types.call("doNothing", "{}").await, Outcome::Ok(None));
    assert_eq!(
        types.call("forget", r#"{"v":"a"}"#).await,
        Outcome::Ok(None)
    );
    // The words of an error are its JSON; programs find it where it is not text.
    let failed = types
        .host
        .call(
            None,
            "outcomeOfRecord",
            json!({ "v": { "err": { "circle": 1.5 } } }),
        )
        .await;
    assert_eq!(
        failed["_meta"]["cloister/error"],
        json!({ "tag": "circle", "val": 1.5 })
    );
}

#[tokio::test]
async fn rules_are_checked_before_a_sandbox_is_made() {
    let types = Types::start().await;
    for (arguments, result) in [
        (r#"{"text":"abc"}"#, r#"{"result":"abc"}"#),
        (r#"{"v":"abc"}"#, r#"{"result":"abc"}"#),
    ] {
        assert_eq!(
            types.call("echoRuled", arguments).await,
            Outcome::Ok(Some(result.into()))
        );
    }
    for (arguments, times) in [
        (r#"{"text":"a"}"#, "a"),
        (r#"{"text":"a","times":null}"#, "a"),
        (r#"{"text":"a","times":3}"#, "aaa"),
        (r#"{"text":"a","times":"2","separator":", "}"#, "a, a"),
    ] {
        assert_eq!(
            types.call("repeat", arguments).await,
            Outcome::Ok(Some(json!({ "result": times }).to_string()))
        );
    }
    let mut said = String::new();
    for (name, arguments) in [
        ("echoRuled", r#"{"text":"a"}"#),
        ("echoRuled", r#"{"text":"abcdef"}"#),
        ("echoRuled", r#"{"text":"ABC"}"#),
        ("echoRuled", r#"{"text":"abc","v":"abc"}"#),
        ("repeat", r#"{"text":"a","times":4}"#),
        ("repeat", r#"{"times":4,"seperator":1}"#),
    ] {
        let outcome = types.call(name, arguments).await;
        let Outcome::Failed(text) = outcome else {
            panic!("{name} of {arguments}: {outcome:?}");
        };
        writeln!(said, "{name} {arguments}\n{text}").unwrap();
    }
    insta::assert_snapshot!(said);
}
