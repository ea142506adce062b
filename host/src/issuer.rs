//! The development issuer: an embedded stand-in for Clerk on the loopback address, which signs
//! real tokens, publishes its keys, signs users in on a page of its own, and answers what Clerk's
//! Frontend and Backend API answer, so that development and tests need neither a Clerk account nor a
//! network.
//!
//! It knows what Clerk's tokens and endpoints look like and nothing of the host that uses it. It
//! binds no address but loopback and answers no request that came through a proxy; it has no place
//! in production.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

mod api_keys;
mod bounded;
mod browsers;
mod clients;
mod documents;
mod endpoints;
mod faults;
mod gate;
mod grants;
mod ids;
mod key_file;
mod keyring;
mod records;
mod reply;
mod sessions;
mod token;
mod users;

#[cfg(test)]
mod tests;

pub use faults::{AnswerFault, Faults, KeysFault, TokensFault};
pub use token::{DEFAULT_LIFETIME, MAX_LIFETIME, MintError, TokenKind, TokenRequest};
pub use users::User;

use crate::auth::{Clock, OAuthClient};
use clients::{Client, Clients};
use documents::{Documents, NoClient};
use grants::Grant;
use ids::Ids;
use key_file::KeyFile;
use keyring::Keyring;
use records::{Records, digest};

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
    /// It stays published for a day: tokens that it signed stay good.
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
        let secret = ids.next();
        let confidential = OAuthClient {
            id: CLIENT.to_owned(),
            secret: Some(secret.clone().into()),
        };
        let public = OAuthClient {
            id: "client_development_public".to_owned(),
            secret: None,
        };
        let clients = Clients::new(&[
            (&confidential, "Development client", Some(digest(&secret))),
            (&public, "Public development client", None),
        ]);
        let state = Arc::new(State {
            issuer: format!("http://127.0.0.1:{port}"),
            port,
            clock,
            keyring,
            records: Mutex::new(Records::new(clients)),
            documents: Documents::default(),
            secret_key: format!("sk_test_{}", ids.next()).into(),
            confidential,
            public,
            ids,
            faults: faults::Switch::default(),
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
        self.state.rotate_key(old)
    }

    /// Has it fail in these ways from now on, for tests of whoever depends on it.
    pub fn fail(&self, faults: Faults) {
        self.state.faults.set(faults);
    }

    fn refresh_token_for(&self, client: &OAuthClient, sub: &str) -> SecretString {
        let token = self.state.ids.next();
        let grant = Grant {
            id: self.state.ids.next(),
            client_id: client.id.clone(),
            subject: sub.to_owned(),
            scopes: ["openid", "profile", "email", "offline_access"]
                .map(str::to_owned)
                .to_vec(),
            ..Grant::default()
        };
        self.state.records().grants.add(grant, &token);
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

/// The id of the client that the command line is.
const CLIENT: &str = "client_development";

/// What the endpoints share.
struct State {
    issuer: String,
    port: u16,
    clock: Clock,
    keyring: Keyring,
    records: Mutex<Records>,
    documents: Documents,
    secret_key: SecretString,
    confidential: OAuthClient,
    public: OAuthClient,
    ids: Ids,
    faults: faults::Switch,
}

impl State {
    fn now(&self) -> i64 {
        (self.clock)()
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mint(&self, wanted: &TokenRequest) -> Result<SecretString, MintError> {
        let now = self.now();
        let mut written = wanted.write(&self.issuer, now, &self.ids)?;
        let names_session = written.claims.contains_key("sid")
            || wanted.omit.iter().any(|omitted| omitted == "sid");
        if wanted.kind == TokenKind::Session && !names_session {
            let id = self.start_session(&wanted.sub, None);
            written.claims.insert("sid".to_owned(), id.into());
        }
        self.keyring
            .sign(written)
            .map(SecretString::from)
            .ok_or(MintError::Signing)
    }

    /// Begins a session of this user and gives its id.
    fn start_session(&self, user_id: &str, refresh_token: Option<&str>) -> String {
        let id = format!("sess_{}", self.ids.next());
        let now = self.now();
        let sessions = &mut self.records().sessions;
        sessions.start(&id, user_id, refresh_token, now);
        id
    }

    fn rotate_key(&self, old: OldKey) -> io::Result<()> {
        let kid = format!("ins_{}", self.ids.next());
        self.keyring.rotate(kid, old, self.now())
    }

    /// The client of this id: one that is known, or one that its own document describes. Nothing is
    /// one that is unknown.
    async fn client(&self, id: &str) -> Result<Option<Arc<Client>>, NoClient> {
        let now = self.now();
        let known = self.records().clients.find(id, now);
        if known.is_some() || !documents::is_address(id) {
            return Ok(known);
        }
        let client = self.documents.fetch(id).await?;
        let clients = &mut self.records().clients;
        clients.keep_document(Arc::clone(&client), now);
        Ok(Some(client))
    }
}
