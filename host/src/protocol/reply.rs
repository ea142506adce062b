//! Answers: results and errors as JSON-RPC writes them, and what kind of answer each is.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::places::Full;
use crate::auth::{Class, Denied};

/// What a transport sends back.
#[derive(Debug)]
pub struct Answer {
    /// What kind of answer it is; a transport with statuses chooses one by it.
    pub kind: Kind,
    /// One JSON object on one line; empty when there is nothing to say.
    pub body: Vec<u8>,
    /// The id of the session that was opened.
    pub session: Option<String>,
}

/// The kinds of answers.
#[derive(Debug)]
pub enum Kind {
    /// A result, or an error of the method itself.
    Done,
    /// The message was taken, and there is nothing to answer.
    Accepted,
    /// The message is not what this protocol takes.
    Malformed,
    /// A client that carries its own metadata asked for a method that is not served.
    NoSuchMethod,
    /// The session is not there, or not the caller's; it must be opened anew.
    NoSession,
    /// Only a session has that, and none was named.
    NeedsSession,
    /// The client takes one JSON object, and the answer can only be a stream.
    NeedsStream,
    /// There is no place for the call; the client may try again in a moment.
    Busy,
    /// The caller must sign in, sign in anew, or be granted more.
    Unauthorized(Denied),
}

/// An error of the protocol. Errors of tools are results, so that a model can mend its call.
#[derive(Debug)]
pub(super) struct Error {
    code: i64,
    message: String,
    data: Option<Box<Value>>,
    kind: Kind,
}

impl Answer {
    pub(super) fn accepted() -> Self {
        Self {
            kind: Kind::Accepted,
            body: Vec::new(),
            session: None,
        }
    }

    /// The caller is turned away by the transport. Where the status says what is meant, the body says it in
    /// the words of OAuth (RFC 6750, §3.1); elsewhere it is an error of JSON-RPC, where clients look for what
    /// kind of server they have met.
    pub(super) fn unauthorized(denied: Denied, id: Option<&RawValue>) -> Self {
        let error = match denied.class {
            Class::Missing => "unauthorized",
            Class::Expired | Class::Invalid => "invalid_token",
            Class::InsufficientScope => "insufficient_scope",
            Class::Forbidden => "forbidden",
            Class::Malformed | Class::Unavailable => {
                let error = Error::unauthorized(&denied, None);
                return Self {
                    kind: Kind::Unauthorized(denied),
                    ..error.answer(id)
                };
            }
        };
        let body = json!({ "error": error, "error_description": denied.to_string() });
        Self {
            kind: Kind::Unauthorized(denied),
            body: body.to_string().into_bytes(),
            session: None,
        }
    }

    /// The answers to a batch, in one array; none if nothing in it asked for any. A caller who must sign
    /// in has to do so for all of it.
    pub(super) fn batch(answers: Vec<Self>) -> Self {
        let mut body = Vec::new();
        for answer in answers {
            if matches!(answer.kind, Kind::Unauthorized(_)) {
                return answer;
            }
            if !answer.body.is_empty() {
                body.push(if body.is_empty() { b'[' } else { b',' });
                body.extend(answer.body);
            }
        }
        if body.is_empty() {
            return Self::accepted();
        }
        body.push(b']');
        Self {
            kind: Kind::Done,
            body,
            session: None,
        }
    }

    /// A result, for the request of that id.
    pub(super) fn result(id: &RawValue, result: &(impl Serialize + ?Sized)) -> Self {
        #[derive(Serialize)]
        struct Reply<'a, R: ?Sized> {
            jsonrpc: &'static str,
            id: &'a RawValue,
            result: &'a R,
        }
        let reply = Reply {
            jsonrpc: "2.0",
            id,
            result,
        };
        match serde_json::to_vec(&reply) {
            Ok(body) => Self {
                kind: Kind::Done,
                body,
                session: None,
            },
            Err(cause) => {
                tracing::error!(%cause, "a result could not be written as JSON");
                Error::internal("the result could not be written as JSON").answer(Some(id))
            }
        }
    }
}

