//! What is wrong with a value of a manifest that can be read, and where it stands.

use toml::de::{DeTable, DeValue};

/// Something that is wrong, by the keys that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reload) struct Wrong {
    keys: Vec<String>,
    cause: String,
}

impl Wrong {
    pub(in crate::reload) fn new(keys: &[&str], cause: impl Into<String>) -> Self {
        Self {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            cause: cause.into(),
        }
    }

    /// The same with its line and column in the text of the manifest.
    pub(super) fn placed(&self, text: &str) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| written(key)).collect();
        let key = keys.join(".");
        let cause = &self.cause;
        match offset(text, &self.keys) {
            Some(offset) => {
                let before = text.get(..offset).unwrap_or_default();
                let line = before.matches('\n').count().saturating_add(1);
                let start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
                let column = before.get(start..).map_or(0, |it| it.chars().count());
                let column = column.saturating_add(1);
                format!("line {line}, column {column}, `{key}`: {cause}")
            }
            None => format!("`{key}`: {cause}"),
        }
    }
}

/// A key as it is written in TOML.
fn written(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

/// Where the last of the keys stands that is there.
fn offset(text: &str, keys: &[String]) -> Option<usize> {
    let parsed = DeTable::parse(text).ok()?;
    let mut table = parsed.get_ref();
    let mut found = None;
    for key in keys {
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == key) else {
            break;
        };
        found = Some(name.span().start);
        let DeValue::Table(inner) = value.get_ref() else {
            break;
        };
        table = inner;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let text = "[files]\n\"/ü\" = { path = \"a\" }\n  \"/b\".path = \"b\"\n[limits]\nmemory = \"1GiB\"";
        for (keys, placed) in [
            (
                ["files", "/ü", "path"],
                "line 2, column 10, `files.\"/ü\".path`: no",
            ),
            (
                ["files", "/b", ""],
                "line 3, column 3, `files.\"/b\".\"\"`: no",
            ),
            (
                ["limits", "memory", "x"],
                "line 5, column 1, `limits.memory.x`: no",
            ),
            (
                ["limits", "cpu", "x"],
                "line 4, column 2, `limits.cpu.x`: no",
            ),
            (["env", "A", "x"], "`env.A.x`: no"),
        ] {
            assert_eq!(Wrong::new(&keys, "no").placed(text), placed);
        }
    }
}
