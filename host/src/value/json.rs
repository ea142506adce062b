//! A JSON document as the caller wrote it: strings borrowed where they can be, numbers with their
//! digits, every key of an object kept, so that a key given twice is seen.

use std::borrow::Cow;

use memchr::memchr2;

/// A JSON value that borrows from its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Number<'a>),
    /// A string.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, in the order of its text.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// A number, exact in whatever type it is read as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number<'a> {
    /// Without fraction or exponent, from zero up.
    Natural(u64),
    /// Without fraction or exponent, below zero.
    Negative(i64),
    /// Any other, as its digits stand in the text. It is finite in 64 bits.
    Float(&'a str),
}

/// A text that is no JSON, or none that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at}")]
pub(super) struct Invalid {
    problem: &'static str,
    at: usize,
}

/// How deep a document may be nested. Walking it takes stack, and callers choose its depth; the
/// deepest value of any shape we publish takes 49 levels.
const DEEPEST: usize = 64;

impl<'a> Json<'a> {
    /// Reads a text. What JSON allows and Unicode or numbers do not (a lone surrogate, `1e999`) is
    /// an error, and so is a document nested beyond [`DEEPEST`].
    pub(super) fn parse(text: &'a str) -> Result<Self, Invalid> {
        let mut reader = Reader { text, at: 0 };
        let json = reader.value(DEEPEST)?;
        match reader.peek() {
            None => Ok(json),
            Some(_) => Err(reader.invalid("something stands behind the value")),
        }
    }
}

impl Number<'_> {
    /// The nearest number of 64 bits.
    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Natural(value) => value.to_string().parse().ok(),
            Self::Negative(value) => value.to_string().parse().ok(),
            Self::Float(text) => text.parse().ok(),
        }
    }
}

impl Number<'_> {
    /// The integer that it is, if it is one. However it is written, that is found by its digits: one
    /// that is nearly an integer is none, even if no float comes nearer.
    pub(super) fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Natural(value) => Some((*value).into()),
            Self::Negative(value) => Some((*value).into()),
            Self::Float(text) => integer(text),
        }
    }
}

/// The most digits of an integer that is written with a fraction or an exponent.
const MOST_DIGITS: usize = 20;

/// The integer that is written with a fraction or an exponent: `5.0`, `1e3`.
fn integer(text: &str) -> Option<i128> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => (-1, mantissa),
        None => (1, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    let noughts = all().rev().take_while(|digit| *digit == b'0').count();
    let digits = whole.len() + fraction.len() - noughts;
    let significant = || all().take(digits).skip_while(|digit| *digit == b'0');
    let count = significant().take(MOST_DIGITS + 1).count();
    if count == 0 {
        return Some(0);
    }
    // The digits times ten to this.
    let shift = i64::try_from(noughts).ok()? - i64::try_from(fraction.len()).ok()?;
    let shift = shift.checked_add(exponent.parse().ok()?)?;
    let shift = usize::try_from(shift).ok()?;
    if count + shift > MOST_DIGITS {
        return None;
    }
    let all = significant().chain(std::iter::repeat_n(b'0', shift));
    let value = all.fold(0, |value, digit| value * 10 + i128::from(digit - b'0'));
    Some(sign * value)
}

/// How a number at the beginning of a text ends, by the grammar of RFC 8259 §6, and whether it has
/// neither fraction nor exponent. None if there is no number.
fn number(text: &[u8]) -> Option<(usize, bool)> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let first = usize::from(text.first() == Some(&b'-'));
    let whole = match text.get(first)? {
        b'0' => first + 1,
        b'1'..=b'9' => digits(first),
        _ => return None,
    };
    let mut end = whole;
    if text.get(end) == Some(&b'.') {
        end = digits(end + 1);
        if end == whole + 1 {
            return None;
        }
    }
    if let Some(b'e' | b'E') = text.get(end) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let start = end + 1 + sign;
        end = digits(start);
        if end == start {
            return None;
        }
    }
    Some((end, end == whole))
}

