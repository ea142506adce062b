//! Writes values as JSON text, with no tree between.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use wasmtime::component::Val;

use super::{NotEncoded, noun, odd};
use crate::value::decode::EXACT;
use crate::value::pointer::Pointer;
use crate::value::{Kind, Shape};

/// The JSON of one value.
pub(in crate::value) fn text(shape: &Shape, value: &Val) -> Result<String, NotEncoded> {
    let mut out = Vec::new();
    write(shape, value, &Pointer::Root, &mut out)?;
    utf8(out)
}

pub(super) fn utf8(out: Vec<u8>) -> Result<String, NotEncoded> {
    String::from_utf8(out).map_err(|error| odd("text", &error.to_string()))
}

/// Writes a value behind what is there. Whatever was written is of no use after an error.
pub(super) fn write(
    shape: &Shape,
    value: &Val,
    at: &Pointer<'_>,
    out: &mut Vec<u8>,
) -> Result<(), NotEncoded> {
    let odd = || NotEncoded {
        pointer: at.to_string(),
        expected: format!("`{}`", shape.kind.wit()),
        got: noun(value).to_owned(),
    };
    let fits = match (&shape.kind, value) {
        (Kind::Bool, Val::Bool(value)) => literal(value, out),
        (Kind::S8, Val::S8(value)) => literal(value, out),
        (Kind::S16, Val::S16(value)) => literal(value, out),
        (Kind::S32, Val::S32(value)) => literal(value, out),
        (Kind::S64, Val::S64(value)) if value.unsigned_abs() <= EXACT => literal(value, out),
        (Kind::S64, Val::S64(value)) => literal(&value.to_string(), out),
        (Kind::U8, Val::U8(value)) => literal(value, out),
        (Kind::U16, Val::U16(value)) => literal(value, out),
        (Kind::U32, Val::U32(value)) => literal(value, out),
        (Kind::U64, Val::U64(value)) if *value <= EXACT => literal(value, out),
        (Kind::U64, Val::U64(value)) => literal(&value.to_string(), out),
        (Kind::F32, Val::Float32(value)) if value.is_finite() => literal(value, out),
        (Kind::F32, Val::Float32(value)) => literal(not_finite((*value).into()), out),
        (Kind::F64, Val::Float64(value)) if value.is_finite() => literal(value, out),
        (Kind::F64, Val::Float64(value)) => literal(not_finite(*value), out),
        (Kind::Char, Val::Char(value)) => literal(value, out),
        (Kind::String, Val::String(value)) => literal(value, out),
        (Kind::Bytes, Val::List(items)) => bytes(items, out),
        (Kind::List(item), Val::List(items)) => {
            sequence(items.iter().map(|value| (&**item, value)), at, out)?;
            true
        }
        (Kind::FixedList(item, length), Val::FixedLengthList(items))
            if u32::try_from(items.len()) == Ok(*length) =>
        {
            sequence(items.iter().map(|value| (&**item, value)), at, out)?;
            true
        }
        (Kind::Tuple(shapes), Val::Tuple(items)) if shapes.len() == items.len() => {
            sequence(shapes.iter().zip(items), at, out)?;
            true
        }
        (Kind::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
            let mut commas = Commas::open(b'{', out);
            for (field, (name, value)) in fields.iter().zip(values) {
                if field.wit != *name {
                    return Err(odd());
                }
                // An option that is none is left out.
                if !matches!(
                    (&field.shape.kind, value),
                    (Kind::Option(_), Val::Option(None))
                ) {
                    commas.key(&field.json, out);
                    write(&field.shape, value, &at.key(&field.json), out)?;
                }
            }
            out.push(b'}');
            true
        }
        (Kind::Variant(cases), Val::Variant(name, payload)) => {
            match cases
                .by_wit(name)
                .map(|case| (case, &case.payload, payload))
            {
                Some((case, None, None)) if cases.is_plain() => literal(&case.json, out),
                Some((case, None, None)) => {
                    Commas::open(b'{', out).key("tag", out);
                    literal(&case.json, out);
                    out.push(b'}');
                    true
                }
                Some((case, Some(shape), Some(value))) => {
                    let mut commas = Commas::open(b'{', out);
                    commas.key("tag", out);
                    literal(&case.json, out);
                    commas.key("val", out);
                    write(shape, value, &at.key("val"), out)?;
                    out.push(b'}');
                    true
                }
                Some((_, Some(_), None) | (_, None, Some(_))) | None => false,
            }
        }
        (Kind::Enum(cases), Val::Enum(name)) => cases
            .by_wit(name)
            .is_some_and(|case| literal(&case.json, out)),
        (Kind::Flags(flags), Val::Flags(names)) => {
            let mut commas = Commas::open(b'[', out);
            // In the order of the declaration, whatever the order of the value.
            for flag in flags.iter().filter(|flag| names.contains(&flag.wit)) {
                commas.next(out);
                literal(&flag.json, out);
            }
            out.push(b']');
            names.iter().all(|name| flags.by_wit(name).is_some())
        }
        (Kind::Option(_), Val::Option(None)) => {
            out.extend_from_slice(b"null");
            true
        }
        (Kind::Option(inner), Val::Option(Some(value)))
            if matches!(inner.kind, Kind::Option(_)) =>
        {
            Commas::open(b'{', out).key("some", out);
            write(inner, value, &at.key("some"), out)?;
            out.push(b'}');
            true
        }
        (Kind::Option(inner), Val::Option(Some(value))) => return write(inner, value, at, out),
        (Kind::Result { ok, err }, Val::Result(value)) => {
            let (key, shape, payload) = match value {
                Ok(payload) => ("ok", ok, payload),
                Err(payload) => ("err", err, payload),
            };
            Commas::open(b'{', out).key(key, out);
            match (shape, payload) {
                (None, None) => out.extend_from_slice(b"null"),
                (Some(shape), Some(value)) => write(shape, value, &at.key(key), out)?,
                (Some(_), None) | (None, Some(_)) => return Err(odd()),
            }
            out.push(b'}');
            true
        }
        (Kind::Map(key, value), Val::Map(entries)) => {
            map(key, value, entries, at, out)?;
            true
        }
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
        ) => false,
    };
    if fits { Ok(()) } else { Err(odd()) }
}

