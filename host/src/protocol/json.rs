//! Writing JSON: objects with members that may be missing, and the notifications of this server.

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

/// A notification of this server. Params without members are left out.
pub(super) fn notification(method: &str, params: Map<String, Value>) -> Vec<u8> {
    let params = (!params.is_empty()).then_some(Value::Object(params));
    let message = object([
        ("jsonrpc", Some("2.0".into())),
        ("method", Some(method.into())),
        ("params", params),
    ]);
    message.to_string().into_bytes()
}