/// Whether a text is a number with nothing round it. The grammar is JSON's own, so `+5`, `.5`, `05`,
/// `0x10` and `inf` are none.
pub(super) fn is_number(text: &str) -> bool {
    number(text.as_bytes()).is_some_and(|(end, _)| end == text.len())
}

/// Whether a text is a number without fraction or exponent.
pub(super) fn is_integer(text: &str) -> bool {
    number(text.as_bytes()) == Some((text.len(), true))
}

/// Reads a text from front to back.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn invalid(&self, problem: &'static str) -> Invalid {
        Invalid {
            problem,
            at: self.at,
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no space, which is not taken.
    fn peek(&mut self) -> Option<u8> {
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let rest = self.rest();
        let spaces = rest.iter().take_while(is_space).count();
        self.at += spaces;
        rest.get(spaces).copied()
    }

    /// Takes the next byte that is no space, if it is this one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, levels: usize) -> Result<Json<'a>, Invalid> {
        match self.peek() {
            Some(b'"') => self.string().map(Json::String),
            Some(b'{') => self.object(levels),
            Some(b'[') => self.array(levels),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.invalid("expected a value")),
            None => Err(self.invalid("the text ends too early")),
        }
    }

    fn word(&mut self, word: &str, means: Json<'a>) -> Result<Json<'a>, Invalid> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.invalid("expected a value"));
        }
        self.at += word.len();
        Ok(means)
    }

    fn enter(&mut self, levels: usize) -> Result<usize, Invalid> {
        let left = levels.checked_sub(1);
        let left = left.ok_or_else(|| self.invalid("it is nested more than 64 levels deep"))?;
        self.at += 1;
        Ok(left)
    }

    fn array(&mut self, levels: usize) -> Result<Json<'a>, Invalid> {
        let inside = self.enter(levels)?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(inside)?);
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.invalid("expected `,` or `]`"));
            }
        }
    }

    fn object(&mut self, levels: usize) -> Result<Json<'a>, Invalid> {
        let inside = self.enter(levels)?;
        let mut pairs = Vec::new();
        if self.take(b'}') {
            return Ok(Json::Object(pairs));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.invalid("expected a key"));
            }
            let key = self.string()?;
            if !self.take(b':') {
                return Err(self.invalid("expected `:`"));
            }
            pairs.push((key, self.value(inside)?));
            if self.take(b'}') {
                return Ok(Json::Object(pairs));
            }
            if !self.take(b',') {
                return Err(self.invalid("expected `,` or `}`"));
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Invalid> {
        let quote = self.at;
        self.at += 1;
        let mut is_plain = true;
        loop {
            let Some(found) = memchr2(b'"', b'\\', self.rest()) else {
                return Err(self.invalid("a string does not end"));
            };
            let is_end = self.rest().get(found) == Some(&b'"');
            self.at += found + 1;
            if is_end {
                break;
            }
            // Whatever the backslash stands before is no end; what it means is found out below.
            is_plain = false;
            self.at += 1;
        }
        let with_quotes = self.text.get(quote..self.at).unwrap_or_default();
        if is_plain {
            let inside = with_quotes
                .get(1..with_quotes.len() - 1)
                .unwrap_or_default();
            if inside.bytes().any(|byte| byte < b' ') {
                return Err(self.invalid("a control character stands in a string"));
            }
            return Ok(Cow::Borrowed(inside));
        }
        serde_json::from_str(with_quotes)
            .map(Cow::Owned)
            .map_err(|_cause| self.invalid("a string has an escape that means no character"))
    }

    fn number(&mut self) -> Result<Number<'a>, Invalid> {
        let (length, is_integer) =
            number(self.rest()).ok_or_else(|| self.invalid("expected a number"))?;
        let text = self.text.get(self.at..self.at + length).unwrap_or_default();
        if is_integer && text != "-0" {
            if let Ok(value) = text.parse() {
                self.at += length;
                return Ok(Number::Natural(value));
            }
            if let Ok(value) = text.parse() {
                self.at += length;
                return Ok(Number::Negative(value));
            }
        }
        // A short number without an exponent is within the range, so it need not be read twice.
        let may_be_beyond = length > 300 || text.contains(['e', 'E']);
        if may_be_beyond && !text.parse().is_ok_and(f64::is_finite) {
            return Err(self.invalid("a number is out of range"));
        }
        self.at += length;
        Ok(Number::Float(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The same as a tree of `serde_json`, which keeps the last of keys that are given twice.
    fn tree(json: &Json<'_>) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => (*value).into(),
            Json::Number(Number::Natural(value)) => (*value).into(),
            Json::Number(Number::Negative(value)) => (*value).into(),
            Json::Number(number @ Number::Float(_)) => number.as_f64().unwrap().into(),
            Json::String(text) => (**text).into(),
            Json::Array(items) => items.iter().map(tree).collect(),
            Json::Object(pairs) => pairs
                .iter()
                .map(|(key, json)| (key.to_string(), tree(json)))
                .collect(),
        }
    }

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
        for (text, number) in [
            ("18446744073709551615", Number::Natural(u64::MAX)),
            ("-9223372036854775808", Number::Negative(i64::MIN)),
            (
                "18446744073709551616",
                Number::Float("18446744073709551616"),
            ),
            ("5.0", Number::Float("5.0")),
            ("-0", Number::Float("-0")),
        ] {
            assert_eq!(Json::parse(text).unwrap(), Json::Number(number));
        }
        let Json::Object(pairs) = Json::parse(r#"{"a":1,"a":2}"#).unwrap() else {
            panic!("an object")
        };
        assert_eq!(pairs.len(), 2);
    }

    #[test]
    fn an_integer_is_found_by_its_digits() {
        for (text, integer) in [
            ("5.0", Some(5)),
            ("-5.000e0", Some(-5)),
            ("1e3", Some(1000)),
            ("1.50e+1", Some(15)),
            ("120e-1", Some(12)),
            ("-0.0", Some(0)),
            ("0e999999999999999999999", Some(0)),
            ("18446744073709551616", Some(1 << 64)),
            ("5.0000000000000000000000001", None),
            ("0.1e-323", None),
            ("1e-400", None),
            ("1e300", None),
            ("1e99999999999999999999", None),
            ("15e-1", None),
        ] {
            assert_eq!(super::integer(text), integer, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_value_is_refused() {
        let long = format!("1{}", "0".repeat(400));
        for text in [
            "1e999",
            &long,
            r#""\ud800""#,
            "",
            "1 2",
            "{\"a\"}",
            "nul",
            "\"a\tb\"",
            "01",
            "1.",
            "-",
        ] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
        assert!(Json::parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
        assert!(Json::parse(&format!("{}{}", "[".repeat(65), "]".repeat(65))).is_err());
        assert!(Json::parse(&"[".repeat(1_000_000)).is_err());
    }

    proptest! {
        #![proptest_config(crate::cases::config())]

        #[test]
        fn what_is_read_is_what_serde_json_reads(
            text in "([\\[\\]{}\",:]|[ \\n\\t]|true|false|null|-?[0-9.eE+-]{1,6}|\"([a-z\\\\é\\u{1}]|\\\\[nut\"\\\\/]|\\\\u[0-9a-fD]{4}){0,6}\"){1,12}",
        ) {
            let ours = Json::parse(&text).ok().map(|json| tree(&json));
            let theirs = serde_json::from_str::<Value>(&text).ok();
            prop_assert_eq!(ours, theirs, "{}", text);
        }

        #[test]
        fn a_document_is_read_as_serde_json_wrote_it(
            values in proptest::collection::vec((any::<String>(), any::<f64>(), any::<i64>(), any::<bool>()), 0..6),
        ) {
            let document = serde_json::json!({ "values": values, "empty": [{}, [], null] });
            for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
                prop_assert_eq!(tree(&Json::parse(&text).unwrap()), document.clone(), "{}", text);
            }
        }
    }
}
