//! A token as it is presented: in the `Authorization` header or in `params._meta.authorization`.
//! It knows the syntax of both and nothing of what a token means.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use serde_json::value::RawValue;

use super::denied::{Denied, Reason, Via};
use super::json::Object;

/// A token that was presented and not looked at yet.
#[derive(Clone, Debug)]
pub struct Bearer(SecretString);

impl Bearer {
    /// A token from somewhere else, such as the environment of a process served over stdio.
    pub fn new(token: SecretString) -> Self {
        Self(token)
    }

    /// Whether `_meta` presents this token too, or none: a request has one way to present one
    /// (RFC 6750 §2).
    pub fn agrees(&self, meta: &Presented) -> Result<(), Denied> {
        match meta {
            Presented::Absent => Ok(()),
            Presented::Token(other) if other.expose() == self.expose() => Ok(()),
            Presented::Token(_) | Presented::Unusable => {
                Err(Denied::new(Via::Header, Reason::Conflict))
            }
        }
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What `params._meta.authorization` holds.
#[derive(Clone, Debug, Default)]
pub enum Presented {
    /// Nothing: the member is not there.
    #[default]
    Absent,
    /// A token.
    Token(Bearer),
    /// Something of another shape, which counts as a token that is refused.
    Unusable,
}

/// All that one request presents.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The token of the `Authorization` header, from [`from_headers`].
    pub header: Option<Bearer>,
    /// The token of `params._meta.authorization`, from [`from_meta`].
    pub meta: Presented,
    /// The address that the request comes from, if it comes from a network. It proves nothing: who floods
    /// the host with tokens does it at the cost of whoever shares it.
    pub peer: Option<IpAddr>,
}

/// Reads all `Authorization` headers of a request (RFC 6750 §2.1, RFC 9110 §11.4). None is no
/// token; two, or one without exactly one word after `Bearer`, are malformed; another scheme is
/// answered as if a token were missing.
pub fn from_headers<'v>(
    values: impl IntoIterator<Item = &'v [u8]>,
) -> Result<Option<Bearer>, Denied> {
    let shape = || Denied::new(Via::Header, Reason::HeaderShape);
    let mut values = values.into_iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(shape());
    }
    let value = str::from_utf8(value).ok().ok_or_else(shape)?;
    let value = value.trim_matches([' ', '\t']);
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.is_empty() || !scheme.bytes().all(is_scheme_byte) {
        return Err(shape());
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denied::new(Via::Header, Reason::Scheme));
    }
    let token = rest.trim_start_matches(' ');
    if token.is_empty() || token.contains([' ', '\t']) {
        return Err(shape());
    }
    Ok(Some(Bearer(token.into())))
}

/// Reads `params._meta.authorization` as the client wrote it.
pub fn from_meta(authorization: Option<&RawValue>) -> Presented {
    let Some(authorization) = authorization else {
        return Presented::Absent;
    };
    let Some(object) = Object::read(authorization.get()) else {
        return Presented::Unusable;
    };
    let is_bearer = object
        .get("type")
        .is_none_or(|kind| names_bearer(kind.as_str()));
    presented(object.text("token"), is_bearer)
}

/// Reads `params._meta.authorization` from JSON that is parsed already.
pub fn from_meta_value(authorization: Option<&Value>) -> Presented {
    let Some(authorization) = authorization else {
        return Presented::Absent;
    };
    let is_bearer = authorization
        .get("type")
        .is_none_or(|kind| names_bearer(kind.as_str()));
    presented(
        authorization.get("token").and_then(Value::as_str),
        is_bearer,
    )
}

fn presented(token: Option<&str>, is_bearer: bool) -> Presented {
    match token {
        Some(token) if is_bearer => Presented::Token(Bearer(token.into())),
        Some(_) | None => Presented::Unusable,
    }
}

fn names_bearer(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))
}

/// A `token` of RFC 9110 §5.6.2.
fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::denied::Class;

    fn header(value: &str) -> Result<Option<String>, Class> {
        from_headers([value.as_bytes()])
            .map(|bearer| bearer.map(|bearer| bearer.expose().to_owned()))
            .map_err(|denied| denied.class)
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case_with_any_number_of_spaces() {
        for value in [
            "Bearer x.y.z",
            "bearer x.y.z",
            "BEARER x.y.z",
            "Bearer   x.y.z",
            " Bearer x.y.z ",
        ] {
            assert_eq!(header(value), Ok(Some("x.y.z".to_owned())), "{value}");
        }
        assert!(matches!(from_headers([]), Ok(None)));
    }

    #[test]
    fn a_header_without_exactly_one_token_is_malformed() {
        for value in [
            "",
            " ",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a\tb",
            "Bearer\ta",
            "(x) a",
        ] {
            assert_eq!(header(value), Err(Class::Malformed), "{value:?}");
        }
        let twice: [&[u8]; 2] = [b"Bearer a", b"Bearer a"];
        assert_eq!(from_headers(twice).unwrap_err().class, Class::Malformed);
        let bytes: [&[u8]; 1] = [b"Bearer \xff"];
        assert_eq!(from_headers(bytes).unwrap_err().class, Class::Malformed);
    }

    #[test]
    fn another_scheme_counts_as_no_token() {
        for value in [
            "Basic dXNlcjpwYXNz",
            "Digest a=b, c=d",
            "Basic",
            "eyJhbGciOi.J9.x",
        ] {
            assert_eq!(header(value), Err(Class::Missing), "{value}");
        }
    }

    #[test]
    fn meta_holds_a_token_or_counts_as_a_refused_one() {
        let read = |text: &str| {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            let value: Value = serde_json::from_str(text).unwrap();
            let of_raw = from_meta(Some(&raw));
            let of_value = from_meta_value(Some(&value));
            (of_raw, of_value)
        };
        for text in [
            r#"{"token":"a.b.c"}"#,
            r#"{"type":"bearer","token":"a.b.c"}"#,
            r#"{"type":"Bearer","token":"a.b.c","more":1}"#,
        ] {
            let (raw, value) = read(text);
            assert!(
                matches!(raw, Presented::Token(bearer) if bearer.expose() == "a.b.c"),
                "{text}"
            );
            assert!(
                matches!(value, Presented::Token(bearer) if bearer.expose() == "a.b.c"),
                "{text}"
            );
        }
        for text in [
            "null",
            "[]",
            "7",
            r#""a.b.c""#,
            "{}",
            r#"{"token":7}"#,
            r#"{"token":null}"#,
            r#"{"type":"Basic","token":"a.b.c"}"#,
            r#"{"type":null,"token":"a.b.c"}"#,
        ] {
            let (raw, value) = read(text);
            assert!(matches!(raw, Presented::Unusable), "{text}");
            assert!(matches!(value, Presented::Unusable), "{text}");
        }
        assert!(matches!(from_meta(None), Presented::Absent));
    }

    #[test]
    fn a_token_is_not_shown() {
        let bearer = from_headers([b"Bearer s3cret".as_slice()])
            .unwrap()
            .unwrap();
        let credentials = Credentials {
            header: Some(bearer.clone()),
            meta: Presented::Token(bearer),
            peer: None,
        };
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
