//! Client-id metadata documents: a client whose id is an address, and what is found there. Whoever
//! opens a sign-in chooses the address, so little is fetched, and only from where it can do no harm.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client as Http, StatusCode, header, retry};
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::clients::{Client, ClientMetadata, is_loopback};

/// The longest document, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// The longest id, in bytes.
const MAX_ID_BYTES: usize = 1_024;

/// How long a client's server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many are fetched at a time.
const AT_A_TIME: usize = 4;

/// Fetches documents.
pub(super) struct Documents(Semaphore);

/// Why a document makes no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoClient {
    #[error(
        "an address as a client id must be `https` with a domain name and a path, or `http` on a loopback address; without user, fragment or `..`; of at most 1024 bytes"
    )]
    Address,
    #[error("too many client documents are being fetched: try again")]
    Busy,
    #[error("the client's document cannot be fetched within 5 s")]
    Unreachable,
    #[error(
        "the client's document must be answered with status 200, as JSON, without a redirect, in at most 16384 bytes"
    )]
    Answer,
    #[error("the client's document must hold its own address as `client_id`, and `redirect_uris`")]
    Document,
    #[error("the client's document is wrong: {0}")]
    Metadata(&'static str),
    #[error(
        "a client with a document has no secret: its `token_endpoint_auth_method` must be `none`"
    )]
    Secret,
}

impl Default for Documents {
    fn default() -> Self {
        Self(Semaphore::new(AT_A_TIME))
    }
}

/// Whether a client id is meant to be the address of a document.
pub(super) fn is_address(client_id: &str) -> bool {
    client_id.starts_with("https://") || client_id.starts_with("http://")
}

impl Documents {
    /// The client that the document at this address describes.
    pub(super) async fn fetch(&self, id: &str) -> Result<Arc<Client>, NoClient> {
        let url = address(id).ok_or(NoClient::Address)?;
        let _one_of_a_few = self.0.try_acquire().map_err(|_all_taken| NoClient::Busy)?;
        let body = get(url).await?;
        let metadata: ClientMetadata =
            serde_json::from_slice(&body).map_err(|_other| NoClient::Document)?;
        if metadata.client_id.as_deref() != Some(id) {
            return Err(NoClient::Document);
        }
        metadata
            .check()
            .map_err(|mistake| NoClient::Metadata(mistake.description))?;
        if !matches!(
            metadata.token_endpoint_auth_method.as_deref(),
            None | Some("none")
        ) {
            return Err(NoClient::Secret);
        }
        Ok(Arc::new(Client {
            id: id.to_owned(),
            name: metadata.client_name,
            secret: None,
            redirects: metadata.redirect_uris,
        }))
    }
}

/// The address, if one may be asked there.
fn address(id: &str) -> Option<Url> {
    let url = Url::parse(id).ok().filter(|_| id.len() <= MAX_ID_BYTES)?;
    let is_https = url.scheme() == "https"
        && matches!(url.host(), Some(Host::Domain(name)) if name.contains('.') && !name.ends_with('.'));
    let is_local = url.scheme() == "http" && is_loopback(&url);
    let is_plain = url.as_str() == id
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.path() != "/";
    ((is_https || is_local) && is_plain).then_some(url)
}

async fn get(url: Url) -> Result<Vec<u8>, NoClient> {
    let builder = Http::builder()
        .redirect(Policy::none())
        .no_proxy()
        .retry(retry::never())
        .referer(false)
        .timeout(PATIENCE)
        .user_agent(concat!("cloister/", env!("CARGO_PKG_VERSION")));
    let http = if url.scheme() == "http" {
        builder.tls_certs_only([]).build()
    } else {
        builder.https_only(true).build()
    };
    let unreachable = |_cause| NoClient::Unreachable;
    let request = http.map_err(unreachable)?.get(url);
    let mut response = request
        .header(header::ACCEPT, "application/json")
        .send()
        .await
        .map_err(unreachable)?;
    let media_type = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|media_type| media_type.trim().to_ascii_lowercase());
    let is_json = media_type.is_some_and(|media_type| {
        media_type == "application/json" || media_type.ends_with("+json")
    });
    if response.status() != StatusCode::OK || !is_json {
        return Err(NoClient::Answer);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > MAX_BYTES {
            return Err(NoClient::Answer);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_asked_for_where_it_does_no_harm() {
        for (id, is_good) in [
            ("https://client.example/oauth.json", true),
            ("http://127.0.0.1:8000/client", true),
            ("http://localhost/client", true),
            ("http://client.example/oauth.json", false),
            ("https://client.example", false),
            ("https://client.example/", false),
            ("https://client.example/a#b", false),
            ("https://client.example/a/../b", false),
            ("https://x@client.example/a", false),
            ("https://169.254.169.254/a", false),
            ("https://[::1]/a", false),
            ("https://2852039166/a", false),
            ("https://intranet/a", false),
        ] {
            assert_eq!(address(id).is_some(), is_good, "{id}");
        }
        let long = format!("https://client.example/{}", "x".repeat(1_024));
        assert!(address(&long).is_none());
    }
}
