//! `GET /health`: whether this host can do its work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::watch;

use super::{Connections, Endpoint};
use crate::auth::{Auth, Readiness};

/// What readiness depends on.
pub struct Health {
    /// Whether what lay in the folder at the start has been looked at.
    pub first_pass: watch::Receiver<bool>,
    /// Whether tokens can be verified.
    pub auth: Auth,
    /// Who is connected.
    pub connections: Connections,
}

/// 200 when the services are loaded, tokens can be verified and buckets be used, 503 until then.
pub(super) async fn get(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let health = &endpoint.settings.health;
    let loaded = *health.first_pass.borrow();
    let keys = health.auth.is_ready();
    let catalog = endpoint.settings.catalogs.snapshot();
    let kept = health.auth.kept();
    let load = endpoint.protocol.load();
    let lacking = if !loaded {
        Some("starting")
    } else if !keys.is_serving() {
        Some("no keys of the issuer")
    } else if !load.buckets.is_usable() {
        Some("no server for buckets")
    } else {
        None
    };
    let (status, word) = match lacking {
        None => (StatusCode::OK, "ready"),
        Some(lacking) => (StatusCode::SERVICE_UNAVAILABLE, lacking),
    };
    let body = json!({
        "status": word,
        "services": catalog.services().count(),
        "tools": catalog.tools().count(),
        "prompts": catalog.prompts().count(),
        "resources": catalog.resources().count(),
        "templates": catalog.templates().count(),
        "open": {
            "calls": load.sandbox.calls,
            "asking": load.sandbox.asking,
            "queued": load.sandbox.queued,
            "memory": load.sandbox.memory,
            "files": load.sandbox.files,
            "writes": load.sandbox.writes,
            "sessions": load.sessions,
            "streams": load.streams,
            "connections": health.connections.open(),
        },
        "kept": {
            "keys": kept.keys,
            "answers": kept.answers,
            "components": load.code.map(|code| code.entries),
            "code": load.code.map(|code| code.bytes),
        },
        "buckets": load.buckets.name(),
        "keys": match keys {
            Readiness::Loaded => "loaded",
            Readiness::Stale { .. } => "stale",
            Readiness::NotLoaded => "not loaded",
        },
    });
    (status, Json(body)).into_response()
}
