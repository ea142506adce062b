//! Writes values as JSON text, with no tree between, and no further than a result may go.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use wasmtime::component::Val;

use super::{NotEncoded, noun, odd};
use crate::value::decode::EXACT;
use crate::value::pointer::Pointer;
use crate::value::{Kind, Shape};

/// The JSON of one value, without a limit.
pub(in crate::value) fn text(shape: &Shape, value: &Val) -> Result<String, NotEncoded> {
    let room = Room::new(usize::MAX);
    serde_json::to_string(&Written::new(shape, value, &room)).map_err(|error| room.cause(&error))
}

/// The JSON of one value, under the key `result` if it is `wrapped`. It has at most `limit` bytes.
pub(super) fn raw(
    shape: &Shape,
    value: &Val,
    wrapped: bool,
    limit: usize,
) -> Result<Box<RawValue>, NotEncoded> {
    let room = Room::new(limit);
    let written = Written::new(shape, value, &room);
    let raw = if wrapped {
        to_raw_value(&Wrapped(written))
    } else {
        to_raw_value(&written)
    };
    let raw = raw.map_err(|error| room.cause(&error))?;
    if raw.get().len() > limit {
        return Err(NotEncoded::TooLarge);
    }
    Ok(raw)
}

/// How much may still be written, and why writing stopped. A type can stand for more JSON than a guest
/// has memory: a case takes a byte there, and its name up to 64 here.
struct Room {
    left: Cell<usize>,
    stopped: RefCell<Option<NotEncoded>>,
}

impl Room {
    fn new(limit: usize) -> Self {
        Self {
            left: Cell::new(limit),
            stopped: RefCell::new(None),
        }
    }

    /// Counts bytes that are about to be written.
    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.stop(NotEncoded::TooLarge)),
        }
    }

    fn stop<E: Error>(&self, cause: NotEncoded) -> E {
        *self.stopped.borrow_mut() = Some(cause);
        E::custom("stopped")
    }

    /// Why writing ended in this error.
    fn cause(&self, error: &serde_json::Error) -> NotEncoded {
        let stopped = self.stopped.borrow_mut().take();
        stopped.unwrap_or_else(|| odd("JSON", &error.to_string()))
    }
}

/// A value with its shape, as JSON.
struct Written<'a> {
    shape: &'a Shape,
    value: &'a Val,
    at: Pointer<'a>,
    room: &'a Room,
}

/// A value that is no object, in one.
struct Wrapped<'a>(Written<'a>);

impl Serialize for Wrapped<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.room.take("{\"result\":}".len())?;
        let mut object = out.serialize_map(Some(1))?;
        object.serialize_entry("result", &self.0)?;
        object.end()
    }
}

impl<'a> Written<'a> {
    fn new(shape: &'a Shape, value: &'a Val, room: &'a Room) -> Self {
        Self {
            shape,
            value,
            at: Pointer::Root,
            room,
        }
    }

    fn inner<'b>(&'b self, shape: &'b Shape, value: &'b Val, at: Pointer<'b>) -> Written<'b> {
        Written {
            shape,
            value,
            at,
            room: self.room,
        }
    }

    /// The value is of another type than its shape.
    fn odd<E: Error>(&self) -> E {
        self.room.stop(NotEncoded::Odd {
            pointer: self.at.to_string(),
            expected: format!("`{}`", self.shape.kind.wit()),
            got: noun(self.value).to_owned(),
        })
    }

    /// Writes what has a literal in JSON that is no text.
    fn literal<S: Serializer>(&self, out: S, value: &impl Serialize) -> Result<S::Ok, S::Error> {
        // Most take more, but never more than the value itself does.
        self.room.take(1)?;
        value.serialize(out)
    }

    fn text<S: Serializer>(&self, out: S, text: &str) -> Result<S::Ok, S::Error> {
        self.room.take(length(text))?;
        out.serialize_str(text)
    }

    /// Counts and writes a key.
    fn key<M: SerializeMap>(&self, object: &mut M, key: &str) -> Result<(), M::Error> {
        self.room.take(length(key).saturating_add(2))?;
        object.serialize_key(key)
    }

    fn sequence<S: Serializer>(
        &self,
        out: S,
        items: impl ExactSizeIterator<Item = (&'a Shape, &'a Val)>,
    ) -> Result<S::Ok, S::Error> {
        self.room.take(items.len().saturating_add(1))?;
        let mut array = out.serialize_seq(Some(items.len()))?;
        for (index, (shape, value)) in items.enumerate() {
            array.serialize_element(&self.inner(shape, value, self.at.item(index)))?;
        }
        array.end()
    }

    /// An object with one key.
    fn single<S: Serializer>(
        &self,
        out: S,
        key: &str,
        payload: Option<(&Shape, &Val)>,
    ) -> Result<S::Ok, S::Error> {
        self.room.take(2)?;
        let mut object = out.serialize_map(Some(1))?;
        self.key(&mut object, key)?;
        if let Some((shape, value)) = payload {
            object.serialize_value(&self.inner(shape, value, self.at.key(key)))?;
        } else {
            self.room.take("null".len())?;
            object.serialize_value(&())?;
        }
        object.end()
    }

