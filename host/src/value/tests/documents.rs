//! Any document that keeps to an input schema decodes. The documents are made from the schema alone, as
//! a model makes them.

use proptest::prelude::*;
use proptest::string::string_regex;

use super::laws::ruled;
use super::*;

/// Whether the schema of a type says all that the type asks. It cannot say which of the items of a
/// tuple stands where, what fits 32 or 64 bits, what base64 is, and that a character is one.
fn is_said(kind: &Kind) -> bool {
    let all = |shapes: Vec<&Shape>| shapes.iter().all(|shape| is_said(&shape.kind));
    match kind {
        Kind::S64 | Kind::U64 | Kind::F32 | Kind::Char | Kind::Bytes => false,
        Kind::Tuple(shapes) => shapes.len() == 1 && all(shapes.iter().collect()),
        Kind::Map(key, value) => matches!(key.kind, Kind::String) && is_said(&value.kind),
        Kind::List(item) | Kind::FixedList(item, _) | Kind::Option(item) => is_said(&item.kind),
        Kind::Record(fields) => all(fields.iter().map(|field| &field.shape).collect()),
        Kind::Variant(cases) => all(cases
            .iter()
            .filter_map(|case| case.payload.as_ref())
            .collect()),
        Kind::Result { ok, err } => all([ok, err]
            .into_iter()
            .flatten()
            .map(|side| &**side)
            .collect()),
        Kind::Bool
        | Kind::S8
        | Kind::S16
        | Kind::S32
        | Kind::U8
        | Kind::U16
        | Kind::U32
        | Kind::F64
        | Kind::String
        | Kind::Enum(_)
        | Kind::Flags(_) => true,
    }
}

/// A document that keeps to a schema.
fn document(schema: &Value) -> BoxedStrategy<Value> {
    let number = |key: &str, otherwise: i64| schema[key].as_i64().unwrap_or(otherwise);
    let size = |key: &str, otherwise: usize| {
        schema[key]
            .as_u64()
            .map_or(otherwise, |size| usize::try_from(size).unwrap())
    };
    if let Some(arms) = schema["anyOf"].as_array() {
        return proptest::strategy::Union::new(arms.iter().map(document)).boxed();
    }
    if let Some(names) = schema["enum"].as_array() {
        return proptest::sample::select(names.clone()).boxed();
    }
    match schema["type"].as_str().unwrap() {
        "null" => Just(Value::Null).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" => (number("minimum", -1000)..=number("maximum", 1000))
            .prop_map(Value::from)
            .boxed(),
        "number" => {
            let least = schema["minimum"].as_f64().unwrap_or(-1e9);
            let greatest = schema["maximum"].as_f64().unwrap_or(1e9);
            (least..=greatest).prop_map(Value::from).boxed()
        }
        "string" => text(schema, size("minLength", 0), size("maxLength", 9)),
        "array" => {
            let (least, greatest) = (
                size("minItems", 0),
                size("maxItems", size("minItems", 0) + 3),
            );
            proptest::collection::vec(document(&schema["items"]), least..=greatest)
                .prop_map(Value::from)
                .boxed()
        }
        "object" => object(schema),
        other => panic!("{other}"),
    }
}

fn text(schema: &Value, least: usize, greatest: usize) -> BoxedStrategy<Value> {
    if let Some(pattern) = schema["pattern"].as_str() {
        let inside = pattern.trim_start_matches('^').trim_end_matches('$');
        return string_regex(inside).unwrap().prop_map(Value::from).boxed();
    }
    let samples = match schema["format"].as_str() {
        None => {
            return proptest::collection::vec(any::<char>(), least..=greatest)
                .prop_map(|letters| letters.into_iter().collect::<String>().into())
                .boxed();
        }
        Some("date") => ["2026-07-28", "2024-02-29"],
        Some("ipv4") => ["192.0.2.1", "0.0.0.0"],
        Some("uuid") => [
            "123e4567-e89b-12d3-a456-426614174000",
            "00000000-0000-0000-0000-000000000000",
        ],
        Some("email") => ["a@example.com", "a.b+c@sub.example.org"],
        Some(other) => panic!("{other}"),
    };
    proptest::sample::select(samples.to_vec())
        .prop_map(Value::from)
        .boxed()
}

fn object(schema: &Value) -> BoxedStrategy<Value> {
    let Some(properties) = schema["properties"].as_object() else {
        let values = document(&schema["additionalProperties"]);
        return proptest::collection::btree_map(any::<String>(), values, 0..4)
            .prop_map(|members| members.into_iter().collect())
            .boxed();
    };
    let is_required = |name: &str| {
        let required = schema["required"].as_array();
        required.is_some_and(|required| required.iter().any(|it| it == name))
    };
    let members: Vec<_> = properties
        .iter()
        .map(|(name, schema)| {
            let value = document(schema);
            let value = if is_required(name) {
                value.prop_map(Some).boxed()
            } else {
                proptest::option::of(value).boxed()
            };
            (Just(name.clone()), value)
        })
        .collect();
    members
        .prop_map(|members| {
            let given = members.into_iter();
            given
                .filter_map(|(name, value)| Some((name, value?)))
                .collect()
        })
        .boxed()
}

proptest! {
    #![proptest_config(crate::cases::config())]

    #[test]
    fn what_keeps_to_the_input_schema_is_taken(
        (signature, arguments) in ruled()
            .prop_filter("its schema says all of it", |shape| is_said(&shape.kind))
            .prop_flat_map(|shape| {
                let signature = echo(shape);
                let arguments = document(&json(signature.input_schema()));
                (Just(signature), arguments)
            }),
    ) {
        let schema = json(signature.input_schema());
        let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
        prop_assert!(validator.is_valid(&arguments), "{} against {}", arguments, schema);
        let decoded = decode(&signature, &arguments.to_string());
        prop_assert!(decoded.is_ok(), "{}: {}", arguments, decoded.unwrap_err());
    }
}
