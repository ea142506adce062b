//! What a function demands of its callers: the tags `@scope`, `@permission` and `@role` of its doc
//! comments, and what the operator's manifest states, which then rules.
//!
//! What any text demands is demanded. A restriction that cannot be read leaves the function out: none
//! is ever lost.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use wit_parser::{Docs, Function, InterfaceId, Resolve, World, WorldItem};

use super::manifest::Wrong;
use super::tags;
use super::words::{Place, Said, Text, Words};
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
    words: &'a Words,
    /// What each text restricts that is not of the component, by the names of the functions.
    strangers: Vec<BTreeSet<&'a str>>,
    /// Interfaces of each text that have a tag which belongs on their functions.
    misplaced: HashMap<(usize, InterfaceId), &'static str>,
    /// The same of a world or a package.
    misplaced_around: Option<&'static str>,
}

impl<'a> Restrictions<'a> {
    pub(super) fn new(
        stated: &'a BTreeMap<String, Stated>,
        broader: &Scopes,
        words: &'a Words,
        types: &Resolve,
        world: &World,
    ) -> Self {
        let mut known: HashSet<(usize, Place, &str)> = HashSet::new();
        for (interface, function) in exported(types, world) {
            for said in words.of(interface.as_deref(), &function.name) {
                known.insert((said.text, said.place, &said.function.name));
            }
        }
        let strangers = words.texts.iter().enumerate().map(|(number, text)| {
            text.functions()
                .filter(|(_, function)| restricting(&function.docs).is_some())
                .filter(|(place, function)| !known.contains(&(number, *place, &*function.name)))
                .map(|(_, function)| &*function.name)
                .collect()
        });
        let texts = words.texts.iter().enumerate();
        Self {
            stated,
            broader: Arc::new(broader.clone()),
            found: BTreeSet::new(),
            doubled: None,
            words,
            strangers: strangers.collect(),
            misplaced: texts
                .flat_map(|(number, text)| above(text).map(move |(id, tag)| ((number, id), tag)))
                .collect(),
            misplaced_around: words.texts.iter().find_map(around),
        }
    }

    /// What a function demands, or why that cannot be told. `origin` is its full name, and `said` what
    /// the texts say of it.
    pub(super) fn of(
        &mut self,
        interface: Option<&str>,
        origin: &str,
        function: &Function,
        said: &[Said<'_>],
        case: NameCase,
    ) -> Result<Requirement, String> {
        let stated = self.stated(origin, function, said, case);
        let above = interface.and_then(|name| self.above(name));
        if let Some(tag) = above.or(self.misplaced_around) {
            return Err(format!(
                "`@{tag}` stands above its interface, world or package: write it above each function that it is to restrict"
            ));
        }
        for (number, (text, strangers)) in self.words.texts.iter().zip(&self.strangers).enumerate()
        {
            let is_silent = said
                .iter()
                .filter(|said| said.text == number)
                .all(|said| text.is_partial && said.function.docs.is_empty());
            if is_silent && strangers.contains(&*function.name) {
                return Err(format!(
                    "{} restricts a function `{}` that is not of the component: the text must have its package, version and interface",
                    text.place, function.name
                ));
            }
        }
        let docs: Vec<&Docs> = said.iter().map(|said| &said.function.docs).collect();
        Ok(Requirement {
            broader: Arc::clone(&self.broader),
            ..requirement(stated, &docs)?
        })
    }

    /// A tag above an interface, or where a world exports it.
    fn above(&self, interface: &str) -> Option<&'static str> {
        let texts = self.words.texts.iter().enumerate();
        texts
            .flat_map(|(number, text)| text.interfaces(interface).map(move |(id, _)| (number, id)))
            .find_map(|place| self.misplaced.get(&place).copied())
    }

    /// The manifest's entry for a function, under any of its names.
    fn stated(
        &mut self,
        origin: &str,
        function: &Function,
        said: &[Said<'_>],
        case: NameCase,
    ) -> Option<&'a Stated> {
        let spelled = case.of(&function.name);
        let renamed = said.iter().filter_map(|said| named(&said.function.docs));
        let names = [origin, &*function.name, &*spelled];
        let mut entry: Option<(&'a str, &'a Stated)> = None;
        for name in names.into_iter().chain(renamed) {
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
    pub(super) fn all_found(&self) -> Result<(), Wrong> {
        if let Some((one, other)) = self.doubled {
            let cause = format!("`{one}` and `{other}` are the same function; keep one of them");
            return Err(Wrong::new(&["tools", one], cause));
        }
        let mut names = self.stated.keys();
        match names.find(|name| !self.found.contains(&***name)) {
            Some(name) => Err(Wrong::new(
                &["tools", name],
                format!(
                    "the component has no function `{name}`; use a name as in its WIT, or as a client sees it"
                ),
            )),
            None => Ok(()),
        }
    }
}

/// The functions that a component exports, each with the name of its interface.
fn exported<'r>(
    types: &'r Resolve,
    world: &'r World,
) -> impl Iterator<Item = (Option<String>, &'r Function)> {
    world.exports.iter().flat_map(|(key, item)| {
        let (interface, functions) = match item {
            WorldItem::Interface { id, .. } => {
                let functions = types.interfaces.get(*id).map(|it| it.functions.values());
                (Some(types.name_world_key(key)), functions)
            }
            WorldItem::Function(_) | WorldItem::Type { .. } => (None, None),
        };
        let root = match item {
            WorldItem::Function(function) => Some(function),
            WorldItem::Interface { .. } | WorldItem::Type { .. } => None,
        };
        let functions = functions.into_iter().flatten().chain(root);
        functions.map(move |function| (interface.clone(), function))
    })
}

/// A tag that restricts, above a world or package of a text.
fn around(text: &Text) -> Option<&'static str> {
    let packages = text.resolve.packages.iter().map(|(_, it)| &it.docs);
    let worlds = text.resolve.worlds.iter().map(|(_, it)| &it.docs);
    packages.chain(worlds).find_map(restricting)
}

