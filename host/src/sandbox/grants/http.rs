//! Outgoing HTTP: the origins that a service may reach, the headers that the host puts on for it, and the
//! connections, which no other service uses.

mod address;
mod origin;
mod resolver;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response, retry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::origin::{Allowed, Origin};
use self::origin::{Reach, Scheme};
use self::resolver::{Lookup, Resolver};
pub(in crate::sandbox) use self::resolver::{Prohibited, Unresolved};

/// How long it may take until a connection stands.
pub(in crate::sandbox) const CONNECT: Duration = Duration::from_secs(5);

/// How many requests all calls of a service may have under way; more wait.
const UNDER_WAY: u16 = 256;

/// How much of one response may wait to be read, on a connection with many. The connection has room for
/// all of them, so one that nobody reads holds up none of the others.
const STREAM_WINDOW: u32 = 128 << 10;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(15);

/// How many unused connections are kept to each origin.
const IDLE_CONNECTIONS: usize = 8;

/// What a service may reach. Clones share their connections.
#[derive(Clone)]
pub struct Http {
    reach: Arc<Reach>,
    headers: BTreeMap<Origin, HeaderMap>,
    client: Client,
    turns: Arc<Semaphore>,
}

impl Http {
    /// The grant of these origins, with headers that are put on for some of them. It fails if headers are
    /// for an origin that is not allowed, or on a machine that knows no certificates.
    pub fn new(allow: Vec<Allowed>, headers: BTreeMap<Origin, HeaderMap>) -> Result<Self, String> {
        Self::with_lookup(allow, headers, resolver::system)
    }

    /// The same, with another way to look names up.
    pub(in crate::sandbox) fn with_lookup(
        allow: Vec<Allowed>,
        headers: BTreeMap<Origin, HeaderMap>,
        lookup: impl Lookup,
    ) -> Result<Self, String> {
        let encrypted = allow.iter().any(|it| it.origin.scheme == Scheme::Https);
        let reach = Arc::new(Reach(allow));
        if let Some(origin) = headers.keys().find(|origin| !reach.allows(origin)) {
            return Err(format!(
                "`http.headers` are for `{origin}`, which `http.allow` does not have; add it there, or remove them"
            ));
        }
        let builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .retry(retry::never())
            .referer(false)
            .connect_timeout(CONNECT)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(STREAM_WINDOW * u32::from(UNDER_WAY))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .user_agent(concat!("cloister/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Resolver::new(Arc::clone(&reach), lookup)));
        // Certificates are not read where nothing needs them.
        let builder = if encrypted {
            builder
        } else {
            builder.tls_certs_only([])
        };
        let client = builder.build().map_err(|cause| {
            format!("`http.allow` cannot be granted, because this machine has no root certificates: {cause}; install them (`ca-certificates`)")
        })?;
        Ok(Self {
            reach,
            headers,
            client,
            turns: Arc::new(Semaphore::new(UNDER_WAY.into())),
        })
    }

    /// Whether requests may go there. Names are looked up later, and what they stand for is checked then.
    pub(in crate::sandbox) fn allows(&self, origin: &Origin) -> bool {
        self.reach.allows(origin)
    }

    /// The headers that the host puts on, whatever the guest has put there.
    pub(in crate::sandbox) fn headers(&self, origin: &Origin) -> Option<&HeaderMap> {
        self.headers.get(origin)
    }

    /// Waits until the service may have one more request under way.
    pub(in crate::sandbox) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    pub(in crate::sandbox) async fn send(&self, request: Request) -> reqwest::Result<Response> {
        self.client.execute(request).await
    }
}
