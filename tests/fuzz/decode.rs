//! Any text as the argument of a function with any signature.

use cloister::value::{Answer, Encoded, Member, Scope, Shape, Signature, Val};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::source::Source;
use crate::{on_a_host_thread, shapes};

/// What came of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The function cannot be a tool.
    NoSignature,
    /// The text is not JSON; the protocol refuses it.
    NoJson,
    /// The arguments are refused.
    Refused,
    /// The arguments mean values, which came back as they went.
    Decoded,
}

/// Makes a signature of the first bytes and decodes the rest, which either is all arguments or the
/// one argument `v`. What decodes must encode, keep to the published schema, and decode to itself.
pub fn decode(bytes: &[u8]) -> Outcome {
    on_a_host_thread(|| {
        let mut source = Source::new(bytes);
        let whole = source.below(4) == 3;
        let shape = shapes::shape(&mut source);
        let Some(signature) = echo(&shape) else {
            return Outcome::NoSignature;
        };
        let text = String::from_utf8_lossy(source.rest());
        let arguments = if whole {
            text.into_owned()
        } else {
            wrapped(&text)
        };
        let Ok(arguments) = RawValue::from_string(arguments) else {
            return Outcome::NoJson;
        };
        let _headers = signature.mirrored(Some(&arguments));
        match signature.decode(Some(&arguments)) {
            Ok(values) => {
                check(&signature, values);
                Outcome::Decoded
            }
            Err(refused) => {
                assert!(!refused.to_string().is_empty(), "a refusal says why");
                Outcome::Refused
            }
        }
    })
}

/// A function with one parameter `v`, which returns it.
fn echo(shape: &Shape) -> Option<Signature> {
    let param = Member {
        wit: "v".to_owned(),
        json: "v".to_owned(),
        shape: shape.clone(),
    };
    Signature::new(Scope::new(vec![param]).ok()?, Answer::Value(shape.clone())).ok()
}

fn wrapped(text: &str) -> String {
    format!("{{\"v\":{text}}}")
}

fn check(signature: &Signature, values: Vec<Val>) {
    let encoded = signature
        .encode(values.clone(), usize::MAX)
        .expect("a value of the type encodes");
    let Encoded::Value { structured, .. } = encoded else {
        panic!("a function that returns a value has one");
    };
    let schema = signature.output_schema().expect("a schema for the value");
    let schema: Value = serde_json::from_str(schema.get()).expect("a schema is JSON");
    let instance: Value = serde_json::from_str(structured.get()).expect("a value is JSON");
    if let Err(error) = jsonschema::draft202012::new(&schema)
        .expect("a schema")
        .validate(&instance)
    {
        panic!("{structured} against {schema}: {error}");
    }

    // A record is its own root; every other value stands under `result`.
    let is_record = matches!(
        signature.answer(),
        Answer::Value(Shape {
            kind: cloister::value::Kind::Record(_),
            ..
        })
    );
    let text = structured.get();
    let text = if is_record {
        text
    } else {
        text.strip_prefix("{\"result\":")
            .and_then(|text| text.strip_suffix('}'))
            .expect("a value under `result`")
    };
    let again = RawValue::from_string(wrapped(text)).expect("arguments");
    assert_eq!(signature.decode(Some(&again)), Ok(values), "{again}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Small seeds, each the beginning of a family.
    const SEEDS: [&[u8]; 8] = [
        include_bytes!("seeds/decode/bool"),
        include_bytes!("seeds/decode/number"),
        include_bytes!("seeds/decode/bytes"),
        include_bytes!("seeds/decode/record"),
        include_bytes!("seeds/decode/variant"),
        include_bytes!("seeds/decode/flags"),
        include_bytes!("seeds/decode/nested-option"),
        include_bytes!("seeds/decode/map"),
    ];

    #[test]
    fn every_seed_decodes() {
        for seed in SEEDS {
            assert_eq!(decode(seed), Outcome::Decoded, "{}", seed.escape_ascii());
        }
        let cut: BTreeSet<_> = SEEDS
            .iter()
            .map(|seed| decode(&seed[..seed.len() - 1]))
            .collect();
        assert!(cut.contains(&Outcome::NoJson));
        assert_eq!(decode(b"\0\0\0\"text\""), Outcome::Refused);
    }

    proptest! {
        #![proptest_config(crate::config())]

        #[test]
        fn arguments_of_any_bytes_are_refused_or_mean_a_value(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            decode(&bytes);
        }

        #[test]
        fn json_for_any_signature_is_refused_or_means_a_value(
            shape in proptest::collection::vec(any::<u8>(), 1..64),
            json in "[\\[{\"0-9a-z,:\\]}e.-]{0,24}|null|\\{\\}|\\[\\]|\"[a-z]{0,4}\"|[0-9]{1,3}",
        ) {
            decode(&[&shape, json.as_bytes()].concat());
        }

        #[test]
        fn a_seed_with_a_few_bytes_changed_is_refused_or_means_a_value(
            seed in proptest::sample::select(SEEDS.to_vec()),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = seed.to_vec();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            decode(&bytes);
        }
    }
}
