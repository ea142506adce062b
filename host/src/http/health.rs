//! `GET /health`: whether this host can do its work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::watch;

use super::Endpoint;
use crate::auth::{Auth, Readiness};

/// What readiness depends on.
pub struct Health {
    /// Whether what lay in the folder at the start has been looked at.
    pub first_pass: watch::Receiver<bool>,
    /// Whether tokens can be verified.
    pub auth: Auth,
}

/// 200 when the services are loaded and tokens can be verified, 503 until then.
pub(super) async fn get(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let health = &endpoint.settings.health;
    let loaded = *health.first_pass.borrow();
    let keys = health.auth.is_ready();
    let (status, word) = match (loaded, keys.is_serving()) {
        (true, true) => (StatusCode::OK, "ready"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        (true, false) => (StatusCode::SERVICE_UNAVAILABLE, "no keys of the issuer"),
    };
    let catalog = endpoint.settings.catalogs.snapshot();
    let load = endpoint.protocol.load();
    let body = json!({
        "status": word,
        "services": catalog.services().count(),
        "tools": catalog.tools().count(),
        "prompts": catalog.prompts().count(),
        "resources": catalog.resources().count(),
        "templates": catalog.templates().count(),
        "open": {
            "calls": load.calls,
            "memory": load.memory,
            "sessions": load.sessions,
            "streams": load.streams,
        },
        "keys": match keys {
            Readiness::Loaded => "loaded",
            Readiness::Stale { .. } => "stale",
            Readiness::NotLoaded => "not loaded",
        },
    });
    (status, Json(body)).into_response()
}
