//! Values that authors write in doc tags: defaults and examples.

use serde_json::{Value, json};
use wasmtime::component::Val;

use super::Why;
use crate::value::json::Json;
use crate::value::{Kind, Shape, decode, encode};

/// A value that an author wrote, in each form it is needed in.
#[derive(Clone, Debug)]
pub(in crate::value) struct Sample {
    /// For the component.
    pub(in crate::value) value: Val,
    /// The memory a copy of it takes.
    pub(in crate::value) room: usize,
    /// For the schema, with the names that callers see.
    pub(super) json: Value,
    /// How many bytes that takes.
    pub(super) size: usize,
}

/// How long a value may be as an author writes it, in bytes.
const LONGEST: usize = 4 << 10;

/// How much memory it may take. A default is kept for each parameter that has one, and copied by each
/// call that leaves it out.
const LARGEST: usize = 32 << 10;

impl Sample {
    /// Reads JSON, or for text and names also what has no quotes. Of an option it is what is in it.
    pub(super) fn parse(text: &str, kind: &Kind) -> Result<Self, Why> {
        if text.len() > LONGEST {
            let problem = format!("it has {} bytes; at most {LONGEST} are read", text.len());
            return Err(Why::Malformed(problem));
        }
        let shape = Shape::from(kind.beneath_options().clone());
        let unquoted = || decode::value(&shape, Json::String(text.into()), LARGEST);
        let decoded = match Json::parse(text) {
            Ok(json) => decode::value(&shape, json, LARGEST)
                .or_else(|mistakes| unquoted().or(Err(mistakes))),
            Err(_) => unquoted(),
        };
        let (value, room) =
            decoded.map_err(|problem| Why::Malformed(problem.to_string().replace('\n', "; ")))?;
        let value = within_options(value, kind);
        let json = encode::text(&Shape::from(kind.clone()), &value).ok();
        match json.and_then(|json| Some((serde_json::from_str(&json).ok()?, json.len()))) {
            Some((json, size)) => Ok(Self {
                value,
                room,
                json,
                size,
            }),
            None => Err(Why::Malformed("expected a value of the type".to_owned())),
        }
    }

    /// The same value in an option of this kind.
    pub(super) fn within_option(&self, kind: &Kind) -> Self {
        let json = self.json.clone();
        Self {
            value: Val::Option(Some(Box::new(self.value.clone()))),
            json: if matches!(kind, Kind::Option(_)) {
                json!({ "some": json })
            } else {
                json
            },
            ..*self
        }
    }
}

fn within_options(value: Val, kind: &Kind) -> Val {
    if let Kind::Option(inner) = kind {
        Val::Option(Some(Box::new(within_options(value, &inner.kind))))
    } else {
        value
    }
}
