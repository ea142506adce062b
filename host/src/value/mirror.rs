//! Arguments that clients repeat in HTTP headers (`@header`, `x-mcp-header`), so that what stands
//! between can route by them. Which arguments they are, and what their headers must say.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{Json, Number};
use super::{Kind, Member, Scope, Shape};

/// An argument that is repeated in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored<'a> {
    /// The name that the author gave, the `X` in `Mcp-Param-X`.
    pub header: &'a str,
    /// The argument as header text, not encoded: text as it is, numbers in decimal, `true` and
    /// `false`. None when the argument is absent or null, and no header may be sent.
    pub argument: Option<String>,
    /// Whether the argument is a number, which may be written in other ways.
    pub is_number: bool,
}

/// Where such an argument stands: parameter, field of it, field of that.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    header: String,
    path: Vec<usize>,
}

impl Mirror {
    /// Finds all of them. Only properties may lead there (MCP 2026-07-28, `x-mcp-header`).
    pub(super) fn all(params: &Scope<Member>) -> Vec<Self> {
        let mut found = Vec::new();
        search(params, &mut Vec::new(), &mut found);
        found
    }

    /// Reads the argument from the caller's text, in whatever spelling it has.
    pub(super) fn read<'a>(&'a self, params: &Scope<Member>, arguments: &Json<'_>) -> Mirrored<'a> {
        let argument = find(params, &self.path, arguments);
        Mirrored {
            header: &self.header,
            is_number: matches!(argument, Some(Json::Number(_))),
            argument: argument.and_then(header_text),
        }
    }
}

/// What the headers of a call must say. Arguments that cannot be read have none; decoding them says
/// what is wrong with them.
pub(super) fn read<'a>(
    mirrors: &'a [Mirror],
    params: &Scope<Member>,
    arguments: Option<&RawValue>,
) -> Vec<Mirrored<'a>> {
    if mirrors.is_empty() {
        return Vec::new();
    }
    let json = arguments
        .and_then(|text| Json::parse(text.get()).ok())
        .unwrap_or(Json::Null);
    mirrors
        .iter()
        .map(|mirror| mirror.read(params, &json))
        .collect()
}

fn search(members: &Scope<Member>, path: &mut Vec<usize>, found: &mut Vec<Mirror>) {
    for (index, member) in members.iter().enumerate() {
        path.push(index);
        if let Some(header) = header_of(&member.shape) {
            found.push(Mirror {
                header: header.to_owned(),
                path: path.clone(),
            });
        }
        if let Some(fields) = fields_of(&member.shape) {
            search(fields, path, found);
        }
        path.pop();
    }
}

fn header_of(shape: &Shape) -> Option<&str> {
    let inner = if let Kind::Option(inner) = &shape.kind {
        inner.rules.header()
    } else {
        None
    };
    shape.rules.header().or(inner)
}

fn fields_of(shape: &Shape) -> Option<&Scope<Member>> {
    let kind = if let Kind::Option(inner) = &shape.kind {
        &inner.kind
    } else {
        &shape.kind
    };
    if let Kind::Record(fields) = kind {
        Some(fields)
    } else {
        None
    }
}

fn find<'j, 't>(
    members: &Scope<Member>,
    path: &[usize],
    json: &'j Json<'t>,
) -> Option<&'j Json<'t>> {
    let (index, deeper) = path.split_first()?;
    let Json::Object(pairs) = json else {
        return None;
    };
    let is_it = |key: &Cow<'_, str>| members.position(key) == Some(*index);
    let found = pairs
        .iter()
        .find(|(key, _)| is_it(key))
        .map(|(_, json)| json)?;
    if deeper.is_empty() {
        return Some(found);
    }
    find(
        fields_of(&members.items().get(*index)?.shape)?,
        deeper,
        found,
    )
}

fn header_text(json: &Json<'_>) -> Option<String> {
    match json {
        Json::String(text) => Some(text.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Number(Number::Natural(value)) => Some(value.to_string()),
        Json::Number(Number::Negative(value)) => Some(value.to_string()),
        // Rust writes `42.0` as `42`, which is how integers are compared.
        Json::Number(Number::Float(value)) => Some(value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}
