//! The verifier, the key store and the refresh grant, shown on tokens made here and against a
//! real HTTP server on the loopback address. Clocks are handed in; nothing sleeps.

mod backend;
mod cases;
mod discovery;
mod draft;
mod refresh;
mod secrecy;
mod server;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::clock::Stopwatch;
use super::upstream::Patience;
use super::{Auth, Bearer, Credentials, Kind, Presented, Principal, Reason};
use super::{Resource, Settings};
use draft::{APP, ISSUER, NOW, RESOURCE};
use server::Server;

/// An [`Auth`] whose two clocks stand still until a test moves them.
struct Bench {
    auth: Auth,
    clock: Arc<AtomicI64>,
    stopwatch: Stopwatch,
}

impl Bench {
    /// The policy of the table of token cases, with keys from this server.
    fn new(server: &Server) -> Self {
        Self::with(server, |_| {})
    }

    fn with(server: &Server, change: impl FnOnce(&mut Settings)) -> Self {
        Self::assemble(server, Patience::default(), change)
    }

    /// One that does not wait long, for a server that never finishes its answer.
    fn impatient(server: &Server) -> Self {
        let patience = Patience {
            total: Duration::from_secs(1),
            ..Patience::default()
        };
        Self::assemble(server, patience, |_| {})
    }

    fn assemble(server: &Server, patience: Patience, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(ISSUER);
        settings.authorized_parties = vec![APP.to_owned()];
        settings.resource = Some(Resource::Public(RESOURCE.to_owned()));
        change(&mut settings);
        let clock = Arc::new(AtomicI64::new(NOW));
        let stopwatch = Stopwatch::held();
        let day = Arc::clone(&clock);
        let auth = Auth::assemble(
            settings,
            Arc::new(move || day.load(Ordering::Relaxed)),
            stopwatch.clone(),
            server.url("/.well-known/jwks.json"),
            patience,
        );
        Self {
            auth: auth.unwrap(),
            clock,
            stopwatch,
        }
    }

    /// One that may ask the Backend API of this server.
    fn with_key(server: &Server, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with(server, |settings| {
            settings.api = server.url("");
            settings.secret_key = Some("sk_test_s3cret".into());
            change(settings);
        })
    }

    /// The caller with this token.
    async fn caller(&self, token: &str) -> Arc<Principal> {
        let credentials = Credentials {
            header: Some(Bearer::new(token.into())),
            meta: Presented::Absent,
        };
        self.auth.identify(&credentials).await.unwrap().unwrap()
    }

    async fn verify(&self, token: &str) -> Result<Principal, Reason> {
        let verified = self.auth.0.verifier.verify(token).await;
        verified.map_err(|refusal| refusal.reason)
    }

    async fn verdict(&self, token: &str) -> Result<Kind, Reason> {
        self.verify(token).await.map(|principal| principal.kind())
    }

    /// Moves the stopwatch, by which keys age.
    fn pass(&self, seconds: u64) {
        self.stopwatch.pass(seconds);
    }

    /// Moves the time of day, by which tokens are judged.
    fn jump(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Does something and waits for the fetch in the background that it causes.
    async fn verdict_and_fetch(&self, token: &str) -> Result<Kind, Reason> {
        let mut ended = self.auth.0.verifier.keys.watch();
        let verdict = self.verdict(token).await;
        ended.changed().await.unwrap();
        verdict
    }
}
