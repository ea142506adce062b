//! Lists, tuples and maps.

use std::borrow::Cow;
use std::collections::HashSet;

use wasmtime::component::Val;

use super::{Decoder, Object};
use crate::value::Shape;
use crate::value::encode;
use crate::value::json::{Json, is_integer};
use crate::value::pointer::Pointer;
use crate::value::words;

impl Decoder {
    /// Decodes items in their order; all of them, so that all mistakes are found.
    pub(super) fn items<'s, 'j>(
        &mut self,
        items: impl ExactSizeIterator<Item = (&'s Shape, Json<'j>)>,
        at: &Pointer<'_>,
    ) -> Option<Vec<Val>> {
        let mut values = Vec::with_capacity(items.len());
        let mut sound = true;
        for (index, (shape, json)) in items.enumerate() {
            match self.value(shape, json, &at.item(index)) {
                Some(value) => values.push(value),
                None => sound = false,
            }
        }
        sound.then_some(values)
    }

    pub(super) fn list(
        &mut self,
        shape: &Shape,
        item: &Shape,
        length: Option<u32>,
        json: Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Vec<Val>> {
        let fits = |items: usize| length.is_none_or(|length| u32::try_from(items) == Ok(length));
        match json {
            Json::Array(items) if fits(items.len()) => {
                self.items(items.into_iter().map(|json| (item, json)), at)
            }
            other @ (Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::String(_)
            | Json::Array(_)
            | Json::Object(_)) => self.unexpected(shape, &other, at),
        }
    }

    /// A tuple is an array, or an object whose keys are the positions.
    pub(super) fn tuple(
        &mut self,
        shape: &Shape,
        shapes: &[Shape],
        json: Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        let items = match json {
            Json::Array(items) if items.len() == shapes.len() => items,
            Json::Object(pairs) => match by_position(pairs, shapes.len()) {
                Ok(items) => items,
                Err(pairs) => return self.unexpected(shape, &Json::Object(pairs), at),
            },
            other @ (Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::String(_)
            | Json::Array(_)) => {
                return self.unexpected(shape, &other, at);
            }
        };
        self.items(shapes.iter().zip(items), at).map(Val::Tuple)
    }

    /// A map is an array of pairs; where the keys are text, also an object.
    pub(super) fn map(
        &mut self,
        shape: &Shape,
        key_shape: &Shape,
        value_shape: &Shape,
        json: Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        let mut sound = true;
        match json {
            Json::Object(pairs) => {
                for (name, json) in pairs {
                    let place = at.key(&name);
                    let key = self.value(key_shape, Json::String(Cow::Borrowed(&name)), &place);
                    let value = self.value(value_shape, json, &place);
                    sound &= self.entry(key_shape, key, value, &mut entries, &mut seen, &place);
                }
            }
            Json::Array(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    let place = at.item(index);
                    let Some((key, value)) = self.pair(item, &place) else {
                        sound = false;
                        continue;
                    };
                    let key = self.value(key_shape, key, &place.item(0));
                    let value = self.value(value_shape, value, &place.item(1));
                    sound &= self.entry(key_shape, key, value, &mut entries, &mut seen, &place);
                }
            }
            other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => {
                return self.unexpected(shape, &other, at);
            }
        }
        sound.then_some(Val::Map(entries))
    }

    fn entry(
        &mut self,
        key_shape: &Shape,
        key: Option<Val>,
        value: Option<Val>,
        entries: &mut Vec<(Val, Val)>,
        seen: &mut HashSet<String>,
        at: &Pointer<'_>,
    ) -> bool {
        let (Some(key), Some(value)) = (key, value) else {
            return false;
        };
        // Equal keys have equal JSON, whatever their spelling was.
        let Ok(name) = encode::text(key_shape, &key) else {
            self.mistakes.add(at, || {
                format!("expected {} as the key", words::expected(key_shape))
            });
            return false;
        };
        let first = seen.insert(name);
        if first {
            entries.push((key, value));
        } else {
            self.mistakes.add(at, || "key given twice".to_owned());
        }
        first
    }

    fn pair<'j>(&mut self, json: Json<'j>, at: &Pointer<'_>) -> Option<(Json<'j>, Json<'j>)> {
        let other = match json {
            Json::Array(items) => match <[_; 2]>::try_from(items) {
                Ok([key, value]) => return Some((key, value)),
                Err(items) => Json::Array(items),
            },
            Json::Object(pairs) => match <[_; 2]>::try_from(pairs) {
                Ok([(one, key), (two, value)]) if one == "key" && two == "value" => {
                    return Some((key, value));
                }
                Ok([(one, value), (two, key)]) if one == "value" && two == "key" => {
                    return Some((key, value));
                }
                Ok(pairs) => Json::Object(pairs.into()),
                Err(pairs) => Json::Object(pairs),
            },
            other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => other,
        };
        self.refuse(at, || {
            format!("expected a [key, value] pair; got {}", words::got(&other))
        })
    }
}

/// Makes an object of positions an array, or gives it back when it is none.
fn by_position(pairs: Object<'_>, length: usize) -> Result<Vec<Json<'_>>, Object<'_>> {
    let mut seen = vec![false; length];
    let is_one = pairs.len() == length
        && pairs.iter().all(|(key, _)| {
            let place = position(key).and_then(|position| seen.get_mut(position));
            place.is_some_and(|seen| !std::mem::replace(seen, true))
        });
    if !is_one {
        return Err(pairs);
    }
    let mut items: Vec<_> = pairs
        .into_iter()
        .map(|(key, json)| (position(&key), json))
        .collect();
    items.sort_by_key(|(position, _)| *position);
    Ok(items.into_iter().map(|(_, json)| json).collect())
}

/// A position as it is written: `0`, `12`, and not `012` or `+1`.
fn position(key: &str) -> Option<usize> {
    is_integer(key).then(|| key.parse().ok()).flatten()
}
