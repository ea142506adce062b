//! The endpoint: HTTP in, HTTP out, and the only place where errors become statuses.
//!
//! It reads headers and bodies and knows nothing of what a message means.

mod answer;
mod connection;
mod endpoint;
mod gate;
mod health;
mod listener;
mod metadata;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

pub use gate::Gate;
pub use health::Health;
pub use listener::{ConnectionLimits, Connections};
pub use metadata::Metadata;

use crate::auth::{Auth, Challenge};
use crate::catalog::Catalogs;
use crate::protocol::Protocol;

/// What the endpoint needs to serve.
pub struct Settings {
    /// The largest body that is read, in bytes.
    pub body: usize,
    /// How long a client may take to send it.
    pub body_timeout: Duration,
    /// Who may speak to the endpoint.
    pub gate: Gate,
    /// What is published about signing in, where the host knows its own URL.
    pub metadata: Option<Metadata>,
    /// What callers are told who are turned away.
    pub challenge: Challenge,
    /// Who knows the issuer.
    pub auth: Auth,
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
    let resource = settings
        .metadata
        .as_ref()
        .map_or("/mcp", Metadata::path)
        .to_owned();
    let endpoint = Arc::new(Endpoint { protocol, settings });
    let mut router = Router::new()
        // A path in the public URL is no pattern, whatever it begins with.
        .without_v07_checks()
        .route(
            "/mcp",
            post(endpoint::post)
                .get(endpoint::get)
                .delete(endpoint::delete)
                .fallback(endpoint::other_method),
        )
        .route("/health", get(health::get))
        .fallback(answer::not_found);
    let documents = [
        (metadata::RESOURCE, get(metadata::resource)),
        (metadata::SERVER, get(metadata::server)),
    ];
    for (path, document) in documents {
        // Where the host is one resource, and where that resource is one of several (RFC 9728 §3.1).
        router = router.route(path, document.clone());
        if resource != "/" {
            router = router.route(&format!("{path}{resource}"), document);
        }
    }
    let guard = middleware::from_fn_with_state(Arc::clone(&endpoint), gate::guard);
    router.layer(guard).with_state(endpoint)
}
