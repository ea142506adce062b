//! What a document says, read once more and otherwise than the decoder does: whether a value is what
//! the document means for its shape, with the liberties that callers have and no others. A decoder that
//! guesses, rounds or forgets is caught by it.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::*;
use crate::value::json::{Json, Number};
use crate::value::{Named, Rules};

/// Whether the arguments of a function mean these values.
pub(super) fn arguments(params: &Scope<Member>, text: &str, values: &[Val]) -> bool {
    let given = match Json::parse(text) {
        Ok(Json::Null) => Vec::new(),
        Ok(Json::Object(pairs)) => pairs,
        _ => return false,
    };
    let values: Vec<&Val> = values.iter().collect();
    members(params.items(), &given, &values)
}

fn members(members: &[Member], given: &[(Cow<'_, str>, Json<'_>)], values: &[&Val]) -> bool {
    // Every key is one of a member, and no member has two.
    let owner = |key: &str| find(members, key);
    let mut owners: Vec<usize> = given.iter().filter_map(|(key, _)| owner(key)).collect();
    let all = owners.len();
    owners.sort_unstable();
    owners.dedup();
    all == given.len()
        && owners.len() == given.len()
        && members.len() == values.len()
        && members
            .iter()
            .zip(values)
            .enumerate()
            .all(|(index, (member, value))| {
                let json = given.iter().find(|(key, _)| owner(key) == Some(index));
                match json {
                    None | Some((_, Json::Null)) => match member.shape.rules.fallback() {
                        Some(default) => default.value == **value,
                        None => **value == Val::Option(None),
                    },
                    Some((_, json)) => says(&member.shape, json, value),
                }
            })
}

/// The item that a name means: that of the JSON name, or else the only one that is spelled so.
fn find<T: Named>(items: &[T], name: &str) -> Option<usize> {
    let exact = items.iter().position(|item| item.json() == name);
    let spelled = |item: &T| {
        let cases = [NameCase::Camel, NameCase::Snake, NameCase::Kebab];
        item.wit() == name || cases.iter().any(|case| case.of(item.wit()) == name)
    };
    let mut others = (0..items.len()).filter(|index| spelled(&items[*index]));
    exact.or_else(|| others.next().filter(|_| others.next().is_none()))
}

fn is_case(cases: &Scope<Case>, name: &str, wit: &str) -> bool {
    find(cases.items(), name).is_some_and(|index| cases.items()[index].wit == wit)
}

