//! Doc comments, taken apart: prose for people and models, and tags, which are lines that begin
//! with `@` and say what types cannot.

use std::collections::HashSet;

use crate::value::Rules;

/// A doc comment, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Doc {
    /// The text without its tags.
    pub(super) prose: Option<String>,
    /// The tags, in order.
    pub(super) tags: Vec<Tag>,
    /// What is wrong with the lines themselves.
    pub(super) mistakes: Vec<String>,
}

/// A line that begins with `@` and a word that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// The word after the `@`.
    pub(super) name: String,
    /// The rest of the line.
    pub(super) value: String,
}

/// What a doc comment is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// A function, with its parameters: `@min count 1` is about one of them.
    Function,
    /// A type, a field, a case, or what is around them.
    Item,
}

/// The tags that are no rules.
const TAGS: [&str; 23] = [
    "title",
    "name",
    "readonly",
    "destructive",
    "idempotent",
    "open-world",
    "param",
    "param-title",
    "size",
    "audience",
    "priority",
    "meta",
    "uri",
    "mime",
    "scope",
    "permission",
    "role",
    "completes",
    "icon",
    "ui",
    "deprecated",
    "hidden",
    "schema",
];

/// Tags of which there may be several, each for itself.
const REPEATED: [&str; 6] = [
    "example",
    "icon",
    "completes",
    "scope",
    "permission",
    "role",
];

/// The most bytes of one doc comment that are read. Models read a few hundred words of a description
/// well, and what a type says is published once for each place that uses it.
const LONGEST: usize = 16 << 10;

impl Doc {
    /// Takes a doc comment apart. Of a tag that is given twice the first counts.
    pub(super) fn of(docs: &wit_parser::Docs, about: About) -> Self {
        let mut doc = Self::default();
        let contents = docs.contents.as_deref().unwrap_or_default();
        let beginning = beginning(contents);
        if beginning.len() < contents.len() {
            doc.mistakes.push(format!(
                "its doc comment has {} bytes, of which the first {LONGEST} are read",
                contents.len()
            ));
        }
        let mut prose = Vec::new();
        let mut seen = HashSet::new();
        for line in beginning.lines() {
            let found =
                tag(line).filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_alphabetic()));
            let Some((name, value)) = found else {
                prose.push(line);
                continue;
            };
            if !is_tag(name) {
                // It may be meant as it stands: a name, a handle.
                doc.mistakes.push(format!("unknown tag `@{name}`"));
                prose.push(line);
                continue;
            }
            let tag = Tag {
                name: name.to_owned(),
                value: value.to_owned(),
            };
            let key = tag.key(about);
            if REPEATED.contains(&name) || seen.insert((key.0.to_owned(), key.1.to_owned())) {
                doc.tags.push(tag);
            } else {
                let subject = if key.1.is_empty() { "" } else { " " };
                doc.mistakes.push(format!(
                    "`@{name}{subject}{}` is given twice, and the first counts",
                    key.1
                ));
            }
        }
        let prose = prose.join("\n").trim().to_owned();
        doc.prose = (!prose.is_empty()).then_some(prose);
        doc
    }

    /// Fills in what this leaves out from a doc comment that is further away: the prose, and each tag
    /// that it does not have itself.
    pub(super) fn or(mut self, further: Self, about: About) -> Self {
        self.prose = self.prose.or(further.prose);
        let own: HashSet<(String, String)> = self
            .tags
            .iter()
            .map(|tag| tag.key(about))
            .map(|(name, subject)| (name.to_owned(), subject.to_owned()))
            .collect();
        let is_new = |tag: &Tag| {
            let (name, subject) = tag.key(about);
            !own.contains(&(name.to_owned(), subject.to_owned()))
        };
        self.tags.extend(further.tags.into_iter().filter(is_new));
        self.mistakes.extend(further.mistakes);
        self
    }

    /// The value of a tag.
    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        self.tags
            .iter()
            .find(|tag| tag.name == name)
            .map(|tag| &*tag.value)
    }
}

