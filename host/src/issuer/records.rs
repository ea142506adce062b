//! What the issuer remembers: in memory alone, every part of it bounded, gone with the issuer.
//!
//! What opens something (a code, a token, a cookie) is remembered by its digest: what is looked up
//! takes a time that tells nothing of it, and nothing here could be used if it were seen.

use crate::digest::Digest;

use super::api_keys::ApiKeys;
use super::bounded::Bounded;
use super::browsers::{Browser, SignIn};
use super::clients::Clients;
use super::grants::{Code, Grants};
use super::sessions::Sessions;
use super::users::Directory;

/// The most sign-ins that may be under way, and the most browsers and codes.
const MOST: usize = 256;

/// All of it, behind one lock, so that what belongs together changes together.
pub(super) struct Records {
    pub(super) clients: Clients,
    /// The sign-ins under way, by id.
    pub(super) sign_ins: Bounded<String, SignIn>,
    pub(super) browsers: Bounded<Digest, Browser>,
    pub(super) codes: Bounded<Digest, Code>,
    pub(super) grants: Grants,
    pub(super) sessions: Sessions,
    pub(super) api_keys: ApiKeys,
    pub(super) users: Directory,
    pub(super) settings: OAuthSettings,
}

/// What can be set of an instance's OAuth, under Clerk's names.
pub(super) struct OAuthSettings {
    /// Whether access tokens are JWTs; otherwise they are opaque.
    pub(super) jwt_access_tokens: bool,
    /// Whether clients may register themselves.
    pub(super) dynamic_registration: bool,
}

impl Records {
    pub(super) fn new(clients: Clients) -> Self {
        Self {
            clients,
            sign_ins: Bounded::new(MOST),
            browsers: Bounded::new(MOST),
            codes: Bounded::new(MOST),
            grants: Grants::default(),
            sessions: Sessions::default(),
            api_keys: ApiKeys::default(),
            users: Directory::default(),
            settings: OAuthSettings {
                jwt_access_tokens: true,
                dynamic_registration: true,
            },
        }
    }
}

/// The digest of something that opens something.
pub(super) fn digest(secret: &str) -> Digest {
    Digest::of(&[secret.as_bytes()])
}
