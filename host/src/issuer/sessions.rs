//! Where users are signed in: Clerk's sessions.

use serde_json::{Value, json};

use super::bounded::Bounded;
use super::records::digest;
use crate::digest::Digest;

/// The most sessions.
const MOST: usize = 1_024;

/// How long a session lasts, in seconds: Clerk's seven days.
const LIFETIME: i64 = 7 * 86_400;

/// A session of a user.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) user_id: String,
    client_id: String,
    created: i64,
    updated: i64,
    revoked: bool,
    /// What Clerk keeps in the cookie `__refresh`.
    refresh_token: Option<Digest>,
}

/// All sessions.
pub(super) struct Sessions(Bounded<String, Session>);

impl Default for Sessions {
    fn default() -> Self {
        Self(Bounded::new(MOST))
    }
}

impl Sessions {
    /// Starts a session with this id, `sess_…`.
    pub(super) fn start(&mut self, id: &str, user_id: &str, refresh: Option<&str>, now: i64) {
        let session = Session {
            id: id.to_owned(),
            user_id: user_id.to_owned(),
            // The browser, in Clerk's words; each session has one of its own here.
            client_id: id.replacen("sess_", "client_", 1),
            created: now,
            updated: now,
            revoked: false,
            refresh_token: refresh.map(digest),
        };
        self.0.insert(id.to_owned(), session);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Session> {
        self.0.get(id)
    }

    /// The session, if it is active.
    pub(super) fn active(&self, id: &str, now: i64) -> Option<&Session> {
        self.get(id)
            .filter(|session| session.status(now) == "active")
    }

    /// Ends a session and gives what became of it.
    pub(super) fn revoke(&mut self, id: &str, now: i64) -> Option<&Session> {
        let session = self.0.get_mut(id)?;
        if session.status(now) == "active" {
            session.revoked = true;
            session.updated = now;
        }
        Some(session)
    }

    /// The sessions of a user, of a browser, or of a browser's user, newest first.
    pub(super) fn find<'s>(
        &'s self,
        user_id: Option<&'s str>,
        client_id: Option<&'s str>,
    ) -> impl Iterator<Item = &'s Session> {
        self.0.newest_first().filter(move |session| {
            user_id.is_none_or(|wanted| session.user_id == wanted)
                && client_id.is_none_or(|wanted| session.client_id == wanted)
        })
    }
}

impl Session {
    pub(super) fn status(&self, now: i64) -> &'static str {
        if self.revoked {
            "revoked"
        } else if now >= self.created.saturating_add(LIFETIME) {
            "expired"
        } else {
            "active"
        }
    }

    /// Whether this is the refresh token that was given out with the session.
    pub(super) fn is_refreshed_by(&self, token: &str) -> bool {
        self.refresh_token == Some(digest(token))
    }

    /// As the Backend API shows it, with times in milliseconds.
    pub(super) fn shown(&self, now: i64) -> Value {
        let milliseconds = |seconds: i64| seconds.saturating_mul(1_000);
        let end = milliseconds(self.created.saturating_add(LIFETIME));
        json!({
            "object": "session",
            "id": self.id,
            "user_id": self.user_id,
            "client_id": self.client_id,
            "actor": null,
            "status": self.status(now),
            "last_active_organization_id": null,
            "last_active_at": milliseconds(self.updated),
            "expire_at": end,
            "abandon_at": end,
            "created_at": milliseconds(self.created),
            "updated_at": milliseconds(self.updated),
        })
    }
}
