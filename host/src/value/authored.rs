//! `@schema`: a JSON Schema that an author wrote. Clients read it with validators of their own, and
//! one that is wrong can cost them the whole list, so it is checked as the meta-schema of draft
//! 2020-12 would, and for what the meta-schema cannot see.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::rules::Pattern;
use super::{Member, Scope};

/// How deep a schema may be nested.
const DEEPEST: usize = 32;

/// Reads a schema of the arguments of a function with these parameters, or says why it cannot be
/// published.
pub(super) fn read(text: &str, params: &Scope<Member>) -> Result<Value, String> {
    let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("its root must have `\"type\": \"object\"`".to_owned());
    }
    Checked::of(&schema).schema(&schema, "", DEEPEST)?;
    let unknown = |name: &&String| params.get(name).is_none();
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(name) = properties.and_then(|it| it.keys().find(unknown)) {
        return Err(format!("its property `{name}` is no parameter"));
    }
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    if let Some(name) = required.into_iter().find(|name| params.get(name).is_none()) {
        return Err(format!("it requires `{name}`, which is no parameter"));
    }
    Ok(schema)
}

/// What the value of a keyword must be.
#[derive(Clone, Copy)]
enum Takes {
    Schema,
    Schemas,
    NamedSchemas,
    Text,
    Texts,
    NamedTexts,
    Type,
    Pattern,
    PatternedSchemas,
    Reference,
    Anchor,
    Draft,
    Count,
    Number,
    PositiveNumber,
    Bool,
    Array,
    Anything,
    /// It changes what other keywords mean; a schema of one function has no need of it.
    Nothing,
}

/// The keywords of draft 2020-12. Others are notes that mean nothing to validators.
fn takes(keyword: &str) -> Takes {
    match keyword {
        "additionalProperties"
        | "propertyNames"
        | "unevaluatedProperties"
        | "items"
        | "contains"
        | "unevaluatedItems"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contentSchema" => Takes::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Takes::Schemas,
        "properties" | "$defs" | "definitions" | "dependentSchemas" => Takes::NamedSchemas,
        "patternProperties" => Takes::PatternedSchemas,
        "title" | "description" | "format" | "contentEncoding" | "contentMediaType"
        | "$comment" => Takes::Text,
        "required" => Takes::Texts,
        "dependentRequired" => Takes::NamedTexts,
        "type" => Takes::Type,
        "pattern" => Takes::Pattern,
        "$ref" => Takes::Reference,
        "$anchor" => Takes::Anchor,
        "$schema" => Takes::Draft,
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minContains" | "maxContains"
        | "minProperties" | "maxProperties" => Takes::Count,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => Takes::Number,
        "multipleOf" => Takes::PositiveNumber,
        "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => Takes::Bool,
        "enum" | "examples" => Takes::Array,
        "$id" | "$dynamicRef" | "$dynamicAnchor" | "$vocabulary" | "$recursiveRef"
        | "$recursiveAnchor" | "id" | "dependencies" | "x-mcp-header" => Takes::Nothing,
        _ => Takes::Anything,
    }
}

/// The draft that MCP takes schemas for where they do not name one (MCP 2025-11-25, JSON Schema usage).
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The names of types.
const TYPES: [&str; 7] = [
    "null", "boolean", "object", "array", "number", "string", "integer",
];

/// A schema that is being looked through.
struct Checked<'s> {
    root: &'s Value,
    /// The places that were referred to, and whether what is there has been looked through.
    references: RefCell<HashMap<&'s str, bool>>,
    /// The names that places have been given, and which place has it.
    anchors: RefCell<HashMap<&'s str, &'s Value>>,
}

impl<'s> Checked<'s> {
    fn of(root: &'s Value) -> Self {
        Self {
            root,
            references: RefCell::default(),
            anchors: RefCell::default(),
        }
    }

