//! Forms: their fields as the schema that clients show, and what people fill in.

use serde_json::{Map, Value, json};

use super::invalid;
use crate::protocol::json::object;
use crate::protocol::revision::Revision;
use crate::sandbox::client::{
    Choice, ChoiceField, ChoicesField, Field, Form, Input, Unanswered, Value as Filled,
};

/// The most fields of a form.
const MOST_FIELDS: usize = 100;

/// The keywords of JSON Schema that may stand in a field (MCP 2026-07-28, elicitation).
const KEYWORDS: [&str; 15] = [
    "type",
    "title",
    "description",
    "default",
    "enum",
    "enumNames",
    "oneOf",
    "minLength",
    "maxLength",
    "format",
    "minimum",
    "maximum",
    "items",
    "minItems",
    "maxItems",
];

/// The formats of texts that clients know.
const FORMATS: [&str; 4] = ["email", "uri", "date", "date-time"];

/// The params of `elicitation/create` for a form.
pub(super) fn params(form: &Form, revision: Revision) -> Result<Value, String> {
    if form.fields.len() > MOST_FIELDS {
        return Err(format!("a form has at most {MOST_FIELDS} fields"));
    }
    let mut properties = Map::new();
    for field in &form.fields {
        let mut schema = schema(field)?;
        if !revision.has_rich_questions() {
            match first(field, schema)? {
                Some(narrow) => schema = narrow,
                None => continue,
            }
        }
        let schema = Value::Object(schema);
        if properties.insert(field.name.clone(), schema).is_some() {
            return Err(format!("the form has two fields named `{}`", field.name));
        }
    }
    let required: Vec<&str> = form
        .fields
        .iter()
        .filter(|field| field.required)
        .map(|field| &*field.name)
        .collect();
    let requested = object([
        ("type", Some("object".into())),
        ("properties", Some(Value::Object(properties))),
        ("required", (!required.is_empty()).then(|| json!(required))),
    ]);
    let mode = revision.has_rich_questions().then(|| "form".into());
    Ok(object([
        ("mode", mode),
        ("message", Some(json!(form.message))),
        ("requestedSchema", Some(requested)),
    ]))
}

/// What a field takes, as the newest revision has it.
fn schema(field: &Field) -> Result<Map<String, Value>, String> {
    let mut schema = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            schema.insert(name.into(), value);
        }
    };
    match &field.input {
        Input::Text(text) => {
            set("type", Some(json!("string")));
            set("minLength", text.min_length.map(Value::from));
            set("maxLength", text.max_length.map(Value::from));
            set("format", text.format.as_ref().map(|format| json!(format)));
            set("default", text.default.as_ref().map(|text| json!(text)));
        }
        Input::Integer(integer) => {
            set("type", Some(json!("integer")));
            set("minimum", integer.min.map(Value::from));
            set("maximum", integer.max.map(Value::from));
            set("default", integer.default.map(Value::from));
        }
        Input::Number(number) => {
            set("type", Some(json!("number")));
            set("minimum", number.min.map(Value::from));
            set("maximum", number.max.map(Value::from));
            set("default", number.default.map(Value::from));
        }
        Input::Boolean(default) => {
            set("type", Some(json!("boolean")));
            set("default", default.map(Value::from));
        }
        Input::Choice(choice) => {
            set("type", Some(json!("string")));
            if titled(&choice.choices) {
                set("oneOf", Some(constants(&choice.choices)));
            } else {
                set("enum", Some(values_of(&choice.choices)));
            }
            set("default", choice.default.as_ref().map(|value| json!(value)));
        }
        Input::Choices(choices) => {
            set("type", Some(json!("array")));
            let items = if titled(&choices.choices) {
                json!({ "anyOf": constants(&choices.choices) })
            } else {
                json!({ "type": "string", "enum": values_of(&choices.choices) })
            };
            set("items", Some(items));
            set("minItems", choices.min.map(Value::from));
            set("maxItems", choices.max.map(Value::from));
            set(
                "default",
                (!choices.default.is_empty()).then(|| json!(choices.default)),
            );
        }
        Input::Schema(text) => schema = raw(&field.name, text)?,
    }
    if let Some(format) = schema.get("format")
        && !format.as_str().is_some_and(|it| FORMATS.contains(&it))
    {
        return Err(format!(
            "the field `{}` has the format {format}, which forms do not know; they know {}",
            field.name,
            FORMATS.join(", ")
        ));
    }
    for (name, text) in [("title", &field.title), ("description", &field.description)] {
        if let Some(text) = text {
            schema.insert(name.into(), json!(text));
        }
    }
    Ok(schema)
}

