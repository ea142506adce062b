//! Values that authors write in doc tags: defaults and examples.

use serde_json::Value;
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
}

impl Sample {
    /// Reads JSON, or for text and names also what has no quotes. Of an option it is what is in it.
    pub(super) fn parse(text: &str, kind: &Kind) -> Result<Self, Why> {
        let shape = Shape::from(kind.beneath_options().clone());
        let unquoted = || decode::value(&shape, Json::String(text.into()));
        let decoded = match Json::parse(text) {
            Ok(json) => {
                decode::value(&shape, json).or_else(|mistakes| unquoted().or(Err(mistakes)))
            }
            Err(_) => unquoted(),
        };
        let (value, room) =
            decoded.map_err(|problem| Why::Malformed(problem.to_string().replace('\n', "; ")))?;
        let value = within_options(value, kind);
        let json = encode::text(&Shape::from(kind.clone()), &value).ok();
        match json.and_then(|json| serde_json::from_str(&json).ok()) {
            Some(json) => Ok(Self { value, room, json }),
            None => Err(Why::Malformed("expected a value of the type".to_owned())),
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
