//! What clients need to find out where to sign in: about this host (RFC 9728), and, for those that look
//! for it here, a copy of what the issuer says of itself (RFC 8414).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use url::Url;

use super::Endpoint;
use super::answer;

/// Where the document about a host is that is one resource; with the resource's path behind it, the one
/// about that resource (RFC 9728 §3.1).
pub(super) const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// Where clients of MCP 2025-03-26 look for the issuer's document, and some others, which put the
/// resource's path behind it.
pub(super) const SERVER: &str = "/.well-known/oauth-authorization-server";

/// The resource that this host is, and who signs in for it.
#[derive(Clone, Debug)]
pub struct Metadata {
    resource: Url,
    issuer: String,
    url: Url,
}

impl Metadata {
    /// `resource` is the URL that callers type. It comes from the settings, never from a request.
    pub fn new(resource: &Url, issuer: &str) -> Self {
        let mut url = resource.clone();
        url.set_path(&format!("{RESOURCE}{}", resource.path()));
        Self {
            resource: resource.clone(),
            issuer: issuer.to_owned(),
            url,
        }
    }

    /// Where the document is, for challenges.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The path of the resource.
    pub(super) fn path(&self) -> &str {
        self.resource.path()
    }
}

/// The metadata of a protected resource (RFC 9728 §2).
#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    authorization_servers: [&'a str; 1],
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    scopes_supported: BTreeSet<&'a str>,
    bearer_methods_supported: [&'a str; 1],
    resource_name: &'a str,
}

/// The document about this host, for everybody.
pub(super) async fn resource(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let Some(metadata) = &endpoint.settings.metadata else {
        return answer::not_found().await;
    };
    let catalog = endpoint.settings.catalogs.snapshot();
    let document = Json(Document {
        resource: metadata.resource.as_str(),
        authorization_servers: [&metadata.issuer],
        scopes_supported: catalog.scopes(),
        bearer_methods_supported: ["header"],
        resource_name: "Cloister",
    });
    published(document, "max-age=3600")
}

/// The issuer's document, for everybody.
pub(super) async fn server(State(endpoint): State<Arc<Endpoint>>) -> Response {
    match endpoint.settings.auth.authorization_server().await {
        Ok(document) => {
            let content_type = (CONTENT_TYPE, "application/json");
            published(([content_type], document.to_string()), "max-age=300")
        }
        Err(pause) => absent(pause),
    }
}

/// Says when to look again for what is not there now.
fn absent(pause: Duration) -> Response {
    let body = json!({
        "error": "temporarily_unavailable",
        "error_description": "The metadata of the issuer cannot be had at the moment",
    });
    let unavailable = (StatusCode::SERVICE_UNAVAILABLE, Json(body));
    let mut response = published(unavailable, "no-store");
    let seconds = pause.as_secs().max(1);
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

fn published(document: impl IntoResponse, cache: &'static str) -> Response {
    let mut response = document.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
