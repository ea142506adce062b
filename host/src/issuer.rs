//! The development issuer: an embedded stand-in for Clerk on the loopback address, which signs
//! real tokens, publishes its keys and refreshes, so that development and tests need neither a
//! Clerk account nor a network.
//!
//! It knows what Clerk's tokens and endpoints look like and nothing of the host that uses it. It
//! binds no address but loopback and answers no request that came through a proxy; it has no place
//! in production.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

mod endpoints;
mod gate;
mod grants;
mod ids;
mod key_file;
mod keyring;
mod reply;
mod token;
mod users;

#[cfg(test)]
mod tests;

pub use token::{DEFAULT_LIFETIME, MAX_LIFETIME, MintError, TokenKind, TokenRequest};
pub use users::User;

use crate::auth::{Clock, OAuthClient};
use grants::{Grant, Grants};
use ids::Ids;
use key_file::KeyFile;
use keyring::Keyring;

/// The development issuer. It serves until it is dropped.
pub struct DevelopmentIssuer {
    state: Arc<State>,
    /// Goes with the issuer.
    _key_file: Option<KeyFile>,
    /// Dropping it is the signal to stop.
    _serving: oneshot::Sender<()>,
}

/// The key of an issuer that this user runs on this port, as [`DevelopmentIssuer::secret_key`] gives
/// it.
pub fn key_on_port(port: u16) -> io::Result<SecretString> {
    key_file::read(port)
}

/// What becomes of the old key when a new one signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldKey {
    /// It stays published: tokens that it signed stay good.
    Keep,
    /// It is withdrawn: tokens that it signed stop working.
    Withdraw,
}

impl DevelopmentIssuer {
    /// Makes a fresh key, binds a free port of the loopback address and serves.
    pub async fn start(clock: Clock) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let ids = Ids::random()?;
        // Making a key takes a tenth of a second of pure computing.
        let keyring = tokio::task::spawn_blocking(Keyring::generate).await??;
        let state = Arc::new(State {
            issuer: format!("http://127.0.0.1:{port}"),
            port,
            clock,
            keyring,
            grants: Grants::default(),
            secret_key: format!("sk_test_{}", ids.next()).into(),
            confidential: OAuthClient {
                id: "client_development".to_owned(),
                secret: Some(ids.next().into()),
            },
            public: OAuthClient {
                id: "client_development_public".to_owned(),
                secret: None,
            },
            ids,
        });
        let (serving, stopped) = oneshot::channel();
        let routes = endpoints::routes(Arc::clone(&state));
        tokio::spawn(async move {
            let serve = axum::serve(listener, routes).with_graceful_shutdown(async {
                // The owner never sends: it goes away.
                let _ = stopped.await;
            });
            if let Err(error) = serve.await {
                tracing::error!(%error, "the development issuer stopped serving");
            }
        });
        tracing::warn!(
            issuer = state.issuer,
            "the development issuer is running: whoever can start a program on this computer can \
             sign in as anybody"
        );
        let key_file = KeyFile::write(port, &state.secret_key)
            .inspect_err(|cause| {
                tracing::warn!(%cause, "the command `cloister token` will not find this issuer: its key could not be kept");
            })
            .ok();
        Ok(Self {
            state,
            _key_file: key_file,
            _serving: serving,
        })
    }

    /// Its URL: `iss` of every token.
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// The confidential OAuth client.
    pub fn client(&self) -> OAuthClient {
        self.state.confidential.clone()
    }

    /// The public OAuth client, which has no secret.
    pub fn public_client(&self) -> OAuthClient {
        self.state.public.clone()
    }

    /// The key of the minting endpoint and of what else asks for Clerk's secret key, new with
    /// each start.
    pub fn secret_key(&self) -> SecretString {
        self.state.secret_key.clone()
    }

    /// The publishable key as Clerk's own libraries read it. This host does not: it names a
    /// loopback address.
    pub fn publishable_key(&self) -> String {
        let host = format!("127.0.0.1:{}$", self.state.port);
        format!("pk_test_{}", STANDARD.encode(host))
    }

    /// Signs a token.
    pub fn mint(&self, wanted: &TokenRequest) -> Result<SecretString, MintError> {
        self.state.mint(wanted)
    }

    /// A live refresh token of the confidential client, with the scopes
    /// `openid profile email offline_access`.
    pub fn refresh_token(&self, sub: &str) -> SecretString {
        self.refresh_token_for(&self.state.confidential, sub)
    }

    /// A live refresh token of the public client, with the same scopes.
    pub fn public_refresh_token(&self, sub: &str) -> SecretString {
        self.refresh_token_for(&self.state.public, sub)
    }

    /// Makes a new key, which signs from now on. It takes a tenth of a second of pure computing.
    pub fn rotate_key(&self, old: OldKey) -> io::Result<()> {
        let kid = format!("ins_{}", self.state.ids.next());
        self.state.keyring.rotate(kid, old)
    }

    fn refresh_token_for(&self, client: &OAuthClient, sub: &str) -> SecretString {
        let token = self.state.ids.next();
        let grant = Grant {
            client_id: client.id.clone(),
            subject: sub.to_owned(),
            scopes: ["openid", "profile", "email", "offline_access"]
                .map(str::to_owned)
                .to_vec(),
        };
        self.state.grants.add(&token, grant);
        token.into()
    }
}

impl std::fmt::Debug for DevelopmentIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevelopmentIssuer")
            .field("issuer", &self.state.issuer)
            .finish_non_exhaustive()
    }
}

/// What the endpoints share.
struct State {
    issuer: String,
    port: u16,
    clock: Clock,
    keyring: Keyring,
    grants: Grants,
    secret_key: SecretString,
    confidential: OAuthClient,
    public: OAuthClient,
    ids: Ids,
}

impl State {
    fn mint(&self, wanted: &TokenRequest) -> Result<SecretString, MintError> {
        let written = wanted.write(&self.issuer, (self.clock)(), &self.ids)?;
        self.keyring
            .sign(written)
            .map(SecretString::from)
            .ok_or(MintError::Signing)
    }
}
