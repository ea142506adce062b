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

/// The mirrors of a function, and the headers that were asked for and cannot be.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) mirrors: Vec<Mirror>,
    pub(super) misplaced: Vec<String>,
}

impl Found {
    /// Finds all of them. Only properties may lead there, and no two may have one header (MCP
    /// 2026-07-28, `x-mcp-header`).
    pub(super) fn of(params: &Scope<Member>) -> Self {
        let mut found = Self::default();
        found.members(params, Some(&mut Vec::new()));
        found
    }

    /// `path` is what leads to the members, if only properties do.
    fn members(&mut self, members: &Scope<Member>, mut path: Option<&mut Vec<usize>>) {
        for (index, member) in members.iter().enumerate() {
            if let Some(path) = path.as_deref_mut() {
                path.push(index);
            }
            self.shape(&member.shape, path.as_deref_mut());
            if let Some(path) = path.as_deref_mut() {
                path.pop();
            }
        }
    }

    fn shape(&mut self, shape: &Shape, path: Option<&mut Vec<usize>>) {
        if let Some(header) = shape.rules.header() {
            self.header(header, path.as_deref());
        }
        // An option of a parameter or field is the property itself.
        let kind = if let Kind::Option(inner) = &shape.kind {
            &inner.kind
        } else {
            &shape.kind
        };
        match kind {
            Kind::Record(fields) => self.members(fields, path),
            Kind::Option(inner) | Kind::List(inner) | Kind::FixedList(inner, _) => {
                self.shape(inner, None);
            }
            Kind::Tuple(shapes) => shapes.iter().for_each(|shape| self.shape(shape, None)),
            Kind::Variant(cases) | Kind::Enum(cases) | Kind::Flags(cases) => cases
                .iter()
                .filter_map(|case| case.payload.as_ref())
                .for_each(|shape| self.shape(shape, None)),
            Kind::Result { ok, err } => [ok, err]
                .into_iter()
                .flatten()
                .for_each(|shape| self.shape(shape, None)),
            Kind::Map(key, value) => {
                self.shape(key, None);
                self.shape(value, None);
            }
            Kind::Bool
            | Kind::S8
            | Kind::S16
            | Kind::S32
            | Kind::S64
            | Kind::U8
            | Kind::U16
            | Kind::U32
            | Kind::U64
            | Kind::F32
            | Kind::F64
            | Kind::Char
            | Kind::String
            | Kind::Bytes => {}
        }
    }

    fn header(&mut self, header: &str, path: Option<&Vec<usize>>) {
        let is_taken = |mirror: &Mirror| mirror.header.eq_ignore_ascii_case(header);
        match path {
            Some(path) if !self.mirrors.iter().any(is_taken) => self.mirrors.push(Mirror {
                header: header.to_owned(),
                path: path.clone(),
            }),
            Some(_) | None => {
                if !self.misplaced.iter().any(|other| other == header) {
                    self.misplaced.push(header.to_owned());
                }
            }
        }
    }
}

impl Mirror {
    /// The name of the header.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// The parameter, field of it, field of that, that is repeated.
    pub(super) fn path(&self) -> &[usize] {
        &self.path
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

/// The fields of a record, or of one in an option.
pub(super) fn fields_of(shape: &Shape) -> Option<&Scope<Member>> {
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
        Json::Number(number @ Number::Float(_)) => number.as_f64().map(|value| value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}
