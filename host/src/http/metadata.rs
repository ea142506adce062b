//! What clients need to find out where to sign in (RFC 9728).

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use url::Url;

use super::Endpoint;
use super::answer;

/// Where the document is for a host that is one resource; with the resource's path behind it, for
/// that resource (RFC 9728 §3.1).
pub(super) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The resource that this host is, and who signs in for it.
#[derive(Clone, Debug)]
pub struct Metadata {
    resource: String,
    issuer: String,
    url: Url,
}

impl Metadata {
    /// `resource` is the URL that callers type. It comes from the settings, never from a request.
    pub fn new(resource: &Url, issuer: &str) -> Self {
        let mut url = resource.clone();
        url.set_path(&format!("{WELL_KNOWN}{}", resource.path()));
        Self {
            resource: resource.as_str().to_owned(),
            issuer: issuer.to_owned(),
            url,
        }
    }

    /// Where the document is, for challenges.
    pub fn url(&self) -> &Url {
        &self.url
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

/// The document, for everybody.
pub(super) async fn get(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let Some(metadata) = &endpoint.settings.metadata else {
        return answer::not_found().await;
    };
    let catalog = endpoint.settings.catalogs.snapshot();
    let mut response = Json(Document {
        resource: &metadata.resource,
        authorization_servers: [&metadata.issuer],
        scopes_supported: catalog.scopes(),
        bearer_methods_supported: ["header"],
        resource_name: "Cloister",
    })
    .into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
