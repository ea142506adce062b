//! Which name each tool is served under.
//!
//! A name is bare while one tool has it. When several would have it, each is served as
//! `<service>_<name>` and the bare name is withdrawn, so a new file can never take over a name that
//! callers already trust. What counts as the same name ignores case and separators: a model that
//! misspells one must not reach another.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;

/// The longest name that every client in use accepts.
pub const LONGEST_NAME: usize = 64;

/// How many hexadecimal digits of its hash end a name that had to be cut or told apart.
const HASH_DIGITS: usize = 8;

/// A tool as naming sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wish<'a> {
    /// The service it belongs to.
    pub(super) service: &'a str,
    /// The name it would like to have.
    pub(super) name: &'a str,
}

/// The names that were given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// One for each wish, in the same order, all different.
    pub(super) names: Vec<String>,
    /// The bare names that nobody got, with what is served instead.
    pub(super) withdrawn: BTreeMap<String, Vec<String>>,
}

/// Names all tools. What each one gets depends on the set of wishes alone, not on their order.
pub(super) fn name(wishes: &[Wish<'_>]) -> Given {
    let contested = contested(wishes);
    let is_contested = |wish: &Wish<'_>| contested.contains(&folded(&fit(wish.name)));

    let mut names: Vec<String> = wishes
        .iter()
        .map(|wish| {
            if is_contested(wish) {
                prefixed(wish)
            } else {
                fit(wish.name)
            }
        })
        .collect();

    // `a` with `b_c` and `a_b` with `c` still meet. A hash of both parts tells them apart.
    let met = repeated(names.iter().map(|name| folded(name)));
    for (name, wish) in names.iter_mut().zip(wishes) {
        if met.contains(&folded(name)) {
            *name = with_hash(name, &format!("{}/{}", wish.service, wish.name));
        }
    }

    let mut withdrawn: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, wish) in names.iter().zip(wishes) {
        if is_contested(wish) {
            withdrawn
                .entry(fit(wish.name))
                .or_default()
                .push(name.clone());
        }
    }
    for instead in withdrawn.values_mut() {
        instead.sort();
    }
    Given { names, withdrawn }
}

