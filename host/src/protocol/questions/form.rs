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
const KEYWORDS: [&str; 17] = [
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
    "pattern",
    "minimum",
    "maximum",
    "items",
    "minItems",
    "maxItems",
    "const",
];

/// The params of `elicitation/create` for a form.
pub(super) fn params(form: &Form, revision: Revision) -> Result<Value, String> {
    if form.fields.len() > MOST_FIELDS {
        return Err(format!("a form has at most {MOST_FIELDS} fields"));
    }
    let mut properties = Map::new();
    for field in &form.fields {
        let schema = schema(field, revision)?;
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

fn schema(field: &Field, revision: Revision) -> Result<Value, String> {
    let rich = revision.has_rich_questions();
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
            set(
                "default",
                text.default
                    .as_ref()
                    .filter(|_| rich)
                    .map(|text| json!(text)),
            );
        }
        Input::Integer(integer) => {
            set("type", Some(json!("integer")));
            set("minimum", integer.min.map(Value::from));
            set("maximum", integer.max.map(Value::from));
            set("default", integer.default.filter(|_| rich).map(Value::from));
        }
        Input::Number(number) => {
            set("type", Some(json!("number")));
            set("minimum", number.min.map(Value::from));
            set("maximum", number.max.map(Value::from));
            set("default", number.default.filter(|_| rich).map(Value::from));
        }
        Input::Boolean(default) => {
            set("type", Some(json!("boolean")));
            // The one default that the first revision with forms knew.
            set("default", default.map(Value::from));
        }
        Input::Choice(choice) => {
            set("type", Some(json!("string")));
            if rich && titled(&choice.choices) {
                set("oneOf", Some(constants(&choice.choices)));
            } else {
                set("enum", Some(values_of(&choice.choices)));
                set(
                    "enumNames",
                    (!rich && titled(&choice.choices)).then(|| titles(&choice.choices)),
                );
            }
            set(
                "default",
                choice
                    .default
                    .as_ref()
                    .filter(|_| rich)
                    .map(|value| json!(value)),
            );
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
                (rich && !choices.default.is_empty()).then(|| json!(choices.default)),
            );
        }
        Input::Schema(text) => schema = raw(&field.name, text)?,
    }
    for (name, text) in [("title", &field.title), ("description", &field.description)] {
        if let Some(text) = text {
            schema.insert(name.into(), json!(text));
        }
    }
    Ok(Value::Object(schema))
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

fn titles(choices: &[Choice]) -> Value {
    choices.iter().map(|choice| json!(title(choice))).collect()
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