impl Tag {
    /// What the tag is about: two of one key say the same thing twice.
    fn key(&self, about: About) -> (&str, &str) {
        let has_subject = self.name.starts_with("param") || is_rule(&self.name);
        let subject = match about {
            About::Function if has_subject => first_word(&self.value).0,
            About::Function | About::Item => "",
        };
        (&self.name, subject)
    }
}

/// The word after an `@` at the beginning of a line, and the rest of it.
pub(super) fn tag(line: &str) -> Option<(&str, &str)> {
    let tag = line.trim_start().strip_prefix('@')?;
    let (name, value) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    Some((name, value.trim()))
}

/// The first word of a text, and the rest of it.
pub(super) fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Whether there is a tag of this name.
fn is_tag(name: &str) -> bool {
    TAGS.contains(&name) || is_rule(name)
}

/// Whether a tag states a rule for a value.
pub(super) fn is_rule(name: &str) -> bool {
    Rules::TAGS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(contents: &str, about: About) -> Doc {
        let contents = Some(contents.to_owned());
        Doc::of(&wit_parser::Docs { contents }, about)
    }

    fn tags(doc: &Doc) -> Vec<(&str, &str)> {
        let tags = doc.tags.iter();
        tags.map(|tag| (&*tag.name, &*tag.value)).collect()
    }

    #[test]
    fn tags_are_lines_of_their_own() {
        let doc = doc(
            "Says hello.\n\nWrite to me@example.com.\n  @readonly\n@min-length name  1 \n@ alone\n@Readonly\n@ada",
            About::Function,
        );
        assert_eq!(
            doc.prose.as_deref(),
            Some("Says hello.\n\nWrite to me@example.com.\n@ alone\n@Readonly\n@ada")
        );
        assert_eq!(tags(&doc), [("readonly", ""), ("min-length", "name  1")]);
        assert_eq!(
            doc.mistakes,
            ["unknown tag `@Readonly`", "unknown tag `@ada`"]
        );
    }

    #[test]
    fn of_two_that_say_the_same_the_first_counts() {
        let lines = "@title A\n@title B\n@min x 1\n@min y 2\n@min x 3\n@icon a\n@icon b";
        let function = doc(lines, About::Function);
        assert_eq!(
            tags(&function),
            [
                ("title", "A"),
                ("min", "x 1"),
                ("min", "y 2"),
                ("icon", "a"),
                ("icon", "b")
            ]
        );
        assert_eq!(
            function.mistakes,
            [
                "`@title` is given twice, and the first counts",
                "`@min x` is given twice, and the first counts"
            ]
        );
        let item = doc("@min 1\n@min 2", About::Item);
        assert_eq!(tags(&item), [("min", "1")]);
    }

    #[test]
    fn what_is_further_away_fills_in_what_is_left_out() {
        let near = doc("@title A\n@min x 1\n@icon a", About::Function);
        let far = doc(
            "Prose.\n@title B\n@min x 2\n@min y 2\n@icon b\n@readonly",
            About::Function,
        );
        let both = near.or(far, About::Function);
        assert_eq!(both.prose.as_deref(), Some("Prose."));
        assert_eq!(
            tags(&both),
            [
                ("title", "A"),
                ("min", "x 1"),
                ("icon", "a"),
                ("min", "y 2"),
                ("readonly", "")
            ]
        );
    }

    #[test]
    fn a_long_doc_comment_is_read_to_a_limit_and_that_is_said() {
        let long = doc(&format!("{}\n@title A", "é".repeat(10_000)), About::Item);
        assert!(tags(&long).is_empty() && long.prose.unwrap().len() <= LONGEST);
        assert!(
            long.mistakes[0].contains("20009 bytes"),
            "{:?}",
            long.mistakes
        );
    }
}
