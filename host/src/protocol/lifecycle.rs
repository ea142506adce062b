//! Finding out what a server is: `initialize` for the revisions that open with it, and
//! `server/discover` for those that open with nothing.

use serde_json::{Value, json};

use super::dispatch::Context;
use super::json::object;
use super::message::{Params, Request};
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::{Protocol, abilities};
use crate::sandbox::client::Capability;

/// How long a client may keep what it discovered, in milliseconds.
const DISCOVERY_TTL_MS: u64 = 3_600_000;

/// Where results of revision 2026-07-28 say which server they are from.
pub(super) const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// What this server says of itself.
pub(super) fn server_info() -> Value {
    json!({
        "name": "cloister",
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// The extension by which tools have user interfaces (MCP Apps).
const APPS: &str = "io.modelcontextprotocol/ui";

/// What this server can do, as a revision knows it.
fn capabilities(revision: Revision) -> Value {
    let extensions = revision.has_extensions().then(|| json!({ APPS: {} }));
    object([
        ("tools", Some(json!({ "listChanged": true }))),
        ("prompts", Some(json!({ "listChanged": true }))),
        (
            "resources",
            Some(json!({ "listChanged": true, "subscribe": true })),
        ),
        ("completions", Some(json!({}))),
        ("logging", Some(json!({}))),
        ("extensions", extensions),
    ])
}

/// `server/discover` (MCP 2026-07-28). Earlier revisions do not have it: a client that may speak this
/// one says so in `_meta`.
pub(super) fn discover(request: &Request<'_>) -> Answer {
    Answer::result(
        request.id,
        &json!({
            "resultType": "complete",
            "supportedVersions": Revision::ALL.map(Revision::name),
            "capabilities": capabilities(Revision::V2026July),
            "ttlMs": DISCOVERY_TTL_MS,
            "cacheScope": "public",
            "_meta": { SERVER_INFO_KEY: server_info() },
        }),
    )
}

impl Protocol {
    /// `initialize` (MCP 2025-11-25 and before): opens a session. A revision that is not known, or that
    /// has no `initialize`, is answered with the newest that has one; the client decides whether it can.
    pub(super) fn initialize(
        &self,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Error> {
        let wanted = Params::text(request.params.protocol_version, "protocolVersion")?;
        let revision = Revision::named(&wanted)
            .filter(|revision| !revision.is_modern())
            .unwrap_or(Revision::NEWEST_LEGACY);
        let able = match request.params.capabilities {
            None => Capability::empty(),
            Some(capabilities) => abilities::read(capabilities, revision)
                .ok_or_else(|| Error::invalid_params("`capabilities` must be an object"))?,
        };
        let session = self.sessions.open(
            revision,
            able,
            context.caller.as_deref(),
            &context.party(),
            self.changes.listen(),
        )?;
        let answer = Answer::result(
            request.id,
            &json!({
                "protocolVersion": revision.name(),
                "capabilities": capabilities(revision),
                "serverInfo": server_info(),
            }),
        );
        Ok(Answer {
            session: Some(session.id.to_string()),
            ..answer
        })
    }
}