    fn record<S: Serializer>(
        &self,
        out: S,
        fields: &[crate::value::Member],
        values: &[(String, Val)],
    ) -> Result<S::Ok, S::Error> {
        self.room.take(2)?;
        let mut object = out.serialize_map(None)?;
        for (field, (name, value)) in fields.iter().zip(values) {
            if field.wit != *name {
                return Err(self.odd());
            }
            // An option that is none is left out.
            if !matches!(
                (&field.shape.kind, value),
                (Kind::Option(_), Val::Option(None))
            ) {
                self.key(&mut object, &field.json)?;
                object.serialize_value(&self.inner(
                    &field.shape,
                    value,
                    self.at.key(&field.json),
                ))?;
            }
        }
        object.end()
    }

    fn tagged<S: Serializer>(
        &self,
        out: S,
        tag: &str,
        payload: Option<(&Shape, &Val)>,
    ) -> Result<S::Ok, S::Error> {
        self.room.take(2)?;
        let mut object = out.serialize_map(None)?;
        self.key(&mut object, "tag")?;
        self.room.take(length(tag))?;
        object.serialize_value(tag)?;
        if let Some((shape, value)) = payload {
            self.key(&mut object, "val")?;
            object.serialize_value(&self.inner(shape, value, self.at.key("val")))?;
        }
        object.end()
    }

    /// Writes a map as an object where its keys are text, otherwise as an array of pairs. Where a key
    /// occurs more than once the last value counts, as in the canonical ABI.
    fn map<S: Serializer>(
        &self,
        out: S,
        key_shape: &Shape,
        value_shape: &Shape,
        entries: &[(Val, Val)],
    ) -> Result<S::Ok, S::Error> {
        if let Kind::String = key_shape.kind {
            let mut last = HashMap::new();
            for (index, (key, _)) in entries.iter().enumerate() {
                let Val::String(key) = key else {
                    return Err(self.odd());
                };
                last.insert(key.as_str(), index);
            }
            self.room.take(2)?;
            let mut object = out.serialize_map(None)?;
            for (index, (key, value)) in entries.iter().enumerate() {
                if let Val::String(key) = key
                    && last.get(key.as_str()) == Some(&index)
                {
                    self.key(&mut object, key)?;
                    object.serialize_value(&self.inner(value_shape, value, self.at.item(index)))?;
                }
            }
            return object.end();
        }
        let mut last = HashMap::new();
        for (index, (key, _)) in entries.iter().enumerate() {
            let key = text(key_shape, key).map_err(|cause| self.room.stop::<S::Error>(cause))?;
            last.insert(key, index);
        }
        let mut kept: Vec<usize> = last.into_values().collect();
        kept.sort_unstable();
        self.room.take(2)?;
        let mut array = out.serialize_seq(Some(kept.len()))?;
        for index in kept {
            if let Some((key, value)) = entries.get(index) {
                let at = self.at.item(index);
                self.room.take("[,],".len())?;
                array.serialize_element(&[
                    self.inner(key_shape, key, at),
                    self.inner(value_shape, value, at),
                ])?;
            }
        }
        array.end()
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match (&self.shape.kind, self.value) {
            (Kind::Bool, Val::Bool(value)) => self.literal(out, value),
            (Kind::S8, Val::S8(value)) => self.literal(out, value),
            (Kind::S16, Val::S16(value)) => self.literal(out, value),
            (Kind::S32, Val::S32(value)) => self.literal(out, value),
            (Kind::S64, Val::S64(value)) if value.unsigned_abs() <= EXACT => {
                self.literal(out, value)
            }
            (Kind::S64, Val::S64(value)) => self.text(out, &value.to_string()),
            (Kind::U8, Val::U8(value)) => self.literal(out, value),
            (Kind::U16, Val::U16(value)) => self.literal(out, value),
            (Kind::U32, Val::U32(value)) => self.literal(out, value),
            (Kind::U64, Val::U64(value)) if *value <= EXACT => self.literal(out, value),
            (Kind::U64, Val::U64(value)) => self.text(out, &value.to_string()),
            (Kind::F32, Val::Float32(value)) if value.is_finite() => self.literal(out, value),
            (Kind::F32, Val::Float32(value)) => self.text(out, not_finite((*value).into())),
            (Kind::F64, Val::Float64(value)) if value.is_finite() => self.literal(out, value),
            (Kind::F64, Val::Float64(value)) => self.text(out, not_finite(*value)),
            (Kind::Char, Val::Char(value)) => self.text(out, value.encode_utf8(&mut [0; 4])),
            (Kind::String, Val::String(value)) => self.text(out, value),
            (Kind::Bytes, Val::List(items)) => {
                self.room
                    .take(base64_length(items.len()).saturating_add(2))?;
                match base64(items) {
                    Some(text) => out.serialize_str(&text),
                    None => Err(self.odd()),
                }
            }
            (Kind::List(item), Val::List(items)) => {
                self.sequence(out, items.iter().map(|value| (&**item, value)))
            }
            (Kind::FixedList(item, length), Val::FixedLengthList(items))
                if u32::try_from(items.len()) == Ok(*length) =>
            {
                self.sequence(out, items.iter().map(|value| (&**item, value)))
            }
            (Kind::Tuple(shapes), Val::Tuple(items)) if shapes.len() == items.len() => {
                self.sequence(out, shapes.iter().zip(items))
            }
            (Kind::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
                self.record(out, fields.items(), values)
            }
            (Kind::Variant(cases), Val::Variant(name, payload)) => {
                match cases
                    .by_wit(name)
                    .map(|case| (case, &case.payload, payload))
                {
                    Some((case, None, None)) if cases.is_plain() => self.text(out, &case.json),
                    Some((case, None, None)) => self.tagged(out, &case.json, None),
                    Some((case, Some(shape), Some(value))) => {
                        self.tagged(out, &case.json, Some((shape, value)))
                    }
                    Some((_, Some(_), None) | (_, None, Some(_))) | None => Err(self.odd()),
                }
            }
            (Kind::Enum(cases), Val::Enum(name)) => match cases.by_wit(name) {
                Some(case) => self.text(out, &case.json),
                None => Err(self.odd()),
            },
            (Kind::Flags(flags), Val::Flags(names)) => {
                if !names.iter().all(|name| flags.by_wit(name).is_some()) {
                    return Err(self.odd());
                }
                self.room.take(2)?;
                let mut array = out.serialize_seq(None)?;
                // In the order of the declaration, whatever the order of the value.
                for flag in flags.iter().filter(|flag| names.contains(&flag.wit)) {
                    self.room.take(length(&flag.json).saturating_add(1))?;
                    array.serialize_element(&flag.json)?;
                }
                array.end()
            }
            (Kind::Option(_), Val::Option(None)) => {
                self.room.take("null".len())?;
                out.serialize_unit()
            }
            (Kind::Option(inner), Val::Option(Some(value)))
                if matches!(inner.kind, Kind::Option(_)) =>
            {
                self.single(out, "some", Some((inner, value)))
            }
            (Kind::Option(inner), Val::Option(Some(value))) => {
                self.inner(inner, value, self.at).serialize(out)
            }
            (Kind::Result { ok, err }, Val::Result(value)) => {
                let (key, shape, payload) = match value {
                    Ok(payload) => ("ok", ok, payload),
                    Err(payload) => ("err", err, payload),
                };
                match (shape, payload) {
                    (None, None) => self.single(out, key, None),
                    (Some(shape), Some(value)) => self.single(out, key, Some((shape, value))),
                    (Some(_), None) | (None, Some(_)) => Err(self.odd()),
                }
            }
            (Kind::Map(key, value), Val::Map(entries)) => self.map(out, key, value, entries),
            (
                Kind::Bool
                | Kind::S8
                | Kind::S16
                | Kind::S32
                | Kind::S64
                | Kind::U8
                | Kind::U16
                | Kind::U32
                | Kind::U64
                | Kind::F32
                | Kind::F64
                | Kind::Char
                | Kind::String
                | Kind::Bytes
                | Kind::List(_)
                | Kind::FixedList(..)
                | Kind::Tuple(_)
                | Kind::Record(_)
                | Kind::Variant(_)
                | Kind::Enum(_)
                | Kind::Flags(_)
                | Kind::Option(_)
                | Kind::Result { .. }
                | Kind::Map(..),
                _,
            ) => Err(self.odd()),
        }
    }
}