    fn schema(&self, schema: &'s Value, at: &str, levels: usize) -> Result<(), String> {
        let keywords = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(keywords) => keywords,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(wrong(at, "a schema is an object, `true` or `false`"));
            }
        };
        let levels = levels
            .checked_sub(1)
            .ok_or_else(|| wrong(at, "it is nested too deep"))?;
        keywords.iter().try_for_each(|(keyword, value)| {
            self.keyword(keyword, value, &format!("{at}/{keyword}"), levels)
        })
    }

    fn keyword(
        &self,
        keyword: &str,
        value: &'s Value,
        at: &str,
        levels: usize,
    ) -> Result<(), String> {
        let fits = |fits: bool, expected: &str| {
            if fits {
                Ok(())
            } else {
                Err(wrong(at, expected))
            }
        };
        match takes(keyword) {
            Takes::Anything => Ok(()),
            Takes::Nothing => Err(wrong(at, "this keyword has no place here")),
            Takes::Schema => self.schema(value, at, levels),
            Takes::Schemas => {
                let schemas = value.as_array().filter(|schemas| !schemas.is_empty());
                let schemas = schemas.ok_or_else(|| wrong(at, "expected an array of schemas"))?;
                schemas
                    .iter()
                    .try_for_each(|schema| self.schema(schema, at, levels))
            }
            Takes::NamedSchemas => self.named(value, at, levels),
            Takes::PatternedSchemas => {
                for pattern in value.as_object().into_iter().flat_map(Map::keys) {
                    Pattern::ours(pattern).map_err(|cause| wrong(at, &cause))?;
                }
                self.named(value, at, levels)
            }
            Takes::Text => fits(value.is_string(), "expected a string"),
            Takes::Texts => fits(are_texts(value), "expected an array of different strings"),
            Takes::NamedTexts => {
                let named = value.as_object();
                let named = named.is_some_and(|named| named.values().all(are_texts));
                fits(named, "expected an object of arrays of different strings")
            }
            Takes::Type => {
                let is_type = |value: &Value| value.as_str().is_some_and(|it| TYPES.contains(&it));
                let are_types = |types: &Vec<Value>| !types.is_empty() && types.iter().all(is_type);
                let several = value.as_array().is_some_and(are_types) && are_texts(value);
                fits(is_type(value) || several, "expected the name of a type")
            }
            Takes::Pattern => {
                let pattern = value
                    .as_str()
                    .ok_or_else(|| wrong(at, "expected a string"))?;
                Pattern::ours(pattern).map_err(|cause| wrong(at, &cause))?;
                Ok(())
            }
            Takes::Reference => {
                let place = value.as_str().and_then(|it| it.strip_prefix('#'));
                let place = place.filter(|it| !it.contains('%'));
                let place =
                    place.ok_or_else(|| wrong(at, "expected a place in it, as `#/$defs/name`"))?;
                self.reference(place, at, levels)
            }
            Takes::Anchor => {
                let name = value.as_str().filter(|name| is_anchor(name));
                let name = name.ok_or_else(|| wrong(at, "expected a name as in XML"))?;
                let place = *self.anchors.borrow_mut().entry(name).or_insert(value);
                fits(std::ptr::eq(place, value), "another place has that name")
            }
            Takes::Draft => fits(
                value == DRAFT && at == "/$schema",
                "only its root can name a draft, and only 2020-12 is known",
            ),
            Takes::Count => fits(value.is_u64(), "expected a whole number from 0 up"),
            Takes::Number => fits(value.is_number(), "expected a number"),
            Takes::PositiveNumber => fits(
                value.as_f64().is_some_and(|number| number > 0.0),
                "expected a number above 0",
            ),
            Takes::Bool => fits(value.is_boolean(), "expected true or false"),
            Takes::Array => fits(value.is_array(), "expected an array"),
        }
    }

    /// Looks through what stands at a place that is referred to, once. Types are not recursive, and
    /// neither are their schemas: not every validator sees where a circle ends.
    fn reference(&self, place: &'s str, at: &str, levels: usize) -> Result<(), String> {
        let before = self.references.borrow_mut().insert(place, false);
        match before {
            Some(true) => {
                self.references.borrow_mut().insert(place, true);
                Ok(())
            }
            Some(false) => Err(wrong(at, "it refers to what it stands in")),
            None => {
                let target = self.root.pointer(place);
                let target = target.ok_or_else(|| wrong(at, "there is nothing at that place"))?;
                self.schema(target, at, levels)?;
                self.references.borrow_mut().insert(place, true);
                Ok(())
            }
        }
    }

    fn named(&self, value: &'s Value, at: &str, levels: usize) -> Result<(), String> {
        let schemas = value.as_object();
        let schemas = schemas.ok_or_else(|| wrong(at, "expected an object of schemas"))?;
        schemas
            .iter()
            .try_for_each(|(name, schema)| self.schema(schema, &format!("{at}/{name}"), levels))
    }
}

