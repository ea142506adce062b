//! The addresses of resources: URIs, and templates that stand for many of them (RFC 6570, level 1).

use std::cmp::Reverse;
use std::fmt;

use crate::value::{Member, NameCase, Scope};

/// The longest address that an author may give, in bytes.
pub const LONGEST_ADDRESS: usize = 1 << 10;

/// The longest address that is looked for, in bytes. Variables may stand for more than their names.
const LONGEST_READ: usize = 8 << 10;

/// Where a resource is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// At one URI.
    Fixed(String),
    /// At every URI that this template stands for.
    Template(Template),
}

/// A text with variables in it, which are the parameters of a function: `notes://{owner}/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    /// What stands before the first variable.
    start: String,
    /// Each variable, with what stands behind it.
    variables: Vec<Variable>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    /// The place of the parameter.
    param: usize,
    /// What stands between it and the next variable, or the end.
    behind: String,
}

/// Why a text is no address for a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It is too long.
    #[error("it has {0} bytes; at most {LONGEST_ADDRESS} are served")]
    TooLong(usize),
    /// It does not begin like a URI.
    #[error("it must begin with a scheme, as `notes://all` does")]
    NoScheme,
    /// A character or an escape that no URI has.
    #[error(
        "`{0}` cannot stand in a URI: write it as `%` and two hexadecimal digits for each byte"
    )]
    Character(char),
    /// Braces that do not match.
    #[error("its braces do not match: a variable is `{{name}}`")]
    Braces,
    /// A variable that is no parameter.
    #[error(
        "its variable `{{{0}}}` is no parameter; only plain variables are served, without operators"
    )]
    NoParameter(String),
    /// A variable that occurs twice.
    #[error("its variable `{{{0}}}` occurs twice")]
    Twice(String),
    /// Two variables with nothing between them.
    #[error("nothing stands before its variable `{{{0}}}` that tells where it begins")]
    Adjacent(String),
    /// A parameter that is no variable.
    #[error("its parameter `{0}` is no variable of it")]
    Missing(String),
    /// A parameter that cannot be written in an address.
    #[error("its parameter `{name}` is a `{kind}`, which cannot be written in an address")]
    Kind {
        /// The name of the parameter in WIT.
        name: String,
        /// Its type.
        kind: &'static str,
    },
}

impl Address {
    /// Reads what an author wrote for a function with these parameters. Variables are parameters, in
    /// any of their spellings.
    pub fn parse(text: &str, params: &Scope<Member>) -> Result<Self, InvalidAddress> {
        if text.len() > LONGEST_ADDRESS {
            return Err(InvalidAddress::TooLong(text.len()));
        }
        for param in params {
            if !param.shape.kind.is_textual() {
                return Err(InvalidAddress::Kind {
                    name: param.wit.clone(),
                    kind: param.shape.kind.wit(),
                });
            }
        }
        let mut pieces = text.split('{');
        let start = pieces.next().unwrap_or_default();
        let scheme = start.split_once(':').map(|(scheme, _)| scheme);
        if !scheme.is_some_and(is_scheme) {
            return Err(InvalidAddress::NoScheme);
        }
        check(start)?;
        // RFC 6570 has no hyphens in names; the spelling with underscores is every parameter's, too.
        let mut written = start.to_owned();
        let mut variables: Vec<Variable> = Vec::new();
        for piece in pieces {
            let (name, behind) = piece.split_once('}').ok_or(InvalidAddress::Braces)?;
            check(behind)?;
            let listed = name.replace('-', "_");
            let param = (params.position(name))
                .filter(|param| is_variable(&listed) && params.position(&listed) == Some(*param))
                .ok_or_else(|| InvalidAddress::NoParameter(name.to_owned()))?;
            if variables.iter().any(|other| other.param == param) {
                return Err(InvalidAddress::Twice(name.to_owned()));
            }
            if variables.last().is_some_and(|last| last.behind.is_empty()) {
                return Err(InvalidAddress::Adjacent(name.to_owned()));
            }
            for part in ["{", &listed, "}", behind] {
                written.push_str(part);
            }
            variables.push(Variable {
                param,
                behind: behind.to_owned(),
            });
        }
        for (place, param) in params.iter().enumerate() {
            if !variables.iter().any(|variable| variable.param == place) {
                return Err(InvalidAddress::Missing(param.wit.clone()));
            }
        }
        if variables.is_empty() {
            return Ok(Self::Fixed(written));
        }
        Ok(Self::Template(Template {
            text: written,
            start: start.to_owned(),
            variables,
        }))
    }

