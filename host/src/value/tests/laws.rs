//! What holds for every value of every shape. `PROPTEST_CASES` sets how many are tried.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::*;

/// How deep the shapes are nested.
const DEPTH: u32 = 6;

/// A name in JSON: mostly the WIT name in camelCase, sometimes one that an author chose.
fn json_name(wit: &str) -> String {
    if wit.len() % 4 == 3 {
        format!("Named.{wit}")
    } else {
        NameCase::Camel.of(wit)
    }
}

/// A field or parameter, as an author may have it: renamed, and with words.
fn written(wit: &str, shape: impl Into<Shape>) -> Member {
    let mut shape = shape.into();
    shape.docs = (wit.len() % 3 == 1).then(|| Arc::from(format!("About {wit}.")));
    Member {
        wit: wit.to_owned(),
        json: json_name(wit),
        shape,
    }
}

fn written_case(wit: &str, payload: Option<Kind>) -> Case {
    Case {
        json: json_name(wit),
        docs: (wit.len() % 3 == 1).then(|| Arc::from(format!("About {wit}."))),
        ..case(wit, payload)
    }
}

/// Distinct names that cannot clash in any case: distinct even without their hyphens.
fn wits(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-z]{1,3}(-[a-z0-9]{1,3}){0,2}", count).prop_map(|names| {
        let mut seen = BTreeSet::new();
        names
            .into_iter()
            .filter(|name| seen.insert(name.replace('-', "")))
            .collect()
    })
}

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Kind::Bool),
        Just(Kind::S8),
        Just(Kind::S16),
        Just(Kind::S32),
        Just(Kind::S64),
        Just(Kind::U8),
        Just(Kind::U16),
        Just(Kind::U32),
        Just(Kind::U64),
        Just(Kind::F32),
        Just(Kind::F64),
        Just(Kind::Char),
        Just(Kind::String),
        Just(Kind::Bytes),
        wits(1..6)
            .prop_map(|wits| Kind::Enum(shared(wits.iter().map(|wit| written_case(wit, None))))),
        wits(1..6)
            .prop_map(|wits| Kind::Flags(shared(wits.iter().map(|wit| written_case(wit, None))))),
    ];
    leaf.prop_recursive(DEPTH, 24, 4, |inner| {
        let kinds = proptest::collection::vec(inner.clone(), 4);
        let maybe_kinds = proptest::collection::vec(proptest::option::of(inner.clone()), 4);
        let key = prop_oneof![
            Just(Kind::String),
            Just(Kind::U32),
            Just(Kind::S64),
            Just(Kind::Bool),
            Just(Kind::Char)
        ];
        prop_oneof![
            inner.clone().prop_map(list),
            (inner.clone(), 0..4_u32)
                .prop_map(|(item, length)| Kind::FixedList(Arc::new(item.into()), length)),
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|kinds| Kind::Tuple(kinds.into_iter().map(Shape::from).collect())),
            (wits(1..5), kinds).prop_map(|(wits, kinds)| {
                Kind::Record(shared(
                    wits.iter().zip(kinds).map(|(wit, kind)| written(wit, kind)),
                ))
            }),
            (wits(1..5), maybe_kinds).prop_map(|(wits, kinds)| {
                Kind::Variant(shared(
                    wits.iter()
                        .zip(kinds)
                        .map(|(wit, kind)| written_case(wit, kind)),
                ))
            }),
            inner.clone().prop_map(option),
            inner.clone().prop_map(option),
            (
                proptest::option::of(inner.clone()),
                proptest::option::of(inner.clone())
            )
                .prop_map(|(ok, err)| result(ok, err)),
            (key, inner).prop_map(|(key, value)| map(key, value)),
        ]
    })
}

