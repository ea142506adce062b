//! Which revision a request speaks, from its own metadata or from what was agreed before
//! (MCP 2026-07-28, basic and transports).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Declared;
use super::message::{Request, Text, object};
use super::reply::{Error, Kind};
use super::revision::Revision;

/// In which way one request speaks. It is a fact about the request, never about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// The request carries its own metadata.
    Modern,
    /// The request relies on an `initialize` that came before it, or on nothing.
    Legacy(Revision),
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion", default)]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities", default)]
    capabilities: Option<&'a RawValue>,
}

impl Era {
    /// Tells the era of a request, and checks what a modern one must carry, in the order that the
    /// revision gives.
    pub(super) fn of(request: &Request<'_>, declared: Declared<'_>) -> Result<Self, Error> {
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
            modern(request, meta, version, declared)?;
            return Ok(Self::Modern);
        }
        match declared.version.map(|name| (name, Revision::named(name))) {
            None => Ok(Self::Legacy(Revision::UNNAMED)),
            Some((_, Some(revision))) if !revision.is_modern() => Ok(Self::Legacy(revision)),
            Some((_, Some(_modern))) if request.method == "initialize" => {
                Err(Error::header_mismatch(
                    "`initialize` does not belong to the revision in `MCP-Protocol-Version`",
                ))
            }
            Some((_, Some(_modern))) => Err(Error::envelope(
                "`_meta` must name `io.modelcontextprotocol/protocolVersion` and `io.modelcontextprotocol/clientCapabilities`",
            )),
            Some((name, None)) => Err(Error::unsupported_version(name)),
        }
    }

    /// The revision to answer in.
    pub(super) fn revision(self) -> Revision {
        match self {
            Self::Modern => Revision::V2026July,
            Self::Legacy(revision) => revision,
        }
    }
}

fn modern(
    request: &Request<'_>,
    meta: &Meta<'_>,
    version: &RawValue,
    declared: Declared<'_>,
) -> Result<(), Error> {
    let Ok(Text(version)) = serde_json::from_str(version.get()) else {
        return Err(Error::envelope(
            "`io.modelcontextprotocol/protocolVersion` must be a string",
        ));
    };
    if !meta
        .capabilities
        .is_some_and(|capabilities| capabilities.get().starts_with('{'))
    {
        return Err(Error::envelope(
            "`io.modelcontextprotocol/clientCapabilities` must be an object, if an empty one",
        ));
    }
    agree("MCP-Protocol-Version", declared.version, &version)?;
    if Revision::named(&version).is_none_or(|revision| !revision.is_modern()) {
        return Err(Error::unsupported_version(&version));
    }
    agree("Mcp-Method", declared.method, &request.method)?;
    if request.method == "tools/call"
        && let Some(name) = request.params.name
        && let Ok(Text(name)) = serde_json::from_str(name.get())
    {
        let header = declared.name.map(decoded).transpose()?;
        agree("Mcp-Name", header.as_deref(), &name)?;
    }
    Ok(())
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
fn decoded(value: &str) -> Result<Cow<'_, str>, Error> {
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
        .ok_or_else(|| Error::header_mismatch("the header `Mcp-Name` is not valid base64 of UTF-8"))
}

impl Era {
    /// The method is not served. Revision 2026-07-28 makes that known to the transport, too; those
    /// before it say it in the message alone.
    pub(super) fn no_such_method(self, method: &str) -> Error {
        let kind = match self {
            Self::Modern => Kind::NoSuchMethod,
            Self::Legacy(_) => Kind::Done,
        };
        Error::no_such_method(method, kind)
    }
}

impl Error {
    fn unsupported_version(requested: &str) -> Self {
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
