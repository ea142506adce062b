//! MCP: from the bytes of one message to the bytes of its answer.
//!
//! Each message says in which way it speaks: requests that carry their own metadata are of
//! revision 2026-07-28, all others of the revisions that open with `initialize`. This module knows
//! no HTTP; it says what kind of answer it gives, and [`crate::http`] finds the status for it.

mod identity;
mod lifecycle;
mod message;
mod meta;
mod reply;
mod revision;
mod tools;

use std::sync::Arc;

pub use reply::{Answer, Kind};
pub use revision::Revision;

use crate::auth::{Auth, Bearer, Challenge, Principal};
use crate::catalog::Catalogs;
use crate::sandbox::Sandbox;
use message::{Message, Request};
use meta::Era;
use reply::Error;
use tools::Listings;

/// The server, as MCP sees it.
pub struct Protocol {
    catalogs: Catalogs,
    auth: Auth,
    challenge: Challenge,
    sandbox: Sandbox,
    listings: Listings,
}

/// What a transport knows of a message besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Declared<'a> {
    /// The header `MCP-Protocol-Version`.
    pub version: Option<&'a str>,
    /// The header `Mcp-Method`.
    pub method: Option<&'a str>,
    /// The header `Mcp-Name`, as sent.
    pub name: Option<&'a str>,
}

impl Protocol {
    /// Puts the parts together.
    pub fn new(catalogs: Catalogs, auth: Auth, challenge: Challenge, sandbox: Sandbox) -> Self {
        Self {
            catalogs,
            auth,
            challenge,
            sandbox,
            listings: Listings::default(),
        }
    }

    /// Answers one message. `bearer` is the token that the transport found, if it did. Dropping the
    /// future cancels what it started.
    pub async fn answer(
        &self,
        body: &[u8],
        declared: Declared<'_>,
        bearer: Option<Bearer>,
    ) -> Answer {
        let message = match Message::parse(body) {
            Ok(message) => message,
            Err(refused) => return refused.answer(),
        };
        match message {
            // No notification asks for more than to be heard, and no answer is waited for, since
            // this server asks nothing of its clients.
            Message::Notification | Message::Response => Answer::accepted(),
            Message::Request(request) => self
                .reply(&request, declared, bearer)
                .await
                .unwrap_or_else(|error| error.answer(Some(request.id))),
        }
    }

    async fn reply(
        &self,
        request: &Request<'_>,
        declared: Declared<'_>,
        bearer: Option<Bearer>,
    ) -> Result<Answer, Error> {
        let era = Era::of(request, declared)?;
        let credentials = identity::credentials(request, bearer);
        match self.auth.identify(&credentials).await {
            Ok(caller) => self.dispatch(request, era, caller).await,
            Err(denied) => Ok(self.refuse(denied, request, era)),
        }
    }

    async fn dispatch(
        &self,
        request: &Request<'_>,
        era: Era,
        caller: Option<Arc<Principal>>,
    ) -> Result<Answer, Error> {
        let is_modern = era == Era::Modern;
        match &*request.method {
            "tools/list" => self.list_tools(request, era),
            "tools/call" => self.call_tool(request, era, caller).await,
            "server/discover" => Ok(lifecycle::discover(request)),
            "initialize" if !is_modern => lifecycle::initialize(request),
            "ping" if !is_modern => Ok(Answer::result(request.id, &serde_json::Map::new())),
            other => Err(era.no_such_method(other)),
        }
    }
}
