//! Log messages that a guest sends to its client: their levels, and `logging/setLevel`.

use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{map, notification};
use super::message::{Request, Text};
use super::meta::Era;
use super::reply::{Answer, Error};
use crate::sandbox::client::Level;

/// From the least to the greatest (RFC 5424).
const LEVELS: [(Level, &str); 8] = [
    (Level::Debug, "debug"),
    (Level::Info, "info"),
    (Level::Notice, "notice"),
    (Level::Warning, "warning"),
    (Level::Error, "error"),
    (Level::Critical, "critical"),
    (Level::Alert, "alert"),
    (Level::Emergency, "emergency"),
];

/// The level of that name.
pub(super) fn level(name: &RawValue) -> Option<Level> {
    let Text(name) = serde_json::from_str(name.get()).ok()?;
    LEVELS
        .into_iter()
        .find(|(_, known)| *known == name)
        .map(|(level, _)| level)
}

fn rank(level: Level) -> (usize, &'static str) {
    LEVELS
        .into_iter()
        .enumerate()
        .find(|(_, (known, _))| *known == level)
        .map_or((0, "debug"), |(rank, (_, name))| (rank, name))
}

/// `notifications/message`, if the client wants messages of that level.
pub(super) fn message(
    least: Level,
    level: Level,
    logger: Option<&str>,
    data: &str,
) -> Option<Vec<u8>> {
    let (rank_of_this, name) = rank(level);
    if rank_of_this < rank(least).0 {
        return None;
    }
    let data = serde_json::from_str(data).unwrap_or_else(|_text| data.into());
    let params = map([
        ("level", Some(name.into())),
        ("logger", logger.map(Value::from)),
        ("data", Some(data)),
    ]);
    Some(notification("notifications/message", Some(&params)))
}

/// `logging/setLevel` (MCP 2025-11-25 and before). Without a session there is nowhere to remember it,
/// and nothing to send it for.
pub(super) fn set_level(request: &Request<'_>, era: &Era) -> Result<Answer, Error> {
    let level = request.params.level.and_then(level).ok_or_else(|| {
        Error::invalid_params(
            "`level` must be debug, info, notice, warning, error, critical, alert or emergency",
        )
    })?;
    if let Some(session) = era.session() {
        session.set_level(level);
    }
    Ok(Answer::result(request.id, &serde_json::Map::new()))
}
