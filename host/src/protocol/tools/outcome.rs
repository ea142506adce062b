//! The result of a call: what the tool returned, or why it did not, in a form that a model can act
//! on.

use std::fmt::Display;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::auth::Class;
use crate::catalog::Function;
use crate::protocol::blocks;
use crate::protocol::lifecycle::{SERVER_INFO_KEY, server_info};
use crate::protocol::reply::Answer;
use crate::protocol::revision::Revision;
use crate::value::content::{Body, Embedded, Media, Part};
use crate::value::{Encoded, NotDecoded};

/// What came of a call.
pub(in crate::protocol) struct Outcome {
    content: Content,
    structured: Option<Box<RawValue>>,
    is_error: bool,
    meta: serde_json::Map<String, Value>,
    /// The error of the tool, which is not read again to be written.
    error: Option<Box<RawValue>>,
}

/// What people and models see.
enum Content {
    /// One block of text.
    Text(String),
    /// The structured content as one block of text, which is kept once.
    Structured,
    Blocks(Vec<Value>),
}

impl Outcome {
    /// What the tool returned. A WIT `err` is a failed call.
    pub(super) fn of(encoded: Encoded, tool: &Function, revision: Revision) -> Self {
        let content = |blocks| Self {
            content: Content::Blocks(blocks),
            ..Self::text(String::new())
        };
        match encoded {
            Encoded::Done => Self::text("ok".into()),
            Encoded::Value { structured, text } => Self {
                content: text.map_or(Content::Structured, Content::Text),
                structured: Some(structured),
                ..Self::text(String::new())
            },
            Encoded::Media { media, data } => {
                content(vec![blocks::part(of_type(media, data, tool), revision)])
            }
            Encoded::Content(parts) => content(
                parts
                    .into_iter()
                    .map(|part| blocks::block(part, revision))
                    .collect(),
            ),
            Encoded::Failed { text, error } => Self {
                error,
                ..Self::error(text)
            },
            // A function that returns one of these is no tool.
            Encoded::Prompt { .. } | Encoded::Documents(_) | Encoded::Completions(_) => {
                Self::failed(tool, &"it is no tool")
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

    /// The caller was turned away who has their token in `_meta`, or in the environment of this process.
    /// The wording and the codes are those that clients of this convention know; `advice` says what else the
    /// caller can do.
    pub(in crate::protocol) fn denied(
        class: Class,
        challenge: Option<String>,
        advice: Option<String>,
    ) -> Self {
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
            Class::InsufficientScope => (
                "The token lacks a scope that this tool needs",
                "INSUFFICIENT_SCOPE",
                "insufficient_scope",
            ),
            Class::Forbidden => (
                "The caller lacks a permission or role that this tool needs",
                "FORBIDDEN",
                "forbidden",
            ),
            Class::Unavailable => (
                "Authentication is temporarily unavailable",
                "AUTH_UNAVAILABLE",
                "unavailable",
            ),
        };
        let mut outcome = Self::error(String::new());
        let texts = std::iter::once(format!("Error: {text}")).chain(advice);
        outcome.content = Content::Blocks(texts.map(blocks::text).collect());
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
            content: Content::Text(text),
            structured: None,
            is_error: false,
            meta: serde_json::Map::new(),
            error: None,
        }
    }

    fn error(text: String) -> Self {
        Self {
            is_error: true,
            ..Self::text(text)
        }
    }

    /// The reply to the request of that id.
    pub(in crate::protocol) fn answer(mut self, id: &RawValue, revision: Revision) -> Answer {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct CallToolResult<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            result_type: Option<&'a str>,
            content: Written<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            structured_content: Option<&'a RawValue>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            is_error: bool,
            #[serde(rename = "_meta", skip_serializing_if = "Meta::is_empty")]
            meta: Meta<'a>,
        }
        if revision.is_modern() {
            self.meta.insert(SERVER_INFO_KEY.into(), server_info());
        }
        let structured = self.structured.as_deref();
        let text = |text| Written::Text([TextBlock { kind: "text", text }]);
        Answer::result(
            id,
            &CallToolResult {
                result_type: revision.is_modern().then_some("complete"),
                content: match &self.content {
                    Content::Text(content) => text(content),
                    Content::Structured => text(structured.map_or("", RawValue::get)),
                    Content::Blocks(blocks) => Written::Blocks(blocks),
                },
                structured_content: structured.filter(|_| revision.has_structured_content()),
                is_error: self.is_error,
                meta: Meta {
                    error: self.error.as_deref(),
                    others: &self.meta,
                },
            },
        )
    }
}

/// Content as it is written.
#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Text([TextBlock<'a>; 1]),
    Blocks(&'a [Value]),
}

/// A block of text that is kept elsewhere.
#[derive(Serialize)]
struct TextBlock<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

/// `_meta` of a result.
#[derive(Serialize)]
struct Meta<'a> {
    #[serde(rename = "cloister/error", skip_serializing_if = "Option::is_none")]
    error: Option<&'a RawValue>,
    #[serde(flatten)]
    others: &'a serde_json::Map<String, Value>,
}

impl Meta<'_> {
    fn is_empty(&self) -> bool {
        self.error.is_none() && self.others.is_empty()
    }
}

/// Bytes of a media type: a picture, a sound, or else a resource that comes along.
fn of_type(mime_type: String, data: String, tool: &Function) -> Part {
    match mime_type.split('/').next() {
        Some("image") => Part::Image(Media { data, mime_type }),
        Some("audio") => Part::Audio(Media { data, mime_type }),
        Some(_) | None => Part::Embedded(Embedded {
            uri: format!("cloister://{}/{}", tool.service, tool.name),
            mime_type: Some(mime_type),
            body: Body::Blob(data),
        }),
    }
}
