//! A caller's own sessions: seeing them, ending them, and going on with one whose token expired.
//! Whose they are comes from a verified token, never from what is asked.

use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};

use super::{MAX_REFRESH_TOKEN_BYTES, Needed, SessionError, Sessions, Tokens, subject};
use crate::auth::backend::{Backend, Failure, PAGE, UserSession};
use crate::auth::kind::Kind;
use crate::auth::principal::Principal;

/// How long ago a session token may have expired that is exchanged for a new one, in seconds: a week.
const LATEST: i64 = 7 * 86_400;

/// How many sessions are ended at once.
const TOGETHER: usize = 8;

/// What became of a caller's other sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many were ended.
    pub count: usize,
    /// Whether none is left. Otherwise the rest can be ended a minute later.
    pub all: bool,
}

impl Sessions {
    /// The caller's active sessions, the newest first, at most a hundred.
    pub async fn list(&self, caller: &Principal) -> Result<Vec<UserSession>, SessionError> {
        let backend = self.backend_for(caller)?;
        Ok(backend.sessions(caller.id()).await?)
    }

    /// Ends one of the caller's sessions. Nobody learns whether an id that is not theirs is somebody's.
    pub async fn revoke(&self, caller: &Principal, session: &str) -> Result<(), SessionError> {
        let backend = self.backend_for(caller)?;
        let found = backend.session(session).await.map_err(|failure| {
            if failure == Failure::Refused {
                SessionError::NotFound
            } else {
                failure.into()
            }
        })?;
        if found.user_id != caller.id() || !found.is_active {
            return Err(SessionError::NotFound);
        }
        backend.revoke(session).await?;
        tracing::info!(
            user = caller.id(),
            session,
            "a session was ended by its user"
        );
        Ok(())
    }

    /// Ends the caller's sessions but the one that their token belongs to: all of them, unless there are so
    /// many, or the issuer stops answering on the way. What was ended by then is said in any case.
    pub async fn revoke_others(&self, caller: &Principal) -> Result<Ended, SessionError> {
        let own = caller
            .session_id()
            .filter(|_| caller.kind() == Kind::Session)
            .ok_or(SessionError::NoSession)?;
        let backend = self.backend_for(caller)?;
        let mut ended = Ended::default();
        let outcome = self.end_others(backend, caller.id(), own, &mut ended.count);
        match outcome.await {
            Ok(()) => ended.all = true,
            Err(failure) if ended.count == 0 => return Err(failure),
            Err(_cut_short) => {}
        }
        tracing::info!(
            user = caller.id(),
            ended = ended.count,
            all = ended.all,
            "a user ended their other sessions"
        );
        Ok(ended)
    }

    /// Counts each session as soon as it has ended.
    async fn end_others(
        &self,
        backend: &Backend,
        user: &str,
        own: &str,
        count: &mut usize,
    ) -> Result<(), SessionError> {
        loop {
            let sessions = backend.sessions(user).await?;
            let is_last = sessions.len() < PAGE;
            let others: Vec<&UserSession> = sessions
                .iter()
                .filter(|session| session.id != own)
                .collect();
            for some in others.chunks(TOGETHER) {
                let each = some.iter().map(async |other| {
                    self.limits.end(user)?;
                    Ok::<_, SessionError>(backend.revoke(&other.id).await?)
                });
                let mut outcomes = join_all(each).await;
                // One that is not found ended by itself in between.
                outcomes.retain(|outcome| *outcome != Err(SessionError::NotFound));
                *count = count.saturating_add(outcomes.iter().filter(|it| it.is_ok()).count());
                outcomes.into_iter().collect::<Result<(), _>>()?;
            }
            if is_last || others.is_empty() {
                return Ok(());
            }
        }
    }

    /// Exchanges a session token that expired, with the refresh token that came with it, for a new one.
    /// `caller` is the id of whoever asks, where that is known.
    pub async fn refresh_session(
        &self,
        expired: SecretString,
        refresh_token: SecretString,
        caller: Option<&str>,
    ) -> Result<Tokens, SessionError> {
        let backend = self
            .backend
            .as_ref()
            .ok_or(SessionError::NotConfigured(Needed::SecretKey))?;
        let length = refresh_token.expose_secret().len();
        if length == 0 || length > MAX_REFRESH_TOKEN_BYTES {
            return Err(SessionError::Refused);
        }
        self.limits.take(caller)?;
        let verified = self
            .verifier
            .verify_expired(expired.expose_secret(), LATEST)
            .await;
        let who = verified.map_err(|refusal| {
            tracing::info!(reason = %refusal.reason, "an expired session token was refused");
            match refusal.retry_after {
                Some(_unreachable) => SessionError::Unavailable,
                None => SessionError::Refused,
            }
        })?;
        // The application that the session token was made for, an authorized party if any is set.
        let (Some(session), Some(origin)) = (who.session_id(), who.claim("azp")) else {
            return Err(SessionError::Refused);
        };
        let answer = backend
            .refresh(session, &expired, &refresh_token, &origin)
            .await;
        let token = answer.map_err(|failure| match failure {
            Failure::NotFound | Failure::Refused => SessionError::Refused,
            Failure::Limited(_) | Failure::Unusable | Failure::Unavailable(_) => failure.into(),
        })?;
        if subject(token.expose_secret()).as_deref() != Some(who.id()) {
            tracing::warn!("the issuer gave a session token of another user, or none");
            return Err(SessionError::Unavailable);
        }
        Ok(Tokens {
            access_token: token,
            id_token: None,
            refresh_token: None,
            expires_in: None,
            token_type: "Bearer".to_owned(),
            scope: None,
        })
    }

    /// The API, for one more request of this caller.
    fn backend_for(&self, caller: &Principal) -> Result<&Backend, SessionError> {
        let backend = self
            .backend
            .as_deref()
            .ok_or(SessionError::NotConfigured(Needed::SecretKey))?;
        self.limits.take(Some(caller.id()))?;
        Ok(backend)
    }
}
