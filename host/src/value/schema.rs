//! Shapes → JSON Schema 2020-12, in the part of it that clients and model vendors take: an object
//! at the root, no `$ref`, no type lists, `anyOf` only where a type needs it and never at the root.

use std::collections::HashSet;

use serde_json::{Map, Number, Value, json};

use super::encode::is_object;
use super::mirror::{self, Mirror};
use super::words;
use super::{Answer, Case, Kind, Member, Rules, Scope, Shape};

type Schema = Map<String, Value>;

/// Who reads the schema.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Callers, of what to send: the plain form, and the author's rules.
    Input,
    /// Callers, of what they get: every form we emit. The author's rules are left out, since they
    /// bind callers, not components, and what we emit must keep to what we publish.
    Output,
}

/// The schema of the arguments, of which some are repeated in headers.
pub(super) fn input(params: &Scope<Member>, mirrors: &[Mirror]) -> Value {
    let mut schema = Value::Object(object(params, Way::Input));
    for mirror in mirrors {
        let mut members = Some(params);
        let mut at = Some(&mut schema);
        for index in mirror.path() {
            let member = members.and_then(|members| members.items().get(*index));
            members = member.and_then(|member| mirror::fields_of(&member.shape));
            at = member
                .zip(at)
                .and_then(|(member, at)| at.get_mut("properties")?.get_mut(&member.json));
        }
        if let Some(Value::Object(property)) = at {
            property.insert("x-mcp-header".to_owned(), mirror.header().into());
        }
    }
    schema
}

/// The schema of the structured content; none when there is no content.
pub(super) fn output(answer: &Answer) -> Option<Value> {
    let shape = match answer {
        Answer::Nothing | Answer::Fallible { ok: None, .. } => return None,
        Answer::Value(shape)
        | Answer::Fallible {
            ok: Some(shape), ..
        } => shape,
    };
    let schema = of(shape, Way::Output);
    Some(Value::Object(if is_object(shape) {
        schema
    } else {
        closed("result", &schema)
    }))
}

/// The schema of a value wherever it may stand.
fn of(shape: &Shape, way: Way) -> Schema {
    let mut schema = inside(shape, &shape.rules, way);
    if way == Way::Input {
        shape.rules.write_samples(false, &mut schema);
    }
    schema
}

/// The schema of a parameter or a field: none of an option is said by leaving it out.
fn of_member(shape: &Shape, way: Way) -> Schema {
    let mut schema = if let Kind::Option(inner) = &shape.kind {
        let docs = shape.docs.as_ref().or(inner.docs.as_ref());
        let docs = docs.map(|docs| &**docs);
        if matches!(inner.kind, Kind::Option(_)) {
            let description = describe(docs, note(&shape.kind, &shape.rules, way));
            described(wrapped(inner, &shape.rules, way), description)
        } else {
            let description = describe(docs, note(&inner.kind, &shape.rules, way));
            ruled(&inner.kind, &shape.rules, description, way)
        }
    } else {
        inside(shape, &shape.rules, way)
    };
    if way == Way::Input {
        shape.rules.write_samples(true, &mut schema);
    }
    schema
}

/// The schema of a value with these rules, its own or those of the option that it is in.
fn inside(shape: &Shape, rules: &Rules, way: Way) -> Schema {
    let description = describe(shape.docs.as_deref(), note(&shape.kind, rules, way));
    ruled(&shape.kind, rules, description, way)
}

/// The schema of a type, with what is said of it and the rules of its value, which in an option are
/// about what is in it.
fn ruled(kind: &Kind, rules: &Rules, description: Option<String>, way: Way) -> Schema {
    if let Kind::Option(inner) = kind {
        let some = if matches!(inner.kind, Kind::Option(_)) {
            wrapped(inner, rules, way)
        } else {
            inside(inner, rules, way)
        };
        return described(any_of([some, simple("null")]), description);
    }
    let mut schema = described(bare(kind, way), description);
    if way == Way::Input {
        rules.write(kind, &mut schema);
    }
    schema
}

/// What the author said, and what has to be said about the type.
fn describe(docs: Option<&str>, note: Option<String>) -> Option<String> {
    let docs = docs.map(str::trim).filter(|docs| !docs.is_empty());
    match (docs, note) {
        (Some(docs), Some(note)) => Some(format!("{docs}\n\n{note}")),
        (Some(docs), None) => Some(docs.to_owned()),
        (None, note) => note,
    }
}

