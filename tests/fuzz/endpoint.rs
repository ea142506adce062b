//! Any bytes as requests to the endpoint, one after another, as one client may send them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use cloister::auth::{self, Auth, Challenge, system_clock};
use cloister::catalog::{self, Service};
use cloister::http::{self, ConnectionLimits, Connections, Gate, Health};
use cloister::protocol::{self, Bounds, Protocol, SessionLimits};
use cloister::reload::{Contents, inspect_contents};
use cloister::sandbox::{self, BucketStore, Compiler, Sandbox};
use futures_util::StreamExt;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::STACK;

/// What stands between two requests of an input.
const NEXT: &[u8] = b"\n---\n";

/// What stands in a header for the id of the session that was opened last.
const SESSION: &str = "{session}";

/// How long a call may take, so that one that never ends does.
const TIMEOUT: Duration = Duration::from_millis(50);

/// How long a stream is waited for that says nothing: what comes next may be what it waits for.
const SILENCE: Duration = Duration::from_millis(3);

/// How long anything at all may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// The largest body.
const BODY: usize = 64 << 10;

/// What requests are made to.
struct Endpoint {
    runtime: Runtime,
    router: Router,
    protocol: Arc<Protocol>,
    /// What must not go while there are requests.
    _kept: (watch::Sender<bool>, watch::Sender<bool>, catalog::Publisher),
}

static ENDPOINT: LazyLock<Endpoint> = LazyLock::new(Endpoint::new);

