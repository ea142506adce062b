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
    let contents = match kind {
        0 => Contents::new(source.rest().to_vec(), None, None),
        1 => {
            let wasm = base(source.byte());
            Contents::new(wasm, Some(source.rest().to_vec()), None)
        }
        2 => {
            let wasm = base(source.byte());
            Contents::new(
                with_section(&wasm, "cloister:wit", source.rest()),
                None,
                None,
            )
        }
        3 => {
            let wasm = base(source.byte());
            Contents::new(wasm, None, Some(source.rest().to_vec()))
        }
        _ => Contents::new(edited(&mut source), None, None),
    };
    on_a_host_thread(|| outcome(&contents))
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

fn outcome(contents: &Contents) -> Outcome {
    // It holds a pool of memory, so all inputs share one.
    static COMPILER: LazyLock<Compiler> =
        LazyLock::new(|| Compiler::for_inspection().expect("an engine"));
    match inspect_contents("fuzz", contents, &COMPILER) {
        Err(cause) => {
            assert!(!cause.is_empty(), "a refusal says why");
            Outcome::Refused(cause)
        }
        Ok(Inspection { service, notes }) => {
            let offers = [
                service.tools.len(),
                service.prompts.len(),
                service.resources.len(),
            ];
            assert_ne!(offers, [0, 0, 0], "a service offers something");
            for tool in &service.tools {
                let schemas = [
                    Some(tool.function.signature.input_schema()),
                    tool.function.signature.output_schema(),
                ];
                for schema in schemas.into_iter().flatten() {
                    let schema: Value =
                        serde_json::from_str(schema.get()).expect("a schema is JSON");
                    assert_eq!(schema["type"], "object", "{schema}");
                }
            }
            Outcome::Described {
                tools: service.tools.len(),
                notes,
            }
        }
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
        // Those beyond the limit are told of, and that does not fill the log either.
        assert_eq!(notes.len(), 101);
        assert!(notes.last().unwrap().ends_with(" more"), "{notes:?}");
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