fn described(schema: Schema, description: Option<String>) -> Schema {
    match description {
        Some(description) => with(schema, "description", description.into()),
        None => schema,
    }
}

/// The schema of a type, without a word about it.
fn bare(kind: &Kind, way: Way) -> Schema {
    let output = way == Way::Output;
    match kind {
        Kind::Bool => simple("boolean"),
        Kind::S8 | Kind::S16 | Kind::S32 | Kind::U8 | Kind::U16 | Kind::U32 => {
            let (least, greatest) = kind.range().unwrap_or_default();
            let mut schema = simple("integer");
            schema
                .extend(Number::from_i128(least).map(|least| ("minimum".to_owned(), least.into())));
            schema.extend(
                Number::from_i128(greatest).map(|greatest| ("maximum".to_owned(), greatest.into())),
            );
            schema
        }
        // Many readers lose digits beyond 2^53, so those go as text.
        Kind::S64 | Kind::U64 if output => any_of([simple("integer"), simple("string")]),
        Kind::S64 => simple("integer"),
        Kind::U64 => with(simple("integer"), "minimum", 0.into()),
        Kind::F32 | Kind::F64 if output => any_of([
            simple("number"),
            one_of(["NaN", "Infinity", "-Infinity"].into_iter()),
        ]),
        Kind::F32 | Kind::F64 => simple("number"),
        Kind::Char | Kind::String | Kind::Bytes => simple("string"),
        Kind::List(item) => array(of(item, way)),
        Kind::FixedList(item, length) => sized(array(of(item, way)), (*length).into()),
        Kind::Tuple(shapes) => tuple(shapes.iter(), way),
        Kind::Record(fields) => object(fields, way),
        Kind::Variant(cases) if !cases.is_plain() => {
            any_of(cases.iter().map(|case| arm(case, way)))
        }
        Kind::Variant(cases) | Kind::Enum(cases) => one_of(names(cases)),
        Kind::Flags(flags) => array(one_of(names(flags))),
        Kind::Option(_) => ruled(kind, &Rules::default(), None, way),
        Kind::Result { ok, err } => any_of([("ok", ok), ("err", err)].map(|(key, payload)| {
            closed(
                key,
                &payload
                    .as_deref()
                    .map_or_else(|| simple("null"), |payload| of(payload, way)),
            )
        })),
        Kind::Map(key, value) if matches!(key.kind, Kind::String) => with(
            simple("object"),
            "additionalProperties",
            of(value, way).into(),
        ),
        Kind::Map(key, value) => array(tuple([&**key, &**value].into_iter(), way)),
    }
}

/// What the schema of a type, or of its rules, cannot say.
fn note(kind: &Kind, rules: &Rules, way: Way) -> Option<String> {
    let input = way == Way::Input;
    match kind {
        Kind::S64 if input => Some("Beyond ±9007199254740991 send a string of digits.".to_owned()),
        Kind::S64 => Some("A string of digits beyond ±9007199254740991.".to_owned()),
        Kind::U64 if input => Some("Beyond 9007199254740991 send a string of digits.".to_owned()),
        Kind::U64 => Some("A string of digits beyond 9007199254740991.".to_owned()),
        Kind::Char => Some("Exactly one Unicode character.".to_owned()),
        Kind::Bytes => match rules.byte_count().filter(|_| input) {
            Some(count) => Some(format!("Base64 of {count}.")),
            None => Some("Base64.".to_owned()),
        },
        Kind::Tuple(shapes) => {
            let items: Vec<_> = shapes.iter().map(|shape| words::noun(&shape.kind)).collect();
            Some(format!("The items, in order: {}.", items.join(", ")))
        }
        Kind::Variant(cases) if cases.is_plain() => about(cases),
        Kind::Enum(cases) | Kind::Flags(cases) => about(cases),
        Kind::Option(inner) if matches!(inner.kind, Kind::Option(_)) => {
            Some("An option in an option: {\"some\": null} is there and empty, {\"some\": …} has a value.".to_owned())
        }
        Kind::Map(key, _) if !matches!(key.kind, Kind::String) => Some("Pairs of key and value.".to_owned()),
        Kind::Bool
        | Kind::S8
        | Kind::S16
        | Kind::S32
        | Kind::U8
        | Kind::U16
        | Kind::U32
        | Kind::F32
        | Kind::F64
        | Kind::String
        | Kind::List(_)
        | Kind::FixedList(..)
        | Kind::Record(_)
        | Kind::Variant(_)
        | Kind::Option(_)
        | Kind::Result { .. }
        | Kind::Map(..) => None,
    }
}

