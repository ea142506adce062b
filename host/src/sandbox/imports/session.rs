//! `cloister:mcp/session`: looking after sign-ins, for services that the operator grants it. The secrets
//! of the host stay behind this line, and who the caller is comes from the store, never from the guest.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::auth::AuthUser;
use crate::auth::session::{SessionError, Tokens};
use crate::auth::{Principal, Sessions, UserSession};
use crate::sandbox::bindings::cloister::mcp::session;
use crate::sandbox::capability::Capability;
use crate::sandbox::store::Call;

type Outcome<T> = Result<std::result::Result<T, session::Error>>;

impl session::Host for Call {
    /// What is told here is no secret: clients find most of it in the metadata.
    fn info(&mut self) -> Result<session::Provider> {
        let info = self.auth.sessions().info();
        Ok(session::Provider {
            name: info.provider,
            issuer: info.issuer,
            refresh_available: info.refresh_available && self.grants.sessions,
            sessions_available: info.sessions_available && self.grants.sessions,
            resource: info.resource,
        })
    }

    async fn refresh(&mut self, refresh_token: String) -> Outcome<session::Tokens> {
        let refresh_token = SecretString::from(refresh_token);
        let sessions = match self.granted() {
            Ok(sessions) => sessions,
            Err(refused) => return Ok(Err(refused)),
        };
        let tokens = sessions.refresh(refresh_token, &self.behalf).await;
        Ok(tokens.map(shown).map_err(error))
    }

    async fn refresh_session(
        &mut self,
        expired_token: String,
        refresh_token: String,
    ) -> Outcome<session::Tokens> {
        let (expired, refresh_token) = (
            SecretString::from(expired_token),
            SecretString::from(refresh_token),
        );
        let sessions = match self.granted() {
            Ok(sessions) => sessions,
            Err(refused) => return Ok(Err(refused)),
        };
        let tokens = sessions
            .refresh_session(expired, refresh_token, &self.behalf)
            .await;
        Ok(tokens.map(shown).map_err(error))
    }

    async fn sessions(&mut self, _user: Resource<AuthUser>) -> Outcome<Vec<session::UserSession>> {
        let caller = self.caller()?;
        let listed = match self.granted() {
            Ok(sessions) => sessions.list(caller).await.map_err(error),
            Err(refused) => Err(refused),
        };
        Ok(listed.map(|sessions| {
            sessions
                .into_iter()
                .map(|session| described(session, caller))
                .collect()
        }))
    }

    async fn revoke(&mut self, _user: Resource<AuthUser>, session: String) -> Outcome<()> {
        let caller = self.caller()?;
        Ok(match self.granted() {
            Ok(sessions) => sessions.revoke(caller, &session).await.map_err(error),
            Err(refused) => Err(refused),
        })
    }

    async fn revoke_others(&mut self, _user: Resource<AuthUser>) -> Outcome<session::Ended> {
        let caller = self.caller()?;
        let ended = match self.granted() {
            Ok(sessions) => sessions.revoke_others(caller).await.map_err(error),
            Err(refused) => Err(refused),
        };
        Ok(ended.map(|ended| session::Ended {
            count: u32::try_from(ended.count).unwrap_or(u32::MAX),
            all: ended.all,
        }))
    }
}

impl Call {
    /// What looks after sign-ins, for a service that may. A component that was dropped in could otherwise
    /// sign its callers out everywhere, and redeem stolen refresh tokens with the host's own secret.
    fn granted(&self) -> std::result::Result<&Sessions, session::Error> {
        if self.grants.sessions {
            return Ok(self.auth.sessions());
        }
        let missing = |service: &str| {
            format!(
                "it may not look after the sign-ins of its callers; the operator grants it {}",
                Capability::Sessions.place(service)
            )
        };
        self.refuse(missing);
        Err(session::Error::NotConfigured(missing(&self.service)))
    }
}

fn shown(tokens: Tokens) -> session::Tokens {
    let exposed = |token: SecretString| token.expose_secret().to_owned();
    session::Tokens {
        access_token: exposed(tokens.access_token),
        id_token: tokens.id_token.map(exposed),
        refresh_token: tokens.refresh_token.map(exposed),
        expires_in: tokens.expires_in,
        token_type: tokens.token_type,
        scope: tokens.scope,
    }
}

fn described(session: UserSession, caller: &Arc<Principal>) -> session::UserSession {
    session::UserSession {
        current: caller.session_id() == Some(&session.id),
        id: session.id,
        created_at: session.created_at,
        last_active_at: session.last_active_at,
        expires_at: session.expires_at,
        device: session.device,
        browser: session.browser,
        city: session.city,
        country: session.country,
    }
}

fn error(error: SessionError) -> session::Error {
    match error {
        SessionError::NotConfigured(_) => session::Error::NotConfigured(error.to_string()),
        SessionError::Refused => session::Error::Refused,
        SessionError::NotFound => session::Error::NotFound,
        SessionError::NoSession => session::Error::NoSession,
        SessionError::Limited(wait) => {
            session::Error::Limited(wait.and_then(|wait| u32::try_from(wait.as_secs()).ok()))
        }
        SessionError::Unavailable => session::Error::Unavailable,
    }
}
