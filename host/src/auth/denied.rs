//! Why a caller was turned away: a class that callers may see, and a reason for the log only.
//! It knows neither statuses nor headers; whoever answers the caller picks those from the class.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::access::{Access, Requirement};

/// A caller who was turned away. [`fmt::Display`] is the public sentence of the class; nothing in
/// here comes from the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What the caller may know.
    pub class: Class,
    /// How the token was presented, which decides the form of the answer.
    pub via: Via,
    /// The exact cause, for the log.
    pub reason: Reason,
    /// When to try again, for [`Class::Unavailable`].
    pub retry_after: Option<Duration>,
    /// What the operation demands that was asked for, once that is known.
    pub(super) needed: Option<Arc<Requirement>>,
}

impl Denied {
    /// A protected tool was called and no token was presented.
    pub fn missing(via: Via) -> Self {
        Self::new(via, Reason::Missing)
    }

    /// The class follows from the reason.
    pub(super) fn new(via: Via, reason: Reason) -> Self {
        Self {
            class: reason.class(),
            via,
            reason,
            retry_after: None,
            needed: None,
        }
    }

    /// Says what the operation demands.
    pub(super) fn needing(self, requirement: &Arc<Requirement>) -> Self {
        Self {
            needed: Some(Arc::clone(requirement)),
            ..self
        }
    }

    /// Says what was asked for, so that the caller learns at once all that it takes.
    #[must_use]
    pub fn seeking(self, access: &Access) -> Self {
        match access {
            Access::Restricted(requirement) => self.needing(requirement),
            Access::Public | Access::Optional | Access::Required => self,
        }
    }

    /// All OAuth scopes that the operation needs.
    pub fn scopes(&self) -> &[String] {
        self.needed
            .as_ref()
            .map_or(&[], |needed| needed.scopes.names())
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.class.fmt(f)
    }
}

impl std::error::Error for Denied {}

/// What a caller may know about being turned away. In particular an unknown key and a bad
/// signature are the same from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No token came, and one is needed.
    Missing,
    /// The token was good once: a new one is needed.
    Expired,
    /// The token is refused.
    Invalid,
    /// The token is good and lacks a scope; the client can ask for one that has it.
    InsufficientScope,
    /// The token is good, and its caller may not do this: no other token would help.
    Forbidden,
    /// The token could not be judged: the issuer's keys are out of reach.
    Unavailable,
    /// The request presents its credentials in a way that has no meaning (RFC 6750 §2, §3.1).
    Malformed,
}

impl Class {
    /// Whether another token would help.
    pub fn wants_token(self) -> bool {
        match self {
            Self::Missing
            | Self::Expired
            | Self::Invalid
            | Self::InsufficientScope
            | Self::Malformed => true,
            Self::Forbidden | Self::Unavailable => false,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "Authentication required",
            Self::Expired => "The access token expired",
            Self::Invalid => "The access token is invalid",
            Self::InsufficientScope => "The access token lacks a scope that this operation needs",
            Self::Forbidden => "The caller lacks a permission or role that this operation needs",
            Self::Unavailable => "Authentication is temporarily unavailable",
            Self::Malformed => "The request must present exactly one access token",
        })
    }
}

/// How a token was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// In the `Authorization` header (RFC 6750 §2.1).
    Header,
    /// In `params._meta.authorization.token`.
    Meta,
}

/// The exact cause of a refusal. A token with several faults gets the first in the order of the
/// checks; callers never see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No token was presented.
    Missing,
    /// The `Authorization` header has another scheme than Bearer.
    Scheme,
    /// The `Authorization` header came twice, or holds no token or several words.
    HeaderShape,
    /// The header and `_meta` present different tokens.
    Conflict,
    /// The token is longer than [`super::MAX_TOKEN_BYTES`].
    TooLarge,
    /// Not three base64url segments, or no strict JSON object in the header.
    Malformed,
    /// `alg` is not `RS256`.
    Algorithm,
    /// A header parameter that is not accepted.
    Header,
    /// `typ` is unknown.
    Typ,
    /// A kind of token that is not accepted.
    Kind,
    /// No usable key has this `kid`.
    UnknownKey,
    /// The signature does not fit.
    Signature,
    /// A claim is missing or has a wrong type, or the payload is no strict JSON object.
    Claims,
    /// `iss` is not our issuer.
    Issuer,
    /// `exp` has passed.
    Expired,
    /// `nbf` is still to come.
    NotYet,
    /// `iat` is in the future.
    IatFuture,
    /// `aud` does not name us.
    Audience,
    /// `azp` is not an authorized party.
    Azp,
    /// The token is bound to a proof of possession, which is not supported.
    SenderConstrained,
    /// The session is not active yet.
    SessionStatus,
    /// The token lacks a scope that is demanded.
    Scope,
    /// The caller lacks a permission that is demanded.
    Permission,
    /// The caller has none of the roles that are demanded.
    Role,
    /// The issuer does not know the opaque token, or it was revoked or has expired.
    Inactive,
    /// The issuer's keys were never loaded, or too long ago, or its Backend API is out of reach.
    Unavailable,
}

impl Reason {
    /// The code as it appears in the log.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Scheme => "scheme",
            Self::HeaderShape => "header_shape",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Header => "header",
            Self::Typ => "typ",
            Self::Kind => "kind",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::IatFuture => "iat_future",
            Self::Audience => "audience",
            Self::Azp => "azp",
            Self::SenderConstrained => "sender_constrained",
            Self::SessionStatus => "session_status",
            Self::Scope => "scope",
            Self::Permission => "permission",
            Self::Role => "role",
            Self::Inactive => "inactive",
            Self::Unavailable => "unavailable",
        }
    }

    fn class(self) -> Class {
        match self {
            Self::Missing | Self::Scheme => Class::Missing,
            Self::HeaderShape | Self::Conflict => Class::Malformed,
            Self::Expired => Class::Expired,
            Self::Scope => Class::InsufficientScope,
            Self::Permission | Self::Role => Class::Forbidden,
            Self::Unavailable => Class::Unavailable,
            Self::TooLarge
            | Self::Malformed
            | Self::Algorithm
            | Self::Header
            | Self::Typ
            | Self::Kind
            | Self::UnknownKey
            | Self::Signature
            | Self::Claims
            | Self::Issuer
            | Self::NotYet
            | Self::IatFuture
            | Self::Audience
            | Self::Azp
            | Self::SenderConstrained
            | Self::SessionStatus
            | Self::Inactive => Class::Invalid,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