/// How many bytes a text takes as JSON, quotes and escapes included.
fn length(text: &str) -> usize {
    let escapes = |bytes: &[u8]| bytes.iter().copied().map(more).sum::<u8>();
    // So few at a time that they add up in a byte, which processors do many of at once.
    text.as_bytes()
        .chunks(32)
        .map(|bytes| usize::from(escapes(bytes)))
        .fold(text.len().saturating_add(2), usize::saturating_add)
}

/// How many bytes more a byte takes when it is escaped.
fn more(byte: u8) -> u8 {
    let short = u8::from(matches!(
        byte,
        b'"' | b'\\' | 8 | b'\t' | b'\n' | 12 | b'\r'
    ));
    let control = u8::from(byte < b' ');
    short | ((control & !short) * 5)
}

/// The numbers that JSON has no numbers for.
fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value.is_sign_positive() {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// How long the base64 of so many bytes is.
pub(in crate::value) fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4)
}

/// The base64 of bytes; none if there is something else among them.
pub(in crate::value) fn base64(items: &[Val]) -> Option<String> {
    let mut bytes = Vec::with_capacity(items.len());
    for item in items {
        let Val::U8(byte) = item else { return None };
        bytes.push(*byte);
    }
    Some(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::cases::config())]

        #[test]
        fn the_length_of_a_text_is_known_before_it_is_written(
            text in "([a-zé\\u{1F600}]|[\\u{0}-\\u{1f}\"\\\\\\u{7f}]){0,80}",
        ) {
            prop_assert_eq!(length(&text), serde_json::to_string(&text).unwrap().len());
        }
    }
}
