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
use reqwest::{Client, ClientBuilder, Request, Response, retry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::origin::{Allowed, Origin};
use self::origin::{Reach, Scheme};
use self::resolver::{Lookup, Resolver};
pub(in crate::sandbox) use self::resolver::{Prohibited, Unresolved};

/// How long it may take until a connection stands.
pub(in crate::sandbox) const CONNECT: Duration = Duration::from_secs(5);

/// What the headers of one answer may take, in bytes. A guest may keep as many of them as of its own.
pub(in crate::sandbox) const HEADERS: usize = 128 << 10;

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
        let builder = bounded().dns_resolver(Arc::new(Resolver::new(Arc::clone(&reach), lookup)));
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

/// A client with the bounds that hold for every service, which goes where it is sent and nowhere else.
fn bounded() -> ClientBuilder {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(STREAM_WINDOW * u32::from(UNDER_WAY))
        .http2_max_header_list_size(u32::try_from(HEADERS).unwrap_or(u32::MAX))
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .user_agent(concat!("cloister/", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::body::Incoming;
    use hyper::server::conn::http2;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers over HTTP/2 with as many headers of a KiB as the path says.
    async fn answer(
        request: http::Request<Incoming>,
    ) -> Result<http::Response<String>, Infallible> {
        let count: usize = request.uri().path()[1..].parse().unwrap();
        let mut answer = http::Response::builder();
        for _ in 0..count {
            answer = answer.header("x-long", "x".repeat(1024 - "x-long".len() - 32));
        }
        Ok(answer.body("whole".to_owned()).unwrap())
    }

    #[tokio::test]
    async fn the_headers_of_an_answer_over_http2_may_take_as_much_as_of_any() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(answer));
                tokio::spawn(serving);
            }
        });
        let client = bounded().http2_prior_knowledge().tls_certs_only([]);
        let client = client.build().unwrap();
        for (headers, is_read) in [(120, true), (136, false), (1, true)] {
            let answer = client.get(format!("{origin}/{headers}")).send().await;
            assert_eq!(answer.is_ok(), is_read, "{headers}: {answer:?}");
        }
    }
}
