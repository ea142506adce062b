//! What a function demands of its callers: the tags `@scope`, `@permission` and `@role` of its doc
//! comment, and what the operator's manifest states, which then rules.
//!
//! A restriction that cannot be read leaves the function out: none is ever lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use wit_parser::{Docs, Function, Resolve, World, WorldItem};

use super::tags;
use super::text::Text;
use crate::auth::{Grants, Requirement, Scopes};
use crate::value::NameCase;

/// The tags that restrict.
const TAGS: [&str; 3] = ["scope", "permission", "role"];

/// What the operator states of one function. A list that is there rules over the tags of its kind,
/// an empty one too.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Stated {
    scopes: Option<Grants>,
    permissions: Option<Grants>,
    roles: Option<Grants>,
}

/// What restricts the functions of one component.
pub(super) struct Restrictions<'a> {
    stated: &'a BTreeMap<String, Stated>,
    /// Which scopes include others.
    broader: Arc<Scopes>,
    /// The names among them that some function has.
    found: BTreeSet<&'a str>,
    /// Names that two entries of the manifest have for one function.
    doubled: Option<(&'a str, &'a str)>,
    /// Interfaces that have a tag which belongs on their functions.
    misplaced: BTreeMap<String, &'static str>,
    /// The same of a world or a package.
    misplaced_around: Option<&'static str>,
    /// Functions of the text that have a tag which restricts.
    restricted: BTreeSet<&'a str>,
}

impl<'a> Restrictions<'a> {
    pub(super) fn new(
        stated: &'a BTreeMap<String, Stated>,
        broader: &Scopes,
        text: Option<&'a Text>,
    ) -> Self {
        let mut restrictions = Self {
            stated,
            broader: Arc::new(broader.clone()),
            found: BTreeSet::new(),
            doubled: None,
            misplaced: BTreeMap::new(),
            misplaced_around: None,
            restricted: BTreeSet::new(),
        };
        if let Some(text) = text {
            restrictions.look_through(&text.resolve);
        }
        restrictions
    }

    fn look_through(&mut self, text: &'a Resolve) {
        for (id, interface) in &text.interfaces {
            if let (Some(tag), Some(name)) = (restricting(&interface.docs), text.id_of(id)) {
                self.misplaced.insert(name, tag);
            }
        }
        let packages = text.packages.iter().map(|(_, package)| &package.docs);
        let worlds: Vec<&World> = text.worlds.iter().map(|(_, world)| world).collect();
        self.misplaced_around = packages
            .chain(worlds.iter().map(|world| &world.docs))
            .find_map(restricting);

        let interfaces = text.interfaces.iter();
        let inside = interfaces.flat_map(|(_, interface)| interface.functions.values());
        let exports = worlds.iter().flat_map(|world| world.exports.values());
        let at_the_root = exports.filter_map(|item| match item {
            WorldItem::Function(function) => Some(function),
            WorldItem::Interface { .. } | WorldItem::Type { .. } => None,
        });
        self.restricted = inside
            .chain(at_the_root)
            .filter(|function| restricting(&function.docs).is_some())
            .map(|function| &*function.name)
            .collect();
    }

    /// What a function demands, or why that cannot be told.
    pub(super) fn of(
        &mut self,
        interface: Option<&str>,
        function: &Function,
        words: Option<&Function>,
        case: NameCase,
    ) -> Result<Requirement, String> {
        let stated = self.stated(function, words, case);
        let around = interface.and_then(|name| self.misplaced.get(name).copied());
        if let Some(tag) = around.or(self.misplaced_around) {
            return Err(format!(
                "`@{tag}` stands above its interface, world or package: write it above each function that it is to restrict"
            ));
        }
        let Some(words) = words else {
            if self.restricted.contains(&*function.name) {
                return Err(format!(
                    "the WIT text restricts a function `{}` that is not of the component: the text must have its package, version and interface",
                    function.name
                ));
            }
            return self.requirement(stated, &Docs::default());
        };
        self.requirement(stated, &words.docs)
    }

    fn requirement(&self, stated: Option<&Stated>, docs: &Docs) -> Result<Requirement, String> {
        Ok(Requirement {
            broader: Arc::clone(&self.broader),
            ..requirement(stated, docs)?
        })
    }

    /// The manifest's entry for a function, under any of its names.
    fn stated(
        &mut self,
        function: &Function,
        words: Option<&Function>,
        case: NameCase,
    ) -> Option<&'a Stated> {
        let spelled = case.of(&function.name);
        let renamed = words.and_then(|words| named(&words.docs));
        let names = [Some(&*function.name), Some(&*spelled), renamed];
        let mut entry: Option<(&'a str, &'a Stated)> = None;
        for name in names.into_iter().flatten() {
            let Some((name, stated)) = self.stated.get_key_value(name) else {
                continue;
            };
            self.found.insert(name);
            match entry {
                Some((other, _)) if other != name => self.doubled = Some((other, name)),
                Some(_) | None => entry = Some((name, stated)),
            }
        }
        entry.map(|(_, stated)| stated)
    }

    /// Whether each entry of the manifest is one of a function: a wrong name must not open one.
    pub(super) fn all_found(&self) -> Result<(), String> {
        if let Some((one, other)) = self.doubled {
            return Err(format!(
                "`{one}` and `{other}` are the same function; keep one of them"
            ));
        }
        let mut names = self.stated.keys();
        match names.find(|name| !self.found.contains(&***name)) {
            Some(name) => Err(format!(
                "the component has no function `{name}`; use a name as in its WIT, or as a client sees it"
            )),
            None => Ok(()),
        }
    }
}

