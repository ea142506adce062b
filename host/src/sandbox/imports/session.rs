//! `cloister:mcp/session`: refreshing a sign-in. The client secret stays behind this line.

use secrecy::{ExposeSecret, SecretString};
use wasmtime::Result;

use crate::auth::session::RefreshError;
use crate::sandbox::bindings::cloister::mcp::session;
use crate::sandbox::call::Call;

impl session::Host for Call {
    fn info(&mut self) -> Result<session::Provider> {
        let info = self.auth.sessions().info();
        Ok(session::Provider {
            name: info.provider,
            issuer: info.issuer,
            refresh_available: info.refresh_available,
            resource: info.resource,
        })
    }

    async fn refresh(
        &mut self,
        refresh_token: String,
    ) -> Result<std::result::Result<session::Tokens, session::Error>> {
        Ok(self
            .auth
            .sessions()
            .refresh(SecretString::from(refresh_token))
            .await
            .map(|tokens| session::Tokens {
                access_token: tokens.access_token.expose_secret().to_owned(),
                id_token: tokens
                    .id_token
                    .map(|token| token.expose_secret().to_owned()),
                refresh_token: tokens
                    .refresh_token
                    .map(|token| token.expose_secret().to_owned()),
                expires_in: tokens.expires_in,
                token_type: tokens.token_type,
                scope: tokens.scope,
            })
            .map_err(|error| match error {
                error @ RefreshError::NotConfigured => {
                    session::Error::NotConfigured(error.to_string())
                }
                RefreshError::Refused => session::Error::Refused,
                RefreshError::Limited(wait) => session::Error::Limited(
                    wait.and_then(|wait| u32::try_from(wait.as_secs()).ok()),
                ),
                RefreshError::Unavailable => session::Error::Unavailable,
            }))
    }
}
