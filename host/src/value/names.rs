//! Names: how a WIT name is spelled in JSON, and which item of a scope a caller's spelling means.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;

/// How a service spells its names in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum NameCase {
    /// `getUserProfile`
    #[default]
    #[serde(rename = "camelCase")]
    Camel,
    /// `get_user_profile`
    #[serde(rename = "snake_case")]
    Snake,
    /// `get-user-profile`
    #[serde(rename = "kebab-case")]
    Kebab,
}

impl NameCase {
    /// Spells a WIT name in this case: `get-HTTP-status` is `getHttpStatus` in camelCase.
    ///
    /// The way back is not unique (`foo-1` and `foo1` are both `foo1`), so callers' spellings are
    /// looked up in a [`Scope`], never converted.
    pub fn of(self, wit: &str) -> String {
        let plain = wit.strip_prefix('%').unwrap_or(wit).to_lowercase();
        match self {
            Self::Kebab => plain,
            Self::Snake => plain.replace('-', "_"),
            Self::Camel => {
                let mut words = plain.split('-');
                let mut name = words.next().unwrap_or_default().to_owned();
                for word in words {
                    let mut letters = word.chars();
                    name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
                    name.push_str(letters.as_str());
                }
                name
            }
        }
    }
}

/// An item that has a name in WIT and one in JSON.
pub trait Named {
    /// The name in WIT, kebab-case, exactly as the component has it.
    fn wit(&self) -> &str;
    /// The name in JSON.
    fn json(&self) -> &str;
}

/// The parameters of a function, the fields of a record, or the cases of a variant, an enum or a
/// set of flags: the items in WIT order, and a table from every accepted spelling to its item.
#[derive(Clone, Debug)]
pub struct Scope<T> {
    items: Vec<T>,
    spellings: HashMap<Box<str>, usize>,
    wit: HashMap<Box<str>, usize>,
}

impl<T: Named> Scope<T> {
    /// Makes the table. The JSON name always wins; another spelling that two items share means
    /// neither of them.
    pub fn new(items: Vec<T>) -> Result<Self, Clash> {
        let mut spellings = HashMap::new();
        let mut wit = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let clash = |name: &str, other: Option<usize>| Clash {
                name: name.to_owned(),
                first: other
                    .and_then(|other| items.get(other))
                    .map_or("", Named::wit)
                    .to_owned(),
                second: item.wit().to_owned(),
            };
            if let Some(other) = spellings.insert(Box::from(item.json()), index) {
                return Err(clash(item.json(), Some(other)));
            }
            if let Some(other) = wit.insert(Box::from(item.wit()), index) {
                return Err(clash(item.wit(), Some(other)));
            }
        }

        let mut others: HashMap<String, Option<usize>> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let name = item.wit();
            let spelled =
                [NameCase::Camel, NameCase::Snake, NameCase::Kebab].map(|case| case.of(name));
            for spelling in spelled.into_iter().chain([name.to_owned()]) {
                others
                    .entry(spelling)
                    .and_modify(|owner| *owner = owner.filter(|owner| *owner == index))
                    .or_insert(Some(index));
            }
        }
        for (spelling, owner) in others {
            if let Some(owner) = owner {
                spellings.entry(spelling.into()).or_insert(owner);
            }
        }
        Ok(Self {
            items,
            spellings,
            wit,
        })
    }

    /// The item that a caller means by this spelling. Letter case matters.
    pub fn get(&self, spelling: &str) -> Option<&T> {
        self.position(spelling)
            .and_then(|index| self.items.get(index))
    }

    /// The place in WIT order of the item that a caller means by this spelling.
    pub fn position(&self, spelling: &str) -> Option<usize> {
        self.spellings.get(spelling).copied()
    }

    /// The item with exactly this WIT name, as component values have it.
    pub fn by_wit(&self, wit: &str) -> Option<&T> {
        self.wit.get(wit).and_then(|index| self.items.get(*index))
    }

    /// The item a caller probably meant by a spelling that is not in the table.
    pub fn nearest(&self, given: &str) -> Option<&T> {
        // The comparison costs the product of both lengths, for each item, and the caller chooses how
        // often it is made.
        if given.len() > LONGEST || self.items.len() > MOST_COMPARED {
            return None;
        }
        let given = folded(given);
        let mut best = (ALIKE, None);
        for item in &self.items {
            for name in [item.json(), item.wit()] {
                let alike = strsim::jaro_winkler(&given, &folded(name));
                if alike > best.0 {
                    best = (alike, Some(item));
                }
            }
        }
        best.1
    }
}