/// Makes the requests that the bytes stand for, and gives the statuses of their answers. Every answer is
/// what HTTP and JSON-RPC want of one, and at the end nothing is left of any of them.
pub fn endpoint(bytes: &[u8]) -> Vec<u16> {
    let endpoint = &*ENDPOINT;
    let bytes = bytes.to_vec();
    // On a thread of the runtime, as in the host.
    let work = endpoint.runtime.spawn(async move {
        let mut client = Client::default();
        let mut statuses = Vec::new();
        for request in split(&bytes, NEXT).take(8) {
            statuses.push(client.send(endpoint, request).await);
        }
        client.leave(endpoint).await;
        statuses
    });
    match endpoint.runtime.block_on(work) {
        Ok(statuses) => statuses,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

impl Endpoint {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .expect("a runtime");
        let context = runtime.enter();
        let compiler = Compiler::new(&sandbox::Settings {
            calls: Some(64),
            cache: Some(guest("test-cache")),
            ..sandbox::Settings::default()
        })
        .expect("a compiler");
        // Nobody is there, so that no token is good.
        let auth = Auth::new(auth::Settings::new("http://127.0.0.1:9"), system_clock());
        let auth = auth.expect("an issuer");
        let (publisher, catalogs) = catalog::empty();
        let services = ["asker", "conformance", "library", "plain"];
        publisher.publish(
            services
                .into_iter()
                .map(|name| (Arc::from(name), Arc::new(service(name, &compiler))))
                .collect(),
        );
        let (stop, closing) = watch::channel(false);
        let (ready, first_pass) = watch::channel(true);
        let challenge = Challenge::new(None);
        let protocol = Arc::new(Protocol::new(
            protocol::Parts {
                catalogs: catalogs.clone(),
                auth: auth.clone(),
                challenge: challenge.clone(),
                sandbox: Sandbox::new(
                    &compiler,
                    auth.clone(),
                    &BucketStore::Memory,
                    closing.clone(),
                )
                .expect("a sandbox"),
                closing,
            },
            &protocol::Settings {
                sessions: SessionLimits {
                    most: Bounds { all: 16, each: 12 },
                    idle: PATIENCE,
                },
                streams: Bounds { all: 4, each: 3 },
                state_keys: vec!["a key that is the same in every run".into()],
                requires_auth: false,
                narrows_lists: false,
            },
        ));
        let settings = http::Settings {
            body: BODY,
            body_timeout: PATIENCE,
            gate: Gate {
                development: true,
                loopback: true,
                public_url: None,
                origins: Vec::new(),
            },
            metadata: None,
            challenge,
            catalogs,
            auth: auth.clone(),
            health: Health {
                first_pass,
                auth,
                // The router is asked as if it had some.
                connections: Connections::new(ConnectionLimits {
                    most: 1,
                    headers: PATIENCE,
                    idle: PATIENCE,
                }),
            },
        };
        let router = http::router(Arc::clone(&protocol), settings);
        drop(context);
        Self {
            runtime,
            router,
            protocol,
            _kept: (stop, ready, publisher),
        }
    }
}

/// Something that `just build-guests` leaves.
fn guest(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    target.join("wasm32-wasip2/guest").join(name)
}

fn service(name: &str, compiler: &Compiler) -> Service {
    let wasm = std::fs::read(guest(&format!("guest_{name}.wasm")))
        .expect("the guests: run `just build-guests` first");
    let contents = Contents::new(wasm, None, None);
    let mut service = inspect_contents(name, &contents, compiler)
        .expect("a service")
        .service;
    let tools = service.tools.iter_mut();
    for tool in tools.filter_map(Arc::get_mut) {
        tool.function.limits.timeout = TIMEOUT;
    }
    service
}

/// What a client has open.
#[derive(Default)]
struct Client {
    sessions: Vec<HeaderValue>,
    streams: Vec<BodyDataStream>,
}

impl Client {
    async fn send(&mut self, endpoint: &Endpoint, bytes: &[u8]) -> u16 {
        let (head, body) = bytes
            .windows(2)
            .position(|two| two == b"\n\n")
            .map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 2..]));
        let session = self.sessions.last().and_then(|id| id.to_str().ok());
        let request = request(head, body, session.unwrap_or("none"));
        let response = endpoint.router.clone().oneshot(request);
        let response = tokio::time::timeout(PATIENCE, response).await;
        let response = response.expect("an answer in time").expect("infallible");
        let status = response.status().as_u16();
        if let Some(session) = response.headers().get("mcp-session-id") {
            self.sessions.push(session.clone());
        }
        let ids = Ids::of(body);
        let content_type = response.headers().get("content-type").cloned();
        match content_type.as_ref().map(HeaderValue::as_bytes) {
            Some(b"text/event-stream") => {
                assert_eq!(status, 200);
                let mut stream = response.into_body().into_data_stream();
                if !read(&mut stream, &ids).await {
                    self.streams.push(stream);
                }
            }
            Some(b"application/json") => {
                let text = whole(response).await;
                check_answer(status, &text, &ids);
            }
            other => {
                assert_eq!(other, None, "{status}");
                assert!([202, 204].contains(&status), "{status} without a body");
                assert_eq!(whole(response).await, "");
            }
        }
        status
    }

    /// Goes away, and sees that it leaves nothing.
    async fn leave(self, endpoint: &Endpoint) {
        drop(self.streams);
        for session in self.sessions {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = Method::DELETE;
            *request.uri_mut() = Uri::from_static("/mcp");
            let host = HeaderValue::from_static("localhost");
            request.headers_mut().insert("host", host);
            request.headers_mut().insert("mcp-session-id", session);
            let ended = endpoint.router.clone().oneshot(request).await;
            // The input may have ended it already.
            let status = ended.expect("infallible").status().as_u16();
            assert!([204, 404].contains(&status), "{status}");
        }
        let start = Instant::now();
        loop {
            let load = endpoint.protocol.load();
            let calls = (load.sandbox.calls, load.sandbox.queued);
            if (calls, load.sessions, load.streams) == ((0, 0), 0, 0) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{load:?} stays");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A request as its first lines have it: a method, mostly without what HTTP has after it, and headers.
fn request(head: &[u8], body: &[u8], session: &str) -> Request<Body> {
    let mut lines = split(head, b"\n");
    let mut words = split(lines.next().unwrap_or_default(), b" ");
    let method = words.next().unwrap_or_default();
    let method = Method::from_bytes(method).unwrap_or(Method::POST);
    let target = words.next().and_then(|word| Uri::try_from(word).ok());
    let target = target.filter(|target| target.path() == "/mcp");
    let version = match words.next() {
        Some(b"HTTP/1.0") => Version::HTTP_10,
        Some(b"HTTP/2") => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    let mut headers = HeaderMap::new();
    for line in lines {
        let line = String::from_utf8_lossy(line);
        let line = line.replace(SESSION, session);
        if let Some((name, value)) = line.split_once(':')
            && let Ok(name) = HeaderName::try_from(name)
            && let Ok(value) = HeaderValue::try_from(value.trim())
        {
            headers.append(name, value);
        }
    }
    if version == Version::HTTP_11 && target.is_none() && !headers.contains_key("host") {
        headers.insert("host", HeaderValue::from_static("localhost"));
    }
    let mut request = Request::new(Body::from(Bytes::copy_from_slice(body)));
    *request.method_mut() = method;
    *request.version_mut() = version;
    *request.uri_mut() = target.unwrap_or(Uri::from_static("/mcp"));
    *request.headers_mut() = headers;
    request
}

fn split<'a>(bytes: &'a [u8], by: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let whole = rest?;
        let Some(at) = whole.windows(by.len()).position(|some| some == by) else {
            rest = None;
            return Some(whole);
        };
        rest = Some(&whole[at + by.len()..]);
        Some(&whole[..at])
    })
}

async fn whole(response: Response<Body>) -> String {
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    String::from_utf8(body.expect("a body").to_vec()).expect("UTF-8")
}

/// Reads what a stream has to say. True if it has ended.
async fn read(stream: &mut BodyDataStream, ids: &Ids) -> bool {
    let start = Instant::now();
    while start.elapsed() < TIMEOUT {
        let Ok(chunk) = tokio::time::timeout(SILENCE, stream.next()).await else {
            return false;
        };
        let Some(chunk) = chunk else { return true };
        let chunk = String::from_utf8(chunk.expect("a chunk").to_vec()).expect("UTF-8");
        let event = chunk.strip_suffix("\n\n").expect("one event, whole");
        let data: Vec<&str> = event
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .collect();
        assert_eq!(data.len(), usize::from(event != ":"), "{event:?}");
        for data in data.into_iter().filter(|data| !data.is_empty()) {
            check(data, ids);
        }
    }
    false
}

