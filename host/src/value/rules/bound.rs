//! The least or the greatest value of a number.

use std::fmt;

use serde_json::{Number, Value};

use super::Why;
use crate::value::Kind;
use crate::value::decode::read;

/// A number that values are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    /// For the integer types.
    Whole(i128),
    /// For the float types.
    Float(f64),
}

impl Bound {
    /// Reads a bound for values of this kind, within the range of the kind.
    pub(super) fn parse(text: &str, kind: &Kind) -> Result<Self, Why> {
        if let Some((least, greatest)) = kind.range() {
            let whole = text
                .parse()
                .ok()
                .filter(|whole| (least..=greatest).contains(whole));
            let problem =
                || Why::Malformed(format!("expected an integer from {least} to {greatest}"));
            return whole.map(Self::Whole).ok_or_else(problem);
        }
        if matches!(kind, Kind::F32 | Kind::F64) {
            return read(text)
                .map(Self::Float)
                .ok_or_else(|| Why::Malformed("expected a number".to_owned()));
        }
        Err(Why::OtherKind)
    }

    /// An `f32` as its shortest decimal says it: 0.1 is not above a bound of 0.1, though the same
    /// bits read as an `f64` are.
    pub(super) fn of_f32(value: f32) -> Self {
        Self::Float(value.to_string().parse().unwrap_or(value.into()))
    }

    /// Whether this is not above the other. NaN compares with nothing, so it keeps to no bound.
    pub(super) fn is_at_most(self, other: Self) -> bool {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one <= other,
            (Self::Float(one), Self::Float(other)) => one <= other,
            (Self::Whole(_), Self::Float(_)) | (Self::Float(_), Self::Whole(_)) => false,
        }
    }

    pub(super) fn json(self) -> Option<Value> {
        match self {
            Self::Whole(value) => Number::from_i128(value).map(Value::Number),
            Self::Float(value) => Number::from_f64(value).map(Value::Number),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
        }
    }
}
