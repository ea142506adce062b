//! The service `auth`: how to sign in, how to stay signed in, and where one is signed in.

cloister_sdk::service!();

use cloister::mcp::auth::AuthUser;
use cloister::mcp::session::{self, Error};
use exports::cloister::auth::auth_service::{AuthInfo, Guest, Others, Revoked, Session, Tokens};

struct Auth;

export!(Auth);

impl Guest for Auth {
    fn refresh_token(
        refresh_token: String,
        expired_token: Option<String>,
    ) -> Result<Tokens, String> {
        match expired_token {
            Some(expired) => session::refresh_session(&expired, &refresh_token),
            None => session::refresh(&refresh_token),
        }
        .map(|tokens| Tokens {
            access_token: tokens.access_token,
            id_token: tokens.id_token,
            refresh_token: tokens.refresh_token,
            expires_in: tokens.expires_in,
            token_type: tokens.token_type,
        })
        .map_err(in_words)
    }

    fn get_auth_info() -> AuthInfo {
        let provider = session::info();
        AuthInfo {
            provider: provider.name,
            issuer: provider.issuer,
            token_required: true,
            token_usage: "send the token in the header `Authorization: Bearer <token>`, or in \
                          `params._meta.authorization.token`; tools that need none work without"
                .into(),
            refresh_available: provider.refresh_available,
            sessions_available: provider.sessions_available,
        }
    }

    fn list_sessions(user: &AuthUser) -> Result<Vec<Session>, String> {
        let sessions = session::sessions(user).map_err(in_words)?;
        Ok(sessions
            .into_iter()
            .map(|session| Session {
                id: session.id,
                current: session.current,
                created_at: session.created_at,
                last_active_at: session.last_active_at,
                expires_at: session.expires_at,
                device: session.device,
                browser: session.browser,
                city: session.city,
                country: session.country,
            })
            .collect())
    }

    fn revoke_session(user: &AuthUser, session_id: String) -> Result<Revoked, String> {
        session::revoke(user, &session_id).map_err(in_words)?;
        Ok(Revoked { count: 1 })
    }

    fn revoke_other_sessions(user: &AuthUser) -> Result<Others, String> {
        let ended = session::revoke_others(user).map_err(in_words)?;
        Ok(Others {
            count: ended.count,
            all: ended.all,
        })
    }
}

fn in_words(error: Error) -> String {
    match error {
        Error::NotConfigured(needed) => needed,
        Error::Refused => {
            "the refresh token is unknown, expired or already used; sign in again".into()
        }
        Error::NotFound => {
            "the caller has no such active session; `listSessions` tells which there are".into()
        }
        Error::NoSession => {
            "the token belongs to no session, so all would be others; name one with `revokeSession`"
                .into()
        }
        Error::Limited(Some(seconds)) => format!("too many requests; try again in {seconds} s"),
        Error::Limited(None) => "too many requests; try again later".into(),
        Error::Unavailable => {
            "the identity provider gave no usable answer; try again later, or sign in again".into()
        }
    }
}