/// The same as the first revision with forms knows it (MCP 2025-06-18, elicitation): without fields of
/// several choices, with defaults for nothing but yes and no, and with the titles of choices beside their
/// values. None if the field is left out.
fn first(
    field: &Field,
    mut schema: Map<String, Value>,
) -> Result<Option<Map<String, Value>>, String> {
    let known: &[&str] = match schema.get("type").and_then(Value::as_str) {
        Some("array") if field.required => {
            return Err(format!(
                "the client of this call speaks revision 2025-06-18, whose forms have no fields of several choices, and `{}` is required; ask for one choice at a time, or do not require it",
                field.name
            ));
        }
        Some("array") => return Ok(None),
        Some("boolean") => &["default"],
        Some("number" | "integer") => &["minimum", "maximum"],
        _ => &["minLength", "maxLength", "format", "enum", "enumNames"],
    };
    if let Some(Value::Array(choices)) = schema.remove("oneOf") {
        let all = |member: &str, or: &str| -> Value {
            let value = |choice: &Value| choice.get(member).or_else(|| choice.get(or)).cloned();
            choices.iter().filter_map(value).collect()
        };
        schema.insert("enum".into(), all("const", "const"));
        schema.insert("enumNames".into(), all("title", "const"));
    }
    schema.retain(|name, _| {
        ["type", "title", "description"].contains(&name.as_str()) || known.contains(&name.as_str())
    });
    Ok(Some(schema))
}

/// A schema that the guest wrote itself: flat, as clients can show it.
fn raw(name: &str, text: &str) -> Result<Map<String, Value>, String> {
    let schema: Map<String, Value> = serde_json::from_str(text)
        .map_err(|cause| format!("the schema of the field `{name}` is not an object: {cause}"))?;
    let is_primitive = matches!(
        schema.get("type").and_then(Value::as_str),
        Some("string" | "number" | "integer" | "boolean" | "array")
    );
    if !is_primitive {
        return Err(format!(
            "the schema of the field `{name}` must be of a primitive type, or an array of choices"
        ));
    }
    if let Some(odd) = schema.keys().find(|key| !KEYWORDS.contains(&&***key)) {
        return Err(format!(
            "the schema of the field `{name}` has `{odd}`, which forms do not know"
        ));
    }
    Ok(schema)
}

fn titled(choices: &[Choice]) -> bool {
    choices.iter().any(|choice| choice.title.is_some())
}

fn title(choice: &Choice) -> &str {
    choice.title.as_deref().unwrap_or(&choice.value)
}

fn constants(choices: &[Choice]) -> Value {
    choices
        .iter()
        .map(|choice| json!({ "const": choice.value, "title": title(choice) }))
        .collect()
}

fn values_of(choices: &[Choice]) -> Value {
    choices.iter().map(|choice| json!(choice.value)).collect()
}

/// What was filled in, field by field. What was not asked for is left out.
pub(super) fn values(
    form: &Form,
    content: Option<&Value>,
) -> Result<Vec<(String, Filled)>, Unanswered> {
    let nothing = Map::new();
    let content = match content {
        None | Some(Value::Null) => &nothing,
        Some(Value::Object(content)) => content,
        Some(_) => return Err(invalid("`content` must be an object")),
    };
    let mut filled = Vec::new();
    for field in &form.fields {
        match content.get(&field.name) {
            None | Some(Value::Null) if field.required => {
                return Err(invalid(&format!("`{}` is missing", field.name)));
            }
            None | Some(Value::Null) => {}
            Some(value) => {
                let value = value_of(field, value)
                    .map_err(|problem| invalid(&format!("`{}` {problem}", field.name)))?;
                filled.push((field.name.clone(), value));
            }
        }
    }
    Ok(filled)
}

fn value_of(field: &Field, value: &Value) -> Result<Filled, String> {
    match &field.input {
        Input::Text(text) => {
            let value = string(value)?;
            let length = value.chars().count();
            let within = |limit: Option<u32>, fits: fn(usize, usize) -> bool| {
                limit.is_none_or(|limit| {
                    usize::try_from(limit).is_ok_and(|limit| fits(length, limit))
                })
            };
            if !within(text.min_length, |length, least| length >= least) {
                return Err("is too short".into());
            }
            if !within(text.max_length, |length, most| length <= most) {
                return Err("is too long".into());
            }
            Ok(Filled::Text(value))
        }
        Input::Integer(integer) => {
            let value = whole(value)?;
            if integer.min.is_some_and(|min| value < min)
                || integer.max.is_some_and(|max| value > max)
            {
                return Err("is out of range".into());
            }
            Ok(Filled::Integer(value))
        }
        Input::Number(number) => {
            let value = value.as_f64().ok_or("must be a number")?;
            if number.min.is_some_and(|min| value < min)
                || number.max.is_some_and(|max| value > max)
            {
                return Err("is out of range".into());
            }
            Ok(Filled::Number(value))
        }
        Input::Boolean(_) => Ok(Filled::Boolean(
            value.as_bool().ok_or("must be true or false")?,
        )),
        Input::Choice(ChoiceField { choices, .. }) => {
            let value = string(value)?;
            one_of(choices, &value)?;
            Ok(Filled::Text(value))
        }
        Input::Choices(ChoicesField {
            choices, min, max, ..
        }) => {
            let values = strings(value)?;
            for value in &values {
                one_of(choices, value)?;
            }
            let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
            if min.is_some_and(|min| count < min) || max.is_some_and(|max| count > max) {
                return Err("has too few or too many choices".into());
            }
            Ok(Filled::Choices(values))
        }
        Input::Schema(_) => match value {
            Value::String(text) => Ok(Filled::Text(text.clone())),
            Value::Bool(value) => Ok(Filled::Boolean(*value)),
            Value::Array(_) => Ok(Filled::Choices(strings(value)?)),
            Value::Number(number) => Ok(match number.as_i64() {
                Some(whole) => Filled::Integer(whole),
                None => Filled::Number(number.as_f64().ok_or("is not a number")?),
            }),
            Value::Null | Value::Object(_) => Err("must be a primitive value".into()),
        },
    }
}