/// Writes what JSON has a literal for.
fn literal<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> bool {
    serde_json::to_writer(out, value).is_ok()
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

fn bytes(items: &[Val], out: &mut Vec<u8>) -> bool {
    let Some(text) = base64(items) else {
        return false;
    };
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    true
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

fn sequence<'v>(
    items: impl Iterator<Item = (&'v Shape, &'v Val)>,
    at: &Pointer<'_>,
    out: &mut Vec<u8>,
) -> Result<(), NotEncoded> {
    let mut commas = Commas::open(b'[', out);
    for (index, (shape, value)) in items.enumerate() {
        commas.next(out);
        write(shape, value, &at.item(index), out)?;
    }
    out.push(b']');
    Ok(())
}

/// Writes a map as an object where its keys are text, otherwise as an array of pairs. Where a key
/// occurs more than once the last value counts, as in the canonical ABI.
fn map(
    key_shape: &Shape,
    value_shape: &Shape,
    entries: &[(Val, Val)],
    at: &Pointer<'_>,
    out: &mut Vec<u8>,
) -> Result<(), NotEncoded> {
    let keys = entries
        .iter()
        .map(|(key, _)| text(key_shape, key))
        .collect::<Result<Vec<_>, _>>()?;
    let last: HashMap<&str, usize> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| (key.as_str(), index))
        .collect();
    let as_object = matches!(key_shape.kind, Kind::String);
    let (open, close) = if as_object {
        (b'{', b'}')
    } else {
        (b'[', b']')
    };
    let mut commas = Commas::open(open, out);
    for (index, (key, (_, value))) in keys.iter().zip(entries).enumerate() {
        if last.get(key.as_str()) != Some(&index) {
            continue;
        }
        commas.next(out);
        if !as_object {
            out.push(b'[');
        }
        out.extend_from_slice(key.as_bytes());
        out.push(if as_object { b':' } else { b',' });
        write(value_shape, value, &at.item(index), out)?;
        if !as_object {
            out.push(b']');
        }
    }
    out.push(close);
    Ok(())
}

/// Puts commas between the items of an array or an object.
struct Commas {
    first: bool,
}

impl Commas {
    fn open(bracket: u8, out: &mut Vec<u8>) -> Self {
        out.push(bracket);
        Self { first: true }
    }

    fn next(&mut self, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.first) {
            out.push(b',');
        }
    }

    fn key(&mut self, key: &str, out: &mut Vec<u8>) {
        self.next(out);
        literal(key, out);
        out.push(b':');
    }
}
