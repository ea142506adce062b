//! Answers that are wrong on purpose, where a test wants that.

use std::future::pending;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::super::State;
use super::super::faults::{AnswerFault, KeysFault, TokensFault};
use super::super::reply::{clerk_error, json as reply, oauth_error, with};

/// Stands before all endpoints.
pub(super) async fn fail(
    Shared(state): Shared<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let faults = state.faults.get();
    match request.uri().path() {
        "/.well-known/jwks.json" | "/v1/jwks" => match faults.keys {
            Some(KeysFault::Answer(fault)) => answer(fault),
            Some(KeysFault::Empty) => reply(StatusCode::OK, &json!({ "keys": [] })),
            Some(KeysFault::BrokenNeighbour) => broken_neighbour(&state),
            None => next.run(request).await,
        },
        "/.well-known/oauth-authorization-server" => match faults.metadata {
            Some(fault) => answer(fault),
            None => next.run(request).await,
        },
        "/oauth/token" => match faults.tokens {
            Some(TokensFault::Answer(fault)) => answer(fault),
            Some(TokensFault::Empty) => status(StatusCode::NO_CONTENT, Body::empty()),
            Some(TokensFault::Refused(code)) => oauth_error(code, "on purpose"),
            Some(TokensFault::Lost) => {
                drop(next.run(request).await);
                pending().await
            }
            None => next.run(request).await,
        },
        path if path.starts_with("/v1/") => match faults.api {
            Some(fault) => answer(fault),
            None => next.run(request).await,
        },
        _ => next.run(request).await,
    }
}

fn answer(fault: AnswerFault) -> Response {
    match fault {
        AnswerFault::ServerError => clerk_error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "on purpose",
        ),
        AnswerFault::Unauthorized => {
            clerk_error(StatusCode::UNAUTHORIZED, "clerk_key_invalid", "on purpose")
        }
        AnswerFault::Limited(seconds) => {
            let limited = clerk_error(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "on purpose",
            );
            with(limited, header::RETRY_AFTER, seconds.into())
        }
        AnswerFault::Html => {
            let page = status(
                StatusCode::OK,
                Body::from("<!doctype html><title>Sorry</title>"),
            );
            let html = HeaderValue::from_static("text/html");
            with(page, header::CONTENT_TYPE, html)
        }
        AnswerFault::TooLong => status(StatusCode::OK, Body::from(vec![b' '; 10_000_000])),
        AnswerFault::Drip => {
            let beginning = stream::once(async { Ok::<_, std::io::Error>(Bytes::from("{")) });
            let rest = stream::pending();
            status(StatusCode::OK, Body::from_stream(beginning.chain(rest)))
        }
        AnswerFault::Moved => {
            let moved = status(StatusCode::FOUND, Body::empty());
            let elsewhere = HeaderValue::from_static("http://169.254.169.254/");
            with(moved, header::LOCATION, elsewhere)
        }
    }
}

fn broken_neighbour(state: &State) -> Response {
    let mut set = state.keyring.jwks(state.now());
    if let Some(keys) = set.get_mut("keys").and_then(Value::as_array_mut) {
        let broken = json!({ "kid": 7, "kty": "RSA", "n": 7, "e": [], "use": ["sig"] });
        keys.insert(0, broken);
        keys.insert(0, json!(7));
    }
    reply(StatusCode::OK, &set)
}

fn status(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