fn value(kind: &Kind) -> BoxedStrategy<Val> {
    match kind {
        Kind::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Kind::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Kind::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Kind::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Kind::S64 => prop_oneof![
            any::<i64>(),
            -9..9_i64,
            Just(i64::MIN),
            Just((1 << 53) - 1),
            Just(1 << 53)
        ]
        .prop_map(Val::S64)
        .boxed(),
        Kind::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Kind::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Kind::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        Kind::U64 => prop_oneof![any::<u64>(), 0..9_u64, Just(u64::MAX), Just(1 << 53)]
            .prop_map(Val::U64)
            .boxed(),
        Kind::F32 => any::<u32>()
            .prop_map(|bits| Val::Float32(f32::from_bits(bits)))
            .boxed(),
        Kind::F64 => prop_oneof![any::<u64>().prop_map(f64::from_bits), -9.0..9.0]
            .prop_map(Val::Float64)
            .boxed(),
        Kind::Char => any::<char>().prop_map(Val::Char).boxed(),
        Kind::String => any::<String>().prop_map(Val::String).boxed(),
        Kind::Bytes => proptest::collection::vec(any::<u8>().prop_map(Val::U8), 0..9)
            .prop_map(Val::List)
            .boxed(),
        Kind::List(item) => proptest::collection::vec(value(&item.kind), 0..4)
            .prop_map(Val::List)
            .boxed(),
        Kind::FixedList(item, length) => {
            let length = usize::try_from(*length).unwrap();
            proptest::collection::vec(value(&item.kind), length)
                .prop_map(Val::FixedLengthList)
                .boxed()
        }
        Kind::Tuple(shapes) => shapes
            .iter()
            .map(|shape| value(&shape.kind))
            .collect::<Vec<_>>()
            .prop_map(Val::Tuple)
            .boxed(),
        Kind::Record(fields) => {
            let values = fields
                .iter()
                .map(|field| (Just(field.wit.clone()), value(&field.shape.kind)));
            values.collect::<Vec<_>>().prop_map(Val::Record).boxed()
        }
        Kind::Variant(cases) => {
            let one = |case: &Case| {
                let wit = case.wit.clone();
                match &case.payload {
                    Some(payload) => value(&payload.kind)
                        .prop_map(move |value| Val::Variant(wit.clone(), Some(Box::new(value))))
                        .boxed(),
                    None => Just(Val::Variant(wit, None)).boxed(),
                }
            };
            proptest::strategy::Union::new(cases.iter().map(one)).boxed()
        }
        Kind::Enum(cases) => {
            let wits: Vec<_> = cases.iter().map(|case| case.wit.clone()).collect();
            proptest::sample::select(wits).prop_map(Val::Enum).boxed()
        }
        Kind::Flags(flags) => {
            let wits: Vec<_> = flags.iter().map(|flag| flag.wit.clone()).collect();
            let count = 0..=wits.len();
            subsequence(wits, count).prop_map(Val::Flags).boxed()
        }
        Kind::Option(inner) => proptest::option::of(value(&inner.kind))
            .prop_map(|inner| Val::Option(inner.map(Box::new)))
            .boxed(),
        Kind::Result { ok, err } => {
            let side = |shape: &Option<Arc<Shape>>| match shape {
                Some(shape) => value(&shape.kind)
                    .prop_map(|value| Some(Box::new(value)))
                    .boxed(),
                None => Just(None).boxed(),
            };
            prop_oneof![
                side(ok).prop_map(|ok| Val::Result(Ok(ok))),
                side(err).prop_map(|err| Val::Result(Err(err)))
            ]
            .boxed()
        }
        Kind::Map(key, item) => {
            proptest::collection::vec((value(&key.kind), value(&item.kind)), 0..4)
                .prop_map(|entries| {
                    let mut seen = Vec::new();
                    let mut first = |key: &Val| {
                        !seen.contains(key) && {
                            seen.push(key.clone());
                            true
                        }
                    };
                    Val::Map(entries.into_iter().filter(|(key, _)| first(key)).collect())
                })
                .boxed()
        }
    }
}

