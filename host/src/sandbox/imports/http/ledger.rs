//! What one call has sent, received and under way over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;
use wasmtime_wasi_http::Error;

use crate::sandbox::capability::Capability;
use crate::sandbox::grants::{Origin, Prohibited};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::usage::Usage;

/// How many requests a call may have under way at once.
pub(super) const UNDER_WAY: usize = 32;

/// How many requests a call may begin.
const REQUESTS: usize = 1_000;

/// The count of one call, shared with the bodies that are on their way.
pub(super) struct Ledger {
    service: Arc<str>,
    /// The bytes that may be sent and received.
    limit: usize,
    exchanged: AtomicUsize,
    begun: AtomicUsize,
    under_way: AtomicUsize,
    refusal: Refusal,
    usage: Usage,
}

/// A request that is under way until this is dropped.
pub(super) struct UnderWay(Arc<Ledger>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ledger {
    pub(super) fn new(service: Arc<str>, limit: usize, refusal: Refusal, usage: Usage) -> Self {
        Self {
            service,
            limit,
            exchanged: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            refusal,
            usage,
        }
    }

    /// Begins one request more, unless there are too many.
    pub(super) fn begin(self: &Arc<Self>) -> Option<UnderWay> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay(Arc::clone(self));
        let fits = before < UNDER_WAY && self.begun.fetch_add(1, Ordering::Relaxed) < REQUESTS;
        fits.then_some(under_way)
    }

    pub(super) fn reached(&self, origin: &Origin) {
        self.usage.reaches(origin);
    }

    /// Counts bytes that are sent. False if they are too many.
    pub(super) fn sent(&self, bytes: usize) -> bool {
        self.usage.sends(bytes);
        self.exchange(bytes)
    }

    /// Counts bytes that came. False if they are too many.
    pub(super) fn received(&self, bytes: usize) -> bool {
        self.usage.receives(bytes);
        self.exchange(bytes)
    }

    fn exchange(&self, bytes: usize) -> bool {
        let before = self.exchanged.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limit;
        if !fits {
            self.refusal.note(|| {
                format!(
                    "it exchanged more than {} bytes over HTTP, its limit; `[limits] http` in `mcp/{}.toml` sets another",
                    self.limit, self.service
                )
            });
        }
        fits
    }

    pub(super) fn request_too_large(&self) -> Error {
        Error::HttpRequestBodySize(u64::try_from(self.limit).ok())
    }

    pub(super) fn response_too_large(&self) -> Error {
        Error::HttpResponseBodySize(u64::try_from(self.limit).ok())
    }

    /// The operator has not granted an origin.
    pub(super) fn not_granted(&self, origin: &Origin) {
        let service = &self.service;
        let missing = || {
            format!(
                "it may not send requests to `{origin}`; the operator grants it {}",
                Capability::Http.place_for(service, &format!("\"{origin}\""))
            )
        };
        if self.refusal.note(missing) {
            tracing::warn!(%service, "{}", missing());
        }
    }

    /// The operator has granted a name, but not what it stands for. What that is, the operator learns, and
    /// nobody else.
    pub(super) fn prohibited(&self, origin: &Origin, prohibited: &Prohibited) {
        let service = &self.service;
        let first = self.refusal.note(|| {
            format!(
                "it may not send requests to `{origin}`, because that name stands for an address that is not public; the operator's log names the line of `mcp/{service}.toml` that would grant it"
            )
        });
        if first {
            tracing::warn!(
                %service,
                "{prohibited}; beside `{origin}`, the operator grants it {}",
                Capability::Http.place_for(service, &format!("\"{}\"", origin.at(prohibited.address)))
            );
        }
    }
}

/// The bytes of headers.
pub(super) fn size(headers: &HeaderMap) -> usize {
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len().saturating_add(value.len()));
    sizes.fold(0, usize::saturating_add)
}
