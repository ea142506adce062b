//! `POST /mcp`: one message in, one answer out.

#![expect(
    clippy::result_large_err,
    reason = "a refusal is a whole response, made once in a request and sent at once"
)]

use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::Endpoint;
use super::answer::{self, Form};
use crate::auth::bearer;
use crate::protocol::Declared;

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes one message.
pub(super) async fn post(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match take(&endpoint, &parts.headers, body).await {
        Ok(response) | Err(response) => response,
    }
}

/// What is not POST.
pub(super) async fn other_method() -> Response {
    answer::method_not_allowed()
}

async fn take(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Response> {
    let challenge = &endpoint.settings.challenge;
    let form = form(headers)?;
    is_json(headers)?;
    let declared = Declared {
        version: single(headers, "mcp-protocol-version")?,
        method: single(headers, "mcp-method")?,
        name: single(headers, "mcp-name")?,
    };
    let bearer = bearer::from_headers(
        headers
            .get_all(AUTHORIZATION)
            .iter()
            .map(axum::http::HeaderValue::as_bytes),
    )
    .map_err(|denied| answer::unauthorized(&denied, challenge))?;

    let limit = endpoint.settings.body;
    let body = tokio::time::timeout(PATIENCE, to_bytes(body, limit))
        .await
        .map_err(|_elapsed| {
            answer::refusal(
                StatusCode::REQUEST_TIMEOUT,
                "the body took longer than 30 s to arrive",
            )
        })?
        .map_err(|_cause| {
            answer::refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the body was not received whole, or has more than {limit} bytes, the limit of this server"),
            )
        })?;
    let answer = endpoint.protocol.answer(&body, declared, bearer).await;
    Ok(answer::answer(answer, form, challenge))
}

/// The form in which the client takes its answer. Clients in the field say less than they should,
/// so whoever does not rule JSON out gets JSON.
fn form(headers: &HeaderMap) -> Result<Form, Response> {
    let mut takes_events = false;
    let mut says_anything = false;
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let range = range.split(';').next().unwrap_or_default().trim();
            says_anything |= !range.is_empty();
            match &*range.to_ascii_lowercase() {
                "application/json" | "application/*" | "*/*" => return Ok(Form::Json),
                "text/event-stream" | "text/*" => takes_events = true,
                _ => {}
            }
        }
    }
    match (says_anything, takes_events) {
        (false, _) => Ok(Form::Json),
        (true, true) => Ok(Form::Events),
        (true, false) => Err(answer::refusal(
            StatusCode::NOT_ACCEPTABLE,
            "`Accept` must allow application/json or text/event-stream",
        )),
    }
}

/// A web page of another site can make a browser send anything but this type without being asked
/// first, so a body of another type is refused.
fn is_json(headers: &HeaderMap) -> Result<(), Response> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(answer::refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "`Content-Type` must be application/json",
        ))
    }
}

/// A header that may come once. Two that differ would let a proxy see one and this host the other.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Response> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(value), None) => Ok(Some(value.trim_matches([' ', '\t']))),
        (Ok(_), Some(_)) | (Err(_), _) => Err(answer::header_mismatch(&format!(
            "the header `{name}` must come once, in visible ASCII"
        ))),
    }
}
