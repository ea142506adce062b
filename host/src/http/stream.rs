//! Streams of messages as server-sent events (HTML Living Standard, server-sent events).

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use crate::protocol::{Event, Events};

/// How long a stream may be silent before a comment shows that both ends are there. Proxies cut what is
/// silent for a minute or less.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// After how long a client comes back whose stream broke, in milliseconds.
const RETRY_MS: &str = "retry: 3000\n";

/// Asks proxies not to hold back what is small.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A response that tells messages as they come. When the client goes, the stream is dropped.
pub(super) fn response(events: Events) -> Response {
    let chunks = stream::unfold(events, |mut events| async move {
        let chunk = match tokio::time::timeout(KEEP_ALIVE, events.next()).await {
            Ok(event) => write(&event?),
            Err(_silence) => Bytes::from_static(b":\n\n"),
        };
        Some((Ok::<_, Infallible>(chunk), events))
    });
    of(Body::from_stream(chunks))
}

/// A response that is one event.
pub(super) fn single(data: Bytes) -> Response {
    of(Body::from(write(&Event { id: None, data })))
}

fn of(events: Body) -> Response {
    let mut response = Response::new(events);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// One event. JSON is written on one line, so it is one line of data.
fn write(event: &Event) -> Bytes {
    let mut written = Vec::with_capacity(event.data.len().saturating_add(64));
    if let Some(id) = &event.id {
        written.extend_from_slice(b"id: ");
        written.extend_from_slice(id.as_bytes());
        written.push(b'\n');
    }
    if event.data.is_empty() {
        written.extend_from_slice(RETRY_MS.as_bytes());
    } else {
        written.extend_from_slice(b"event: message\n");
    }
    written.extend_from_slice(b"data: ");
    written.extend_from_slice(&event.data);
    written.extend_from_slice(b"\n\n");
    written.into()
}