/// The longest name in JSON. Readers take no longer ones as keys, and a result has one for each value.
pub const LONGEST: usize = 64;

/// Whether a text can be the name of a parameter or field: a key that model vendors take. One other
/// name can cost a client its whole list.
pub fn is_key(name: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    (1..=LONGEST).contains(&name.len()) && name.chars().all(legal)
}

/// Whether a text can be the name of a case, which is a value and no key.
pub fn is_label(name: &str) -> bool {
    (1..=LONGEST).contains(&name.chars().count()) && !name.contains(char::is_control)
}

/// Among more names than these, no similar ones are looked for.
const MOST_COMPARED: usize = 200;

/// How alike two names must be for one to be proposed for the other; 1 means equal. Found by trying:
/// `metrical` and `lable` find `metric` and `label`, `cube` does not find `circle`.
const ALIKE: f64 = 0.8;

fn folded(name: &str) -> String {
    name.chars()
        .filter(|letter| !matches!(letter, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

impl<T> Scope<T> {
    /// The items in WIT order.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The items in WIT order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T> Default for Scope<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            spellings: HashMap::new(),
            wit: HashMap::new(),
        }
    }
}

impl<'a, T> IntoIterator for &'a Scope<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Two items of one scope have the same name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Clash {
    /// The name they share.
    pub name: String,
    /// The WIT name of the item that comes first.
    pub first: String,
    /// The WIT name of the other.
    pub second: String,
}

impl Clash {
    /// The same of two parameters, which have no doc comments of their own.
    pub fn of_parameters(&self) -> String {
        let Self {
            name,
            first,
            second,
        } = self;
        format!(
            "its parameters `{first}` and `{second}` are both called `{name}`: rename one of them, as in `@param {second} as other`"
        )
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            first,
            second,
        } = self;
        write!(
            f,
            "`{first}` and `{second}` are both called `{name}`: rename one of them with `@name`"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Item(&'static str, &'static str);

    impl Named for Item {
        fn wit(&self) -> &str {
            self.0
        }
        fn json(&self) -> &str {
            self.1
        }
    }

    #[test]
    fn names_follow_the_case_of_the_service() {
        for (wit, camel, snake, kebab) in [
            (
                "get-user-profile",
                "getUserProfile",
                "get_user_profile",
                "get-user-profile",
            ),
            ("x", "x", "x", "x"),
            (
                "get-HTTP-status",
                "getHttpStatus",
                "get_http_status",
                "get-http-status",
            ),
            (
                "json-schema-2020-12-tool",
                "jsonSchema202012Tool",
                "json_schema_2020_12_tool",
                "json-schema-2020-12-tool",
            ),
            ("%list", "list", "list", "list"),
        ] {
            assert_eq!(NameCase::Camel.of(wit), camel);
            assert_eq!(NameCase::Snake.of(wit), snake);
            assert_eq!(NameCase::Kebab.of(wit), kebab);
        }
    }

    #[test]
    fn every_spelling_finds_its_item_and_letter_case_matters() {
        let scope =
            Scope::new(vec![Item("user-id", "userId"), Item("max-items", "limit")]).unwrap();
        for spelling in ["userId", "user_id", "user-id"] {
            assert_eq!(scope.get(spelling).unwrap().0, "user-id");
        }
        for spelling in ["limit", "maxItems", "max_items", "max-items"] {
            assert_eq!(scope.get(spelling).unwrap().0, "max-items");
        }
        assert!(scope.get("userID").is_none());
        assert_eq!(scope.nearest("userID").unwrap().0, "user-id");
        assert!(scope.nearest("zebra").is_none());
    }

    #[test]
    fn a_spelling_two_items_share_means_neither_and_the_json_name_wins() {
        let shared = Scope::new(vec![Item("a-1", "first"), Item("a1", "second")]).unwrap();
        assert!(
            shared.get("a1").is_none(),
            "camelCase of `a-1` is `a1`, too"
        );
        assert_eq!(shared.get("a-1").unwrap().0, "a-1");

        let taken = Scope::new(vec![Item("x", "y"), Item("y", "z")]).unwrap();
        assert_eq!(taken.get("y").unwrap().0, "x");
        assert_eq!(taken.get("z").unwrap().0, "y");
    }

    #[test]
    fn equal_json_names_clash() {
        let clash = Scope::new(vec![Item("foo-1", "foo1"), Item("foo1", "foo1")]).unwrap_err();
        assert_eq!(
            clash.to_string(),
            "`foo-1` and `foo1` are both called `foo1`: rename one of them with `@name`"
        );
    }
}
