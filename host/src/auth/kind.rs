//! The kinds of token and the rules that each has for itself: audience, authorized party, session
//! status. The family comes from the header, the rest from claims that are otherwise in order.

use super::claims::{Audience, Claims};
use super::denied::Reason;
use super::header::{Category, Family, Header};
use super::json::Json;
use super::policy::Policy;
use super::settings::Resource;

/// The kind of token that a caller presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A session token: the caller is signed in to an application.
    Session,
    /// A token minted from a JWT template.
    Template,
    /// An OAuth access token: a client acts for the caller.
    OAuth,
    /// An id token of `OpenID` Connect.
    IdToken,
    /// An API key.
    ApiKey,
}

impl Kind {
    /// The name as the log has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Template => "template",
            Self::OAuth => "oauth",
            Self::IdToken => "id_token",
            Self::ApiKey => "api_key",
        }
    }

    /// Tells the kind and checks what that kind demands.
    pub(super) fn check(
        header: &Header,
        claims: &Claims<'_>,
        policy: &Policy,
    ) -> Result<Self, Reason> {
        match header.family {
            Family::OAuth => check_oauth(claims, policy),
            Family::Session => check_session_family(header.category, claims, policy),
        }
    }
}

fn check_oauth(claims: &Claims<'_>, policy: &Policy) -> Result<Kind, Reason> {
    claims
        .all
        .text("client_id")
        .filter(|id| !id.is_empty())
        .ok_or(Reason::Claims)?;
    check_oauth_audience(&claims.audience, policy)?;
    Ok(Kind::OAuth)
}

fn check_session_family(
    category: Category,
    claims: &Claims<'_>,
    policy: &Policy,
) -> Result<Kind, Reason> {
    // The marks of an OAuth access token and of a logout token.
    if claims.all.has("client_id") || claims.all.has("events") {
        return Err(Reason::Kind);
    }
    if category == Category::None
        && claims
            .audience
            .meets(policy.id_token_audiences.iter().map(String::as_str))
    {
        return match claims.all.get("azp") {
            None => Ok(Kind::IdToken),
            Some(azp) if is_one_of(azp, &policy.id_token_audiences) => Ok(Kind::IdToken),
            Some(_) => Err(Reason::Azp),
        };
    }
    if !policy.authorized_parties.is_empty()
        && !claims
            .all
            .get("azp")
            .is_some_and(|azp| is_one_of(azp, &policy.authorized_parties))
    {
        return Err(Reason::Azp);
    }
    check_audience(&claims.audience, policy)?;
    if claims
        .all
        .get("sts")
        .is_some_and(|sts| sts.as_str() != Some("active"))
    {
        return Err(Reason::SessionStatus);
    }
    match (category, claims.all.get("sid")) {
        (Category::Template, _) | (Category::None, None) => Ok(Kind::Template),
        (Category::Session | Category::None, Some(Json::Text(_))) => Ok(Kind::Session),
        (Category::Session, None) | (Category::Session | Category::None, Some(_)) => {
            Err(Reason::Claims)
        }
    }
}

/// An OAuth token must name our public address: a server must see that the token was issued for it
/// (MCP, authorization).
pub(super) fn check_oauth_audience(audience: &Audience<'_>, policy: &Policy) -> Result<(), Reason> {
    match policy.resource {
        Some(Resource::Public(_)) if audience.is_absent() => Err(Reason::Audience),
        _ => check_audience(audience, policy),
    }
}

/// An audience that is present must name us, and with no address of our own nobody can
/// (RFC 7519 §4.1.3).
pub(super) fn check_audience(audience: &Audience<'_>, policy: &Policy) -> Result<(), Reason> {
    if audience.is_absent() || audience.meets(policy.resource.as_ref().map(Resource::url)) {
        Ok(())
    } else {
        Err(Reason::Audience)
    }
}

fn is_one_of(value: &Json<'_>, accepted: &[String]) -> bool {
    value
        .as_str()
        .is_some_and(|value| accepted.iter().any(|accepted| accepted == value))
}
