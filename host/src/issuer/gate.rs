//! Who may come in: only programs on this computer that ask this computer. A request with a
//! foreign `Host` was led here by a name that somebody else controls (DNS rebinding), and one with
//! a forwarding header came through a proxy; both are refused.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::State;
use super::reply::clerk_error;

/// Headers that proxies put on, besides all that begin with `x-forwarded-`.
const FORWARDING: [&str; 6] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
];

/// Refuses what does not come from this computer.
pub(super) async fn only_local(
    Shared(state): Shared<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    if !names_us(request.uri(), request.headers(), state.port) {
        return clerk_error(
            StatusCode::FORBIDDEN,
            "host_invalid",
            "the development issuer answers on its loopback address only",
        );
    }
    if is_forwarded(request.headers()) {
        return clerk_error(
            StatusCode::FORBIDDEN,
            "forwarded_request",
            "the development issuer answers no request that came through a proxy",
        );
    }
    next.run(request).await
}

/// HTTP/1.1 names the host in a header, HTTP/2 in the address.
fn names_us(uri: &Uri, headers: &HeaderMap, port: u16) -> bool {
    let mut named = headers.get_all(header::HOST).iter();
    let host = match (named.next(), named.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, _) => uri.authority().map(axum::http::uri::Authority::as_str),
        (Some(_), Some(_)) => None,
    };
    host.and_then(|host| host.rsplit_once(':'))
        .is_some_and(|(name, given)| {
            matches!(name, "127.0.0.1" | "localhost") && given.parse() == Ok(port)
        })
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .map(axum::http::HeaderName::as_str)
        .any(|name| name.starts_with("x-forwarded-") || FORWARDING.contains(&name))
}
