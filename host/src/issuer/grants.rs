//! What users granted to clients, and what stands for it: codes, refresh tokens and opaque access
//! tokens. A code and a refresh token work once. When one comes a second time somebody has stolen it,
//! nobody knows which of the two, and the grant ends (RFC 6749 §4.1.2, RFC 9700 §4.14.2).

use std::collections::HashSet;

use super::bounded::Bounded;
use super::records::digest;
use crate::digest::Digest;

/// How long a code can be redeemed, in seconds: Clerk's ten minutes.
pub(super) const CODE_LIFETIME: i64 = 600;

/// The most grants.
const MOST_GRANTS: usize = 1_024;

/// The most tokens of a kind. Refresh tokens that are used up count among them.
const MOST_TOKENS: usize = 8_192;

/// What a user granted to a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) id: String,
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) scopes: Vec<String>,
    /// The servers that tokens may be for (RFC 8707); when empty, that is not said.
    pub(super) resources: Vec<String>,
    /// For the id token.
    pub(super) nonce: Option<String>,
    /// When the user signed in, and the session which that began, where there was a page to do it.
    pub(super) signed_in: Option<(i64, String)>,
}

/// An authorization code that was given out.
pub(super) struct Code {
    pub(super) grant: Grant,
    /// As the authorization request had it.
    pub(super) redirect: Option<String>,
    /// Of the verifier (RFC 7636 §4.2).
    pub(super) challenge: Option<String>,
    pub(super) expires: i64,
    /// It came, well or not.
    pub(super) used: bool,
}

/// An access token that says nothing by itself.
#[derive(Clone)]
pub(super) struct AccessToken {
    pub(super) id: String,
    pub(super) grant: Grant,
    pub(super) created: i64,
    pub(super) expires: i64,
    pub(super) revoked: bool,
}

/// The grants, and the tokens that stand for them.
pub(super) struct Grants {
    granted: Bounded<String, Grant>,
    refresh_tokens: Bounded<Digest, RefreshToken>,
    access_tokens: Bounded<Digest, AccessToken>,
}

struct RefreshToken {
    grant: String,
    used: bool,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            granted: Bounded::new(MOST_GRANTS),
            refresh_tokens: Bounded::new(MOST_TOKENS),
            access_tokens: Bounded::new(MOST_TOKENS),
        }
    }
}

impl Grants {
    /// A grant, and the refresh token for it.
    pub(super) fn add(&mut self, grant: Grant, refresh_token: &str) {
        self.add_refresh_token(&grant.id, refresh_token);
        self.granted.insert(grant.id.clone(), grant);
    }

    /// The grant of a refresh token, when this client may use it.
    pub(super) fn find(&mut self, refresh_token: &str, client_id: &str) -> Option<Grant> {
        let token = self.refresh_tokens.get(&digest(refresh_token))?;
        let (id, used) = (token.grant.clone(), token.used);
        let grant = self.granted.get(&id)?;
        if grant.client_id != client_id {
            return None;
        }
        if used {
            self.end(&id);
            return None;
        }
        Some(grant.clone())
    }

    /// Puts a new refresh token in the place of one that [`Self::find`] found.
    pub(super) fn rotate(&mut self, old: &str, new: &str) {
        if let Some(token) = self.refresh_tokens.get_mut(&digest(old)) {
            token.used = true;
            let grant = token.grant.clone();
            self.add_refresh_token(&grant, new);
        }
    }

    pub(super) fn add_access_token(&mut self, token: &str, record: AccessToken) {
        self.access_tokens.insert(digest(token), record);
    }

    pub(super) fn access_token(&self, token: &str) -> Option<&AccessToken> {
        self.access_tokens.get(&digest(token))
    }

    /// Ends a grant: its refresh tokens and opaque access tokens are good no more. A JWT goes on to its
    /// own end.
    pub(super) fn end(&mut self, id: &str) {
        self.granted.remove(id);
        for token in self.access_tokens.values_mut() {
            token.revoked |= token.grant.id == id;
        }
    }

    /// Revokes a token of this client (RFC 7009 §2.1). One that is unknown is no mistake: what was
    /// wanted is so.
    pub(super) fn revoke(&mut self, token: &str, client_id: &str) {
        let key = digest(token);
        if let Some(token) = self.access_tokens.get_mut(&key) {
            token.revoked |= token.grant.client_id == client_id;
        }
        let grant = self.refresh_tokens.get(&key).map(|it| it.grant.clone());
        if let Some(id) = grant
            && self
                .granted
                .get(&id)
                .is_some_and(|it| it.client_id == client_id)
        {
            self.end(&id);
        }
    }

    fn add_refresh_token(&mut self, grant: &str, token: &str) {
        let token_of = RefreshToken {
            grant: grant.to_owned(),
            used: false,
        };
        self.refresh_tokens.insert(digest(token), token_of);
    }
}

/// The scopes of a request, each once, when they are well-formed (RFC 6749 §3.3) and not too many.
pub(super) fn scopes(text: &str) -> Option<Vec<String>> {
    let mut seen = HashSet::new();
    let scopes: Vec<String> = text
        .split(' ')
        .filter(|scope| !scope.is_empty() && seen.insert(*scope))
        .map(str::to_owned)
        .collect();
    let is_scope = |scope: &String| {
        scope.len() <= 128
            && scope
                .bytes()
                .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    (!scopes.is_empty() && scopes.len() <= 32 && scopes.iter().all(is_scope)).then_some(scopes)
}
