//! Answers in the forms that Clerk gives them: JSON with exactly the content type
//! `application/json`, Clerk's error list, and OAuth's error object.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

/// A JSON answer. Clerk's own libraries compare the content type as a whole, so it has no charset.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    with(
        response,
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )
}

/// A JSON answer that no cache may keep, for all that carries tokens (RFC 6749 §5.1).
pub(super) fn uncached(status: StatusCode, body: &Value) -> Response {
    let response = json(status, body);
    with(
        response,
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    )
}

/// An error as the Frontend and Backend API give it.
pub(super) fn clerk_error(status: StatusCode, code: &str, message: &str) -> Response {
    let error = json!({"code": code, "message": message, "long_message": message});
    json(status, &json!({"errors": [error]}))
}

/// An error of the token endpoint (RFC 6749 §5.2).
pub(super) fn oauth_error(code: &str, description: &str) -> Response {
    let body = json!({"error": code, "error_description": description});
    if code == "invalid_client" {
        let response = uncached(StatusCode::UNAUTHORIZED, &body);
        return with(
            response,
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"oauth\""),
        );
    }
    uncached(StatusCode::BAD_REQUEST, &body)
}

/// Adds a member to a body.
pub(super) fn add(body: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(members) = body {
        members.insert(name.to_owned(), value.into());
    }
}

/// The answer with one more header.
pub(super) fn with(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}
