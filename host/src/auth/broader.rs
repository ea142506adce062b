//! Scopes that include others. To OAuth a scope is a word and nothing more (RFC 6749 §3.3), so which is the
//! broader cannot be told from how it is written: the operator says it, or nobody does.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::access::{Grants, NotGrants};
use super::principal::Principal;

/// The most scopes that may include others.
const MOST: usize = 64;

/// What the operator says of scopes: who was granted the broader has the narrower, too (MCP 2026-07-28,
/// authorization).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Grants>")]
pub struct Scopes {
    /// By each narrower one, all that include it, directly or by way of others.
    broader: BTreeMap<String, BTreeSet<String>>,
}

/// Why that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotScopes {
    /// One is no scope.
    #[error(transparent)]
    Name(#[from] NotGrants),
    /// There are too many.
    #[error("{0} scopes include others; at most {MOST} can")]
    TooMany(usize),
}

impl Scopes {
    /// Whether a caller was granted this scope, or one that includes it.
    pub fn grant(&self, who: &Principal, scope: &str) -> bool {
        who.has_scope(scope)
            || self
                .broader
                .get(scope)
                .is_some_and(|broader| broader.iter().any(|broader| who.has_scope(broader)))
    }
}

impl TryFrom<BTreeMap<String, Grants>> for Scopes {
    type Error = NotScopes;

    fn try_from(includes: BTreeMap<String, Grants>) -> Result<Self, NotScopes> {
        if includes.len() > MOST {
            return Err(NotScopes::TooMany(includes.len()));
        }
        let mut broader: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for scope in includes.keys() {
            Grants::try_from(vec![scope.clone()])?;
            // All that can be reached from it, each once, however they include each other.
            let mut reached = BTreeSet::new();
            let mut open = vec![scope];
            while let Some(next) = open.pop() {
                for narrower in includes.get(next).map_or(&[][..], Grants::names) {
                    if reached.insert(narrower) {
                        open.push(narrower);
                    }
                }
            }
            for narrower in reached.into_iter().filter(|narrower| *narrower != scope) {
                let all = broader.entry(narrower.clone()).or_default();
                all.insert(scope.clone());
            }
        }
        Ok(Self { broader })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Scopes, String> {
        serde_json::from_str(text).map_err(|cause: serde_json::Error| cause.to_string())
    }

    fn broader(scopes: &Scopes, scope: &str) -> Vec<String> {
        let broader = scopes.broader.get(scope);
        broader.into_iter().flatten().cloned().collect()
    }

    #[test]
    fn what_includes_what_is_followed_to_its_end() {
        let scopes = read(
            r#"{"all":["mail","news"],"mail":["mail:read","mail:send"],"mail:send":["mail:draft"]}"#,
        );
        let scopes = scopes.unwrap();
        assert_eq!(broader(&scopes, "mail:draft"), ["all", "mail", "mail:send"]);
        assert_eq!(broader(&scopes, "mail:read"), ["all", "mail"]);
        assert_eq!(broader(&scopes, "news"), ["all"]);
        assert!(broader(&scopes, "all").is_empty());
        assert!(broader(&scopes, "mail:other").is_empty());

        // Two that include each other are as good as each other.
        let scopes = read(r#"{"a":["b"],"b":["a","c"]}"#).unwrap();
        assert_eq!(broader(&scopes, "a"), ["b"]);
        assert_eq!(broader(&scopes, "b"), ["a"]);
        assert_eq!(broader(&scopes, "c"), ["a", "b"]);
        assert_eq!(read(r#"{"a":["a"],"b":[]}"#), Ok(Scopes::default()));
    }

    #[test]
    fn what_is_no_scope_includes_nothing_and_is_included_by_nothing() {
        for text in [
            r#"{"a b":["c"]}"#,
            r#"{"":["c"]}"#,
            r#"{"a":["b c"]}"#,
            r#"{"a":["offline_access"]}"#,
            r#"{"offline_access":["a"]}"#,
            r#"{"a":"b"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let many: BTreeMap<String, Grants> = (0..=MOST)
            .map(|n| (n.to_string(), Grants::default()))
            .collect();
        assert_eq!(Scopes::try_from(many), Err(NotScopes::TooMany(MOST + 1)));
    }
}
