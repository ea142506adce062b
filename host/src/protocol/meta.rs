//! In which way a request speaks: by metadata of its own, or by what was agreed before it
//! (MCP 2026-07-28, basic and transports).

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Declared;
use super::abilities;
use super::logging;
use super::message::{Request, Text, object, present};
use super::reply::{Error, Kind};
use super::revision::Revision;
use super::session::Session;
use crate::sandbox::client::{Capability, Level};

/// In which way one request speaks. It is a fact about the request, never about the connection.
pub(super) enum Era {
    /// The request carries its own metadata.
    Modern(Envelope),
    /// The request relies on an `initialize` that came before it, or on nothing.
    Legacy(Legacy),
}

/// What a request says of its client.
pub(super) struct Envelope {
    /// What the client can be asked for.
    pub(super) capabilities: Capability,
    /// The least level of log messages that it wants, if any.
    pub(super) level: Option<Level>,
}

/// What is known of the client of a request that says nothing of it.
#[derive(Clone)]
pub(super) struct Legacy {
    pub(super) revision: Revision,
    pub(super) session: Option<Arc<Session>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(
        borrow,
        rename = "io.modelcontextprotocol/protocolVersion",
        default,
        deserialize_with = "present"
    )]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities", default)]
    capabilities: Option<&'a RawValue>,
    #[serde(
        borrow,
        rename = "io.modelcontextprotocol/logLevel",
        default,
        deserialize_with = "present"
    )]
    level: Option<&'a RawValue>,
}

/// Whether a message carries its own metadata, whatever else is wrong with it.
pub(super) fn is_modern(meta: Option<&RawValue>) -> bool {
    meta.and_then(|meta| object::<Meta<'_>>(meta.get()).ok())
        .is_some_and(|meta| meta.version.is_some())
}

impl Era {
    /// Tells the era of a request, and checks what a modern one must carry, in the order that the
    /// revision gives. `session` is the one that the transport named, if it did.
    pub(super) fn of(
        request: &Request<'_>,
        declared: &Declared,
        session: Option<&Arc<Session>>,
    ) -> Result<Self, Error> {
        let meta = match request.params.meta {
            None => None,
            Some(meta) => match object::<Meta<'_>>(meta.get()) {
                Ok(meta) => Some(meta),
                Err(cause) => {
                    return Err(Error::envelope(&format!("`_meta` is malformed: {cause}")));
                }
            },
        };
        if let Some(meta) = &meta
            && let Some(version) = meta.version
        {
            return modern(request, meta, version, declared).map(Self::Modern);
        }
        let named = declared
            .headers
            .as_ref()
            .and_then(|headers| headers.version.as_deref());
        let revision = match named.map(|name| (name, Revision::named(name))) {
            None => Revision::UNNAMED,
            Some((_, Some(revision))) if !revision.is_modern() => revision,
            Some((_, Some(_modern))) if request.method == "initialize" => {
                return Err(Error::header_mismatch(
                    "`initialize` does not belong to the revision in `MCP-Protocol-Version`",
                ));
            }
            Some((_, Some(_modern))) => {
                return Err(Error::envelope(
                    "`_meta` must name `io.modelcontextprotocol/protocolVersion` and `io.modelcontextprotocol/clientCapabilities`",
                ));
            }
            Some((name, None)) => return Err(Error::unsupported_version(name)),
        };
        Ok(Self::Legacy(match session {
            // What was agreed holds for the whole session.
            Some(session) if request.method != "initialize" => Legacy {
                revision: session.revision,
                session: Some(Arc::clone(session)),
            },
            Some(_) | None => Legacy {
                revision,
                session: None,
            },
        }))
    }

    /// The revision to answer in.
    pub(super) fn revision(&self) -> Revision {
        match self {
            Self::Modern(_) => Revision::V2026July,
            Self::Legacy(legacy) => legacy.revision,
        }
    }

    /// The session of the request.
    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Modern(_) => None,
            Self::Legacy(legacy) => legacy.session.as_ref(),
        }
    }

    /// The method is not served. Revision 2026-07-28 makes that known to the transport, too; those
    /// before it say it in the message alone.
    pub(super) fn no_such_method(&self, method: &str) -> Error {
        let kind = match self {
            Self::Modern(_) => Kind::NoSuchMethod,
            Self::Legacy(_) => Kind::Done,
        };
        Error::no_such_method(method, kind)
    }
}

fn modern(
    request: &Request<'_>,
    meta: &Meta<'_>,
    version: &RawValue,
    declared: &Declared,
) -> Result<Envelope, Error> {
    let Ok(Text(version)) = serde_json::from_str(version.get()) else {
        return Err(Error::envelope(
            "`io.modelcontextprotocol/protocolVersion` must be a string",
        ));
    };
    let Some(capabilities) = meta
        .capabilities
        .and_then(|capabilities| abilities::read(capabilities, Revision::V2026July))
    else {
        return Err(Error::envelope(
            "`io.modelcontextprotocol/clientCapabilities` must be an object, if an empty one",
        ));
    };
    let headers = declared.headers.as_ref();
    if let Some(headers) = headers {
        agree("MCP-Protocol-Version", headers.version.as_deref(), &version)?;
    }
    if Revision::named(&version).is_none_or(|revision| !revision.is_modern()) {
        return Err(Error::unsupported_version(&version));
    }
    if let Some(headers) = headers {
        agree("Mcp-Method", headers.method.as_deref(), &request.method)?;
        let subject = match &*request.method {
            "tools/call" | "prompts/get" => request.params.name,
            "resources/read" => request.params.uri,
            _ => None,
        };
        if let Some(subject) = subject
            && let Ok(Text(subject)) = serde_json::from_str(subject.get())
        {
            let header = headers
                .name
                .as_deref()
                .map(|value| decoded("Mcp-Name", value))
                .transpose()?;
            agree("Mcp-Name", header.as_deref(), &subject)?;
        }
    }
    let level = match meta.level {
        None => None,
        Some(level) => Some(logging::level(level).ok_or_else(|| {
            Error::envelope(
                "`io.modelcontextprotocol/logLevel` must be a level: debug, info, notice, warning, error, critical, alert or emergency",
            )
        })?),
    };
    Ok(Envelope {
        capabilities,
        level,
    })
}

fn agree(header: &str, value: Option<&str>, body: &str) -> Result<(), Error> {
    match value {
        Some(value) if value == body => Ok(()),
        Some(_) => Err(Error::header_mismatch(&format!(
            "the header `{header}` does not agree with the body"
        ))),
        None => Err(Error::header_mismatch(&format!(
            "the header `{header}` is missing"
        ))),
    }
}

/// A header value, decoded if it is marked as base64 (MCP 2026-07-28, transports).
pub(super) fn decoded<'v>(header: &str, value: &'v str) -> Result<Cow<'v, str>, Error> {
    let Some(encoded) = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    else {
        return Ok(Cow::Borrowed(value));
    };
    STANDARD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Cow::Owned)
        .ok_or_else(|| {
            Error::header_mismatch(&format!(
                "the header `{header}` is not valid base64 of UTF-8"
            ))
        })
}

impl Error {
    pub(super) fn unsupported_version(requested: &str) -> Self {
        let requested: String = requested.chars().take(64).collect();
        Self::unsupported(
            &format!("protocol version `{requested}` is not served"),
            &json!({
                "supported": Revision::ALL.map(Revision::name),
                "requested": requested,
            }),
        )
    }
}
