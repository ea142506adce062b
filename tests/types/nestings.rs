//! Every type inside every other: what is sent in the form that results have comes back the same.

use serde_json::{Value, json};

use super::{Outcome, Types};

/// A field for each type, and two values of it as results have them.
fn samples() -> Vec<(&'static str, [Value; 2])> {
    vec![
        ("bytes", [json!("aGk="), json!("")]),
        ("texts", [json!(["a", "\u{fc}"]), json!([])]),
        ("maybe", [json!(5), json!(null)]),
        (
            "maybeMaybe",
            [json!({ "some": 5 }), json!({ "some": null })],
        ),
        ("pair", [json!([-1, "a"]), json!([0, ""])]),
        (
            "place",
            [
                json!({ "x": 1, "y": 2 }),
                json!({ "x": 1, "y": 2, "label": "a" }),
            ],
        ),
        (
            "figure",
            [
                json!({ "tag": "emptyShape" }),
                json!({ "tag": "polyLine", "val": [{ "x": 1, "y": 2 }] }),
            ],
        ),
        ("level", [json!("debugLow"), json!("info")]),
        ("rights", [json!(["canRead", "canDelete"]), json!([])]),
        ("outcome", [json!({ "ok": 1 }), json!({ "err": "x" })]),
        (
            "bareOutcome",
            [json!({ "ok": null }), json!({ "err": null })],
        ),
        ("wide", [json!(5), json!("9223372036854775807")]),
        ("float", [json!(0.3), json!("NaN")]),
        ("letter", [json!("\u{e9}"), json!("\n")]),
        ("table", [json!({ "a": 1 }), json!({})]),
        ("numbered", [json!([[1, "a"]]), json!([])]),
        ("triple", [json!([1, 2, 3]), json!([0, 0, 255])]),
    ]
}

/// A value in an option that is no field: an option in an option has an object around it.
fn some(field: &str, value: &Value) -> Value {
    match field {
        "maybe" | "maybeMaybe" => json!({ "some": value }),
        _ => value.clone(),
    }
}

/// How one type is put into another, given the name of the field and two values.
type Nesting = fn(&str, &Value, &Value) -> Value;

/// Every type that can have another inside it.
const NESTINGS: [(&str, Nesting); 9] = [
    // An option that is a field is left out when it is none, so these have values.
    ("echoInFields", |_, a, b| {
        if b.is_null() { a.clone() } else { b.clone() }
    }),
    ("echoInLists", |_, a, b| json!([a, b])),
    ("echoInFixedLists", |_, a, b| json!([b, a])),
    ("echoInOptions", |field, a, b| {
        json!([some(field, a), null, some(field, b)])
    }),
    ("echoInTuples", |_, a, _| json!([true, a])),
    ("echoInOks", |_, _, b| json!({ "ok": b })),
    ("echoInErrs", |_, a, _| json!({ "err": a })),
    ("echoInMaps", |_, a, b| json!({ "a": a, "b": b })),
    ("echoInNumberedMaps", |_, a, b| json!([[1, a], [2, b]])),
];

async fn comes_back(types: &Types, name: &str, sent: Value) {
    let outcome = types.call(name, &json!({ "v": sent }).to_string()).await;
    let Outcome::Ok(Some(structured)) = outcome else {
        panic!("{name} of {sent}: {outcome:?}");
    };
    let structured: Value = serde_json::from_str(&structured).unwrap();
    let returned = match &structured {
        Value::Object(object) if object.len() == 1 => object.get("result"),
        _ => None,
    };
    assert_eq!(returned.unwrap_or(&structured), &sent, "{name}");
}

#[tokio::test]
async fn every_type_comes_back_out_of_every_other() {
    let types = Types::start().await;
    for (name, nesting) in NESTINGS {
        for turned in [false, true] {
            let fields = samples().into_iter().map(|(field, [a, b])| {
                let (a, b) = if turned { (b, a) } else { (a, b) };
                (field.to_owned(), nesting(field, &a, &b))
            });
            // What is none in a field is not there in the result.
            let fields = fields.filter(|(_, value)| name != "echoInFields" || !value.is_null());
            comes_back(&types, name, fields.collect()).await;
        }
    }
    let cases: Vec<Value> = samples()
        .into_iter()
        .flat_map(|(case, values)| values.map(|value| json!({ "tag": case, "val": value })))
        .collect();
    comes_back(&types, "echoInCases", cases.into()).await;
    for deep in [
        json!([]),
        json!([null]),
        json!([
            [{ "ok": { "a": [null, { "x": 1, "y": 2 }], "b": [] } }, null],
            [{ "err": { "tag": "circle", "val": 0.5 } }, { "some": null }],
            null,
            [{ "ok": {} }, { "some": "aGk=" }],
        ]),
    ] {
        comes_back(&types, "echoDeep", deep).await;
    }
}

#[tokio::test]
async fn what_is_sent_in_plain_form_keeps_to_the_input_schema() {
    let types = Types::start().await;
    // In the form that the schema shows: numbers are numbers.
    let plain = samples()
        .into_iter()
        .filter(|(field, _)| !["wide", "float"].contains(field));
    let plain: Vec<_> = plain
        .chain([
            ("wide", [json!(5), json!(-5)]),
            ("float", [json!(0.3), json!(1)]),
        ])
        .collect();
    for (name, nesting) in NESTINGS {
        for turned in [false, true] {
            let fields = plain.iter().map(|(field, [a, b])| {
                let (a, b) = if turned { (b, a) } else { (a, b) };
                ((*field).to_owned(), nesting(field, a, b))
            });
            let fields = fields.filter(|(_, value)| name != "echoInFields" || !value.is_null());
            let arguments = json!({ "v": fields.collect::<Value>() });
            if let Err(error) = types.tools[name].input.validate(&arguments) {
                panic!("{name}: {error} at {}", error.instance_path());
            }
        }
    }
}

#[tokio::test]
async fn a_mistake_is_found_however_deep_it_is() {
    let types = Types::start().await;
    let sent = json!([
        [{ "ok": { "a/b": [null, { "x": 1, "y": "two", "z": 3 }] } }, null],
        [{ "err": { "tag": "circle", "val": [] } }, { "some": 7 }],
    ]);
    types
        .refuses_arguments(
            "echoDeep",
            &json!({ "v": sent }).to_string(),
            "/v/0/0/ok/a~1b/1/z: unknown field; expected \"x\", \"y\", \"label\"\n\
             /v/0/0/ok/a~1b/1/y: expected an integer from -2147483648 to 2147483647; got \"two\"\n\
             /v/1/0/err/val: expected a number that fits 32 bits; got an empty array\n\
             /v/1/1/some: expected base64 text; got 7",
        )
        .await;
}
