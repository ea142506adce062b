//! Doc comments, taken apart: prose for people and models, and tags, which are lines that begin
//! with `@` and say what types cannot.

use crate::value::Rules;

/// A doc comment, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Doc {
    /// The text without its tags.
    pub(super) prose: Option<String>,
    /// The tags, in order.
    pub(super) tags: Vec<Tag>,
}

/// A line that begins with `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// The word after the `@`.
    pub(super) name: String,
    /// The rest of the line.
    pub(super) value: String,
}

impl Doc {
    /// Takes a doc comment apart.
    pub(super) fn of(docs: &wit_parser::Docs) -> Self {
        let mut prose = Vec::new();
        let mut tags = Vec::new();
        let contents = docs.contents.as_deref().unwrap_or_default();
        for line in beginning(contents).lines() {
            match tag(line).filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_lowercase())) {
                Some((name, value)) => tags.push(Tag {
                    name: name.to_owned(),
                    value: value.to_owned(),
                }),
                None => prose.push(line),
            }
        }
        let prose = prose.join("\n").trim().to_owned();
        Self {
            prose: (!prose.is_empty()).then_some(prose),
            tags,
        }
    }

    /// The first value of a tag.
    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        self.tags
            .iter()
            .find(|tag| tag.name == name)
            .map(|tag| &*tag.value)
    }
}

/// The word after an `@` at the beginning of a line, and the rest of it.
pub(super) fn tag(line: &str) -> Option<(&str, &str)> {
    let tag = line.trim_start().strip_prefix('@')?;
    let (name, value) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    Some((name, value.trim()))
}

/// The most bytes of one doc comment that are read. Models read a few hundred words of a description
/// well, and what a type says is kept once for each place that uses it.
const LONGEST: usize = 16 << 10;

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Whether a tag states a rule for a value.
pub(super) fn is_rule(name: &str) -> bool {
    Rules::TAGS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_lines_of_their_own() {
        let doc = Doc::of(&wit_parser::Docs {
            contents: Some(
                "Says hello.\n\nWrite to me@example.com.\n  @readonly\n@min-length name  1 \n@ alone"
                    .into(),
            ),
        });
        assert_eq!(
            doc.prose.as_deref(),
            Some("Says hello.\n\nWrite to me@example.com.\n@ alone")
        );
        let tags: Vec<_> = doc
            .tags
            .iter()
            .map(|tag| (&*tag.name, &*tag.value))
            .collect();
        assert_eq!(tags, [("readonly", ""), ("min-length", "name  1")]);
    }
}
