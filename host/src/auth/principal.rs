//! The caller, as a verified token describes them. A [`Principal`] can only be made by
//! verification; it does not hold the token, and nothing in it leads to the token.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

use super::backend::Profile;
use super::claims::Claims;
use super::denied::Via;
use super::json::{Json, Object};
use super::kind::Kind;
use super::organization::Organization;

/// The verified caller of one call.
#[derive(Clone)]
pub struct Principal {
    id: String,
    kind: Kind,
    session_id: Option<String>,
    client_id: Option<String>,
    scopes: Vec<String>,
    email: Option<String>,
    email_verified: Option<bool>,
    first_name: Option<String>,
    last_name: Option<String>,
    name: Option<String>,
    image_url: Option<String>,
    organization: Option<Organization>,
    actor: Option<String>,
    issued_at: Option<u64>,
    expires_at: Option<u64>,
    via: Via,
    /// The payload's JSON text, read again when a tool asks for a claim by name.
    text: String,
}

impl Principal {
    /// The user's id, `user_…`: the claim `sub`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The kind of token that was presented.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The session that the token belongs to, `sess_…`.
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// The OAuth client that acts for the caller.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The OAuth scopes that the token grants.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether the token grants this OAuth scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }

    /// The primary e-mail address.
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// Whether the e-mail address was proven to be the caller's.
    pub fn email_verified(&self) -> Option<bool> {
        self.email_verified
    }

    /// The given name.
    pub fn first_name(&self) -> Option<&str> {
        self.first_name.as_deref()
    }

    /// The family name.
    pub fn last_name(&self) -> Option<&str> {
        self.last_name.as_deref()
    }

    /// The full name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The address of a picture of the caller.
    pub fn image_url(&self) -> Option<&str> {
        self.image_url.as_deref()
    }

    /// The organization that is active for the caller.
    pub fn organization(&self) -> Option<&Organization> {
        self.organization.as_ref()
    }

    /// The id of the person who impersonates the caller, if one does.
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// When the token was issued, in seconds since 1970.
    pub fn issued_at(&self) -> Option<u64> {
        self.issued_at
    }

    /// When the token expires, in seconds since 1970, where the token itself says so.
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    /// How the token was presented.
    pub fn via(&self) -> Via {
        self.via
    }

    /// One claim of the verified token, by its exact name: a string as it stands, any other value
    /// as JSON text; none when the token does not carry it. An opaque token carries what its maker gave it,
    /// under names that tokens do not define themselves.
    pub fn claim(&self, name: &str) -> Option<String> {
        let claims: BTreeMap<String, &RawValue> = serde_json::from_str(&self.text).ok()?;
        let value = claims.get(name)?.get();
        Some(serde_json::from_str(value).unwrap_or_else(|_| value.to_owned()))
    }

    /// The user record of checked claims. The claims borrow their text, so it follows by
    /// [`Self::with_text`].
    pub(super) fn describe(kind: Kind, claims: &Claims<'_>) -> Self {
        let all = claims.all;
        let only_in = |holds: bool, name: &str| {
            let value = if holds { all.text(name) } else { None };
            value.map(str::to_owned)
        };
        Self {
            id: claims.subject.to_owned(),
            kind,
            session_id: only_in(matches!(kind, Kind::Session | Kind::IdToken), "sid"),
            client_id: only_in(kind == Kind::OAuth, "client_id"),
            scopes: if kind == Kind::OAuth {
                scopes(all)
            } else {
                Vec::new()
            },
            email: first_text(all, &["email", "primaryEmail", "primary_email_address"]),
            email_verified: all.get("email_verified").and_then(Json::as_bool),
            first_name: first_text(all, &["given_name", "first_name", "firstName"]),
            last_name: first_text(all, &["family_name", "last_name", "lastName"]),
            name: first_text(all, &["name"]),
            image_url: first_text(all, &["picture", "image_url", "imageUrl"]),
            organization: Organization::read(all),
            actor: actor(all),
            issued_at: claims.issued_at.and_then(|at| u64::try_from(at).ok()),
            expires_at: u64::try_from(claims.expires_at).ok(),
            via: Via::Header,
            text: String::new(),
        }
    }

    /// The user record of what the issuer says of an opaque token.
    pub(super) fn opaque(kind: Kind, user: &str, answer: &Object<'_>) -> Self {
        let scopes = answer.get("scopes").and_then(Json::as_list);
        let scopes = scopes.unwrap_or_default().iter().filter_map(Json::as_str);
        Self {
            id: user.to_owned(),
            kind,
            session_id: None,
            client_id: answer.text("client_id").map(str::to_owned),
            scopes: scopes.map(str::to_owned).collect(),
            email: None,
            email_verified: None,
            first_name: None,
            last_name: None,
            name: None,
            image_url: None,
            organization: None,
            actor: None,
            issued_at: None,
            expires_at: None,
            via: Via::Header,
            text: String::new(),
        }
    }

    /// Whether a name or address is missing that the issuer may know.
    pub(super) fn is_incomplete(&self) -> bool {
        self.email.is_none() || self.first_name.is_none() || self.last_name.is_none()
    }

    /// The same, with what the token does not say taken from the user's profile.
    pub(super) fn completed(&self, profile: &Profile) -> Self {
        let or = |own: &Option<String>, other: &Option<String>| own.clone().or(other.clone());
        // Whether an address is verified says nothing of another address.
        let (email, email_verified) = match &self.email {
            Some(own) => {
                let known = profile.email_verified;
                let known = known.filter(|_| profile.email.as_ref() == Some(own));
                (Some(own), self.email_verified.or(known))
            }
            None => (profile.email.as_ref(), profile.email_verified),
        };
        let first_name = or(&self.first_name, &profile.first_name);
        let last_name = or(&self.last_name, &profile.last_name);
        let both = first_name.as_deref().zip(last_name.as_deref());
        Self {
            email: email.cloned(),
            email_verified,
            name: self
                .name
                .clone()
                .or_else(|| both.map(|(first, last)| format!("{first} {last}"))),
            image_url: or(&self.image_url, &profile.image_url),
            first_name,
            last_name,
            ..self.clone()
        }
    }

    /// Says how the token was presented, which decides how a refusal is answered.
    pub(super) fn presented(mut self, via: Via) -> Self {
        self.via = via;
        self
    }

    /// Adds the text of the payload.
    pub(super) fn with_text(mut self, text: String) -> Self {
        self.text = text;
        self
    }
}

/// By hand, so that no field that is added later shows up in a log.
impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The first of these claims that is a string. Other types, null among them, count as absent.
fn first_text(claims: &Object<'_>, names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| claims.text(name))
        .map(str::to_owned)
}

/// `scope` is a text with spaces (RFC 9068 §2.2.3), `scp` a list that some issuers write instead.
fn scopes(claims: &Object<'_>) -> Vec<String> {
    if let Some(scope) = claims.text("scope") {
        return scope.split_ascii_whitespace().map(str::to_owned).collect();
    }
    let Some(Json::List(items)) = claims.get("scp") else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

/// Who really acts (RFC 8693 §4.1).
fn actor(claims: &Object<'_>) -> Option<String> {
    let Some(Json::Object(actor)) = claims.get("act") else {
        return None;
    };
    actor.text("sub").map(str::to_owned)
}