/// What the manifest and a doc comment demand.
fn requirement(stated: Option<&Stated>, docs: &Docs) -> Result<Requirement, String> {
    let rules = |list: fn(&Stated) -> Option<&Grants>, tag| match stated.and_then(list) {
        Some(grants) => Ok(grants.clone()),
        None => read(docs, tag),
    };
    Ok(Requirement {
        scopes: rules(|stated| stated.scopes.as_ref(), "scope")?,
        permissions: rules(|stated| stated.permissions.as_ref(), "permission")?,
        roles: rules(|stated| stated.roles.as_ref(), "role")?,
        ..Requirement::default()
    })
}

/// The values of all tags of a name.
fn read(docs: &Docs, wanted: &str) -> Result<Grants, String> {
    let mut names = Vec::new();
    for (name, value) in lines(docs).filter(|(name, _)| meant(name) == Some(wanted)) {
        if name != wanted {
            return Err(format!("unknown tag `@{name}`: write `@{wanted}`"));
        }
        if value.is_empty() {
            return Err(format!("`@{wanted}` says nothing"));
        }
        names.extend(value.split_ascii_whitespace().map(str::to_owned));
    }
    Grants::try_from(names).map_err(|cause| format!("`@{wanted}`: {cause}"))
}

/// The first tag in a doc comment that restricts, or was meant to.
fn restricting(docs: &Docs) -> Option<&'static str> {
    lines(docs).find_map(|(name, _)| meant(name))
}

/// The tag that is meant by a word after an `@`: `@Scope`, `@scopes` and `@scope:` are mistakes that
/// must not open a function.
fn meant(word: &str) -> Option<&'static str> {
    let end = word.find(|c: char| !c.is_ascii_alphabetic());
    let letters = end.and_then(|end| word.get(..end)).unwrap_or(word);
    let singular = letters.strip_suffix(['s', 'S']).unwrap_or(letters);
    TAGS.into_iter()
        .find(|tag| tag.eq_ignore_ascii_case(singular))
}

/// The value of `@name`.
fn named(docs: &Docs) -> Option<&str> {
    lines(docs)
        .find(|(name, _)| *name == "name")
        .map(|(_, value)| value)
}

/// All tags of a doc comment, however long it is.
fn lines(docs: &Docs) -> impl Iterator<Item = (&str, &str)> {
    let contents = docs.contents.as_deref().unwrap_or_default();
    contents.lines().filter_map(tags::tag)
}

/// Whether a text that cannot be used has a tag that restricts, wherever it stands.
pub(super) fn is_mentioned(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'@').skip(1).any(|rest| {
        let is_tag = |tag: &&str| {
            rest.get(..tag.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(tag.as_bytes()))
        };
        TAGS.iter().any(is_tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reload::manifest::Manifest;

    fn docs(contents: &str) -> Docs {
        Docs {
            contents: Some(contents.to_owned()),
        }
    }

    #[test]
    fn tags_add_up_and_the_manifest_rules() {
        let tagged = "Sends.\n@scope mail:read\n  @scope mail:send  profile\n@permission org:mail:send\n@role org:admin\n@role org:owner";
        for (comment, manifest, expected) in [
            ("Sends.", "", ""),
            (
                tagged,
                "",
                "the scopes `mail:read` and `mail:send` and `profile`; the permission `org:mail:send`; one of the roles `org:admin` or `org:owner`",
            ),
            (
                tagged,
                r#"scopes = ["mail:all"]"#,
                "the scope `mail:all`; the permission `org:mail:send`; one of the roles `org:admin` or `org:owner`",
            ),
            (
                tagged,
                "scopes = []\npermissions = []\nroles = [\"org:member\"]",
                "the role `org:member`",
            ),
            (
                "Sends.",
                r#"permissions = ["a", "b"]"#,
                "the permissions `a` and `b`",
            ),
            // What the manifest rules over need not be right.
            ("@scope", r#"scopes = ["mail:all"]"#, "the scope `mail:all`"),
        ] {
            let manifest = Manifest::read(format!("[tools.send]\n{manifest}").as_bytes()).unwrap();
            let found = requirement(manifest.tools.get("send"), &docs(comment));
            assert_eq!(found.unwrap().to_string(), expected, "{comment}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let too_far_down = format!("{}\n@scopes a", "Sends.\n".repeat(10_000));
        for (comment, expected) in [
            ("@scope", "`@scope` says nothing"),
            ("@permission  ", "`@permission` says nothing"),
            ("@scope a\n@scope", "`@scope` says nothing"),
            ("@scope \"a\"", "is no name of a scope"),
            ("@role org\u{e4}", "is no name of a scope"),
            ("@scope offline_access", "`offline_access`"),
            ("@scopes a b", "unknown tag `@scopes`: write `@scope`"),
            ("@Role org:admin", "unknown tag `@Role`: write `@role`"),
            (
                "@permission: a",
                "unknown tag `@permission:`: write `@permission`",
            ),
            ("@scope(a)", "unknown tag `@scope(a)`: write `@scope`"),
            (&too_far_down, "unknown tag `@scopes`"),
        ] {
            let cause = requirement(None, &docs(comment)).unwrap_err();
            assert!(cause.contains(expected), "{comment}: {cause}");
        }
        assert_eq!(
            requirement(None, &docs("Write to a@scope.example.\n@scoped it is not")),
            Ok(Requirement::default())
        );
    }
}
