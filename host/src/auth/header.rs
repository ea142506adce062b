//! The header of a token: which family it belongs to and which key it names. Everything in it is
//! unverified, and only what is listed here is ever used of it.

use super::denied::Reason;
use super::json::Object;

/// The longest `kid` that is looked up.
const MAX_KID_BYTES: usize = 128;

/// Parameters that would make the token mean something else than these checks see, or that bring
/// a key along (RFC 7515 §4.1, RFC 7797 §3, RFC 7516 §4.1).
const FORBIDDEN: [&str; 9] = [
    "crit", "zip", "b64", "cty", "enc", "jwk", "jku", "x5u", "x5c",
];

/// What the header says, as far as it is used.
pub(super) struct Header {
    pub(super) family: Family,
    pub(super) category: Category,
    /// Of `[A-Za-z0-9_-]`, at most 128 bytes.
    pub(super) kid: String,
}

/// The two families that `typ` tells apart, each with its own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Session tokens, template tokens and id tokens.
    Session,
    /// OAuth access tokens (RFC 9068).
    OAuth,
}

/// Clerk's mark of the class of a token, `cat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    /// No mark, or the one that says there is no class.
    None,
    Session,
    Template,
}

impl Header {
    /// Reads the header, in the order in which its faults are reported.
    pub(super) fn read(text: &str) -> Result<Self, Reason> {
        let header = Object::read(text).ok_or(Reason::Malformed)?;
        if header.text("alg") != Some("RS256") {
            return Err(Reason::Algorithm);
        }
        if FORBIDDEN.into_iter().any(|name| header.has(name)) {
            return Err(Reason::Header);
        }
        let typ = optional_text(&header, "typ")?;
        let cat = optional_text(&header, "cat")?;
        let family = family(typ)?;
        let category = category(family, cat)?;
        let kid = header
            .text("kid")
            .filter(|kid| is_kid(kid))
            .ok_or(Reason::UnknownKey)?;
        Ok(Self {
            family,
            category,
            kid: kid.to_owned(),
        })
    }
}

/// Whether a text can be the name of a key at all.
pub(super) fn is_kid(kid: &str) -> bool {
    (1..=MAX_KID_BYTES).contains(&kid.len())
        && kid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn optional_text<'h>(header: &'h Object<'_>, name: &str) -> Result<Option<&'h str>, Reason> {
    header
        .get(name)
        .map(|value| value.as_str().ok_or(Reason::Header))
        .transpose()
}

/// Media types are case-insensitive (RFC 7515 §4.1.9), but Clerk writes and reads exactly these.
fn family(typ: Option<&str>) -> Result<Family, Reason> {
    match typ {
        None | Some("JWT") => Ok(Family::Session),
        Some("at+jwt" | "application/at+jwt") => Ok(Family::OAuth),
        Some(_) => Err(Reason::Typ),
    }
}

fn category(family: Family, cat: Option<&str>) -> Result<Category, Reason> {
    let category = match cat {
        None | Some("cl_I7d4PD111III") => Category::None,
        Some("cl_B7d4PD111AAA") => Category::Session,
        Some("cl_B7d4PD222AAA") => Category::Template,
        // Among them `cl_B7d4PD333AAA`, a machine's token.
        Some(_) => return Err(Reason::Kind),
    };
    match (family, category) {
        (Family::OAuth, Category::Session | Category::Template) => Err(Reason::Kind),
        (Family::OAuth, Category::None) | (Family::Session, _) => Ok(category),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<Reason> {
        Header::read(text).err()
    }

    #[test]
    fn faults_are_reported_in_their_order() {
        for (text, reason) in [
            ("[]", Reason::Malformed),
            (r#"{"alg":null,"crit":[]}"#, Reason::Algorithm),
            (r#"{"alg":"RS256","crit":null,"typ":7}"#, Reason::Header),
            (r#"{"alg":"RS256","typ":null}"#, Reason::Header),
            (r#"{"alg":"RS256","cat":[],"typ":"jwt"}"#, Reason::Header),
            (r#"{"alg":"RS256","typ":"AT+JWT","cat":"x"}"#, Reason::Typ),
            (r#"{"alg":"RS256","cat":"x"}"#, Reason::Kind),
            (
                r#"{"alg":"RS256","typ":"at+jwt","cat":"cl_B7d4PD222AAA"}"#,
                Reason::Kind,
            ),
            (r#"{"alg":"RS256"}"#, Reason::UnknownKey),
            (r#"{"alg":"RS256","kid":""}"#, Reason::UnknownKey),
            (r#"{"alg":"RS256","kid":"a b"}"#, Reason::UnknownKey),
        ] {
            assert_eq!(fault(text), Some(reason), "{text}");
        }
    }

    #[test]
    fn unknown_parameters_are_ignored() {
        let header = Header::read(r#"{"alg":"RS256","kid":"ins_1","oiat":7,"new":{}}"#);
        assert_eq!(
            header.ok().map(|header| header.kid),
            Some("ins_1".to_owned())
        );
    }

    #[test]
    fn a_kid_has_at_most_128_bytes() {
        assert!(is_kid(&"k".repeat(128)));
        assert!(!is_kid(&"k".repeat(129)));
    }
}