fn kind_and_value() -> impl Strategy<Value = (Kind, Val)> {
    kind().prop_flat_map(|kind| (Just(kind.clone()), value(&kind)))
}

/// Rules that leave values of a kind, with the tags that state them.
fn rules(kind: &Kind) -> BoxedStrategy<Vec<(&'static str, String)>> {
    let range = |least: &'static str, greatest: &'static str| {
        (0..9_u8, 0..9_u8)
            .prop_map(move |(least_is, more)| {
                let greatest_is = least_is + more;
                vec![
                    (least, least_is.to_string()),
                    (greatest, greatest_is.to_string()),
                ]
            })
            .boxed()
    };
    match kind.beneath_options() {
        kind if kind.range().is_some() => range("min", "max"),
        Kind::F32 | Kind::F64 => range("min", "max"),
        Kind::List(_) | Kind::Bytes => range("min-items", "max-items"),
        Kind::String => prop_oneof![
            range("min-length", "max-length"),
            proptest::sample::select(
                &["^[a-z]{1,3}$", "^[0-9]+(\\.[0-9]+)?$", "é| x", "^(ab|cd)*$"][..]
            )
            .prop_map(|pattern| vec![("pattern", pattern.to_owned())]),
            proptest::sample::select(&["date", "ipv4", "uuid", "email"][..])
                .prop_map(|format| vec![("format", format.to_owned())]),
        ]
        .boxed(),
        _ => Just(Vec::new()).boxed(),
    }
}

/// A type that somebody gave rules.
pub(super) fn ruled() -> impl Strategy<Value = Shape> {
    kind().prop_flat_map(|kind| {
        let rules = rules(&kind);
        (Just(kind), rules).prop_map(|(kind, tags)| {
            let mut shape = Shape::from(kind);
            let mut room = crate::value::Rules::ROOM;
            for (tag, value) in tags {
                shape
                    .rules
                    .add(tag, &value, &shape.kind, &mut room)
                    .unwrap();
            }
            shape
        })
    })
}

/// What our schemas may say, and nothing else.
const KEYWORDS: [&str; 16] = [
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "description",
    "title",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "additionalProperties",
];

fn check_keywords(schema: &Value, at_root: bool) {
    let Value::Object(schema) = schema else {
        panic!("a schema that is no object: {schema}");
    };
    for (keyword, value) in schema {
        match keyword.as_str() {
            "anyOf" if !at_root => value
                .as_array()
                .unwrap()
                .iter()
                .for_each(|arm| check_keywords(arm, false)),
            "properties" => value
                .as_object()
                .unwrap()
                .values()
                .for_each(|property| check_keywords(property, false)),
            "items" => check_keywords(value, false),
            "additionalProperties" if value.is_object() => check_keywords(value, false),
            "type" => assert!(value.is_string(), "one type: {value}"),
            keyword => assert!(KEYWORDS.contains(&keyword), "{keyword}"),
        }
    }
    assert!(!at_root || schema.get("type") == Some(&"object".into()));
}

/// Changes a document somewhere: mostly still JSON, seldom still right.
fn mutated(text: &str, place: Index, change: u8, other: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let place = place.index(letters.len());
    let (before, after) = letters.split_at(place);
    let before: String = before.iter().collect();
    let after: String = after
        .iter()
        .skip(usize::from(!change.is_multiple_of(3)))
        .collect();
    match change % 4 {
        0 => format!("{before}{other}{after}"),
        1 => format!("{before}{after}"),
        2 => format!("{before}{change}{after}"),
        _ => text.replacen(
            text.get(place..=place).unwrap_or("null"),
            other,
            usize::from(change),
        ),
    }
}

