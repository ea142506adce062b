//! API keys: made and verified through the Backend API.

use serde_json::{Value, json};

use super::bounded::Bounded;
use super::records::digest;
use crate::digest::Digest;

/// The most keys.
const MOST: usize = 1_024;

/// A key, without what opens it.
#[derive(Clone)]
pub(super) struct ApiKey {
    /// `ak_…`.
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) name: String,
    pub(super) scopes: Vec<String>,
    pub(super) claims: Option<Value>,
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
    pub(super) revoked: bool,
}

/// All keys, by their secrets.
pub(super) struct ApiKeys(Bounded<Digest, ApiKey>);

impl Default for ApiKeys {
    fn default() -> Self {
        Self(Bounded::new(MOST))
    }
}

impl ApiKeys {
    pub(super) fn add(&mut self, secret: &str, key: ApiKey) {
        self.0.insert(digest(secret), key);
    }

    pub(super) fn by_secret(&self, secret: &str) -> Option<&ApiKey> {
        self.0.get(&digest(secret))
    }

    pub(super) fn revoke(&mut self, id: &str) -> Option<&ApiKey> {
        let key = self.0.values_mut().find(|key| key.id == id)?;
        key.revoked = true;
        Some(key)
    }
}

impl ApiKey {
    /// As the Backend API shows it, with times in milliseconds.
    pub(super) fn shown(&self, now: i64) -> Value {
        let milliseconds = |seconds: i64| seconds.saturating_mul(1_000);
        json!({
            "object": "api_key",
            "id": self.id,
            "type": "api_key",
            "subject": self.subject,
            "name": self.name,
            "claims": self.claims,
            "scopes": self.scopes,
            "revoked": self.revoked,
            "revocation_reason": null,
            "expired": self.expires.is_some_and(|end| end <= now),
            "expiration": self.expires.map(milliseconds),
            "created_by": null,
            "last_used_at": null,
            "created_at": milliseconds(self.created),
            "updated_at": milliseconds(self.created),
        })
    }
}
