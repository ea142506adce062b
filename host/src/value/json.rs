//! A JSON document as the caller wrote it: strings borrowed where they can be, numbers exact,
//! every key of an object kept, so that a key given twice is seen.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value that borrows from its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, in the order of its text.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// A number, exact if it is written as an integer that fits 64 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Without fraction or exponent, from zero up.
    Natural(u64),
    /// Without fraction or exponent, below zero.
    Negative(i64),
    /// Any other, rounded to 64 bits.
    Float(f64),
}

impl<'a> Json<'a> {
    /// Reads a text. What JSON allows and Unicode or numbers do not (a lone surrogate, `1e999`) is
    /// an error, and so is a document nested beyond [`DEEPEST`].
    pub(super) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut source = serde_json::Deserializer::from_str(text);
        let json = Level(DEEPEST).deserialize(&mut source)?;
        source.end()?;
        Ok(json)
    }
}

/// How deep a document may be nested. Walking it takes stack, and callers choose its depth; the
/// deepest value of any shape we publish takes 49 levels.
const DEEPEST: usize = 64;

/// How many levels may still be entered.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn enter<E: Error>(self) -> Result<Self, E> {
        let left = self.0.checked_sub(1);
        left.map(Self)
            .ok_or_else(|| E::custom(format_args!("nested more than {DEEPEST} levels deep")))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Json<'de>, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(Number::Natural(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(
            u64::try_from(value).map_or(Number::Negative(value), Number::Natural),
        ))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(Number::Float(value)))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let inside = self.enter()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let inside = self.enter()?;
        let mut object = Vec::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            object.push((key, entries.next_value_seed(inside)?));
        }
        Ok(Json::Object(object))
    }
}

/// The key of an object, borrowed where it needs no unescaping.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Cow<'de, str>, D::Error> {
        source.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_without_escapes_are_borrowed() {
        assert!(matches!(
            Json::parse(r#""plain""#).unwrap(),
            Json::String(Cow::Borrowed("plain"))
        ));
        assert!(
            matches!(Json::parse(r#""a\nb""#).unwrap(), Json::String(Cow::Owned(text)) if text == "a\nb")
        );
    }

    #[test]
    fn numbers_are_exact_and_repeated_keys_are_kept() {
        assert_eq!(
            Json::parse("18446744073709551615").unwrap(),
            Json::Number(Number::Natural(u64::MAX))
        );
        assert_eq!(
            Json::parse("-9223372036854775808").unwrap(),
            Json::Number(Number::Negative(i64::MIN))
        );
        assert_eq!(
            Json::parse("5.0").unwrap(),
            Json::Number(Number::Float(5.0))
        );
        let Json::Object(pairs) = Json::parse(r#"{"a":1,"a":2}"#).unwrap() else {
            panic!("an object")
        };
        assert_eq!(pairs.len(), 2);
    }

    #[test]
    fn what_cannot_be_a_value_is_refused() {
        for text in ["1e999", r#""\ud800""#, "", "1 2", "{\"a\"}", "nul"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
        assert!(Json::parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
        assert!(Json::parse(&format!("{}{}", "[".repeat(65), "]".repeat(65))).is_err());
        assert!(Json::parse(&"[".repeat(1_000_000)).is_err());
    }
}