/// The ids of the requests in a body, as they are written there.
#[derive(Debug, Default)]
struct Ids {
    all: Vec<String>,
    /// Whether they are of one message that can be answered.
    is_one: bool,
}

impl Ids {
    fn of(body: &[u8]) -> Self {
        let id = |message: &RawValue| -> Option<String> {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(message.get()).ok()?;
            Some(members.get("id")?.get().to_owned())
        };
        let Ok(body) = serde_json::from_slice::<&RawValue>(body) else {
            return Self::default();
        };
        match serde_json::from_str::<Vec<&RawValue>>(body.get()) {
            Ok(batch) => Self {
                all: batch.into_iter().filter_map(id).collect(),
                is_one: false,
            },
            Err(_one) => Self {
                all: id(body).into_iter().collect(),
                is_one: true,
            },
        }
    }
}

/// An answer that is JSON.
fn check_answer(status: u16, text: &str, ids: &Ids) {
    assert!(!text.contains(['\n', '\r']), "{text}");
    let answer: Value = serde_json::from_str(text).expect("JSON");
    if answer.get("error_description").is_some() {
        // Who is turned away is told so in the words of OAuth.
        assert!([401, 403].contains(&status), "{status} {text}");
        return;
    }
    let known = [200, 400, 403, 404, 405, 406, 408, 413, 415, 431, 503];
    assert!(known.contains(&status), "{status} {text}");
    if let Value::Array(answers) = &answer {
        assert!(status == 200 && !answers.is_empty(), "{status} {text}");
    } else {
        let is_error = answer.get("error").is_some();
        assert!(is_error || status == 200, "{status} {text}");
        if status == 200 && ids.is_one {
            assert!(answer.get("id").is_some(), "{text}");
        }
    }
    check(text, ids);
}

/// One message, or a batch of answers, as JSON-RPC wants it.
fn check(text: &str, ids: &Ids) {
    if let Ok(batch) = serde_json::from_str::<Vec<&RawValue>>(text) {
        for message in batch {
            check(message.get(), ids);
        }
        return;
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).expect("an object");
    assert_eq!(members["jsonrpc"].get(), "\"2.0\"");
    let kinds = ["method", "result", "error"];
    let kinds = kinds.iter().filter(|kind| members.contains_key(**kind));
    assert_eq!(kinds.count(), 1, "{text}");
    if let Some(error) = members.get("error") {
        let error: Value = serde_json::from_str(error.get()).expect("JSON");
        assert!(error["code"].is_i64(), "{text}");
        assert!(error["message"].as_str().is_some_and(|it| !it.is_empty()));
    } else if members.contains_key("result") {
        assert!(members.contains_key("id"), "{text}");
    }
    if let Some(id) = members.get("id")
        && !members.contains_key("method")
        // Goes on with a stream of another request.
        && !ids.all.is_empty()
    {
        assert!(ids.all.iter().any(|known| known == id.get()), "{text}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Conversations, each with the statuses of its answers.
    const SEEDS: [(&[u8], &[u16]); 8] = [
        (include_bytes!("seeds/endpoint/discover"), &[200, 200, 200]),
        (
            include_bytes!("seeds/endpoint/session"),
            &[200, 202, 200, 200, 200, 202, 204],
        ),
        (
            include_bytes!("seeds/endpoint/question"),
            &[200, 200, 202, 200],
        ),
        (include_bytes!("seeds/endpoint/rounds"), &[200, 200, 400]),
        (include_bytes!("seeds/endpoint/batch"), &[200, 200, 202]),
        (include_bytes!("seeds/endpoint/listen"), &[200, 200, 406]),
        (
            include_bytes!("seeds/endpoint/addressed"),
            &[200, 400, 403, 403, 400, 200, 403],
        ),
        (
            include_bytes!("seeds/endpoint/refused"),
            &[400, 404, 405, 415, 401, 403],
        ),
    ];

    #[test]
    fn every_seed_is_answered() {
        for (seed, statuses) in SEEDS {
            assert_eq!(endpoint(seed), statuses, "{}", seed.escape_ascii());
        }
    }

    proptest! {
        #![proptest_config(crate::config())]

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            endpoint(&[b"POST\n\n", &*bytes].concat());
        }

        #[test]
        fn a_seed_with_a_few_bytes_changed_is_answered(
            seed in proptest::sample::select(SEEDS.to_vec()),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = seed.0.to_vec();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            endpoint(&bytes);
        }

        #[test]
        fn seeds_in_any_order_are_answered(
            seeds in proptest::collection::vec(proptest::sample::select(SEEDS.to_vec()), 1..3),
            cut in 0..64_usize,
        ) {
            let seeds: Vec<&[u8]> = seeds.iter().map(|(seed, _)| *seed).collect();
            let bytes = seeds.join(NEXT);
            endpoint(&bytes[cut..]);
        }
    }
}
