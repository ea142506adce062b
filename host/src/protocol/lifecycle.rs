//! Finding out what a server is: `initialize` for the revisions that open with it, and
//! `server/discover` for those that open with nothing.

use serde_json::{Value, json};

use super::message::{Request, Text};
use super::reply::{Answer, Error};
use super::revision::Revision;

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

fn capabilities() -> Value {
    json!({ "tools": {} })
}

/// `server/discover` (MCP 2026-07-28). A client of an earlier revision may ask, too.
pub(super) fn discover(request: &Request<'_>) -> Answer {
    Answer::result(
        request.id,
        &json!({
            "resultType": "complete",
            "supportedVersions": Revision::ALL.map(Revision::name),
            "capabilities": capabilities(),
            "ttlMs": DISCOVERY_TTL_MS,
            "cacheScope": "public",
            "_meta": { SERVER_INFO_KEY: server_info() },
        }),
    )
}

/// `initialize` (MCP 2025-11-25 and before). A revision that is not known, or that has no
/// `initialize`, is answered with the newest that has one; the client decides whether it can.
pub(super) fn initialize(request: &Request<'_>) -> Result<Answer, Error> {
    let wanted = request
        .params
        .protocol_version
        .and_then(|version| serde_json::from_str::<Text<'_>>(version.get()).ok())
        .ok_or_else(|| Error::invalid_params("`protocolVersion` must be a string"))?;
    let revision = Revision::named(&wanted.0)
        .filter(|revision| !revision.is_modern())
        .unwrap_or(Revision::NEWEST_LEGACY);
    Ok(Answer::result(
        request.id,
        &json!({
            "protocolVersion": revision.name(),
            "capabilities": capabilities(),
            "serverInfo": server_info(),
        }),
    ))
}
