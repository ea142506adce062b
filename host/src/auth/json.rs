//! JSON as a verifier must read it: one object, no member named twice at any depth, nothing after
//! it. Text is borrowed from the source where it holds no escapes. It knows nothing of tokens.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Above this number of members duplicates are found by sorting: comparing each with each would
/// let a header of 16 KiB, which anybody can send, cost a million comparisons.
const COMPARED_PAIRWISE: usize = 16;

/// One JSON value. It may hold tokens, so only tests can print it.
#[derive(PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

impl<'a> Json<'a> {
    pub(super) fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self {
            Some(object)
        } else {
            None
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self {
            Some(items)
        } else {
            None
        }
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// A point in time in whole seconds since 1970 (RFC 7519 §2, `NumericDate`): fractions are
    /// floored, and what no clock can show is no number.
    pub(super) fn as_seconds(&self) -> Option<i64> {
        const LIMIT: i64 = 9_000_000_000_000_000;
        let Self::Number(number) = self else {
            return None;
        };
        let seconds = match *number {
            Number::Signed(value) => value,
            Number::Unsigned(value) => i64::try_from(value).ok()?,
            // By way of text, since no conversion from floating point is checked.
            Number::Float(value) => format!("{:.0}", value.floor()).parse().ok()?,
        };
        (-LIMIT < seconds && seconds < LIMIT).then_some(seconds)
    }
}

/// A string: a part of the source, or a copy where it holds escapes. The copy may be a secret, and is
/// wiped.
#[derive(PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Text<'a> {
    Part(&'a str),
    Copy(Zeroizing<String>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Part(text) => text,
            Self::Copy(text) => text,
        }
    }
}

/// A JSON number as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

/// The members of a JSON object in the order of the text, each name once.
#[derive(PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// Reads one object and nothing else.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        match serde_json::from_str(text) {
            Ok(Json::Object(object)) => Some(object),
            Ok(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_))
            | Err(_) => None,
        }
    }

    /// The member of this name, null included.
    pub(super) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0
            .iter()
            .find_map(|(member, value)| (member == name).then_some(value))
    }

    /// Whether there is a member of this name, null included.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The member of this name, when it is a string.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    fn names_are_unique(&self) -> bool {
        if self.0.len() <= COMPARED_PAIRWISE {
            let mut rest = self.0.as_slice();
            while let Some(((first, _), others)) = rest.split_first() {
                if others.iter().any(|(name, _)| name == first) {
                    return false;
                }
                rest = others;
            }
            return true;
        }
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        names.windows(2).all(|pair| pair.first() != pair.last())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated member names")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(Number::Signed(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(Number::Unsigned(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Json::Number(Number::Float(value)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Text::Part(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Text::Copy(Zeroizing::new(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = Object(Vec::with_capacity(16));
        while let Some((Name(name), value)) = members.next_entry()? {
            object.0.push((name, value));
        }
        if object.names_are_unique() {
            Ok(Json::Object(object))
        } else {
            Err(A::Error::custom("a member is named twice"))
        }
    }
}

/// A member's name, borrowed where it can be: a plain `Cow` is always copied.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_borrowed_and_escapes_are_read() {
        let object = Object::read(r#"{"a":"b","\u0063":"\u0064"}"#).unwrap();
        assert!(matches!(object.get("a"), Some(Json::Text(Text::Part("b")))));
        assert_eq!(object.text("c"), Some("d"));
    }

    #[test]
    fn a_repeated_name_is_refused_at_any_depth_and_however_it_is_spelled() {
        let many: Vec<String> = (0..40).map(|n| format!("\"m{n}\":{n},")).collect();
        let many = many.concat();
        for text in [
            r#"{"a":1,"a":2}"#.to_owned(),
            r#"{"a":1,"\u0061":2}"#.to_owned(),
            r#"{"o":{"x":{"a":1,"b":2,"a":3}}}"#.to_owned(),
            r#"{"l":[{"a":1,"a":1}]}"#.to_owned(),
            format!("{{{many}\"m7\":0}}"),
        ] {
            assert_eq!(Object::read(&text), None, "{text}");
        }
        assert!(Object::read(&format!("{{{many}\"last\":0}}")).is_some());
    }

    #[test]
    fn only_one_object_is_accepted() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for text in [
            "",
            "[]",
            "null",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            r#"{"a":"\ud800"}"#,
            "{\"a\":1e999}",
            &deep,
        ] {
            assert_eq!(Object::read(text), None, "{text}");
        }
        assert!(Object::read(" {} \n").is_some());
    }

    #[test]
    fn seconds_are_floored_and_bounded() {
        for (text, seconds) in [
            ("5", Some(5)),
            ("-5", Some(-5)),
            ("5.9", Some(5)),
            ("-5.1", Some(-6)),
            ("1.795e9", Some(1_795_000_000)),
            ("-0.0", Some(0)),
            ("8999999999999999", Some(8_999_999_999_999_999)),
            ("9000000000000000", None),
            ("-9000000000000000", None),
            ("18446744073709551615", None),
            ("1e300", None),
            ("\"5\"", None),
            ("null", None),
        ] {
            let value: Json<'_> = serde_json::from_str(text).unwrap();
            assert_eq!(value.as_seconds(), seconds, "{text}");
        }
    }
}