fn string(value: &Value) -> Result<String, String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| "must be a text".into())
}

fn strings(value: &Value) -> Result<Vec<String>, String> {
    value
        .as_array()
        .and_then(|values| {
            values
                .iter()
                .map(|value| value.as_str().map(str::to_owned))
                .collect()
        })
        .ok_or_else(|| "must be an array of texts".into())
}

/// A whole number, also one that was written as `5.0`.
fn whole(value: &Value) -> Result<i64, String> {
    let text = value.to_string();
    let digits = text.strip_suffix(".0").unwrap_or(&text);
    digits
        .parse()
        .map_err(|_not_whole| "must be a whole number".into())
}

fn one_of(choices: &[Choice], value: &str) -> Result<(), String> {
    if choices.iter().any(|choice| choice.value == value) {
        Ok(())
    } else {
        Err("is not among the choices".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(required: bool, input: Input) -> Form {
        Form {
            message: "?".into(),
            fields: vec![Field {
                name: "it".into(),
                title: None,
                description: None,
                required,
                input,
            }],
        }
    }

    fn schema_of(form: &Form, revision: Revision) -> Result<Value, String> {
        let params = params(form, revision)?;
        Ok(params["requestedSchema"]["properties"]["it"].clone())
    }

    #[test]
    fn what_a_guest_writes_itself_is_as_each_revision_knows_it() {
        for (schema, first, later) in [
            (
                json!({ "type": "string", "default": "a", "minLength": 1, "format": "date" }),
                Some(json!({ "type": "string", "minLength": 1, "format": "date" })),
                true,
            ),
            (
                json!({ "type": "integer", "minimum": 1, "default": 2, "title": "t" }),
                Some(json!({ "type": "integer", "minimum": 1, "title": "t" })),
                true,
            ),
            (
                json!({ "type": "boolean", "default": true, "description": "d" }),
                Some(json!({ "type": "boolean", "default": true, "description": "d" })),
                true,
            ),
            (
                json!({ "type": "string", "oneOf": [{ "const": "a", "title": "A" }, { "const": "b" }], "default": "a" }),
                Some(json!({ "type": "string", "enum": ["a", "b"], "enumNames": ["A", "b"] })),
                true,
            ),
            (
                json!({ "type": "string", "enum": ["a"], "enumNames": ["A"] }),
                Some(json!({ "type": "string", "enum": ["a"], "enumNames": ["A"] })),
                true,
            ),
            (
                json!({ "type": "array", "items": { "enum": ["a"] } }),
                Some(Value::Null),
                true,
            ),
            (json!({ "type": "string", "pattern": "a" }), None, false),
            (json!({ "type": "string", "format": "phone" }), None, false),
            (json!({ "type": "object" }), None, false),
        ] {
            let form = of(false, Input::Schema(schema.to_string()));
            assert_eq!(
                schema_of(&form, Revision::V2025June).ok(),
                first,
                "{schema}"
            );
            let same = schema_of(&form, Revision::V2025November);
            assert_eq!(same.ok(), later.then_some(schema));
        }
    }

    #[test]
    fn several_choices_that_must_be_made_cannot_be_asked_of_the_first() {
        let choices = ChoicesField {
            choices: vec![Choice {
                value: "a".into(),
                title: None,
            }],
            min: None,
            max: None,
            default: Vec::new(),
        };
        let form = of(true, Input::Choices(choices));
        let refused = schema_of(&form, Revision::V2025June).unwrap_err();
        assert!(refused.contains("`it` is required"), "{refused}");
        assert!(schema_of(&form, Revision::V2026July).is_ok());
    }
}
