//! `cloister:mcp/session`: looking after sign-ins. The secrets of the host stay behind this line, and
//! who the caller is comes from the store, never from the guest.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::auth::AuthUser;
use crate::auth::Principal;
use crate::auth::UserSession;
use crate::auth::session::{SessionError, Tokens};
use crate::sandbox::bindings::cloister::mcp::session;
use crate::sandbox::store::Call;

type Outcome<T> = Result<std::result::Result<T, session::Error>>;

impl session::Host for Call {
    fn info(&mut self) -> Result<session::Provider> {
        let info = self.auth.sessions().info();
        Ok(session::Provider {
            name: info.provider,
            issuer: info.issuer,
            refresh_available: info.refresh_available,
            sessions_available: info.sessions_available,
            resource: info.resource,
        })
    }

    async fn refresh(&mut self, refresh_token: String) -> Outcome<session::Tokens> {
        let tokens = self
            .auth
            .sessions()
            .refresh(refresh_token.into(), self.behalf.as_deref())
            .await;
        Ok(tokens.map(shown).map_err(error))
    }

    async fn refresh_session(
        &mut self,
        expired_token: String,
        refresh_token: String,
    ) -> Outcome<session::Tokens> {
        let tokens = self
            .auth
            .sessions()
            .refresh_session(
                expired_token.into(),
                refresh_token.into(),
                self.behalf.as_deref(),
            )
            .await;
        Ok(tokens.map(shown).map_err(error))
    }

    async fn sessions(&mut self, _user: Resource<AuthUser>) -> Outcome<Vec<session::UserSession>> {
        let caller = self.caller()?;
        let sessions = self.auth.sessions().list(caller).await;
        Ok(sessions
            .map(|sessions| {
                sessions
                    .into_iter()
                    .map(|session| described(session, caller))
                    .collect()
            })
            .map_err(error))
    }

    async fn revoke(&mut self, _user: Resource<AuthUser>, session: String) -> Outcome<()> {
        let caller = self.caller()?;
        let ended = self.auth.sessions().revoke(caller, &session).await;
        Ok(ended.map_err(error))
    }

    async fn revoke_others(&mut self, _user: Resource<AuthUser>) -> Outcome<u32> {
        let caller = self.caller()?;
        let ended = self.auth.sessions().revoke_others(caller).await;
        Ok(ended
            .map(|count| u32::try_from(count).unwrap_or(u32::MAX))
            .map_err(error))
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