/// Whether a document means this value.
fn says(shape: &Shape, json: &Json<'_>, value: &Val) -> bool {
    if breaks(&shape.rules, value) {
        return false;
    }
    match (&shape.kind, value) {
        (Kind::Bool, Val::Bool(value)) => *json == Json::Bool(*value),
        (Kind::S8, Val::S8(value)) => whole(json) == Some((*value).into()),
        (Kind::S16, Val::S16(value)) => whole(json) == Some((*value).into()),
        (Kind::S32, Val::S32(value)) => whole(json) == Some((*value).into()),
        (Kind::S64, Val::S64(value)) => whole(json) == Some((*value).into()),
        (Kind::U8, Val::U8(value)) => whole(json) == Some((*value).into()),
        (Kind::U16, Val::U16(value)) => whole(json) == Some((*value).into()),
        (Kind::U32, Val::U32(value)) => whole(json) == Some((*value).into()),
        (Kind::U64, Val::U64(value)) => whole(json) == Some((*value).into()),
        (Kind::F32, Val::Float32(value)) => digits(json).is_some_and(|digits| {
            digits
                .parse::<f32>()
                .is_ok_and(|it| it.to_bits() == value.to_bits() || it.is_nan() && value.is_nan())
        }),
        (Kind::F64, Val::Float64(value)) => digits(json).is_some_and(|digits| {
            digits
                .parse::<f64>()
                .is_ok_and(|it| it.to_bits() == value.to_bits() || it.is_nan() && value.is_nan())
        }),
        (Kind::Char, Val::Char(value)) => is_text(json, &value.to_string()),
        (Kind::String, Val::String(value)) => is_text(json, value),
        (Kind::Bytes, Val::List(items)) => bytes(json, items),
        (Kind::List(item), Val::List(items))
        | (Kind::FixedList(item, _), Val::FixedLengthList(items)) => {
            let Json::Array(given) = json else {
                return false;
            };
            given.len() == items.len()
                && given
                    .iter()
                    .zip(items)
                    .all(|(json, value)| says(item, json, value))
        }
        (Kind::Tuple(shapes), Val::Tuple(items)) => {
            let at = |index: usize| match json {
                Json::Array(given) => given.get(index),
                Json::Object(pairs) => {
                    let mut found = pairs.iter().filter(|(key, _)| *key == index.to_string());
                    found
                        .next()
                        .map(|(_, json)| json)
                        .filter(|_| found.next().is_none())
                }
                _ => None,
            };
            let count = match json {
                Json::Array(given) => given.len(),
                Json::Object(pairs) => pairs.len(),
                _ => return false,
            };
            count == items.len()
                && shapes
                    .iter()
                    .zip(items)
                    .enumerate()
                    .all(|(index, (shape, value))| {
                        at(index).is_some_and(|json| says(shape, json, value))
                    })
        }
        (Kind::Record(fields), Val::Record(values)) => {
            let Json::Object(given) = json else {
                return false;
            };
            let named = fields
                .iter()
                .zip(values)
                .all(|(field, (name, _))| field.wit == *name);
            let values: Vec<&Val> = values.iter().map(|(_, value)| value).collect();
            named && members(fields.items(), given, &values)
        }
        (Kind::Variant(cases), Val::Variant(wit, payload)) => {
            variant(cases, json, wit, payload.as_deref())
        }
        (Kind::Enum(cases), Val::Enum(wit)) => {
            matches!(json, Json::String(name) if is_case(cases, name, wit))
        }
        (Kind::Flags(flags), Val::Flags(set)) => {
            let names: Vec<String> = match json {
                Json::Array(items) => {
                    let texts = items.iter().map(|item| match item {
                        Json::String(text) => Some(text.to_string()),
                        _ => None,
                    });
                    match texts.collect() {
                        Some(names) => names,
                        None => return false,
                    }
                }
                Json::Object(pairs) => {
                    let on = pairs.iter().filter(|(_, json)| *json == Json::Bool(true));
                    on.map(|(name, _)| name.to_string()).collect()
                }
                Json::String(text) if text.is_empty() => Vec::new(),
                Json::String(text) => text
                    .split(',')
                    .map(|name| name.trim_matches(' ').to_owned())
                    .collect(),
                _ => return false,
            };
            names
                .iter()
                .all(|name| set.iter().any(|wit| is_case(flags, name, wit)))
                && set
                    .iter()
                    .all(|wit| names.iter().any(|name| is_case(flags, name, wit)))
        }
        (Kind::Option(inner), Val::Option(inside)) => match (inside, json, &inner.kind) {
            (None, json, _) => *json == Json::Null,
            (Some(value), Json::Object(pairs), Kind::Option(_)) => match pairs.as_slice() {
                [] => **value == Val::Option(None),
                [(key, json)] => key == "some" && says(inner, json, value),
                _ => false,
            },
            (Some(_), Json::Null, _) | (Some(_), _, Kind::Option(_)) => false,
            (Some(value), json, _) => says(inner, json, value),
        },
        (Kind::Result { ok, err }, Val::Result(value)) => {
            let Json::Object(pairs) = json else {
                return false;
            };
            let [(key, json)] = pairs.as_slice() else {
                return false;
            };
            let (expected, shape, value) = match value {
                Ok(value) => ("ok", ok, value),
                Err(value) => ("err", err, value),
            };
            key == expected
                && match (shape, value) {
                    (Some(shape), Some(value)) => says(shape, json, value),
                    (None, None) => *json == Json::Null,
                    _ => false,
                }
        }
        (Kind::Map(key_shape, value_shape), Val::Map(entries)) => {
            let given: Option<Vec<(Json<'_>, &Json<'_>)>> = match json {
                Json::Object(pairs) => Some(
                    pairs
                        .iter()
                        .map(|(key, json)| (Json::String(key.clone()), json))
                        .collect(),
                ),
                Json::Array(items) => items.iter().map(pair).collect(),
                _ => None,
            };
            given.is_some_and(|given| {
                given.len() == entries.len()
                    && given
                        .iter()
                        .zip(entries)
                        .all(|((key, json), (one, other))| {
                            says(key_shape, key, one) && says(value_shape, json, other)
                        })
            })
        }
        _ => false,
    }
}

fn breaks(rules: &Rules, value: &Val) -> bool {
    let mut is_broken = false;
    rules.check(value, &mut |_| is_broken = true);
    is_broken
}