impl Error {
    pub(super) fn new(code: i64, kind: Kind, message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
            data: None,
            kind,
        }
    }

    /// The body is not JSON.
    pub(super) fn parse(cause: &str) -> Self {
        Self::new(
            -32700,
            Kind::Malformed,
            &format!("the body is not JSON: {cause}"),
        )
    }

    /// The body is JSON, and no message.
    pub(super) fn invalid_request(cause: &str) -> Self {
        Self::new(
            -32600,
            Kind::Malformed,
            &format!("not a JSON-RPC message: {cause}"),
        )
    }

    /// A request carries metadata that it should not, or lacks what it must carry.
    pub(super) fn envelope(cause: &str) -> Self {
        Self::new(-32602, Kind::Malformed, cause)
    }

    /// The method is served, and cannot do anything with these params.
    pub(super) fn invalid_params(cause: &str) -> Self {
        Self::new(-32602, Kind::Done, cause)
    }

    /// Headers and body say different things.
    pub(super) fn header_mismatch(cause: &str) -> Self {
        Self::new(-32020, Kind::Malformed, cause)
    }

    /// The session is not there.
    pub(super) fn no_session() -> Self {
        Self::new(
            -32600,
            Kind::NoSession,
            "there is no such session: it ended, or belongs to another caller; open one with `initialize`",
        )
    }

    /// What was asked for belongs to a session.
    pub(super) fn needs_session() -> Self {
        Self::new(
            -32600,
            Kind::NeedsSession,
            "send each message with POST; GET and DELETE belong to sessions, which `Mcp-Session-Id` names",
        )
    }

    /// The method answers with a stream, and the client takes none.
    pub(super) fn needs_stream() -> Self {
        Self::new(
            -32600,
            Kind::NeedsStream,
            "the answer is a stream: `Accept` must allow text/event-stream",
        )
    }

    /// No stream of what changes can be opened.
    pub(super) fn busy_streams(full: Full) -> Self {
        Self::busy(&full.of("open streams of what changes", "close one"))
    }

    /// No session can be opened.
    pub(super) fn busy_sessions(full: Full) -> Self {
        Self::busy(&full.of("sessions", "end one with DELETE"))
    }

    /// There is no such resource.
    pub(super) fn no_resource(code: i64, uri: &str, cause: &str) -> Self {
        let uri: String = uri.chars().take(2_048).collect();
        Self {
            data: Some(Box::new(json!({ "uri": uri }))),
            ..Self::new(code, Kind::Done, cause)
        }
    }

    /// There is no place for the call, and too many wait for one. The code is one of our own: what the
    /// protocol reserves has none for it.
    pub(super) fn busy(cause: &str) -> Self {
        Self::new(503, Kind::Busy, cause)
    }

    /// The call needs what the client did not declare.
    pub(super) fn missing_capability(cause: &str, required: &Value) -> Self {
        Self {
            data: Some(Box::new(json!({ "requiredCapabilities": required }))),
            ..Self::new(-32021, Kind::Malformed, cause)
        }
    }

    /// The client speaks a revision that is not served.
    pub(super) fn unsupported(cause: &str, data: &Value) -> Self {
        Self {
            data: Some(Box::new(data.clone())),
            ..Self::new(-32022, Kind::Malformed, cause)
        }
    }

    /// The caller must sign in, sign in anew, or be granted more, where no status says so. What the
    /// protocol reserves has no code for it, so these are our own; clients pass on a code that they do not
    /// know, with its text. `sign_in` says what the caller can do.
    pub(super) fn unauthorized(denied: &Denied, sign_in: Option<&str>) -> Self {
        let code = match denied.class {
            Class::Missing | Class::Expired | Class::Invalid => 401,
            Class::InsufficientScope | Class::Forbidden => 403,
            Class::Unavailable => 503,
            Class::Malformed => -32600,
        };
        let mut message = denied.to_string();
        let scopes = denied.scopes();
        if denied.class == Class::InsufficientScope && !scopes.is_empty() {
            message = format!("{message}: `{}`", scopes.join("`, `"));
        }
        let remedy = if denied.class == Class::Unavailable {
            Some("try again later")
        } else {
            sign_in.filter(|_| denied.class.wants_token())
        };
        if let Some(remedy) = remedy {
            message = format!("{message}; {remedy}");
        }
        Self::new(code, Kind::Done, &message)
    }

    /// Something went wrong that is no fault of the client.
    pub(super) fn internal(cause: &str) -> Self {
        Self::new(-32603, Kind::Done, cause)
    }

    /// The method is not served, which is said in the message, and to the transport if `kind` is
    /// [`Kind::NoSuchMethod`].
    pub(super) fn no_such_method(method: &str, kind: Kind) -> Self {
        let method: String = method.chars().take(64).collect();
        Self::new(-32601, kind, &format!("method `{method}` is not served"))
    }

    /// Its code.
    pub(super) fn code(&self) -> i64 {
        self.code
    }

    /// The answer to the request of that id, or to one whose id could not be read.
    pub(super) fn answer(self, id: Option<&RawValue>) -> Answer {
        #[derive(Serialize)]
        struct Reply<'a> {
            jsonrpc: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a RawValue>,
            error: Body<'a>,
        }
        #[derive(Serialize)]
        struct Body<'a> {
            code: i64,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a Value>,
        }
        let body = serde_json::to_vec(&Reply {
            jsonrpc: "2.0",
            id,
            error: Body {
                code: self.code,
                message: &self.message,
                data: self.data.as_deref(),
            },
        });
        Answer {
            kind: self.kind,
            // These parts always serialize; an empty body is what is left if they ever do not.
            body: body.unwrap_or_default(),
            session: None,
        }
    }
}
