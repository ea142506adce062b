//! Numbers, characters and bytes. Models quote numbers and write `5.0` for 5; that is accepted.
//! What would lose a digit or guess a meaning is not.

use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use wasmtime::component::Val;

use super::Decoder;
use crate::value::json::{Json, Number, is_integer, is_number};
use crate::value::pointer::Pointer;
use crate::value::{Kind, Shape};

/// The greatest integer up to which every integer is exact as a JSON number in all readers: 2^53−1.
pub(in crate::value) const EXACT: u64 = (1 << 53) - 1;

/// No number of ours has more characters; longer texts are not read as one.
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
            Json::Number(number @ Number::Float(_)) if wide && number.as_integer().is_some() => {
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
            Json::Number(number) => number.as_f64(),
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
        // famous case), so the digits that were sent are read as 32 bits.
        let value = match json {
            Json::Number(Number::Natural(value)) => read32(&value.to_string()),
            Json::Number(Number::Negative(value)) => read32(&value.to_string()),
            Json::Number(Number::Float(text)) => {
                text.parse().ok().filter(|it: &f32| it.is_finite())
            }
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
        // Beyond 2^53−1 it may have been another integer before it was written as a float.
        Json::Number(number @ Number::Float(_)) => number
            .as_integer()
            .filter(|value| value.unsigned_abs() <= EXACT.into()),
        Json::Number(number) => number.as_integer(),
        Json::String(text) if text.len() <= LONGEST_NUMBER && is_integer(text) => text.parse().ok(),
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Reads a number of JSON's grammar that is finite in 64 bits.
pub(in crate::value) fn read(text: &str) -> Option<f64> {
    number(text).filter(|value: &f64| value.is_finite())
}

/// The same in 32 bits.
fn read32(text: &str) -> Option<f32> {
    number(text).filter(|value: &f32| value.is_finite())
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_read = text.len() <= LONGEST_NUMBER && is_number(text);
    is_read.then(|| text.parse().ok()).flatten()
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