/// The folded names that may not be served bare. Giving one tool its prefix can make a new clash
/// with the bare name of another, so this goes on until nothing changes; each round only adds.
fn contested(wishes: &[Wish<'_>]) -> BTreeSet<String> {
    let mut contested = BTreeSet::new();
    loop {
        let claims = wishes.iter().flat_map(|wish| {
            let bare = folded(&fit(wish.name));
            let prefixed = contested.contains(&bare).then(|| folded(&prefixed(wish)));
            [Some(bare), prefixed].into_iter().flatten()
        });
        let found = repeated(claims);
        if found.is_subset(&contested) {
            return contested;
        }
        contested.extend(found);
    }
}

fn repeated(names: impl Iterator<Item = String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    for name in names {
        if !seen.insert(name.clone()) {
            repeated.insert(name);
        }
    }
    repeated
}

fn prefixed(wish: &Wish<'_>) -> String {
    fit(&format!("{}_{}", wish.service, wish.name))
}

/// A name without what models get wrong.
fn folded(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Whether clients accept the character in a tool's name.
fn accepted(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The nearest legal name: other characters become underscores, and what is too long is cut and
/// ended with a hash of the whole.
fn fit(name: &str) -> String {
    let legal: String = name
        .chars()
        .map(|c| if accepted(c) { c } else { '_' })
        .collect();
    if legal.len() <= LONGEST_NAME {
        legal
    } else {
        with_hash(&legal, name)
    }
}

/// The beginning of a name, and a hash that stands for all of `whole`.
fn with_hash(name: &str, whole: &str) -> String {
    let kept: String = name.chars().take(LONGEST_NAME - HASH_DIGITS - 1).collect();
    let hash = Digest::of(&[whole.as_bytes()]).prefix(HASH_DIGITS);
    format!("{kept}_{hash}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(wishes: &[(&str, &str)]) -> Vec<String> {
        let wishes: Vec<Wish<'_>> = wishes
            .iter()
            .map(|&(service, name)| Wish { service, name })
            .collect();
        name(&wishes).names
    }

    #[test]
    fn a_name_is_bare_while_one_service_has_it() {
        assert_eq!(
            named(&[("alpha", "getUser"), ("alpha", "ping"), ("beta", "list")]),
            ["getUser", "ping", "list"]
        );
    }

    #[test]
    fn a_contested_name_is_withdrawn_from_all() {
        let wishes = [
            ("alpha", "getUser"),
            ("alpha", "ping"),
            ("beta", "get_user"),
        ]
        .map(|(service, name)| Wish { service, name });
        let given = name(&wishes);
        assert_eq!(given.names, ["alpha_getUser", "ping", "beta_get_user"]);
        assert_eq!(
            given.withdrawn,
            BTreeMap::from([
                ("getUser".into(), vec!["alpha_getUser".into()]),
                ("get_user".into(), vec!["beta_get_user".into()]),
            ])
        );
    }

    #[test]
    fn a_prefix_that_meets_a_bare_name_moves_it_too() {
        assert_eq!(
            named(&[("a", "b"), ("c", "b"), ("d", "a_b")]),
            ["a_b", "c_b", "d_a_b"]
        );
    }

    #[test]
    fn prefixed_names_that_meet_are_told_apart() {
        let names = named(&[("a", "b_c"), ("a_b", "c"), ("x", "bC"), ("y", "c")]);
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
        assert!(
            names
                .iter()
                .filter(|name| name.starts_with("a_b_c_"))
                .count()
                == 2
        );
    }

    #[test]
    fn a_long_name_is_cut_and_stays_unique() {
        let (one, other) = ("x".repeat(80), format!("{}y", "x".repeat(79)));
        let names = named(&[("s", &one), ("s", &other)]);
        assert!(names.iter().all(|name| name.len() == LONGEST_NAME));
        assert_ne!(names.first(), names.last());
    }

    /// What callers are listed, and in which order: names, with the tools they stand for.
    fn list(wishes: &[(String, String)]) -> String {
        let wishes: Vec<Wish<'_>> = wishes
            .iter()
            .map(|(service, name)| Wish { service, name })
            .collect();
        let given = name(&wishes);
        let mut lines: Vec<String> = given
            .names
            .iter()
            .zip(&wishes)
            .map(|(name, wish)| format!("{name} is {} of {}\n", wish.name, wish.service))
            .collect();
        lines.sort();
        lines.push(format!("withdrawn: {:?}", given.withdrawn));
        lines.concat()
    }

    /// Fifty services whose names and tools are made of few words, so that most of them clash.
    fn services() -> impl Strategy<Value = Vec<(String, String)>> {
        let long = "x".repeat(LONGEST_NAME + 6);
        let words = [
            "a", "b", "A", "a-b", "aB", "a_b", "b_a", "ab", "a-1", "a1", &long,
        ];
        let tools = proptest::sample::subsequence(words.map(str::to_owned).to_vec(), 1..6);
        proptest::collection::vec(tools, 50).prop_map(|services| {
            let prefixes = ["a", "b", "a_b", "B", "s"];
            let names = (0..10).flat_map(|number| {
                prefixes.map(|prefix| match number {
                    0 => prefix.to_owned(),
                    _ => format!("{prefix}_{}", "a".repeat(number)),
                })
            });
            names
                .zip(services)
                .flat_map(|(service, tools)| {
                    tools.into_iter().map(move |tool| (service.clone(), tool))
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_order_in_which_services_arrive_changes_no_byte_of_the_list(
            (wishes, shuffled) in services().prop_flat_map(|wishes| (Just(wishes.clone()), Just(wishes).prop_shuffle())),
        ) {
            prop_assert_eq!(list(&wishes), list(&shuffled));
        }

        #[test]
        fn every_tool_has_a_legal_name_to_itself(wishes in services()) {
            let wishes: Vec<Wish<'_>> = wishes.iter().map(|(service, name)| Wish { service, name }).collect();
            let names = name(&wishes).names;
            prop_assert_eq!(names.len(), wishes.len());
            prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{:?}", names);
            for name in names {
                prop_assert!((1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(accepted), "{}", name);
            }
        }
    }
}