/// Tags that restrict, above interfaces of a text, or above the statements that export them.
fn above(text: &Text) -> impl Iterator<Item = (InterfaceId, &'static str)> {
    let interfaces = text.resolve.interfaces.iter();
    let written = interfaces.map(|(id, interface)| (id, &interface.docs));
    let worlds = text.resolve.worlds.iter();
    let exported = worlds
        .flat_map(|(_, world)| world.exports.values())
        .filter_map(|item| match item {
            WorldItem::Interface { id, docs, .. } => Some((*id, docs)),
            WorldItem::Function(_) | WorldItem::Type { .. } => None,
        });
    written
        .chain(exported)
        .filter_map(|(id, docs)| Some((id, restricting(docs)?)))
}

/// What the manifest and the doc comments demand.
fn requirement(stated: Option<&Stated>, docs: &[&Docs]) -> Result<Requirement, String> {
    let all = |list: fn(&Stated) -> Option<&Grants>, tag| match stated.and_then(list) {
        Some(grants) => Ok(grants.clone()),
        None => all(docs, tag),
    };
    Ok(Requirement {
        scopes: all(|stated| stated.scopes.as_ref(), "scope")?,
        permissions: all(|stated| stated.permissions.as_ref(), "permission")?,
        roles: match stated.and_then(|stated| stated.roles.as_ref()) {
            Some(grants) => grants.clone(),
            None => any(docs)?,
        },
        ..Requirement::default()
    })
}

/// What all doc comments together demand of scopes or permissions, of which a caller must have all.
fn all(docs: &[&Docs], tag: &str) -> Result<Grants, String> {
    let mut names: Vec<String> = Vec::new();
    for docs in docs {
        for name in read(docs, tag)?.names() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    Grants::try_from(names).map_err(|cause| format!("`@{tag}`: {cause}"))
}

/// The roles of which a caller must have one, if a doc comment names any. Nobody has two, so of what
/// several doc comments name only those count that all of them do.
fn any(docs: &[&Docs]) -> Result<Grants, String> {
    let mut common: Option<Vec<String>> = None;
    for docs in docs {
        let roles = read(docs, "role")?;
        let roles = roles.names();
        if roles.is_empty() {
            continue;
        }
        common = Some(match common {
            None => roles.to_vec(),
            Some(others) => others
                .into_iter()
                .filter(|role| roles.contains(role))
                .collect(),
        });
    }
    match common {
        Some(roles) if roles.is_empty() => {
            Err("its texts name different roles, and no caller has two: keep one text, or state the roles in the manifest".to_owned())
        }
        common => Grants::try_from(common.unwrap_or_default())
            .map_err(|cause| format!("`@role`: {cause}")),
    }
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
            let found = requirement(manifest.tools.get("send"), &[&docs(comment)]);
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
            let cause = requirement(None, &[&docs(comment)]).unwrap_err();
            assert!(cause.contains(expected), "{comment}: {cause}");
        }
        assert_eq!(
            requirement(
                None,
                &[&docs("Write to a@scope.example.\n@scoped it is not")]
            ),
            Ok(Requirement::default())
        );
    }

    #[test]
    fn what_one_text_demands_no_other_takes_back() {
        for (comments, expected) in [
            (["@scope a", "Sends."], Ok("the scope `a`")),
            (["Sends.", "@scope a b"], Ok("the scopes `a` and `b`")),
            (
                ["@scope a b", "@scope b c"],
                Ok("the scopes `a` and `b` and `c`"),
            ),
            (
                ["@permission a", "@scope b"],
                Ok("the scope `b`; the permission `a`"),
            ),
            (["@role a\n@role b", "@role c\n@role b"], Ok("the role `b`")),
            (["@role a", "Sends."], Ok("the role `a`")),
            (["@role a", "@role b"], Err("name different roles")),
            (["@scope a", "@scopes b"], Err("write `@scope`")),
        ] {
            let docs = comments.map(docs);
            let found = requirement(None, &[&docs[0], &docs[1]]);
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected),
                (Err(cause), Err(expected)) => assert!(cause.contains(expected), "{cause}"),
                (other, _) => panic!("{comments:?}: {other:?}"),
            }
        }
    }
}
