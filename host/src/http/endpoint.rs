//! `/mcp`: a message in, an answer or a stream of messages out.

#![expect(
    clippy::result_large_err,
    reason = "a refusal is a whole response, made once in a request and sent at once"
)]

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Endpoint;
use super::answer::{self, Form};
use super::connection::Peer;
use crate::auth::{Bearer, Denied, bearer};
use crate::protocol::{Declared, Headers, Incoming, Kind, Reply};

/// Takes one message.
pub(super) async fn post(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match take(&endpoint, &parts, body).await {
        Ok(response) | Err(response) => response,
    }
}

/// Opens the stream of a session.
pub(super) async fn get(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, _body) = request.into_parts();
    let headers = &parts.headers;
    let stream = async |of: Session| {
        // Whether there is anything to open comes first.
        let takes = matches!(form(headers), Ok(Form::Either | Form::Events));
        if of.declared.session.is_some() && !takes {
            return Err(answer::refusal(
                StatusCode::NOT_ACCEPTABLE,
                "`Accept` must allow text/event-stream",
            ));
        }
        let last_event = single(headers, "last-event-id")?;
        let reply = endpoint
            .protocol
            .open_stream(&of.declared, of.bearer, last_event)
            .await;
        Ok(answer::reply(
            reply,
            Form::Events,
            &endpoint.settings.challenge,
        ))
    };
    match session(&parts) {
        Ok(of) => match stream(of).await {
            Ok(response) | Err(response) => response,
        },
        Err(response) => response,
    }
}

/// Ends a session.
pub(super) async fn delete(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, _body) = request.into_parts();
    match session(&parts) {
        Ok(of) => {
            let ended = endpoint.protocol.end_session(&of.declared, of.bearer).await;
            // Some clients take nothing but 200 or 204 for an ended session.
            if matches!(ended.kind, Kind::Accepted) {
                return StatusCode::NO_CONTENT.into_response();
            }
            answer::reply(
                Reply::Answer(ended),
                Form::Json,
                &endpoint.settings.challenge,
            )
        }
        Err(response) => response,
    }
}

/// What is not served at all.
pub(super) async fn other_method() -> Response {
    answer::method_not_allowed()
}

/// What a request without a body says.
struct Session {
    declared: Declared,
    bearer: Result<Option<Bearer>, Denied>,
}

/// Reads a request that is about a session.
fn session(parts: &Parts) -> Result<Session, Response> {
    Ok(Session {
        declared: declared(parts, Form::Events)?,
        bearer: bearer(&parts.headers),
    })
}

async fn take(
    endpoint: &Endpoint,
    parts: &Parts,
    body: axum::body::Body,
) -> Result<Response, Response> {
    let form = form(&parts.headers)?;
    is_json(&parts.headers)?;
    let declared = declared(parts, form)?;
    let bearer = bearer(&parts.headers);

    let (limit, patience) = (endpoint.settings.body, endpoint.settings.body_timeout);
    let body = tokio::time::timeout(patience, to_bytes(body, limit))
        .await
        .map_err(|_elapsed| {
            answer::refusal(
                StatusCode::REQUEST_TIMEOUT,
                &format!(
                    "the body took longer than {} ms to arrive, the limit of this server",
                    patience.as_millis()
                ),
            )
        })?
        .map_err(|_cause| {
            answer::refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the body was not received whole, or has more than {limit} bytes, the limit of this server"),
            )
        })?;
    let reply = endpoint
        .protocol
        .receive(Incoming {
            body,
            bearer,
            declared,
        })
        .await;
    Ok(answer::reply(reply, form, &endpoint.settings.challenge))
}

fn bearer(headers: &HeaderMap) -> Result<Option<Bearer>, Denied> {
    let values = headers.get_all(AUTHORIZATION).iter();
    bearer::from_headers(values.map(axum::http::HeaderValue::as_bytes))
}

/// What is known of the message besides its body.
fn declared(parts: &Parts, form: Form) -> Result<Declared, Response> {
    let headers = &parts.headers;
    let own = |name| Ok::<_, Response>(single(headers, name)?.map(str::to_owned));
    let mut params = Vec::new();
    for name in headers.keys() {
        if let Some(param) = name.as_str().strip_prefix("mcp-param-")
            && let Some(value) = single(headers, name.as_str())?
        {
            params.push((param.to_owned(), value.to_owned()));
        }
    }
    Ok(Declared {
        headers: Some(Headers {
            version: own("mcp-protocol-version")?,
            method: own("mcp-method")?,
            name: own("mcp-name")?,
            params,
        }),
        session: own(answer::SESSION.as_str())?,
        peer: peer(parts),
        takes_streams: form != Form::Json,
        sign_in: None,
    })
}

/// The address at the other end of the connection.
fn peer(parts: &Parts) -> Option<IpAddr> {
    let Peer(address) = parts.extensions.get()?;
    Some(address.ip())
}

/// The form in which the client takes its answer. Clients in the field say less than they should, so
/// whoever does not rule JSON out gets JSON where that will do, and whoever says nothing takes anything.
fn form(headers: &HeaderMap) -> Result<Form, Response> {
    let (mut json, mut events, mut says_anything) = (false, false, false);
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let range = range.split(';').next().unwrap_or_default().trim();
            says_anything |= !range.is_empty();
            match &*range.to_ascii_lowercase() {
                "application/json" | "application/*" => json = true,
                "text/event-stream" | "text/*" => events = true,
                "*/*" => (json, events) = (true, true),
                _ => {}
            }
        }
    }
    match (says_anything, json, events) {
        (false, _, _) | (true, true, true) => Ok(Form::Either),
        (true, true, false) => Ok(Form::Json),
        (true, false, true) => Ok(Form::Events),
        (true, false, false) => Err(answer::refusal(
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