fn variant(cases: &Scope<Case>, json: &Json<'_>, wit: &str, payload: Option<&Val>) -> bool {
    let case = cases.by_wit(wit).unwrap();
    let holds = |json: Option<&Json<'_>>| match (&case.payload, payload) {
        (None, None) => matches!(json, None | Some(Json::Null)),
        (Some(shape), Some(value)) => match json {
            Some(json) => says(shape, json, value),
            None => *value == Val::Option(None),
        },
        _ => false,
    };
    match json {
        Json::String(name) => is_case(cases, name, wit) && holds(None),
        Json::Object(pairs) if pairs.iter().any(|(key, _)| key == "tag") => {
            let tag = pairs
                .iter()
                .find(|(key, _)| key == "tag")
                .map(|(_, json)| json);
            let val = pairs
                .iter()
                .find(|(key, _)| key == "val")
                .map(|(_, json)| json);
            pairs.len() == 1 + usize::from(val.is_some())
                && matches!(tag, Some(Json::String(name)) if is_case(cases, name, wit))
                && holds(val)
        }
        Json::Object(pairs) => match pairs.as_slice() {
            [(name, json)] => is_case(cases, name, wit) && holds(Some(json)),
            _ => false,
        },
        _ => false,
    }
}

fn pair<'j, 't>(json: &'j Json<'t>) -> Option<(Json<'t>, &'j Json<'t>)> {
    match json {
        Json::Array(items) => match items.as_slice() {
            [key, value] => Some((key.clone(), value)),
            _ => None,
        },
        Json::Object(pairs) if pairs.len() == 2 => {
            let of = |name: &str| {
                pairs
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, json)| json)
            };
            Some((of("key")?.clone(), of("value")?))
        }
        _ => None,
    }
}

/// The integer that a document means, found by its digits.
fn whole(json: &Json<'_>) -> Option<i128> {
    match json {
        Json::Number(Number::Natural(value)) => Some((*value).into()),
        Json::Number(Number::Negative(value)) => Some((*value).into()),
        Json::Number(Number::Float(text)) => {
            // Sign, digits and a power of ten; what is left behind the point must be noughts.
            let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
            let exponent: i32 = exponent.parse().ok()?;
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let mut digits = format!("{whole}{fraction}");
            let places = i32::try_from(fraction.len()).ok()? - exponent;
            if places >= 0 {
                for _ in 0..places {
                    match digits.pop() {
                        Some('0') | None => {}
                        // All digits are gone, and so is what the sign is of.
                        Some('-') => break,
                        Some(_) => return None,
                    }
                }
            } else {
                digits.extend((0..-places.max(-400)).map(|_| '0'));
            }
            match digits.as_str() {
                "" | "-" => Some(0),
                digits => digits
                    .parse()
                    .ok()
                    .filter(|it: &i128| it.unsigned_abs() < 1 << 53),
            }
        }
        Json::String(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_plain = digits == "0" || !digits.starts_with('0');
            let all = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            if is_plain && all {
                text.parse().ok()
            } else {
                None
            }
        }
        _ => None,
    }
}

/// The digits of a number, or the name of one that JSON has no digits for.
fn digits(json: &Json<'_>) -> Option<String> {
    match json {
        Json::Number(Number::Natural(value)) => Some(value.to_string()),
        Json::Number(Number::Negative(value)) => Some(value.to_string()),
        Json::Number(Number::Float(text)) => Some((*text).to_owned()),
        Json::String(text) if matches!(&**text, "NaN" | "Infinity" | "-Infinity") => {
            Some(text.to_string())
        }
        Json::String(text) => serde_json::from_str::<f64>(text)
            .ok()
            .map(|_| text.to_string()),
        _ => None,
    }
}

fn is_text(json: &Json<'_>, expected: &str) -> bool {
    matches!(json, Json::String(text) if text == expected)
}

fn bytes(json: &Json<'_>, items: &[Val]) -> bool {
    match json {
        Json::Array(given) => {
            let byte = Shape::from(Kind::U8);
            given.len() == items.len()
                && given
                    .iter()
                    .zip(items)
                    .all(|(json, value)| says(&byte, json, value))
        }
        Json::String(text) => {
            let config = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let standard = text.replace('-', "+").replace('_', "/");
            let decoded = GeneralPurpose::new(&alphabet::STANDARD, config).decode(standard);
            let is_mixed = text.contains(['-', '_']) && text.contains(['+', '/']);
            !is_mixed
                && decoded
                    .is_ok_and(|decoded| decoded.into_iter().map(Val::U8).eq(items.iter().cloned()))
        }
        _ => false,
    }
}
