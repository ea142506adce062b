//! The service `auth`: how to sign in, and how to stay signed in.

cloister_sdk::service!();

use cloister::mcp::session;
use exports::cloister::auth::auth_service::{AuthInfo, Guest, Tokens};

struct Auth;

export!(Auth);

impl Guest for Auth {
    fn refresh_token(refresh_token: String) -> Result<Tokens, String> {
        session::refresh(&refresh_token)
            .map(|tokens| Tokens {
                access_token: tokens.access_token,
                id_token: tokens.id_token,
                refresh_token: tokens.refresh_token,
                expires_in: tokens.expires_in,
                token_type: tokens.token_type,
            })
            .map_err(|error| match error {
                session::Error::NotConfigured(needed) => needed,
                session::Error::Refused => {
                    "the refresh token is unknown, expired or already used; sign in again".into()
                }
                session::Error::Limited(Some(seconds)) => {
                    format!("too many requests; try again in {seconds} s")
                }
                session::Error::Limited(None) => "too many requests; try again later".into(),
                session::Error::Unavailable => {
                    "the identity provider gave no usable answer; try again later, or sign in again"
                        .into()
                }
            })
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
        }
    }
}
