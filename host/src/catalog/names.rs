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
    /// Whether each is bare, prefixed, or more than that, in the same order.
    pub(super) forms: Vec<Form>,
    /// The names that nobody got, without what models get wrong.
    pub(super) withdrawn: BTreeMap<String, Withdrawn>,
}

/// A name that several wanted, or that is spelled almost like one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// How they spell it.
    pub names: BTreeSet<String>,
    /// What is served instead.
    pub instead: BTreeSet<String>,
}

/// What a tool is called, as far as it must be to be told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// As it wishes.
    Bare,
    /// With the name of its service before that.
    Prefixed,
    /// With so many times [`HASH_DIGITS`] of a hash of both parts behind that.
    Hashed(usize),
}

/// The most digits of a hash that are tried. Nobody will see them.
const MOST_HASHES: usize = 6;

impl Form {
    fn of(self, wish: &Wish<'_>) -> String {
        match self {
            Self::Bare => fit(wish.name),
            Self::Prefixed => prefixed(wish),
            Self::Hashed(times) => {
                let whole = format!("{}/{}", wish.service, wish.name);
                with_hash(&prefixed(wish), &whole, times * HASH_DIGITS)
            }
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Bare => Self::Prefixed,
            Self::Prefixed => Self::Hashed(1),
            Self::Hashed(times) => Self::Hashed((times + 1).min(MOST_HASHES)),
        }
    }
}

/// Names all tools. What each one gets depends on the set of wishes alone, not on their order.
///
/// A name that several would have is given to none of them, nor to any other, in whatever spelling. One
/// that was given a prefix or a hash can meet the name of another again, so this is repeated until no
/// two meet.
pub(super) fn name(wishes: &[Wish<'_>]) -> Given {
    let mut forms = vec![Form::Bare; wishes.len()];
    let mut withdrawn: BTreeMap<String, Withdrawn> = BTreeMap::new();
    let names = loop {
        let given = forms.iter().zip(wishes);
        let names: Vec<String> = given.map(|(form, wish)| form.of(wish)).collect();
        let alike: Vec<String> = names.iter().map(|name| folded(name)).collect();
        let met = repeated(alike.iter());
        withdrawn.extend(met.into_iter().map(|name| (name, Withdrawn::default())));
        let mut has_changed = false;
        for ((form, alike), name) in forms.iter_mut().zip(&alike).zip(&names) {
            if let Some(entry) = withdrawn.get_mut(alike)
                && *form != form.next()
            {
                entry.names.insert(name.clone());
                *form = form.next();
                has_changed = true;
            }
        }
        if !has_changed {
            break names;
        }
    };
    for ((name, wish), given) in names.iter().zip(wishes).zip(&forms) {
        let mut form = Form::Bare;
        while form != *given {
            if let Some(entry) = withdrawn.get_mut(&folded(&form.of(wish))) {
                entry.instead.insert(name.clone());
            }
            form = form.next();
        }
    }
    Given {
        names,
        forms,
        withdrawn,
    }
}

fn repeated<'n>(names: impl Iterator<Item = &'n String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).cloned().collect()
}

fn prefixed(wish: &Wish<'_>) -> String {
    fit(&format!("{}_{}", wish.service, wish.name))
}

/// A name without what models get wrong: two that are the same this way could be taken for each other.
pub fn folded(name: &str) -> String {
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
pub fn fit(name: &str) -> String {
    let legal: String = name
        .chars()
        .map(|c| if accepted(c) { c } else { '_' })
        .collect();
    if legal.len() <= LONGEST_NAME {
        legal
    } else {
        with_hash(&legal, name, HASH_DIGITS)
    }
}

/// The beginning of a name, and so many digits of a hash that stands for all of `whole`.
fn with_hash(name: &str, whole: &str, digits: usize) -> String {
    let kept = LONGEST_NAME.saturating_sub(digits + 1);
    let kept: String = name.chars().take(kept).collect();
    let hash = Digest::of(&[whole.as_bytes()]).prefix(digits);
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
        let set = |names: [&str; 2]| BTreeSet::from(names.map(str::to_owned));
        let withdrawn = Withdrawn {
            names: set(["getUser", "get_user"]),
            instead: set(["alpha_getUser", "beta_get_user"]),
        };
        assert_eq!(
            given.withdrawn,
            BTreeMap::from([("getuser".to_owned(), withdrawn)])
        );
    }

    /// Else whoever puts `a` and `c` into the folder would take the name of `d`.
    #[test]
    fn a_prefix_that_meets_a_bare_name_takes_it_from_nobody() {
        let names = named(&[("a", "b"), ("c", "b"), ("d", "a_b")]);
        assert!(names[0].starts_with("a_b_"), "{names:?}");
        assert_eq!(names[1..], ["c_b", "d_a_b"]);
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

    /// What is made with a hash is a claim like any other: a service can have a tool of that name.
    #[test]
    fn a_name_with_a_hash_is_taken_from_nobody() {
        let met = [("a", "b_c"), ("a_b", "c"), ("x", "bC"), ("y", "c")];
        for taken in named(&met) {
            let names = named(&[&met[..], &[("z", &taken)]].concat());
            let folded: BTreeSet<_> = names.iter().map(|name| folded(name)).collect();
            assert_eq!(folded.len(), names.len(), "{names:?}");
            assert!(!names.contains(&taken), "{names:?}");
        }
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
        #![proptest_config(crate::cases::config())]

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
            let alike: BTreeSet<_> = names.iter().map(|name| folded(name)).collect();
            prop_assert_eq!(alike.len(), names.len(), "{:?}", names);
            for name in names {
                prop_assert!((1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(accepted), "{}", name);
            }
        }
    }
}