/// What the author wrote about cases that are plain strings in the schema.
fn about(cases: &Scope<Case>) -> Option<String> {
    let lines: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let docs = case
                .docs
                .as_deref()
                .map(str::trim)
                .filter(|docs| !docs.is_empty())?;
            Some(format!("- `{}`: {docs}", case.json))
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// An object of members.
fn object(members: &Scope<Member>, way: Way) -> Schema {
    let mut properties = Schema::new();
    let mut required = Vec::new();
    for member in members {
        properties.insert(member.json.clone(), of_member(&member.shape, way).into());
        let has_default = way == Way::Input && member.shape.rules.fallback().is_some();
        if !has_default && !matches!(member.shape.kind, Kind::Option(_)) {
            required.push(Value::from(member.json.as_str()));
        }
    }
    let mut schema = with(simple("object"), "properties", properties.into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    with(schema, "additionalProperties", false.into())
}

/// An object with exactly one key.
fn closed(key: &str, content: &Schema) -> Schema {
    let schema = with(simple("object"), "properties", json!({key: content}));
    with(
        with(schema, "required", json!([key])),
        "additionalProperties",
        false.into(),
    )
}

/// What is in an option, itself an option: an object, so that both nones can be told apart.
fn wrapped(inner: &Shape, rules: &Rules, way: Way) -> Schema {
    let schema = with(
        simple("object"),
        "properties",
        json!({"some": inside(inner, rules, way)}),
    );
    with(schema, "additionalProperties", false.into())
}

/// One case of a variant.
fn arm(case: &Case, way: Way) -> Schema {
    let tag = one_of(std::iter::once(case.json.as_str()));
    let schema = described(simple("object"), describe(case.docs.as_deref(), None));
    let (properties, required) = match &case.payload {
        Some(payload) => (
            json!({"tag": tag, "val": of(payload, way)}),
            json!(["tag", "val"]),
        ),
        None => (json!({"tag": tag}), json!(["tag"])),
    };
    with(
        with(with(schema, "properties", properties), "required", required),
        "additionalProperties",
        false.into(),
    )
}

/// An array whose items differ. Clients do not take `prefixItems`, so any item may be any of them.
fn tuple<'s>(shapes: impl ExactSizeIterator<Item = &'s Shape>, way: Way) -> Schema {
    let length = shapes.len();
    let mut seen = HashSet::new();
    let mut kinds: Vec<Schema> = Vec::new();
    for shape in shapes {
        let schema = Value::Object(of(shape, way));
        if seen.insert(schema.to_string())
            && let Value::Object(schema) = schema
        {
            kinds.push(schema);
        }
    }
    let item = if kinds.len() > 1 {
        any_of(kinds)
    } else {
        kinds.pop().unwrap_or_default()
    };
    sized(array(item), length.into())
}

fn simple(kind: &str) -> Schema {
    with(Schema::new(), "type", kind.into())
}

fn with(mut schema: Schema, keyword: &str, value: Value) -> Schema {
    schema.insert(keyword.to_owned(), value);
    schema
}

fn array(item: Schema) -> Schema {
    with(simple("array"), "items", item.into())
}

fn sized(schema: Schema, length: Value) -> Schema {
    with(with(schema, "minItems", length.clone()), "maxItems", length)
}

fn any_of(schemas: impl IntoIterator<Item = Schema>) -> Schema {
    let schemas: Vec<Value> = schemas.into_iter().map(Value::from).collect();
    with(Schema::new(), "anyOf", schemas.into())
}

fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> Schema {
    let names: Vec<Value> = names.map(Value::from).collect();
    with(simple("string"), "enum", names.into())
}

fn names(cases: &Scope<Case>) -> impl Iterator<Item = &str> {
    cases.iter().map(|case| case.json.as_str())
}
