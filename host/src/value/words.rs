//! How messages name things: what was expected, and what came instead, cut short.

use std::fmt::Write;

use super::json::{Json, Number};
use super::{Case, Kind, Named, Scope, Shape};

/// As many names are listed in a message.
const LISTED: usize = 24;

/// As many characters of a caller's text are quoted in a message.
const QUOTED: usize = 40;

/// What a caller should have sent, as the rest of the sentence "expected …".
pub(super) fn expected(shape: &Shape) -> String {
    match &shape.kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::S8
        | Kind::S16
        | Kind::S32
        | Kind::S64
        | Kind::U8
        | Kind::U16
        | Kind::U32
        | Kind::U64 => {
            let (least, greatest) = shape.kind.range().unwrap_or_default();
            format!("an integer from {least} to {greatest}")
        }
        Kind::F32 => "a number that fits 32 bits".to_owned(),
        Kind::F64 => "a number".to_owned(),
        Kind::Char => "a string of exactly one character".to_owned(),
        Kind::String => "a string".to_owned(),
        Kind::Bytes => "base64 text".to_owned(),
        Kind::List(_) => "an array".to_owned(),
        Kind::FixedList(_, length) => format!("an array of {length} items"),
        Kind::Tuple(shapes) => format!("an array of {} items", shapes.len()),
        Kind::Record(fields) => format!("an object with {}", all_of(fields)),
        Kind::Variant(cases) if !cases.is_plain() => {
            format!(
                "{{\"tag\": …, \"val\": …}}, where \"tag\" is {}",
                one_of(cases)
            )
        }
        Kind::Variant(cases) | Kind::Enum(cases) => one_of(cases),
        Kind::Flags(flags) => format!("an array with any of {}", names(flags)),
        Kind::Option(inner) if matches!(inner.kind, Kind::Option(_)) => {
            "null or {\"some\": …}".to_owned()
        }
        Kind::Option(inner) => format!("{}, or null", expected(inner)),
        Kind::Result { .. } => "{\"ok\": …} or {\"err\": …}".to_owned(),
        Kind::Map(key, _) if matches!(key.kind, Kind::String) => "an object".to_owned(),
        Kind::Map(..) => "an array of [key, value] pairs".to_owned(),
    }
}

/// What a type is in JSON, in a word or two.
pub(super) fn noun(kind: &Kind) -> String {
    let noun = match kind {
        Kind::Bool => "boolean",
        Kind::S8
        | Kind::S16
        | Kind::S32
        | Kind::S64
        | Kind::U8
        | Kind::U16
        | Kind::U32
        | Kind::U64 => "integer",
        Kind::F32 | Kind::F64 => "number",
        Kind::Char => "character",
        Kind::String => "string",
        Kind::Bytes => "base64 string",
        Kind::Record(_) | Kind::Result { .. } => "object",
        Kind::Variant(cases) if !cases.is_plain() => "object",
        Kind::Variant(_) | Kind::Enum(_) => "name",
        Kind::Option(inner) if matches!(inner.kind, Kind::Option(_)) => "object or null",
        Kind::Option(inner) => return format!("{} or null", noun(&inner.kind)),
        Kind::Map(key, _) if matches!(key.kind, Kind::String) => "object",
        Kind::List(_) | Kind::FixedList(..) | Kind::Tuple(_) | Kind::Flags(_) | Kind::Map(..) => {
            "array"
        }
    };
    noun.to_owned()
}

/// The names of a scope as a choice: `one of "metric", "imperial"`.
pub(super) fn one_of(cases: &Scope<Case>) -> String {
    match cases.items() {
        [only] => quoted(only.json()),
        _ => format!("one of {}", names(cases)),
    }
}

/// The names of a scope as a demand: `"x", "y"`.
pub(super) fn all_of<T: Named>(scope: &Scope<T>) -> String {
    if scope.is_empty() {
        "nothing in it".to_owned()
    } else {
        names(scope)
    }
}

fn names<T: Named>(scope: &Scope<T>) -> String {
    let mut text = String::new();
    for (place, item) in scope.iter().enumerate() {
        if place == LISTED {
            // Writing to a string cannot fail.
            let _ = write!(text, " and {} others", scope.len().saturating_sub(LISTED));
            break;
        }
        if place > 0 {
            text.push_str(", ");
        }
        text.push_str(&quoted(item.json()));
    }
    text
}

/// What a caller sent, as the rest of the sentence "got …".
pub(super) fn got(json: &Json<'_>) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(Number::Natural(value)) => value.to_string(),
        Json::Number(Number::Negative(value)) => value.to_string(),
        Json::Number(Number::Float(text)) => match text.get(..QUOTED) {
            Some(beginning) => format!("{beginning}…"),
            None => (*text).to_owned(),
        },
        Json::String(text) => quoted(text),
        Json::Array(items) if items.is_empty() => "an empty array".to_owned(),
        Json::Array(items) if items.len() == 1 => "an array of 1 item".to_owned(),
        Json::Array(items) => format!("an array of {} items", items.len()),
        Json::Object(pairs) if pairs.is_empty() => "an empty object".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}

/// A text in quotes, with what would break the line escaped, and cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for (place, letter) in text.chars().enumerate() {
        if place == QUOTED {
            out.push_str("\"…");
            return out;
        }
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter.is_control() => out.extend(letter.escape_default()),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// The proposal at the end of a message: ` (did you mean "metric"?)`, or nothing.
pub(super) fn proposal<T: Named>(scope: &Scope<T>, given: &str) -> String {
    scope
        .nearest(given)
        .map(|item| format!(" (did you mean {}?)", quoted(item.json())))
        .unwrap_or_default()
}

/// A number of things: `1 item`, `2 items`.
pub(super) fn count(number: u64, thing: &str) -> String {
    if number == 1 {
        format!("1 {thing}")
    } else {
        format!("{number} {thing}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_text_is_cut_and_kept_on_one_line() {
        assert_eq!(quoted("a\n\"b\""), r#""a\n\"b\"""#);
        assert_eq!(
            quoted(&"x".repeat(1000)),
            format!("\"{}\"…", "x".repeat(40))
        );
    }
}
