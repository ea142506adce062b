//! Content as MCP writes it.

use serde_json::{Map, Value, json};

use super::revision::Revision;
use crate::value::content::{Annotations, Block, Body, Part, Role};

/// A block of content. What a revision does not know becomes text.
pub(super) fn block(block: Block, revision: Revision) -> Value {
    let mut written = part(block.part, revision);
    if let Some(annotations) = block.annotations {
        written["annotations"] = annotate(annotations, revision);
    }
    written
}

/// A part without annotations.
pub(super) fn part(part: Part, revision: Revision) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image(media) => {
            json!({ "type": "image", "data": media.data, "mimeType": media.mime_type })
        }
        Part::Audio(media) => {
            json!({ "type": "audio", "data": media.data, "mimeType": media.mime_type })
        }
        Part::Link(link) if !revision.has_links() => {
            json!({ "type": "text", "text": format!("{}: {}", link.name, link.uri) })
        }
        Part::Link(link) => {
            let mut written = Map::new();
            for (name, value) in [
                ("type", Some(json!("resource_link"))),
                ("uri", Some(json!(link.uri))),
                ("name", Some(json!(link.name))),
                ("title", link.title.map(Value::from)),
                ("description", link.description.map(Value::from)),
                ("mimeType", link.mime_type.map(Value::from)),
                ("size", link.size.map(Value::from)),
            ] {
                if let Some(value) = value {
                    written.insert(name.into(), value);
                }
            }
            Value::Object(written)
        }
        Part::Embedded(embedded) => json!({
            "type": "resource",
            "resource": resource(embedded.uri, embedded.mime_type, embedded.body),
        }),
    }
}

/// The contents of a resource.
pub(super) fn resource(uri: String, mime_type: Option<String>, body: Body) -> Value {
    let mut written = json!({ "uri": uri });
    if let Some(mime_type) = mime_type {
        written["mimeType"] = json!(mime_type);
    }
    match body {
        Body::Text(text) => written["text"] = json!(text),
        Body::Blob(blob) => written["blob"] = json!(blob),
    }
    written
}

/// The name of a role.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn annotate(annotations: Annotations, revision: Revision) -> Value {
    let mut written = json!({});
    if !annotations.audience.is_empty() {
        written["audience"] = annotations.audience.into_iter().map(role).collect();
    }
    if let Some(priority) = annotations.priority {
        written["priority"] = json!(priority);
    }
    if let Some(last_modified) = annotations
        .last_modified
        .filter(|_| revision.has_structured_content())
    {
        written["lastModified"] = json!(last_modified);
    }
    written
}
