//! The rules themselves: made from tags, checked against values, written into schemas.

use std::sync::Arc;

use serde_json::{Map, Value};
use wasmtime::component::Val;

use super::bound::Bound;
use super::format::Format;
use super::pattern::Pattern;
use super::sample::Sample;
use super::{Rules, Why};
use crate::value::Kind;
use crate::value::words::{count, quoted};

/// How many examples one value may have. A model reads a few; a text of a megabyte has room for tens
/// of thousands, and every rule that is added is weighed against all before it.
const MOST_EXAMPLES: usize = 16;

/// Rules that somebody gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    min: Option<Bound>,
    max: Option<Bound>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    pattern: Option<Arc<Pattern>>,
    format: Option<Format>,
    default: Option<Arc<Sample>>,
    examples: Vec<Arc<Sample>>,
    header: Option<Arc<str>>,
}

impl Given {
    /// Takes a rule over, in place of an earlier one.
    pub(super) fn set(
        &mut self,
        tag: &str,
        value: &str,
        whole: &Kind,
        room: &mut usize,
    ) -> Result<(), Why> {
        let kind = whole.beneath_options();
        match tag {
            "min" => self.min = Some(Bound::parse(value, kind)?),
            "max" => self.max = Some(Bound::parse(value, kind)?),
            // The length of bytes is how many they are, not how long their base64 is.
            "min-length" if matches!(kind, Kind::Bytes) => self.min_items = Some(size(value)?),
            "max-length" if matches!(kind, Kind::Bytes) => self.max_items = Some(size(value)?),
            "min-length" if matches!(kind, Kind::String) => self.min_length = Some(size(value)?),
            "max-length" if matches!(kind, Kind::String) => self.max_length = Some(size(value)?),
            "min-items" if has_items(kind) => self.min_items = Some(size(value)?),
            "max-items" if has_items(kind) => self.max_items = Some(size(value)?),
            "pattern" if matches!(kind, Kind::String) => {
                // What does not become a table in the end has taken as much work as one that does.
                let pattern = Pattern::new(value, *room).inspect_err(|_| {
                    *room = room.saturating_sub(Pattern::LARGEST);
                });
                let pattern = pattern.map_err(Why::Malformed)?;
                take(room, pattern.memory())?;
                self.pattern = Some(Arc::new(pattern));
            }
            "format" if matches!(kind, Kind::String) => {
                self.format =
                    Some(Format::named(value).ok_or_else(|| Why::Malformed(Format::choice()))?);
            }
            "default" => self.default = Some(sample(value, whole, room)?),
            "example" if self.examples.len() >= MOST_EXAMPLES => {
                let problem =
                    format!("a value has at most {MOST_EXAMPLES} examples; leave some out");
                return Err(Why::Malformed(problem));
            }
            "example" => self.examples.push(sample(value, whole, room)?),
            "header" if is_header_kind(kind) => {
                let problem =
                    || "expected a header name, made of letters, digits and `-`".to_owned();
                self.header = Some(
                    token(value)
                        .ok_or_else(|| Why::Malformed(problem()))?
                        .into(),
                );
            }
            tag if Rules::TAGS.contains(&tag) => return Err(Why::OtherKind),
            _ => return Err(Why::Unknown),
        }
        Ok(())
    }

    /// Whether the rules leave any value, and the default is one of them.
    pub(super) fn agree(&self) -> Result<(), Why> {
        let crossed = |least: Option<u64>, greatest: Option<u64>| {
            least.zip(greatest).is_some_and(|(a, b)| a > b)
        };
        let empty = self
            .min
            .zip(self.max)
            .is_some_and(|(min, max)| !min.is_at_most(max));
        if empty
            || crossed(self.min_length, self.max_length)
            || crossed(self.min_items, self.max_items)
        {
            return Err(Why::NothingLeft);
        }
        let mut problem = None;
        if let Some(default) = &self.default {
            self.check(&default.value, &mut |text| problem = Some(text));
        }
        problem.map_or(Ok(()), |text| Err(Why::DefaultBreaks(text)))
    }

