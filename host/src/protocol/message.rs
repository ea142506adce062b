//! JSON-RPC 2.0: what a body is, before anything is known of what it means.
//!
//! A body is one message, or a batch of them (JSON-RPC 2.0 §6), which one revision of MCP takes.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::reply::Error;

/// The longest id that is taken. It is sent back as it came, so it is bounded.
const LONGEST_ID: usize = 256;

/// The most messages that a batch may have.
const MOST_IN_BATCH: usize = 100;

/// What a body holds, borrowed from it.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one in a request, and nearly all of them are the large one"
)]
pub(super) enum Body<'a> {
    One(Message<'a>),
    /// In the order in which they were sent.
    Batch(Vec<Message<'a>>),
}

/// One message.
pub(super) enum Message<'a> {
    Request(Request<'a>),
    Notification(Notification<'a>),
    Response(Response<'a>),
}

/// A message that wants no answer.
pub(super) struct Notification<'a> {
    pub(super) method: Cow<'a, str>,
    pub(super) params: Params<'a>,
}

/// The answer of a client to a request of this server.
pub(super) struct Response<'a> {
    pub(super) id: &'a RawValue,
    /// `result` or `error`, as it came.
    pub(super) outcome: Result<&'a RawValue, &'a RawValue>,
}

/// A message that wants an answer.
pub(super) struct Request<'a> {
    /// A string or an integer, byte for byte as the client wrote it.
    pub(super) id: &'a RawValue,
    pub(super) method: Cow<'a, str>,
    pub(super) params: Params<'a>,
}

/// The members of `params` that some method knows. What is inside stays as it came until the method
/// wants it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Params<'a> {
    /// `null` says nothing, like none.
    #[serde(borrow, rename = "_meta")]
    pub(super) meta: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(super) arguments: Option<&'a RawValue>,
    /// `null` asks for the first page, like none.
    #[serde(borrow)]
    pub(super) cursor: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(super) uri: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref", deserialize_with = "present")]
    pub(super) reference: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(super) argument: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(super) context: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(super) level: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(super) notifications: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestId", deserialize_with = "present")]
    pub(super) request_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "inputResponses", deserialize_with = "present")]
    pub(super) input_responses: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestState", deserialize_with = "present")]
    pub(super) request_state: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(super) capabilities: Option<&'a RawValue>,
    #[serde(borrow, rename = "protocolVersion", deserialize_with = "present")]
    pub(super) protocol_version: Option<&'a RawValue>,
}

impl<'a> Params<'a> {
    /// A member that must be a string.
    pub(super) fn text(
        member: Option<&'a RawValue>,
        name: &'static str,
    ) -> Result<Cow<'a, str>, Error> {
        member
            .and_then(|member| serde_json::from_str::<Text<'a>>(member.get()).ok())
            .map(|text| text.0)
            .ok_or_else(|| Error::invalid_params(&format!("`{name}` must be a string")))
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Reads an object. An array would do for a struct otherwise, member by member.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text)
    } else {
        // Whether it is JSON at all decides which error it is.
        serde_json::from_str::<&RawValue>(text)?;
        Err(serde::de::Error::custom("expected an object"))
    }
}

/// Tells `null` from a member that is not there.
pub(super) fn present<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(input).map(Some)
}

/// Why a body is no message, and the id to answer with where one could be read.
pub(super) struct NoMessage<'a> {
    error: Error,
    id: Option<&'a RawValue>,
}

impl<'a> NoMessage<'a> {
    /// The id that could be read all the same.
    pub(super) fn id(&self) -> Option<&'a RawValue> {
        self.id
    }

    pub(super) fn answer(self) -> super::Answer {
        self.error.answer(self.id)
    }
}

impl<'a> Body<'a> {
    /// What it holds.
    pub(super) fn messages(&self) -> &[Message<'a>] {
        match self {
            Self::One(message) => std::slice::from_ref(message),
            Self::Batch(messages) => messages,
        }
    }

    /// Reads a body. It is parsed once; what it holds is borrowed from it.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, NoMessage<'a>> {
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            Err(cause) => return refuse(Error::parse(&format!("not UTF-8: {cause}")), None),
        };
        if !text.trim_start().starts_with('[') {
            return Message::parse(text).map(Self::One);
        }
        let messages: Vec<&'a RawValue> = match serde_json::from_str(text) {
            Ok(messages) => messages,
            Err(cause) => return refuse(Error::parse(&cause.to_string()), None),
        };
        if messages.is_empty() || messages.len() > MOST_IN_BATCH {
            let problem = format!("a batch has 1 to {MOST_IN_BATCH} messages");
            return refuse(Error::invalid_request(&problem), None);
        }
        // Who sends one that is none may have meant something else with all of them.
        messages
            .into_iter()
            .map(|message| Message::parse(message.get()))
            .collect::<Result<_, _>>()
            .map(Self::Batch)
    }
}

fn refuse<T>(error: Error, id: Option<&RawValue>) -> Result<T, NoMessage<'_>> {
    Err(NoMessage { error, id })
}

impl<'a> Message<'a> {
    fn parse(text: &'a str) -> Result<Self, NoMessage<'a>> {
        let envelope: Envelope<'a> = match object(text) {
            Ok(envelope) => envelope,
            Err(cause) if cause.is_data() => {
                return refuse(Error::invalid_request(&cause.to_string()), None);
            }
            Err(cause) => return refuse(Error::parse(&cause.to_string()), None),
        };

        let id = match envelope.id.map(readable_id) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(what)) => return refuse(Error::invalid_request(what), None),
        };
        if envelope.jsonrpc.as_deref() != Some("2.0") {
            return refuse(Error::invalid_request("`jsonrpc` must be \"2.0\""), id);
        }
        let Some(method) = envelope.method else {
            return match (id, envelope.result, envelope.error) {
                (Some(id), Some(result), None) => Ok(Self::Response(Response {
                    id,
                    outcome: Ok(result),
                })),
                (Some(id), None, Some(error)) => Ok(Self::Response(Response {
                    id,
                    outcome: Err(error),
                })),
                (id, _, _) => refuse(
                    Error::invalid_request(
                        "it has neither a `method` nor an `id` with a `result` or an `error`",
                    ),
                    id,
                ),
            };
        };
        let Ok(method) = serde_json::from_str::<Text<'a>>(method.get()) else {
            return refuse(Error::invalid_request("`method` must be a string"), id);
        };
        let params = match envelope.params.map(|params| object(params.get())) {
            None => Params::default(),
            Some(Ok(params)) => params,
            Some(Err(cause)) => {
                return refuse(
                    Error::invalid_request(&format!(
                        "`params` must be an object without repeated members: {cause}"
                    )),
                    id,
                );
            }
        };
        Ok(match id {
            Some(id) => Self::Request(Request {
                id,
                method: method.0,
                params,
            }),
            None => Self::Notification(Notification {
                method: method.0,
                params,
            }),
        })
    }
}

/// A string that is borrowed where it holds no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

pub(super) fn readable_id(id: &RawValue) -> Result<&RawValue, &'static str> {
    let text = id.get();
    if text.len() > LONGEST_ID {
        return Err("`id` is longer than 256 bytes");
    }
    let is_string = text.starts_with('"') && serde_json::from_str::<Text<'_>>(text).is_ok();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_string || is_integer {
        Ok(id)
    } else {
        Err("`id` must be a string or an integer")
    }
}
