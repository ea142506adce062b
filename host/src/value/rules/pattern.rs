//! `@pattern`: a regular expression that this host checks and that readers of JSON Schema, who
//! have the expressions of ECMA-262 with its `u` flag, understand the same way.

mod portable;

use std::fmt;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Anchored, Input};
use regex_syntax::ast::parse::Parser;
use regex_syntax::hir::translate::Translator;

/// A compiled pattern. It matches anywhere in a text unless anchored, as JSON Schema has it.
///
/// Callers choose the text, and nothing interrupts a match. So it is a table with a step for each
/// byte, some 2 ms for a MiB, whatever the pattern and the text are.
#[derive(Clone)]
pub(in crate::value) struct Pattern {
    text: String,
    table: dense::DFA<Vec<u32>>,
}

impl Pattern {
    /// How much memory a table may take, in bytes. It bounds the work of making one, too, to some
    /// 25 ms.
    pub(super) const LARGEST: usize = 1 << 20;

    /// Compiles a pattern within so much memory, or says why not.
    pub(super) fn new(text: &str, room: usize) -> Result<Self, String> {
        let room = room.min(Self::LARGEST);
        let ours = Self::ours(text)?;
        let too_large = |_| {
            format!(
                "takes more than {room} bytes as a table: repeat less, or bound the length with `@max-length`"
            )
        };
        let ast = Parser::new()
            .parse(&ours)
            .map_err(|error| error.kind().to_string())?;
        let hir = Translator::new()
            .translate(&ours, &ast)
            .map_err(|error| error.kind().to_string())?;
        let automaton = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .nfa_size_limit(Some(room))
                    .which_captures(WhichCaptures::None),
            )
            .build_from_hir(&hir)
            .map_err(|error| too_large(error.to_string()))?;
        let table = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .dfa_size_limit(Some(room))
                    .determinize_size_limit(Some(Self::LARGEST))
                    .start_kind(StartKind::Unanchored)
                    .accelerate(false),
            )
            .build_from_nfa(&automaton)
            .map_err(|error| too_large(error.to_string()))?;
        Ok(Self {
            text: text.to_owned(),
            table,
        })
    }

    /// The pattern in the syntax of this host, if both sides read it alike.
    pub(in crate::value) fn ours(text: &str) -> Result<String, String> {
        let ast = Parser::new()
            .parse(text)
            .map_err(|error| format!("not a regular expression: {}", error.kind()))?;
        portable::translate(text, &ast)
    }

    /// The pattern as its author wrote it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How much memory it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.table.memory_usage().saturating_add(self.text.len())
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let input = Input::new(text).anchored(Anchored::No).earliest(true);
        // A table without bytes at which it gives up has an answer for every text.
        self.table
            .try_search_fwd(&input)
            .is_ok_and(|found| found.is_some())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Result<Pattern, String> {
        Pattern::new(text, Pattern::LARGEST)
    }

    /// The list that `tests/clients` shows to a real engine of ECMA-262.
    #[derive(serde::Deserialize)]
    struct Listed {
        /// Each pattern with texts that it matches and texts that it does not.
        taken: Vec<(String, Vec<String>, Vec<String>)>,
        /// Patterns that are refused here because they mean nothing there, or something else.
        refused: Vec<String>,
    }

    fn listed() -> Listed {
        serde_json::from_str(include_str!("../../../../tests/clients/patterns.json")).unwrap()
    }

    #[test]
    fn what_both_sides_read_alike_is_taken() {
        for (text, matches, others) in listed().taken {
            let pattern = pattern(&text).unwrap_or_else(|cause| panic!("{text}: {cause}"));
            assert_eq!(pattern.text(), text);
            for matching in matches {
                assert!(pattern.matches(&matching), "{text} on {matching:?}");
            }
            for other in others {
                assert!(!pattern.matches(&other), "{text} on {other:?}");
            }
        }
    }

    #[test]
    fn what_only_one_side_reads_is_refused() {
        for text in listed().refused {
            assert!(pattern(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_grows_too_large_is_refused_with_the_remedy() {
        for text in [
            "(?:a{1000}){1000}",
            "^\\p{L}{1,60}$",
            "(?:a|b)*a(?:a|b){16}",
            "(?:[a-z]{1,50}){1,20}x",
        ] {
            let cause = pattern(text).unwrap_err();
            assert!(cause.contains("`@max-length`"), "{text}: {cause}");
        }
        assert!(Pattern::new("^[a-z]+$", 100).is_err());
    }

    /// Pieces of which patterns are made; many mean something on one side only.
    const PIECES: [&str; 62] = [
        "a",
        "b",
        "é",
        "-",
        "_",
        " ",
        "]",
        "[",
        "}",
        "{",
        "/",
        "\\/",
        "\\-",
        "\\]",
        "\\[",
        "\\{",
        "\\.",
        ".",
        "\\d",
        "\\D",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "\\b",
        "\\B",
        "^",
        "$",
        "|",
        "(",
        ")",
        "(?:",
        "(?<a>",
        "(?<a.b>",
        "(?i)",
        "*",
        "+",
        "?",
        "??",
        "{2}",
        "{1,2}",
        "{,2}",
        "{ 1}",
        "{0,}",
        "[a-b]",
        "[^a]",
        "[]a]",
        "[^]a]",
        "[\\s-]",
        "[^\\S\\d]",
        "[.]",
        "[a-z&&b]",
        "\\p{L}",
        "\\p{Lu}",
        "\\p{letter}",
        "\\P{Nd}",
        "\\p{Script=Greek}",
        "\\p{Greek}",
        "\\p{sc!=Greek}",
        "\\u00e9",
        "\\x41",
        "\\u{1F600}",
    ];

    proptest! {
        #![proptest_config(crate::cases::config())]

        #[test]
        fn what_is_taken_matches_as_ecma_262_says(
            pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..6),
            texts in proptest::collection::vec("[abé\\-_ .A\u{1F600}α1٣\n\r\u{85}\u{feff}\u{2028}\\]]{0,5}", 8),
        ) {
            let text = pieces.concat();
            if let Ok(ours) = pattern(&text) {
                let theirs = regress::Regex::with_flags(&text, "u");
                let theirs = theirs.map_err(|cause| TestCaseError::fail(format!("{text}: {cause}")))?;
                for other in texts {
                    prop_assert_eq!(ours.matches(&other), theirs.find(&other).is_some(), "{} on {:?}", text, other);
                }
            }
        }
    }
}
