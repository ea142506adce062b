//! The result of a call: what the tool returned, or why it did not, in a form that a model can act
//! on.

use std::fmt::Display;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::lifecycle::{SERVER_INFO_KEY, server_info};
use super::super::meta::Era;
use super::super::reply::Answer;
use crate::auth::Class;
use crate::catalog::Function;
use crate::value::{Block, Body, Embedded, Encoded, Media, NotDecoded, Part, Role};

/// What came of a call.
pub(in crate::protocol) struct Outcome {
    content: Vec<Content>,
    structured: Option<Box<RawValue>>,
    is_error: bool,
    meta: serde_json::Map<String, Value>,
}

/// A block of content as MCP has it.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum Content {
    Text {
        text: String,
    },
    Image {
        data: String,
        mime_type: String,
    },
    Audio {
        data: String,
        mime_type: String,
    },
    Resource {
        resource: Resource,
    },
    /// A part as the component made it.
    #[serde(untagged)]
    Part(Value),
}

/// A resource that comes with the result.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    uri: String,
    mime_type: String,
    blob: String,
}

impl Outcome {
    /// What the tool returned. A WIT `err` is a failed call.
    pub(super) fn of(encoded: Encoded, tool: &Function) -> Self {
        match encoded {
            Encoded::Done => Self::text("ok".into()),
            Encoded::Value { structured, text } => Self {
                structured: Some(structured),
                ..Self::text(text)
            },
            Encoded::Media { media, data } => Self {
                content: vec![Content::media(media, data, tool)],
                ..Self::text(String::new())
            },
            Encoded::Content(blocks) => Self {
                content: blocks.into_iter().map(Content::part).collect(),
                ..Self::text(String::new())
            },
            Encoded::Prompt { .. } | Encoded::Documents(_) | Encoded::Completions(_) => {
                Self::failed(tool, &"its result is none that a tool has")
            }
            Encoded::Failed { text, error } => {
                let mut outcome = Self::error(text);
                if let Some(error) = error.and_then(|error| serde_json::from_str(error.get()).ok())
                {
                    outcome.meta.insert("cloister/error".into(), error);
                }
                outcome
            }
        }
    }

    /// The arguments do not fit.
    pub(super) fn mistaken(name: &str, mistakes: &NotDecoded) -> Self {
        Self::error(format!(
            "the arguments do not fit the tool `{name}`\n{mistakes}"
        ))
    }

    /// The tool gave no result.
    pub(super) fn failed(tool: &Function, cause: &dyn Display) -> Self {
        Self::error(format!(
            "the tool `{}` of the service `{}` gave no result: {cause}",
            tool.name, tool.service
        ))
    }

    /// The token in `_meta` was refused. The wording and the codes are those that clients of this
    /// convention know.
    pub(in crate::protocol) fn denied(class: Class, challenge: Option<String>) -> Self {
        let (text, code, reason) = match class {
            Class::Missing => (
                "Authentication required. Please provide a valid token in _meta.authorization.token",
                "MISSING_TOKEN",
                "missing",
            ),
            Class::Expired => (
                "Invalid or expired token. Please authenticate again.",
                "INVALID_TOKEN",
                "expired",
            ),
            Class::Invalid | Class::Malformed => (
                "Invalid or expired token. Please authenticate again.",
                "INVALID_TOKEN",
                "invalid",
            ),
            Class::Unavailable => (
                "Authentication is temporarily unavailable",
                "AUTH_UNAVAILABLE",
                "unavailable",
            ),
        };
        let mut outcome = Self::error(format!("Error: {text}"));
        outcome.meta.insert(
            "cloister/auth".into(),
            json!({ "code": code, "reason": reason }),
        );
        if let Some(challenge) = challenge {
            outcome
                .meta
                .insert("mcp/www_authenticate".into(), json!([challenge]));
        }
        outcome
    }

    fn text(text: String) -> Self {
        Self {
            content: vec![Content::Text { text }],
            structured: None,
            is_error: false,
            meta: serde_json::Map::new(),
        }
    }

    fn error(text: String) -> Self {
        Self {
            is_error: true,
            ..Self::text(text)
        }
    }

    /// The reply to the request of that id.
    pub(in crate::protocol) fn answer(mut self, id: &RawValue, era: Era) -> Answer {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct CallToolResult<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            result_type: Option<&'a str>,
            content: &'a [Content],
            #[serde(skip_serializing_if = "Option::is_none")]
            structured_content: Option<&'a RawValue>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            is_error: bool,
            #[serde(rename = "_meta", skip_serializing_if = "serde_json::Map::is_empty")]
            meta: serde_json::Map<String, Value>,
        }
        if era == Era::Modern {
            self.meta.insert(SERVER_INFO_KEY.into(), server_info());
        }
        Answer::result(
            id,
            &CallToolResult {
                result_type: (era == Era::Modern).then_some("complete"),
                content: &self.content,
                structured_content: self
                    .structured
                    .as_deref()
                    .filter(|_| era.revision().has_structured_content()),
                is_error: self.is_error,
                meta: self.meta,
            },
        )
    }
}

impl Content {
    fn part(block: Block) -> Self {
        let mut part = match block.part {
            Part::Text(text) => json!({ "type": "text", "text": text }),
            Part::Image(Media { data, mime_type }) => {
                json!({ "type": "image", "data": data, "mimeType": mime_type })
            }
            Part::Audio(Media { data, mime_type }) => {
                json!({ "type": "audio", "data": data, "mimeType": mime_type })
            }
            Part::Link(link) => without_null(json!({
                "type": "resource_link",
                "uri": link.uri,
                "name": link.name,
                "title": link.title,
                "description": link.description,
                "mimeType": link.mime_type,
                "size": link.size,
            })),
            Part::Embedded(Embedded {
                uri,
                mime_type,
                body,
            }) => {
                let (text, blob) = match body {
                    Body::Text(text) => (Some(text), None),
                    Body::Blob(blob) => (None, Some(blob)),
                };
                let resource = without_null(
                    json!({ "uri": uri, "mimeType": mime_type, "text": text, "blob": blob }),
                );
                json!({ "type": "resource", "resource": resource })
            }
        };
        if let (Some(annotations), Some(part)) = (block.annotations, part.as_object_mut()) {
            let role = |role: &Role| match role {
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            let audience: Vec<_> = annotations.audience.iter().map(role).collect();
            let annotations = without_null(json!({
                "audience": (!audience.is_empty()).then_some(audience),
                "priority": annotations.priority,
                "lastModified": annotations.last_modified,
            }));
            part.insert("annotations".into(), annotations);
        }
        Self::Part(part)
    }

    /// Bytes of a media type: a picture, a sound, or else a resource that comes along.
    fn media(media: String, data: String, tool: &Function) -> Self {
        match media.split('/').next() {
            Some("image") => Self::Image {
                data,
                mime_type: media,
            },
            Some("audio") => Self::Audio {
                data,
                mime_type: media,
            },
            Some(_) | None => Self::Resource {
                resource: Resource {
                    uri: format!("cloister://{}/{}", tool.service, tool.name),
                    mime_type: media,
                    blob: data,
                },
            },
        }
    }
}

fn without_null(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}