/// Whether a value is an array of strings, no two of them the same.
fn are_texts(value: &Value) -> bool {
    let mut seen = HashSet::new();
    value.as_array().is_some_and(|texts| {
        texts
            .iter()
            .all(|text| text.as_str().is_some_and(|text| seen.insert(text)))
    })
}

/// Whether a place can have this name (JSON Schema 2020-12 core, §8.2.2).
fn is_anchor(name: &str) -> bool {
    let begins = |first: char| first.is_ascii_alphabetic() || first == '_';
    let goes_on = |next: char| next.is_ascii_alphanumeric() || matches!(next, '-' | '_' | '.');
    name.starts_with(begins) && name.chars().all(goes_on)
}

fn wrong(at: &str, problem: &str) -> String {
    let at = if at.is_empty() { "its root" } else { at };
    format!("{at}: {problem}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::value::Kind;

    fn params() -> Scope<Member> {
        let member = |wit: &str| Member {
            wit: wit.to_owned(),
            json: wit.to_owned(),
            shape: Kind::String.into(),
        };
        Scope::new(vec![member("city"), member("max-items")]).unwrap()
    }

    #[test]
    fn what_validators_would_refuse_is_refused_with_its_place() {
        for (schema, expected) in [
            (json!({}), "\"type\": \"object\""),
            (json!(true), "\"type\": \"object\""),
            (
                json!({"type": "object", "properties": 5}),
                "/properties: expected an object of schemas",
            ),
            (
                json!({"type": "object", "properties": {"city": 5}}),
                "/properties/city: a schema is an object",
            ),
            (
                json!({"type": "object", "properties": {"city": {"type": "text"}}}),
                "/properties/city/type: expected the name of a type",
            ),
            (
                json!({"type": "object", "properties": {"town": {}}}),
                "`town` is no parameter",
            ),
            (
                json!({"type": "object", "required": "city"}),
                "/required: expected an array",
            ),
            (
                json!({"type": "object", "required": ["city", "city"]}),
                "different strings",
            ),
            (
                json!({"type": "object", "required": ["town"]}),
                "requires `town`",
            ),
            (
                json!({"type": "object", "allOf": []}),
                "/allOf: expected an array of schemas",
            ),
            (
                json!({"type": "object", "minProperties": -1}),
                "a whole number from 0 up",
            ),
            (
                json!({"type": "object", "multipleOf": 0}),
                "a number above 0",
            ),
            (
                json!({"type": "object", "enum": {}}),
                "/enum: expected an array",
            ),
            (
                json!({"type": "object", "properties": {"city": {"pattern": "(?i)a"}}}),
                "/properties/city/pattern: readers of the schema do not know flags",
            ),
            (
                json!({"type": "object", "patternProperties": {"(": {}}}),
                "unclosed group",
            ),
            (
                json!({"type": "object", "$ref": "#/$defs/a"}),
                "nothing at that place",
            ),
            (
                json!({"type": "object", "$ref": "https://example.com/a"}),
                "expected a place in it",
            ),
            (
                json!({"type": "object", "$ref": "#"}),
                "refers to what it stands in",
            ),
            (
                json!({"type": "object", "$ref": "#/$defs/a", "$defs": {
                    "a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"},
                }}),
                "refers to what it stands in",
            ),
            (
                json!({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}),
                "only 2020-12 is known",
            ),
            (
                json!({"type": "object", "not": {"$schema": DRAFT}}),
                "/not/$schema: only its root can name a draft",
            ),
            (
                json!({"type": "object", "not": {"$anchor": "5"}}),
                "/not/$anchor: expected a name",
            ),
            (
                json!({"type": "object", "not": {"$anchor": "a"}, "if": {"$anchor": "a"}}),
                "another place has that name",
            ),
            (json!({"type": "object", "$id": "a"}), "no place here"),
        ] {
            let cause = read(&schema.to_string(), &params()).unwrap_err();
            assert!(cause.contains(expected), "{schema}: {cause}");
        }
        let deep = format!(
            "{}{}",
            r#"{"type":"object","not":"#.repeat(40),
            "{}".to_owned() + &"}".repeat(40)
        );
        assert!(read(&deep, &params()).unwrap_err().contains("too deep"));
    }

    #[test]
    fn what_validators_take_is_taken() {
        let schema = json!({
            "$schema": DRAFT,
            "type": "object",
            "$defs": { "name": { "$anchor": "name", "type": ["string", "null"], "pattern": "^[a-z]+$" } },
            "properties": {
                "city": { "$ref": "#/$defs/name" },
                "max_items": { "type": "integer", "minimum": 1, "x-note": [1] },
            },
            "required": ["city"],
            "dependentRequired": { "max_items": ["city"] },
            "if": { "required": ["max_items"] },
            "then": true,
            "additionalProperties": false,
        });
        assert_eq!(read(&schema.to_string(), &params()), Ok(schema));
    }

    /// Parts of schemas, right and wrong.
    fn part() -> impl Strategy<Value = Value> {
        let keywords = [
            "type",
            "properties",
            "items",
            "required",
            "anyOf",
            "minimum",
            "minLength",
            "enum",
            "not",
            "pattern",
            "$ref",
            "$anchor",
            "title",
            "default",
            "const",
            "format",
            "uniqueItems",
            "dependentRequired",
            "multipleOf",
            "prefixItems",
            "patternProperties",
            "$defs",
            "x-mine",
            "examples",
            "deprecated",
        ];
        let leaf = prop_oneof![
            Just(json!("string")),
            Just(json!(["string"])),
            Just(json!(3)),
            Just(json!(-1)),
            Just(json!(true)),
            Just(json!([])),
            Just(json!({})),
            Just(json!("^a$")),
            Just(json!("#")),
            Just(json!(null)),
            Just(json!(["city"])),
            Just(json!({"city": ["max-items"]})),
            Just(json!({"city": {}})),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let keyword = proptest::sample::select(keywords.to_vec());
            let object =
                proptest::collection::vec((keyword, inner.clone()), 0..4).prop_map(|members| {
                    members
                        .into_iter()
                        .map(|(keyword, value)| (keyword.to_owned(), value))
                        .collect()
                });
            prop_oneof![
                object,
                proptest::collection::vec(inner, 0..3).prop_map(Value::Array)
            ]
        })
    }

    proptest! {
        #![proptest_config(crate::cases::config())]

        #[test]
        fn what_is_published_keeps_to_the_meta_schema(mut schema in part()) {
            if let Value::Object(keywords) = &mut schema {
                keywords.insert("type".to_owned(), "object".into());
            }
            if read(&schema.to_string(), &params()).is_ok() {
                prop_assert!(jsonschema::draft202012::meta::validate(&schema).is_ok(), "{}", schema);
                prop_assert!(jsonschema::draft202012::new(&schema).is_ok(), "{}", schema);
            }
        }
    }
}
