//! The endpoint: HTTP in, HTTP out, and the only place where errors become statuses.
//!
//! It reads headers and bodies and knows nothing of what a message means.

mod answer;
mod endpoint;
mod gate;
mod health;
mod metadata;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

pub use gate::Gate;
pub use health::Health;
pub use metadata::Metadata;

use crate::auth::Challenge;
use crate::catalog::Catalogs;
use crate::protocol::Protocol;

/// What the endpoint needs to serve.
pub struct Settings {
    /// The largest body that is read, in bytes.
    pub body: usize,
    /// Who may speak to the endpoint.
    pub gate: Gate,
    /// What is published about signing in, where the host knows its own URL.
    pub metadata: Option<Metadata>,
    /// What callers are told who are turned away.
    pub challenge: Challenge,
    /// What is served.
    pub catalogs: Catalogs,
    /// How to tell whether the host is ready.
    pub health: Health,
}

struct Endpoint {
    protocol: Arc<Protocol>,
    settings: Settings,
}

/// The whole of what is served.
pub fn router(protocol: Arc<Protocol>, settings: Settings) -> Router {
    let metadata = settings
        .metadata
        .as_ref()
        .map(|it| it.url().path().to_owned());
    let endpoint = Arc::new(Endpoint { protocol, settings });
    let mut router = Router::new()
        .route(
            "/mcp",
            post(endpoint::post)
                .get(endpoint::get)
                .delete(endpoint::delete)
                .fallback(endpoint::other_method),
        )
        .route("/health", get(health::get))
        .route(metadata::WELL_KNOWN, get(metadata::get))
        .fallback(answer::not_found);
    if let Some(path) = metadata.filter(|path| path != metadata::WELL_KNOWN) {
        router = router.route(&path, get(metadata::get));
    }
    let guard = middleware::from_fn_with_state(Arc::clone(&endpoint), gate::guard);
    router.layer(guard).with_state(endpoint)
}
