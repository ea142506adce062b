//! Any bytes as a component in `mcp/`, as the text beside or inside it, and as its manifest.

use std::sync::LazyLock;

use cloister::reload::{Contents, Inspection, inspect_contents};
use cloister::sandbox::Compiler;
use serde_json::Value;

use crate::components::{COMPONENTS, edited, with_section};
use crate::on_a_host_thread;
use crate::source::Source;

/// What came of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is no service, for this reason.
    Refused(String),
    /// It is a service with so many tools.
    Described {
        /// How many tools it has.
        tools: usize,
        /// What is said about it beside.
        notes: Vec<String>,
    },
}

/// Loads and describes what the bytes stand for. The first one says what that is.
pub fn describe(bytes: &[u8]) -> Outcome {
    let mut source = Source::new(bytes);
    let kind = source.byte() % 5;
    let base = |which: u8| COMPONENTS[usize::from(which) % 2].clone();
    let files = match kind {
        0 => Files::of(source.rest().to_vec()),
        1 => {
            let wasm = base(source.byte());
            Files {
                sidecar: Some(source.rest().to_vec()),
                ..Files::of(wasm)
            }
        }
        2 => {
            let wasm = base(source.byte());
            Files::of(with_section(&wasm, "cloister:wit", source.rest()))
        }
        3 => {
            let wasm = base(source.byte());
            Files {
                manifest: Some(source.rest().to_vec()),
                ..Files::of(wasm)
            }
        }
        _ => Files::of(edited(&mut source)),
    };
    on_a_host_thread(|| outcome(files))
}

/// What lies in the folder.
struct Files {
    wasm: Vec<u8>,
    sidecar: Option<Vec<u8>>,
    manifest: Option<Vec<u8>>,
}

impl Files {
    fn of(wasm: Vec<u8>) -> Self {
        Self {
            wasm,
            sidecar: None,
            manifest: None,
        }
    }
}

/// Inputs to begin from: a component, the words for one, and a manifest.
pub fn seeds() -> Vec<Vec<u8>> {
    let text = include_bytes!("seeds/describe/world.wit");
    let mut seeds: Vec<_> = COMPONENTS
        .iter()
        .map(|wasm| [&[0], &**wasm].concat())
        .collect();
    seeds.push([&[1, 1], &text[..]].concat());
    seeds.push([&[2, 1], &text[..]].concat());
    seeds.push(b"\x03\0case = \"snake_case\"\n".to_vec());
    seeds.push(b"\x04\0\x03\x01\0\0\0\x02".to_vec());
    seeds
}

/// The largest schema that is published, in bytes.
const LARGEST_SCHEMA: usize = 256 << 10;

/// How many types, fields and cases may be read for each byte of the files, and for none of them. Every
/// definition is read once, and takes a few bytes at least.
const WORK_PER_BYTE: usize = 2;

fn outcome(files: Files) -> Outcome {
    // It holds a pool of memory, so all inputs share one.
    static COMPILER: LazyLock<Compiler> =
        LazyLock::new(|| Compiler::for_inspection().expect("an engine"));
    let size = files.wasm.len() + files.sidecar.as_ref().map_or(0, Vec::len);
    let contents = Contents::new(files.wasm, files.sidecar, files.manifest);
    match inspect_contents("fuzz", &contents, &COMPILER) {
        Err(cause) => {
            assert!(!cause.is_empty(), "a refusal says why");
            Outcome::Refused(cause)
        }
        Ok(Inspection {
            service,
            notes,
            work,
            asks: _,
            granted: _,
        }) => {
            let offers = [
                service.tools.len(),
                service.prompts.len(),
                service.resources.len(),
            ];
            assert_ne!(offers, [0, 0, 0], "a service offers something");
            assert!(
                work as usize <= size * WORK_PER_BYTE,
                "{work} for {size} bytes"
            );
            assert!(notes.len() <= 101 && notes.iter().all(|note| note.len() < 1_000));
            for tool in &service.tools {
                let schemas = [
                    Some(tool.function.signature.input_schema()),
                    tool.function.signature.output_schema(),
                ];
                for schema in schemas.into_iter().flatten() {
                    check(schema.get());
                }
            }
            Outcome::Described {
                tools: service.tools.len(),
                notes,
            }
        }
    }
}

