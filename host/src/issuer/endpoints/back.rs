//! The way back: the answer to a client, in its address, or as a form that the browser sends there.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use url::Url;

use super::super::State;
use super::super::browsers::{Addressee, Mode};
use super::page;

/// Sends the browser back to the client, with the answer, with what the client wanted to have back, and
/// with who answers (RFC 9207).
pub(super) fn back(state: &State, addressee: &Addressee, answer: &[(&str, &str)]) -> Response {
    let echoed = addressee.state.as_deref().map(|echoed| ("state", echoed));
    let issuer = ("iss", state.issuer.as_str());
    let answer = answer.iter().copied().chain(echoed).chain([issuer]);
    match addressee.mode {
        Mode::Query => {
            let Ok(mut url) = Url::parse(&addressee.redirect) else {
                return page::lost();
            };
            url.query_pairs_mut().extend_pairs(answer);
            redirection(url.as_str())
        }
        Mode::FormPost => page::posting(&addressee.redirect, answer),
    }
}

/// A redirection that makes a form a page again.
pub(super) fn redirection(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return page::lost();
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}