    /// The same rules for an option of a value of this kind: they are still about what is in it.
    pub(super) fn within_option(&self, kind: &Kind) -> Self {
        let within = |sample: &Arc<Sample>| Arc::new(sample.within_option(kind));
        Self {
            default: self.default.as_ref().map(within),
            examples: self.examples.iter().map(within).collect(),
            ..self.clone()
        }
    }

    /// Tells every rule that a value breaks.
    pub(super) fn check(&self, value: &Val, broken: &mut dyn FnMut(String)) {
        match value {
            Val::S8(n) => self.check_number(Bound::Whole((*n).into()), broken),
            Val::S16(n) => self.check_number(Bound::Whole((*n).into()), broken),
            Val::S32(n) => self.check_number(Bound::Whole((*n).into()), broken),
            Val::S64(n) => self.check_number(Bound::Whole((*n).into()), broken),
            Val::U8(n) => self.check_number(Bound::Whole((*n).into()), broken),
            Val::U16(n) => self.check_number(Bound::Whole((*n).into()), broken),
            Val::U32(n) => self.check_number(Bound::Whole((*n).into()), broken),
            Val::U64(n) => self.check_number(Bound::Whole((*n).into()), broken),
            Val::Float32(n) => self.check_number(Bound::of_f32(*n), broken),
            Val::Float64(n) => self.check_number(Bound::Float(*n), broken),
            Val::String(text) => self.check_text(text, broken),
            Val::List(items) => self.check_items(items.len(), broken),
            Val::Map(entries) => self.check_items(entries.len(), broken),
            Val::Flags(names) => self.check_items(names.len(), broken),
            Val::Option(Some(inner)) => self.check(inner, broken),
            Val::Option(None)
            | Val::Bool(_)
            | Val::Char(_)
            | Val::Record(_)
            | Val::Tuple(_)
            | Val::Variant(..)
            | Val::Enum(_)
            | Val::Result(_)
            | Val::FixedLengthList(_)
            | Val::Resource(_)
            | Val::Future(_)
            | Val::Stream(_)
            | Val::ErrorContext(_) => {}
        }
    }

    fn check_number(&self, value: Bound, broken: &mut dyn FnMut(String)) {
        if let Some(min) = self.min.filter(|min| !min.is_at_most(value)) {
            broken(format!("expected at least {min}; got {value}"));
        } else if let Some(max) = self.max.filter(|max| !value.is_at_most(*max)) {
            broken(format!("expected at most {max}; got {value}"));
        }
    }

    fn check_text(&self, text: &str, broken: &mut dyn FnMut(String)) {
        if self.min_length.is_some() || self.max_length.is_some() {
            let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            let mut fits = true;
            check_count(
                length,
                self.min_length,
                self.max_length,
                "character",
                &mut |problem| {
                    fits = false;
                    broken(problem);
                },
            );
            // A text that is too long is not worth matching.
            if !fits {
                return;
            }
        }
        if let Some(pattern) = &self.pattern
            && !pattern.matches(text)
        {
            broken(format!(
                "expected text that matches the pattern {pattern}; got {}",
                quoted(text)
            ));
        }
        if let Some(format) = self.format
            && !format.matches(text)
        {
            broken(format!("expected {format}; got {}", quoted(text)));
        }
    }

    fn check_items(&self, items: usize, broken: &mut dyn FnMut(String)) {
        let items = u64::try_from(items).unwrap_or(u64::MAX);
        check_count(items, self.min_items, self.max_items, "item", broken);
    }

    /// What a missing value counts as.
    pub(super) fn fallback(&self) -> Option<&Sample> {
        self.default.as_deref()
    }

    /// The name of the header that mirrors the argument.
    pub(super) fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// How many bytes a `list<u8>` must have, in words.
    pub(super) fn byte_count(&self) -> Option<String> {
        match (self.min_items, self.max_items) {
            (None, None) => None,
            (Some(min), None) => Some(format!("at least {}", count(min, "byte"))),
            (None, Some(max)) => Some(format!("at most {}", count(max, "byte"))),
            (Some(min), Some(max)) => Some(format!("{min} to {}", count(max, "byte"))),
        }
    }

