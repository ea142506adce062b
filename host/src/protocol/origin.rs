//! Where a message comes from: what its transport says of it, and whose token came with it.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::exchange::Outlet;
use super::session::Session;
use crate::auth::{Bearer, Denied, Party, Principal};

/// One message, as a transport received it.
pub struct Incoming {
    /// The message.
    pub body: Bytes,
    /// The token that the transport found, if it did; or why what it found is none.
    pub bearer: Result<Option<Bearer>, Denied>,
    /// What the transport knows besides.
    pub declared: Declared,
}

/// What a transport knows of a message besides its bytes.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The headers that repeat what is in the message, if the transport has headers.
    pub headers: Option<Headers>,
    /// The id of a session.
    pub session: Option<String>,
    /// The address at the other end of the connection, if it comes from a network.
    pub peer: Option<IpAddr>,
    /// Whether the client takes more than one message in answer.
    pub takes_streams: bool,
    /// What a caller who is turned away can do, where the message is all that can say it: on transports
    /// without statuses.
    pub sign_in: Option<Arc<str>>,
}

/// Headers that repeat what is in the message (MCP 2026-07-28, transports).
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// The header `MCP-Protocol-Version`.
    pub version: Option<String>,
    /// The header `Mcp-Method`.
    pub method: Option<String>,
    /// The header `Mcp-Name`, as sent.
    pub name: Option<String>,
    /// The headers `Mcp-Param-…` as sent, by what comes after that, in lower case.
    pub params: Vec<(String, String)>,
}

impl Declared {
    /// The revision that a header names, by its name.
    pub(super) fn version(&self) -> Option<&str> {
        self.headers.as_ref()?.version.as_deref()
    }
}

/// One message, with all that is known of where it came from.
pub(super) struct Origin {
    pub(super) declared: Declared,
    /// The token that the transport found, and whose it is.
    pub(super) token: Token,
    pub(super) session: Named,
    pub(super) outlet: Outlet,
}

impl Origin {
    /// Whose share of the host a caller uses.
    pub(super) fn party(&self, caller: Option<&Principal>) -> Party {
        Party::of(caller, self.declared.peer)
    }
}

/// The token that a transport found, verified.
pub(super) enum Token {
    None,
    /// It is this caller's.
    Good(Bearer, Arc<Principal>),
    /// It is refused.
    Bad(Denied),
}

impl Token {
    /// Whose it is, or why it is nobody's.
    pub(super) fn caller(&self) -> Result<Option<&Arc<Principal>>, Denied> {
        match self {
            Self::None => Ok(None),
            Self::Good(_, caller) => Ok(Some(caller)),
            Self::Bad(denied) => Err(denied.clone()),
        }
    }
}

/// The session that a transport named.
#[derive(Clone)]
pub(super) enum Named {
    None,
    /// It is not there.
    Unknown,
    Session(Arc<Session>),
}