    /// The address of a function that says nothing of it: `service://function`, and behind it a
    /// variable for each parameter.
    pub fn of(
        service: &str,
        function: &str,
        params: &Scope<Member>,
    ) -> Result<Self, InvalidAddress> {
        // Whatever the file is called, no two services get the same address.
        let is_plain = is_scheme(service)
            && !service.contains(|letter: char| letter.is_ascii_uppercase())
            && !KNOWN_SCHEMES.contains(&service);
        let mut text = if is_plain {
            format!("{service}://{}", escaped(function))
        } else {
            format!("cloister://{}/{}", escaped(service), escaped(function))
        };
        for param in params {
            let name = if param.json.contains('-') {
                NameCase::Snake.of(&param.wit)
            } else {
                param.json.clone()
            };
            for part in ["/{", &name, "}"] {
                text.push_str(part);
            }
        }
        Self::parse(&text, params)
    }

    /// What two addresses have in common that stand for the same URIs.
    pub fn claim(&self) -> String {
        match self {
            Self::Fixed(uri) => uri.clone(),
            Self::Template(template) => {
                let behind = template.variables.iter().map(|variable| &*variable.behind);
                let parts: Vec<&str> = std::iter::once(&*template.start).chain(behind).collect();
                parts.join("{}")
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(uri) => f.write_str(uri),
            Self::Template(template) => f.write_str(&template.text),
        }
    }
}

impl Template {
    /// The template as it is listed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The order in which templates are tried: what says more comes first.
    pub(super) fn precedence(&self) -> impl Ord + use<> {
        let behind = self.variables.iter().map(|variable| variable.behind.len());
        let literal = behind.fold(self.start.len(), usize::saturating_add);
        (Reverse(literal), self.text.clone())
    }

    /// The values that the variables have in a URI, in the order of the parameters; none if the
    /// template does not stand for it.
    ///
    /// A variable is one or more characters without `/`, `?` and `#`, and ends where that which
    /// follows it in the template occurs first. That finds the values if there are any: whatever
    /// occurs later in the same segment only leaves less for the next variable.
    pub(super) fn read(&self, uri: &str) -> Option<Vec<String>> {
        if uri.len() > LONGEST_READ {
            return None;
        }
        let mut rest = uri.strip_prefix(&*self.start)?;
        let mut values = vec![String::new(); self.variables.len()];
        let last = self.variables.len().checked_sub(1)?;
        for (place, variable) in self.variables.iter().enumerate() {
            let (value, behind) = if place == last {
                (rest.strip_suffix(&*variable.behind)?, "")
            } else {
                split(rest, &variable.behind)?
            };
            *values.get_mut(variable.param)? = plain(value)?;
            rest = behind;
        }
        Some(values)
    }
}

/// Schemes that mean something to clients.
const KNOWN_SCHEMES: [&str; 4] = ["http", "https", "file", "ui"];

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// RFC 6570, section 2.3.
fn is_variable(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.split('.').all(is_word)
}

/// Makes sure that a part of an address has only what URIs have (RFC 3986).
fn check(literal: &str) -> Result<(), InvalidAddress> {
    let mut letters = literal.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '{' | '}' => return Err(InvalidAddress::Braces),
            '%' => {
                let digits = [letters.next(), letters.next()];
                if !digits
                    .iter()
                    .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
                {
                    return Err(InvalidAddress::Character('%'));
                }
            }
            letter if letter.is_ascii_alphanumeric() => {}
            letter if "-._~:/?#[]@!$&'()*+,;=".contains(letter) => {}
            letter => return Err(InvalidAddress::Character(letter)),
        }
    }
    Ok(())
}

/// A text as one segment of a URI.
fn escaped(text: &str) -> String {
    let escaped = text.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    escaped.collect()
}

/// What stands before and behind the first occurrence of a separator, of which no part belongs to
/// an escape.
fn split<'u>(text: &'u str, separator: &str) -> Option<(&'u str, &'u str)> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find(separator)?;
        let (before, found) = text.split_at_checked(at)?;
        let is_in_escape =
            before.ends_with('%') || before.as_bytes().iter().nth_back(1) == Some(&b'%');
        // A variable stands for something.
        if !is_in_escape && !before.is_empty() {
            return Some((before, found.strip_prefix(separator)?));
        }
        from = at + 1;
    }
}