    /// About how many bytes the rules take in a schema.
    pub(super) fn size(&self) -> usize {
        let samples = self.examples.iter().chain(&self.default);
        let pattern = self.pattern.as_ref().map_or(0, |it| it.text().len());
        samples.fold(pattern, |size, sample| size.saturating_add(sample.size))
    }

    /// Writes what must hold into a schema.
    pub(super) fn write(&self, kind: &Kind, schema: &mut Map<String, Value>) {
        let mut put = |keyword: &str, value: Option<Value>| {
            if let Some(value) = value {
                schema.insert(keyword.to_owned(), value);
            }
        };
        put("minimum", self.min.and_then(Bound::json));
        put("maximum", self.max.and_then(Bound::json));
        put("minLength", self.min_length.map(Value::from));
        put("maxLength", self.max_length.map(Value::from));
        if !matches!(kind, Kind::Bytes) {
            put("minItems", self.min_items.map(Value::from));
            put("maxItems", self.max_items.map(Value::from));
        }
        let pattern = self.pattern.as_ref().map(|it| Value::from(it.text()));
        put("pattern", pattern);
        put("format", self.format.map(|it| Value::from(it.name())));
    }

    /// Writes the examples, and the default where it can stand for a value.
    pub(super) fn write_samples(&self, is_member: bool, schema: &mut Map<String, Value>) {
        if let Some(default) = self.default.as_ref().filter(|_| is_member) {
            schema.insert("default".to_owned(), default.json.clone());
        }
        if !self.examples.is_empty() {
            let examples = self.examples.iter().map(|example| example.json.clone());
            schema.insert("examples".to_owned(), examples.collect());
        }
    }
}

/// Takes memory of what is left for rules.
fn take(room: &mut usize, bytes: usize) -> Result<(), Why> {
    *room = room.checked_sub(bytes).ok_or(Why::NoRoom)?;
    Ok(())
}

fn sample(value: &str, whole: &Kind, room: &mut usize) -> Result<Arc<Sample>, Why> {
    let sample = Sample::parse(value, whole)?;
    take(room, sample.room.saturating_add(sample.size))?;
    Ok(Arc::new(sample))
}

fn size(value: &str) -> Result<u64, Why> {
    value
        .parse()
        .ok()
        .ok_or_else(|| Why::Malformed("expected a whole number from 0 up".to_owned()))
}

/// Kinds with a number of items that a schema can bound. A map of text keys is an object in JSON
/// and has none.
fn has_items(kind: &Kind) -> bool {
    match kind {
        Kind::Bytes | Kind::List(_) | Kind::Flags(_) => true,
        Kind::Map(key, _) => !matches!(key.kind, Kind::String),
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
        | Kind::FixedList(..)
        | Kind::Tuple(_)
        | Kind::Record(_)
        | Kind::Variant(_)
        | Kind::Enum(_)
        | Kind::Option(_)
        | Kind::Result { .. } => false,
    }
}

/// MCP mirrors strings, integers and booleans in headers, nothing else.
fn is_header_kind(kind: &Kind) -> bool {
    kind.range().is_some() || matches!(kind, Kind::Bool | Kind::String | Kind::Char | Kind::Enum(_))
}

/// A token of RFC 9110 §5.6.2, which header names are made of.
fn token(value: &str) -> Option<String> {
    let is_token =
        |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    (!value.is_empty() && value.chars().all(is_token)).then(|| value.to_owned())
}

fn check_count(
    number: u64,
    least: Option<u64>,
    greatest: Option<u64>,
    thing: &str,
    broken: &mut dyn FnMut(String),
) {
    if let Some(least) = least.filter(|least| number < *least) {
        broken(format!(
            "expected at least {}; got {number}",
            count(least, thing)
        ));
    }
    if let Some(greatest) = greatest.filter(|greatest| number > *greatest) {
        broken(format!(
            "expected at most {}; got {number}",
            count(greatest, thing)
        ));
    }
}
