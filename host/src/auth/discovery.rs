//! What the issuer publishes about itself for clients that want to sign in (RFC 8414): a copy, kept for
//! clients that look for it here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, StatusCode};

use super::cache::Cache;
use super::clock::Stopwatch;
use super::json::Object;
use super::upstream::{MAX_ANSWER_BYTES, Unreadable, read_body};
use crate::digest::Digest;

/// How long a copy is fresh.
const FRESH: Duration = Duration::from_mins(5);

/// How long the last good copy serves while there is no other.
const USABLE: Duration = Duration::from_hours(1);

/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// Keeps the issuer's document.
pub(super) struct Discovery {
    source: Arc<Source>,
    documents: Cache<Option<Arc<str>>>,
}

struct Source {
    http: Client,
    issuer: String,
    stopwatch: Stopwatch,
    /// The last good one, and when it was asked for.
    last: Mutex<Option<Kept>>,
}

type Kept = (Arc<str>, Duration);

impl Discovery {
    pub(super) fn new(http: Client, issuer: String, stopwatch: &Stopwatch) -> Self {
        Self {
            source: Arc::new(Source {
                http,
                issuer,
                stopwatch: stopwatch.clone(),
                last: Mutex::default(),
            }),
            documents: Cache::new(stopwatch),
        }
    }

    /// How many answers are kept.
    pub(super) fn kept(&self) -> usize {
        self.documents.len()
    }

    /// The document; where there is none, how long to wait for one.
    pub(super) async fn document(&self) -> Result<Arc<str>, Duration> {
        let document = self.documents.get(Digest::of(&[]), || {
            let source = Arc::clone(&self.source);
            async move { source.renewed().await }
        });
        document.await.flatten().ok_or(PAUSE)
    }
}

impl Source {
    /// A document, and how long it may be kept.
    async fn renewed(&self) -> (Option<Arc<str>>, Duration) {
        let began = self.stopwatch.now();
        match self.fetch().await {
            Ok(document) => {
                *self.last() = Some((Arc::clone(&document), began));
                (Some(document), FRESH)
            }
            Err(error) => {
                tracing::warn!(%error, "the issuer's metadata could not be fetched");
                let last = self.last().clone();
                let usable = last.filter(|(_, at)| began.saturating_sub(*at) <= USABLE);
                (usable.map(|(document, _)| document), PAUSE)
            }
        }
    }

    async fn fetch(&self) -> Result<Arc<str>, NoDocument> {
        let url = format!("{}/.well-known/oauth-authorization-server", self.issuer);
        let response = self
            .http
            .get(url)
            .header(ACCEPT, "application/json")
            .send()
            .await
            .map_err(|error| NoDocument::Unreachable(error.without_url()))?;
        if response.status() != StatusCode::OK {
            return Err(NoDocument::Status(response.status()));
        }
        let body = read_body(response, MAX_ANSWER_BYTES).await?;
        let text = str::from_utf8(&body).map_err(|_other| NoDocument::Document)?;
        // Whoever answers must be whom the document is about (RFC 8414 §3.3).
        Object::read(text)
            .filter(|document| document.text("issuer") == Some(&self.issuer))
            .map(|_document| Arc::from(text))
            .ok_or(NoDocument::Document)
    }

    fn last(&self) -> MutexGuard<'_, Option<Kept>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is none, for the log. The body is never quoted.
#[derive(Debug, thiserror::Error)]
enum NoDocument {
    #[error("the issuer is out of reach: {0}")]
    Unreachable(reqwest::Error),
    #[error("the issuer answered {0} instead of 200")]
    Status(StatusCode),
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    #[error("the answer is no JSON object with the issuer's own URL as `issuer`")]
    Document,
}
