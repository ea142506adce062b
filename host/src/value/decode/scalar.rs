//! Numbers, characters and bytes. Models quote numbers and write `5.0` for 5; that is accepted.
//! What would lose a digit or guess a meaning is not.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use wasmtime::component::Val;

use super::Decoder;
use crate::value::json::{Json, Number};
use crate::value::pointer::Pointer;
use crate::value::{Kind, Shape};

/// The greatest integer up to which every integer is exact as a JSON number in all readers: 2^53−1.
pub(in crate::value) const EXACT: u64 = (1 << 53) - 1;

/// [`EXACT`] as a float.
const EXACT_FLOAT: f64 = 9_007_199_254_740_991.0;

/// No number of ours has more characters; longer ones are not read.
const LONGEST_NUMBER: usize = 400;

impl Decoder {
    pub(super) fn bool(&mut self, shape: &Shape, json: &Json<'_>, at: &Pointer<'_>) -> Option<Val> {
        match json {
            Json::Bool(value) => Some(Val::Bool(*value)),
            Json::String(text) if self.are_texts && text == "true" => Some(Val::Bool(true)),
            Json::String(text) if self.are_texts && text == "false" => Some(Val::Bool(false)),
            Json::Null | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
                self.unexpected(shape, json, at)
            }
        }
    }

    pub(super) fn integer<T: TryFrom<i128>>(
        &mut self,
        shape: &Shape,
        json: &Json<'_>,
        at: &Pointer<'_>,
        wrap: fn(T) -> Val,
    ) -> Option<Val> {
        if let Some(value) = integer(json).and_then(|whole| T::try_from(whole).ok()) {
            return Some(wrap(value));
        }
        let wide = matches!(shape.kind, Kind::S64 | Kind::U64);
        let hint = match json {
            Json::Number(Number::Float(value)) if wide && value.fract() == 0.0 => {
                " (send an integer beyond 9007199254740991 as a string of digits)"
            }
            Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::String(_)
            | Json::Array(_)
            | Json::Object(_) => "",
        };
        self.unexpected_because(shape, json, at, hint)
    }

    pub(super) fn float64(
        &mut self,
        shape: &Shape,
        json: &Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        let value = match json {
            Json::Number(Number::Natural(value)) => read(&value.to_string()),
            Json::Number(Number::Negative(value)) => read(&value.to_string()),
            Json::Number(Number::Float(value)) => Some(*value),
            Json::String(text) => named(text).or_else(|| read(text)),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        };
        value
            .map(Val::Float64)
            .or_else(|| self.unexpected(shape, json, at))
    }

    pub(super) fn float32(
        &mut self,
        shape: &Shape,
        json: &Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        // Rounding to 64 bits and then to 32 is not always rounding to 32 (7.038531e-26 is the
        // famous case), so the decimal digits are read again, as 32 bits.
        let value = match json {
            Json::Number(Number::Natural(value)) => read32(&value.to_string()),
            Json::Number(Number::Negative(value)) => read32(&value.to_string()),
            Json::Number(Number::Float(value)) => read32(&value.to_string()),
            Json::String(text) => named(text).or_else(|| read32(text)),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        };
        value
            .map(Val::Float32)
            .or_else(|| self.unexpected(shape, json, at))
    }

    pub(super) fn char(&mut self, shape: &Shape, json: &Json<'_>, at: &Pointer<'_>) -> Option<Val> {
        if let Json::String(text) = json {
            let mut letters = text.chars();
            if let (Some(letter), None) = (letters.next(), letters.next()) {
                return Some(Val::Char(letter));
            }
        }
        self.unexpected(shape, json, at)
    }

    pub(super) fn string(
        &mut self,
        shape: &Shape,
        json: Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        match json {
            Json::String(text) => Some(Val::String(text.into_owned())),
            other @ (Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::Array(_)
            | Json::Object(_)) => self.unexpected(shape, &other, at),
        }
    }

    pub(super) fn bytes(&mut self, shape: &Shape, json: Json<'_>, at: &Pointer<'_>) -> Option<Val> {
        match json {
            Json::String(text) => {
                // A byte is a whole value to the component model.
                let length = text.len().div_ceil(4).saturating_mul(3);
                self.take_room(length.saturating_mul(size_of::<Val>()), at)?;
                let engine = if text.contains(['-', '_']) {
                    &URL_SAFE
                } else {
                    &STANDARD
                };
                match engine.decode(text.as_bytes()) {
                    Ok(bytes) => Some(Val::List(bytes.into_iter().map(Val::U8).collect())),
                    Err(_) => self.unexpected(shape, &Json::String(text), at),
                }
            }
            Json::Array(items) => {
                let byte = Shape::from(Kind::U8);
                self.items(items.into_iter().map(|item| (&byte, item)), at)
                    .map(Val::List)
            }
            other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) => {
                self.unexpected(shape, &other, at)
            }
        }
    }
}

/// Base64 with or without padding, in the alphabet of RFC 4648 §4 or of §5.
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDED_OR_NOT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDED_OR_NOT);
const PADDED_OR_NOT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The integer that a document means: a number without fraction, or a string of decimal digits.
pub(in crate::value) fn integer(json: &Json<'_>) -> Option<i128> {
    match json {
        Json::Number(Number::Natural(value)) => Some(i128::from(*value)),
        Json::Number(Number::Negative(value)) => Some(i128::from(*value)),
        // A float beyond 2^53−1 may have been another integer in the text.
        Json::Number(Number::Float(value))
            if value.fract() == 0.0 && value.abs() <= EXACT_FLOAT =>
        {
            format!("{value:.0}").parse().ok()
        }
        Json::String(text) if is_number(text) => serde_json::from_str(text).ok(),
        Json::Null
        | Json::Bool(_)
        | Json::Number(_)
        | Json::String(_)
        | Json::Array(_)
        | Json::Object(_) => None,
    }
}

/// Whether a text can be a JSON number with nothing round it. The grammar is then JSON's own, so
/// `+5`, `.5`, `0x10` and `inf` are none.
fn is_number(text: &str) -> bool {
    text.len() <= LONGEST_NUMBER
        && text.starts_with(|letter: char| letter == '-' || letter.is_ascii_digit())
        && text.ends_with(|letter: char| letter.is_ascii_digit())
}

pub(in crate::value) fn read(text: &str) -> Option<f64> {
    is_number(text)
        .then(|| serde_json::from_str(text).ok())
        .flatten()
        .filter(|value: &f64| value.is_finite())
}

fn read32(text: &str) -> Option<f32> {
    is_number(text)
        .then(|| text.parse().ok())
        .flatten()
        .filter(|value: &f32| value.is_finite())
}

/// The numbers that JSON has no numbers for.
fn named<T: From<f32>>(text: &str) -> Option<T> {
    match text {
        "NaN" => Some(f32::NAN.into()),
        "Infinity" => Some(f32::INFINITY.into()),
        "-Infinity" => Some(f32::NEG_INFINITY.into()),
        _ => None,
    }
}