/// What clients demand of a schema: one that is wrong can cost them the whole list.
fn check(text: &str) {
    assert!(text.len() <= LARGEST_SCHEMA, "{} bytes", text.len());
    let schema: Value = serde_json::from_str(text).expect("a schema is JSON");
    assert_eq!(schema["type"], "object", "{schema}");
    if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
        panic!("{error}: {schema}");
    }
    patterns(&schema);
}

/// Every pattern is a regular expression of ECMA-262.
fn patterns(schema: &Value) {
    match schema {
        Value::Object(members) => {
            if let Some(pattern) = members.get("pattern").and_then(Value::as_str)
                && let Err(cause) = regress::Regex::with_flags(pattern, "u")
            {
                panic!("{pattern}: {cause}");
            }
            members.values().for_each(patterns);
        }
        Value::Array(items) => items.iter().for_each(patterns),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORLD_WIT: &str = include_str!("seeds/describe/world.wit");

    fn of(kind: u8, rest: &[u8]) -> Outcome {
        describe(&[&[kind], rest].concat())
    }

    fn beside_the_world(text: &str) -> Outcome {
        of(1, &[&[1], text.as_bytes()].concat())
    }

    #[test]
    fn the_components_to_begin_from_are_described_without_a_complaint() {
        let fine = Outcome::Described {
            tools: 2,
            notes: Vec::new(),
        };
        for wasm in &*COMPONENTS {
            assert_eq!(of(0, wasm), fine);
        }
        assert_eq!(beside_the_world(WORLD_WIT), fine);
        assert_eq!(of(4, &[0]), fine, "no edits");
        // The edit among them swaps two sections that do not need each other.
        let described = |seed: &Vec<u8>| matches!(describe(seed), Outcome::Described { .. });
        assert!(seeds().iter().all(described));
    }

    #[test]
    fn a_component_cut_anywhere_is_refused() {
        // Custom sections come last, so a cut there leaves a component.
        let wasm = &COMPONENTS[1];
        for end in (0..wasm.len()).step_by(7) {
            assert!(
                matches!(of(0, &wasm[..end]), Outcome::Refused(_)),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn no_number_of_examples_keeps_the_host_busy() {
        let examples = "  /// @example point {\"x\":1}\n".repeat(20_000);
        let text = WORLD_WIT.replace("  /// Moves it.\n", &format!("  /// Moves it.\n{examples}"));
        let Outcome::Described { tools: 2, notes } = beside_the_world(&text) else {
            panic!("a service of two tools");
        };
        // What is beyond the limits is told of, and does not fill the log either.
        let said = |what: &str| notes.iter().filter(|note| note.contains(what)).count();
        assert!((1..4).contains(&said("at most 16 examples")), "{notes:?}");
        assert_eq!(said("the first 16384 are read"), 1, "{notes:?}");
    }

    proptest! {
        #![proptest_config(crate::config())]

        #[test]
        fn any_bytes_are_refused_or_described(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            describe(&bytes);
        }

        #[test]
        fn an_edited_component_is_refused_or_described(edits in proptest::collection::vec(any::<u8>(), 1..64)) {
            of(4, &edits);
        }

        #[test]
        fn text_with_a_few_words_changed_is_used_or_goes_with_a_note(
            place in any::<prop::sample::Index>(),
            length in 0..24_usize,
            other in "[a-z@<>{}:;,/ \\n]{0,12}|/// @[a-z-]{1,9} [a-z0-9]{0,9}\\n",
        ) {
            let place = place.index(WORLD_WIT.len());
            let (before, after) = WORLD_WIT.split_at(place);
            let text = format!("{before}{other}{}", after.get(length..).unwrap_or_default());
            // Words can take one function away (`@hidden`), never all, and never the component.
            let outcome = beside_the_world(&text);
            prop_assert!(matches!(&outcome, Outcome::Described { tools: 1.., .. }), "{:?}", outcome);
        }
    }
}
