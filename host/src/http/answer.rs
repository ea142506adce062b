//! Answers of the protocol as HTTP: statuses, challenges and content types.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::stream;
use crate::auth::{Challenge, Class, Denied};
use crate::protocol::{Answer, Kind, Reply};

/// How long a caller should wait who could not be told otherwise.
const RETRY: Duration = Duration::from_secs(5);

/// What a client is told before it has asked anything: there is no place for its connection.
pub(super) const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\n\
    content-length: 123\r\n\
    retry-after: 1\r\n\
    connection: close\r\n\r\n\
    {\"jsonrpc\":\"2.0\",\"error\":{\"code\":503,\"message\":\"there are as many connections as this host serves; try again in a second\"}}";

/// And where the headers of a request do not come to their end.
pub(super) const LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: application/json\r\n\
    content-length: 104\r\n\
    connection: close\r\n\r\n\
    {\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"the headers of the request took too long to arrive\"}}";

/// Names a session (MCP 2025-11-25 and before, transports).
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// The forms in which a client can take an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object, whatever happens.
    Json,
    /// One JSON object, or a stream where there is more to say.
    Either,
    /// A stream of events, if only of one.
    Events,
}

/// What the protocol has to say.
pub(super) fn reply(reply: Reply, form: Form, challenge: &Challenge) -> Response {
    match reply {
        Reply::Answer(it) => answer(it, form, challenge),
        Reply::Stream(events) => stream::response(events),
    }
}

/// An answer of the protocol.
fn answer(answer: Answer, form: Form, challenge: &Challenge) -> Response {
    let mut response = match answer.kind {
        Kind::Done => body(StatusCode::OK, answer.body, form),
        Kind::Accepted => StatusCode::ACCEPTED.into_response(),
        Kind::Malformed => body(StatusCode::BAD_REQUEST, answer.body, Form::Json),
        Kind::NoSuchMethod | Kind::NoSession => {
            body(StatusCode::NOT_FOUND, answer.body, Form::Json)
        }
        Kind::NeedsSession => allow_post(body(
            StatusCode::METHOD_NOT_ALLOWED,
            answer.body,
            Form::Json,
        )),
        Kind::NeedsStream => body(StatusCode::NOT_ACCEPTABLE, answer.body, Form::Json),
        Kind::Busy => {
            let mut busy = body(StatusCode::SERVICE_UNAVAILABLE, answer.body, Form::Json);
            busy.headers_mut().insert(RETRY_AFTER, 1.into());
            busy
        }
        Kind::Unauthorized(denied) => unauthorized(&denied, answer.body, challenge),
    };
    let session = answer
        .session
        .and_then(|session| HeaderValue::try_from(session).ok());
    if let Some(session) = session {
        response.headers_mut().insert(SESSION, session);
    }
    response
}

/// A caller who is turned away (RFC 6750 §3; MCP 2026-07-28, authorization). The texts are those of
/// the class; why exactly is in the log.
fn unauthorized(denied: &Denied, message: Vec<u8>, challenge: &Challenge) -> Response {
    let status = match denied.class {
        Class::Missing | Class::Expired | Class::Invalid => StatusCode::UNAUTHORIZED,
        Class::InsufficientScope | Class::Forbidden => StatusCode::FORBIDDEN,
        Class::Malformed => StatusCode::BAD_REQUEST,
        Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = body(status, message, Form::Json);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let challenge = challenge
        .of(denied)
        .and_then(|challenge| HeaderValue::try_from(challenge).ok());
    if let Some(challenge) = challenge {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if denied.class == Class::Unavailable {
        let wait = denied.retry_after.unwrap_or(RETRY).as_secs().max(1);
        headers.insert(RETRY_AFTER, wait.into());
    }
    response
}

/// A refusal before the protocol saw the message. The body is a JSON-RPC error all the same:
/// clients tell from it what kind of server they have met.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    error(status, -32600, message)
}

/// A header of the protocol that cannot be read (MCP 2026-07-28, transports).
pub(super) fn header_mismatch(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, -32020, message)
}

/// The endpoint takes one method.
pub(super) fn method_not_allowed() -> Response {
    allow_post(refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        "send each message with POST; GET and DELETE belong to sessions",
    ))
}

fn allow_post(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// Nothing is served there.
pub(super) async fn not_found() -> Response {
    refusal(
        StatusCode::NOT_FOUND,
        "nothing is served here; the endpoint is /mcp",
    )
}

fn error(status: StatusCode, code: i64, message: &str) -> Response {
    let error = json!({
        "jsonrpc": "2.0",
        "error": { "code": code, "message": message },
    });
    body(status, error.to_string().into_bytes(), Form::Json)
}

fn body(status: StatusCode, bytes: Vec<u8>, form: Form) -> Response {
    let mut response = match form {
        Form::Json | Form::Either => {
            let mut response = Response::new(Body::from(bytes));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Form::Events => stream::single(bytes.into()),
    };
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_to_those_who_were_not_heard_is_http_and_json_rpc() {
        for (told, status) in [(FULL, "503"), (LATE, "408")] {
            let told = std::str::from_utf8(told).unwrap();
            let (head, body) = told.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")));
            assert!(
                head.contains(&format!("content-length: {}\r\n", body.len())),
                "{}",
                body.len()
            );
            let error: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(error["jsonrpc"], "2.0");
            assert!(error["error"]["message"].is_string());
        }
    }
}
