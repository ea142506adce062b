//! Writing JSON: objects with members that may be missing, and the notifications of this server.

use serde::Serialize;
use serde_json::{Map, Value};

/// An object of those members that there are. Texts move into it, however long they are.
pub(super) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    Value::Object(map(members))
}

/// The same, to add to.
pub(super) fn map<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// A notification of this server, with its params if it has any.
pub(super) fn notification(method: &str, params: Option<&impl Serialize>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Notification<'a, P> {
        jsonrpc: &'static str,
        method: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        params: Option<&'a P>,
    }
    let message = serde_json::to_vec(&Notification {
        jsonrpc: "2.0",
        method,
        params,
    });
    // Members with names that are texts always serialize.
    message.unwrap_or_default()
}