/// Decodes arguments. What comes of them must be what they say, and encode to a document that means the
/// same.
fn means_what_it_says(signature: &Signature, arguments: &str) -> Result<(), TestCaseError> {
    let decoded = RawValue::from_string(arguments.to_owned()).ok();
    let decoded = decoded.map(|raw| signature.decode(Some(&raw)));
    if let Some(Ok(values)) = decoded {
        prop_assert!(
            meaning::arguments(signature.params(), arguments, &values),
            "{} is not {:?}",
            arguments,
            values
        );
        let again = emitted(signature, values.clone());
        prop_assert_eq!(
            decode(signature, &format!("{{\"v\":{again}}}")),
            Ok(values),
            "{}",
            arguments
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::cases::config())]

    #[test]
    fn schemas_are_valid_and_modest(shape in ruled()) {
        let signature = echo(shape);
        for schema in [Some(signature.input_schema()), signature.output_schema()].into_iter().flatten() {
            let schema = json(schema);
            check_keywords(&schema, true);
            prop_assert!(jsonschema::draft202012::meta::validate(&schema).is_ok(), "{}", schema);
        }
        // Arguments are described without null, and without `anyOf` round the types that need none.
        let input = json(signature.input_schema());
        prop_assert_ne!(&input["properties"]["v"]["type"], "null");
    }

    #[test]
    fn what_is_emitted_keeps_to_the_schema_and_decodes_to_itself((kind, value) in kind_and_value()) {
        let signature = echo(kind);
        let text = emitted(&signature, vec![value.clone()]);
        let decoded = decode(&signature, &format!("{{\"v\":{text}}}"));
        prop_assert_eq!(decoded.as_deref(), Ok(&[value][..]), "{}", text);
    }

    #[test]
    fn a_mutated_document_is_refused_or_means_what_it_says(
        (kind, value) in kind_and_value(),
        place in any::<Index>(),
        change in any::<u8>(),
        other in "[\\[\\]{}\":,0-9a-z .-]{0,4}|\\.[05]|e[0-9]|null|true",
    ) {
        let signature = echo(kind);
        let text = emitted(&signature, vec![value]);
        let arguments = format!("{{\"v\":{}}}", mutated(&text, place, change, &other));
        means_what_it_says(&signature, &arguments)?;
    }

    #[test]
    fn the_document_of_one_type_given_to_another_is_refused_or_means_what_it_says(
        (kind, value) in kind_and_value(),
        other in ruled(),
    ) {
        let text = emitted(&echo(kind), vec![value]);
        means_what_it_says(&echo(other), &format!("{{\"v\":{text}}}"))?;
    }

    #[test]
    fn numbers_however_they_are_written_mean_what_they_say(
        kind in proptest::sample::select(vec![
            Kind::S8, Kind::U8, Kind::S16, Kind::S32, Kind::U32, Kind::S64, Kind::U64, Kind::F32, Kind::F64,
        ]),
        number in "\"?-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?\"?",
    ) {
        means_what_it_says(&echo(kind), &format!("{{\"v\":{number}}}"))?;
    }

    #[test]
    fn every_spelling_of_every_name_means_the_same(wits in wits(1..8), pick in any::<u8>()) {
        let signature = echo(Kind::Record(shared(wits.iter().map(|wit| member(wit, Kind::U8)))));
        let case = match pick % 3 { 0 => NameCase::Camel, 1 => NameCase::Snake, _ => NameCase::Kebab };
        let fields: Vec<_> = wits.iter().zip(0..).map(|(wit, n)| format!("\"{}\":{n}", case.of(wit))).collect();
        let values = decode(&signature, &format!("{{\"v\":{{{}}}}}", fields.join(",")));
        let expected = wits.iter().zip(0..).map(|(wit, n)| (wit.clone(), Val::U8(n))).collect();
        prop_assert_eq!(values, Ok(vec![Val::Record(expected)]));
    }

    #[test]
    fn no_text_makes_the_decoder_panic(kind in kind(), text in any::<String>()) {
        if let Ok(raw) = RawValue::from_string(text) {
            let _ = echo(kind).decode(Some(&raw));
        }
    }
}
