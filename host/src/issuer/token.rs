//! What a token is to say: the claims that Clerk puts into each kind, and what a caller wants
//! otherwise.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::ids::Ids;
use super::users::User;

/// The lifetime of a token unless another is asked for: that of Clerk's session tokens.
pub const DEFAULT_LIFETIME: Duration = Duration::from_mins(1);

/// The longest lifetime, ten years: that of Clerk's templates.
pub const MAX_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// A token to be made.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The user's id, `user_…`.
    pub sub: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether it is verified.
    pub email_verified: Option<bool>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The address of a picture.
    pub image_url: Option<String>,
    /// The lifetime, in whole seconds, at most [`MAX_LIFETIME`].
    pub ttl: Duration,
    /// The kind of token.
    pub kind: TokenKind,
    /// Claims in addition to or instead of the usual ones.
    pub claims: Map<String, Value>,
    /// Header parameters in addition to or instead of the usual ones.
    pub header: Map<String, Value>,
    /// Claims to leave out.
    pub omit: Vec<String>,
}

/// The kinds of token that Clerk makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A session token, which carries no profile. Unless the claims name a session, `sid`, it begins
    /// one.
    Session,
    /// A token from a template with the profile in it.
    Template,
    /// An OAuth access token as a JWT (RFC 9068), which carries no profile.
    OAuth {
        /// The client it is issued to.
        client_id: String,
        /// The scopes granted.
        scopes: Vec<String>,
        /// The servers it is meant for, `aud`; when empty there is no such claim.
        resources: Vec<String>,
    },
    /// An id token, made for a client.
    IdToken {
        /// The client it is made for, `aud`.
        client_id: String,
    },
    /// The token of a machine, for other machines. Its subject is a machine, `mch_…`.
    Machine {
        /// The machines it is meant for, `aud` and `scopes`.
        machines: Vec<String>,
    },
}

/// What stands in a token: one that only has to be signed, or one that was.
pub(super) struct Written {
    /// Before it is signed, without what only the signer knows.
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
}

/// Why a token was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The subject is no id.
    #[error("`sub` must have 1 to 256 bytes and no control characters")]
    Subject,
    /// The lifetime is out of range.
    #[error("the lifetime must be whole seconds, from 1 to 315360000 (ten years)")]
    Lifetime,
    /// The key did not sign.
    #[error("the token could not be signed")]
    Signing,
}

impl Default for TokenRequest {
    /// A template token for Ada Lovelace.
    fn default() -> Self {
        Self::new(User::ADA.id)
    }
}

impl TokenRequest {
    /// A template token for this subject, with the profile that the issuer has of it, if any.
    pub fn new(sub: impl Into<String>) -> Self {
        let sub = sub.into();
        let user = User::find(&sub);
        let profile = |part: fn(User) -> &'static str| user.map(|user| part(user).to_owned());
        Self {
            email: profile(|user| user.email),
            email_verified: user.map(|_| true),
            first_name: profile(|user| user.first_name),
            last_name: profile(|user| user.last_name),
            image_url: profile(|user| user.image_url),
            sub,
            ttl: DEFAULT_LIFETIME,
            kind: TokenKind::Template,
            claims: Map::new(),
            header: Map::new(),
            omit: Vec::new(),
        }
    }

    /// Writes the token. `now` is in seconds since 1970.
    pub(super) fn write(&self, issuer: &str, now: i64, ids: &Ids) -> Result<Written, MintError> {
        let lifetime = self.check()?;
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), issuer.into());
        claims.insert("sub".to_owned(), self.sub.as_str().into());
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), now.saturating_add(lifetime).into());
        let mut add = |more: Value| {
            if let Value::Object(more) = more {
                claims.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
            }
        };
        let nbf = |before: i64| now.saturating_sub(before);
        let typ = match &self.kind {
            TokenKind::Session => {
                add(json!({
                    "azp": issuer, "nbf": nbf(10), "jti": ids.next(), "v": 2, "fva": [0, -1],
                    "sts": "active",
                }));
                json!({"typ": "JWT", "cat": "cl_B7d4PD111AAA"})
            }
            TokenKind::Template => {
                add(json!({"azp": issuer, "nbf": nbf(5), "jti": ids.next()}));
                add(self.profile());
                json!({"typ": "JWT", "cat": "cl_B7d4PD222AAA"})
            }
            TokenKind::OAuth {
                client_id,
                scopes,
                resources,
            } => {
                add(json!({
                    "client_id": client_id, "scope": scopes.join(" "), "nbf": nbf(10),
                    "jti": format!("oat_{}", ids.next()),
                }));
                if !resources.is_empty() {
                    add(json!({ "aud": resources }));
                }
                json!({"typ": "at+jwt"})
            }
            TokenKind::IdToken { client_id } => {
                add(json!({"aud": client_id, "jti": ids.next()}));
                add(self.profile());
                json!({"typ": "JWT"})
            }
            TokenKind::Machine { machines } => {
                add(json!({
                    "aud": machines, "nbf": nbf(10), "jti": format!("mt_{}", ids.next()),
                    "scopes": machines.join(" "),
                }));
                json!({"typ": "JWT", "cat": "cl_B7d4PD333AAA"})
            }
        };
        claims.extend(self.claims.clone());
        claims.retain(|name, _| !self.omit.contains(name));
        let mut header = typ.as_object().cloned().unwrap_or_default();
        header.extend(self.header.clone());
        Ok(Written { header, claims })
    }

    /// The lifetime in seconds, of a token that can be made.
    pub(super) fn check(&self) -> Result<i64, MintError> {
        let is_clean = !self.sub.chars().any(char::is_control);
        if !is_clean || !(1..=256).contains(&self.sub.len()) {
            return Err(MintError::Subject);
        }
        let seconds = self.ttl.as_secs();
        if self.ttl.subsec_nanos() != 0 || seconds == 0 || self.ttl > MAX_LIFETIME {
            return Err(MintError::Lifetime);
        }
        i64::try_from(seconds).map_err(|_too_long| MintError::Lifetime)
    }

    /// The profile under the names that `OpenID` Connect gives it.
    fn profile(&self) -> Value {
        json!({
            "email": self.email,
            "email_verified": self.email_verified,
            "given_name": self.first_name,
            "family_name": self.last_name,
            "picture": self.image_url,
        })
    }
}