/// The text that a piece of a URI stands for, if a variable can.
fn plain(piece: &str) -> Option<String> {
    // Braces are in no URI: whoever sends them has not filled in the template.
    if piece.is_empty() || piece.contains(['/', '?', '#', '{', '}']) {
        return None;
    }
    let mut bytes = Vec::with_capacity(piece.len());
    let mut rest = piece.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Kind;

    /// Parameters of these WIT names, all of them texts.
    fn texts(names: &[&str]) -> Scope<Member> {
        of(names.iter().map(|name| (*name, Kind::String)))
    }

    fn of<'n>(params: impl IntoIterator<Item = (&'n str, Kind)>) -> Scope<Member> {
        let members = params.into_iter().map(|(name, kind)| Member {
            wit: name.to_owned(),
            json: NameCase::Camel.of(name),
            shape: kind.into(),
        });
        Scope::new(members.collect()).unwrap()
    }

    fn template(text: &str, params: &[&str]) -> Template {
        match Address::parse(text, &texts(params)) {
            Ok(Address::Template(template)) => template,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_told() {
        let long = format!("notes://{}", "x".repeat(LONGEST_ADDRESS));
        for (text, params, expected) in [
            (&*long, &[][..], "it has 1032 bytes"),
            ("notes", &[], "must begin with a scheme"),
            ("//notes", &[], "must begin with a scheme"),
            ("1notes://x", &[], "must begin with a scheme"),
            ("{a}://x", &["a"], "must begin with a scheme"),
            ("notes://a b", &[], "` ` cannot stand"),
            ("notes://\u{e4}", &[], "`\u{e4}` cannot stand"),
            ("notes://%4", &[], "`%` cannot stand"),
            ("notes://a}", &[], "braces do not match"),
            ("notes://{a", &["a"], "braces do not match"),
            ("notes://{a{b}}", &["a", "b"], "braces do not match"),
            ("notes://{}", &["a"], "`{}` is no parameter"),
            ("notes://{b}", &["a"], "`{b}` is no parameter"),
            ("notes://{+a}", &["a"], "`{+a}` is no parameter"),
            ("notes://{a*}", &["a"], "`{a*}` is no parameter"),
            ("notes://{a}/{a}", &["a"], "`{a}` occurs twice"),
            (
                "notes://{a}{b}",
                &["a", "b"],
                "nothing stands before its variable `{b}`",
            ),
            ("notes://{a}", &["a", "b"], "parameter `b` is no variable"),
            ("notes://all", &["a"], "parameter `a` is no variable"),
        ] {
            let cause = Address::parse(text, &texts(params))
                .unwrap_err()
                .to_string();
            assert!(cause.contains(expected), "{text}: {cause}");
        }
        let optional = of([("a", Kind::Option(std::sync::Arc::new(Kind::String.into())))]);
        let cause = Address::parse("notes://{a}", &optional).unwrap_err();
        assert_eq!(
            cause.to_string(),
            "its parameter `a` is a `option`, which cannot be written in an address"
        );
    }

    #[test]
    fn a_template_stands_for_what_fills_it_in() {
        let two = &["owner", "note-id"][..];
        for (text, params, uri, expected) in [
            (
                "n://{owner}/{note-id}",
                two,
                "n://ada/7",
                Some(&["ada", "7"][..]),
            ),
            (
                "n://{note_id}/{owner}",
                two,
                "n://7/ada",
                Some(&["ada", "7"]),
            ),
            (
                "n://{owner}/{noteId}",
                two,
                "n://a%2Fb/%C3%A4",
                Some(&["a/b", "\u{e4}"]),
            ),
            ("n://{owner}/{noteId}", two, "n://ada/7/8", None),
            ("n://{owner}/{noteId}", two, "n:///7", None),
            ("n://{owner}/{noteId}", two, "n://ada/", None),
            ("n://{owner}/{noteId}", two, "n://ada/7?x", None),
            ("n://{owner}/{noteId}", two, "n://ada/%C3", None),
            ("n://{owner}/{noteId}", two, "n://ada/%zz", None),
            ("n://{owner}/{noteId}", two, "n://ada/%7", None),
            ("n://{owner}/{noteId}", two, "n://{owner}/{noteId}", None),
            ("n://{owner}/{noteId}", two, "m://ada/7", None),
            // A variable ends where what follows it occurs first, and never inside an escape.
            (
                "n://{owner}-{noteId}.md",
                two,
                "n://a-b-c.md.md",
                Some(&["a", "b-c.md"]),
            ),
            (
                "n://{owner}-{noteId}.md",
                two,
                "n://-a-b.md",
                Some(&["-a", "b"]),
            ),
            (
                "n://{owner}20{noteId}",
                two,
                "n://a%20b20c",
                Some(&["a b", "c"]),
            ),
            (
                "n://{owner}%20{noteId}",
                two,
                "n://a%20b",
                Some(&["a", "b"]),
            ),
            (
                "t://template/{id}/data",
                &["id"],
                "t://template/1/data",
                Some(&["1"]),
            ),
            (
                "t://template/{id}/data",
                &["id"],
                "t://template//data",
                None,
            ),
            ("t://x?q={id}", &["id"], "t://x?q=1", Some(&["1"])),
        ] {
            let found = template(text, params).read(uri);
            assert_eq!(
                found.as_deref(),
                expected
                    .map(|values| values
                        .iter()
                        .map(|&value| value.to_owned())
                        .collect::<Vec<_>>())
                    .as_deref(),
                "{text} and {uri}"
            );
        }
        let long = format!("n://{}", "x".repeat(LONGEST_READ));
        assert_eq!(template("n://{id}", &["id"]).read(&long), None);
    }

    #[test]
    fn every_function_has_an_address_of_its_own() {
        for (service, params, expected) in [
            ("notes", &[][..], "notes://get-one"),
            ("notes", &["user-id", "b"], "notes://get-one/{userId}/{b}"),
            ("http", &[], "cloister://http/get-one"),
            ("Notes", &[], "cloister://Notes/get-one"),
            ("my_notes", &[], "cloister://my_notes/get-one"),
            ("a/b \u{e4}", &[], "cloister://a%2Fb%20%C3%A4/get-one"),
        ] {
            let address = Address::of(service, "get-one", &texts(params)).unwrap();
            assert_eq!(address.to_string(), expected);
        }
        let renamed = Scope::new(vec![Member {
            wit: "user-id".into(),
            json: "user-id".into(),
            shape: Kind::String.into(),
        }]);
        let address = Address::of("notes", "get", &renamed.unwrap()).unwrap();
        assert_eq!(address.to_string(), "notes://get/{user_id}");
    }

    #[test]
    fn templates_that_say_more_are_tried_first() {
        let mut templates = [
            template("n://{a}", &["a"]),
            template("n://x/{b}", &["b"]),
            template("n://{a}/y", &["a"]),
            template("n://x/y/{c}", &["c"]),
        ];
        templates.sort_by_cached_key(Template::precedence);
        assert_eq!(
            templates.each_ref().map(Template::as_str),
            ["n://x/y/{c}", "n://x/{b}", "n://{a}/y", "n://{a}"]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_filled_in_is_read_again(
            parts in proptest::collection::vec(("[a-z0-9]{0,2}[/:=&,][a-z0-9.%]{0,2}", "\\PC{1,9}|[a-z/%{}.-]{1,9}"), 1..5),
            order in any::<prop::sample::Index>(),
        ) {
            let names = ["a", "b", "c", "d"];
            let mut params: Vec<&str> = names.iter().copied().take(parts.len()).collect();
            params.rotate_left(order.index(parts.len()));
            let (mut text, mut uri) = ("n://x".to_owned(), "n://x".to_owned());
            for ((before, value), name) in parts.iter().zip(names) {
                let before = before.replace('%', "%41");
                text.extend([&*before, "{", name, "}"]);
                uri.extend([before, escaped(value)]);
            }
            let found = template(&text, &params).read(&uri);
            let value = |name: &&str| names.iter().zip(&parts).find(|(of, _)| *of == name).map(|(_, part)| part.1.clone());
            let expected: Vec<String> = params.iter().filter_map(value).collect();
            prop_assert_eq!(found, Some(expected), "{} and {}", text, uri);
        }

        #[test]
        fn any_text_is_read_or_not(uri in "n://\\PC{0,40}|n://[a/%0-9{}-]{0,40}") {
            for text in ["n://{a}", "n://{a}-{b}", "n://{a}%20{b}/x"] {
                if let Ok(Address::Template(template)) = Address::parse(text, &texts(&["a", "b"][..text.matches('{').count()])) {
                    for value in template.read(&uri).unwrap_or_default() {
                        prop_assert!(!value.is_empty());
                    }
                }
            }
        }
    }
}
