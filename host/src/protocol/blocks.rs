//! Content as MCP writes it.

use serde_json::{Map, Value};

use super::json::object;
use super::revision::Revision;
use crate::value::content::{Annotations, Block, Body, Media, Part, Role};

/// A block of content. What a revision does not know becomes text.
pub(super) fn block(block: Block, revision: Revision) -> Value {
    let mut written = part(block.part, revision);
    if let (Some(annotations), Value::Object(members)) = (block.annotations, &mut written) {
        members.insert("annotations".into(), annotate(&annotations, revision));
    }
    let meta = block.meta.filter(|_| revision.has_structured_content());
    if let (Some(meta), Value::Object(members)) = (meta, &mut written) {
        members.insert("_meta".into(), Value::Object(meta));
    }
    written
}

/// A part without annotations.
pub(super) fn part(part: Part, revision: Revision) -> Value {
    match part {
        Part::Text(text) => self::text(text),
        Part::Image(media) => bytes("image", media),
        Part::Audio(media) => bytes("audio", media),
        Part::Link(link) if !revision.has_links() => {
            self::text(format!("{}: {}", link.name, link.uri))
        }
        Part::Link(link) => object([
            ("type", Some("resource_link".into())),
            ("uri", Some(link.uri.into())),
            ("name", Some(link.name.into())),
            ("title", link.title.map(Value::from)),
            ("description", link.description.map(Value::from)),
            ("mimeType", link.mime_type.map(Value::from)),
            ("size", link.size.map(Value::from)),
        ]),
        Part::Embedded(embedded) => object([
            ("type", Some("resource".into())),
            (
                "resource",
                Some(resource(embedded.uri, embedded.mime_type, embedded.body)),
            ),
        ]),
    }
}

/// A block of text.
pub(super) fn text(text: String) -> Value {
    object([("type", Some("text".into())), ("text", Some(text.into()))])
}

fn bytes(kind: &str, media: Media) -> Value {
    object([
        ("type", Some(kind.into())),
        ("data", Some(media.data.into())),
        ("mimeType", Some(media.mime_type.into())),
    ])
}

/// The contents of a resource.
pub(super) fn resource(uri: String, mime_type: Option<String>, body: Body) -> Value {
    let (member, body) = match body {
        Body::Text(text) => ("text", text),
        Body::Blob(blob) => ("blob", blob),
    };
    object([
        ("uri", Some(uri.into())),
        ("mimeType", mime_type.map(Value::from)),
        (member, Some(body.into())),
    ])
}

/// The name of a role.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// How a client should treat something, if that is said.
pub(super) fn annotations(annotations: &Annotations, revision: Revision) -> Option<Value> {
    let written = annotate(annotations, revision);
    (written != Value::Object(Map::new())).then_some(written)
}

fn annotate(annotations: &Annotations, revision: Revision) -> Value {
    let audience: Vec<Value> = annotations
        .audience
        .iter()
        .map(|it| role(*it).into())
        .collect();
    let last_modified = annotations
        .last_modified
        .as_deref()
        .filter(|_| revision.has_structured_content());
    object([
        (
            "audience",
            (!audience.is_empty()).then_some(audience.into()),
        ),
        ("priority", annotations.priority.map(Value::from)),
        ("lastModified", last_modified.map(Value::from)),
    ])
}
