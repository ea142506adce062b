//! Questions to the model of the client, and what it says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Unanswered, invalid};
use crate::protocol::blocks;
use crate::protocol::json::{map, object};
use crate::protocol::revision::Revision;
use crate::sandbox::client::{
    Body, Content, Media, ModelMessage, ModelTool, Part, Role, Sampled, Sampling, ToolChoice,
    ToolResult, ToolUse,
};
use crate::value::content;

/// The most parts of a model's answer.
const MOST_PARTS: usize = 256;

/// The params of `sampling/createMessage`.
pub(super) fn params(sampling: &Sampling, revision: Revision) -> Result<Value, String> {
    let messages: Vec<Value> = sampling
        .messages
        .iter()
        .map(|message| write(message, revision))
        .collect::<Result<_, _>>()?;
    let stops = &sampling.stop_sequences;
    let mut params = map([
        ("messages", Some(Value::Array(messages))),
        ("maxTokens", Some(sampling.max_tokens.into())),
        (
            "systemPrompt",
            sampling.system_prompt.as_ref().map(|text| json!(text)),
        ),
        ("temperature", sampling.temperature.map(Value::from)),
        ("stopSequences", (!stops.is_empty()).then(|| json!(stops))),
        ("modelPreferences", preferences(sampling)),
    ]);
    if !sampling.tools.is_empty() {
        let tools: Vec<Value> = sampling.tools.iter().map(tool).collect::<Result<_, _>>()?;
        params.insert("tools".into(), Value::Array(tools));
        let mode = sampling.tool_choice.map(|choice| match choice {
            ToolChoice::Auto => "auto",
            ToolChoice::Required => "required",
            ToolChoice::None => "none",
        });
        if let Some(mode) = mode {
            params.insert("toolChoice".into(), json!({ "mode": mode }));
        }
    }
    Ok(Value::Object(params))
}

fn tool(tool: &ModelTool) -> Result<Value, String> {
    let schema: Map<String, Value> = serde_json::from_str(&tool.input_schema).map_err(|cause| {
        format!(
            "the schema of the tool `{}` is not an object: {cause}",
            tool.name
        )
    })?;
    Ok(object([
        ("name", Some(json!(tool.name))),
        (
            "description",
            tool.description.as_ref().map(|text| json!(text)),
        ),
        ("inputSchema", Some(Value::Object(schema))),
    ]))
}

fn preferences(sampling: &Sampling) -> Option<Value> {
    let mut preferences = Map::new();
    if !sampling.models.is_empty() {
        let hints: Vec<Value> = sampling
            .models
            .iter()
            .map(|name| json!({ "name": name }))
            .collect();
        preferences.insert("hints".into(), Value::Array(hints));
    }
    for (name, priority) in [
        ("costPriority", sampling.cost_priority),
        ("speedPriority", sampling.speed_priority),
        ("intelligencePriority", sampling.intelligence_priority),
    ] {
        if let Some(priority) = priority {
            preferences.insert(name.into(), json!(priority.clamp(0.0, 1.0)));
        }
    }
    (!preferences.is_empty()).then_some(Value::Object(preferences))
}

fn write(message: &ModelMessage, revision: Revision) -> Result<Value, String> {
    let mut parts: Vec<Value> = message
        .parts
        .iter()
        .map(|part| write_part(part, revision))
        .collect::<Result<_, _>>()?;
    let content = match (parts.len(), revision.has_rich_questions()) {
        (0, _) => return Err("a message to the model has no parts".into()),
        (1, _) => parts.remove(0),
        (_, true) => Value::Array(parts),
        (_, false) => {
            return Err("a message to the model may have one part only in the revision that the client speaks".into());
        }
    };
    Ok(json!({ "role": role_name(message.role), "content": content }))
}

fn write_part(part: &Part, revision: Revision) -> Result<Value, String> {
    Ok(match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image(media) => media_block("image", media),
        Part::Audio(media) => media_block("audio", media),
        Part::ToolUse(call) => {
            let input: Map<String, Value> = serde_json::from_str(&call.input).map_err(|cause| {
                format!(
                    "the input of the tool use `{}` is not an object: {cause}",
                    call.id
                )
            })?;
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
        }
        Part::ToolResult(ToolResult {
            id,
            content,
            is_error,
        }) => {
            let content: Vec<Value> = content
                .iter()
                .map(|part| blocks::part(told(part), revision))
                .collect();
            json!({ "type": "tool_result", "toolUseId": id, "content": content, "isError": is_error })
        }
    })
}

/// The same content as a result would have it.
fn told(content: &Content) -> content::Part {
    let media = |media: &Media| content::Media {
        data: STANDARD.encode(&media.data),
        mime_type: media.mime_type.clone(),
    };
    match content {
        Content::Text(text) => content::Part::Text(text.clone()),
        Content::Image(image) => content::Part::Image(media(image)),
        Content::Audio(audio) => content::Part::Audio(media(audio)),
        Content::Link(link) => content::Part::Link(content::Link {
            uri: link.uri.clone(),
            name: link.name.clone(),
            title: link.title.clone(),
            description: link.description.clone(),
            mime_type: link.mime_type.clone(),
            size: link.size,
        }),
        Content::Embedded(embedded) => content::Part::Embedded(content::Embedded {
            uri: embedded.uri.clone(),
            mime_type: embedded.mime_type.clone(),
            body: match &embedded.body {
                Body::Text(text) => content::Body::Text(text.clone()),
                Body::Blob(blob) => content::Body::Blob(STANDARD.encode(blob)),
            },
        }),
    }
}

fn media_block(kind: &str, media: &Media) -> Value {
    json!({ "type": kind, "data": STANDARD.encode(&media.data), "mimeType": media.mime_type })
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// Reads `CreateMessageResult`.
pub(super) fn sampled(result: &Map<String, Value>) -> Result<Sampled, Unanswered> {
    let role = match result.get("role").and_then(Value::as_str) {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some(_) | None => return Err(invalid("`role` must be user or assistant")),
    };
    let parts = match result.get("content") {
        Some(Value::Array(parts)) if parts.len() <= MOST_PARTS => {
            parts.iter().map(read_part).collect::<Result<_, _>>()?
        }
        Some(part @ Value::Object(_)) => vec![read_part(part)?],
        Some(_) | None => return Err(invalid("`content` must be a block, or at most 256 of them")),
    };
    let text = |name| result.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(Sampled {
        role,
        parts,
        model: text("model").ok_or_else(|| invalid("`model` must be a text"))?,
        stop_reason: text("stopReason"),
    })
}

fn read_part(part: &Value) -> Result<Part, Unanswered> {
    let text = |name: &str| {
        part.get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| invalid(&format!("`{name}` of a block must be a text")))
    };
    let media = || {
        let data = STANDARD
            .decode(text("data")?)
            .map_err(|_encoding| invalid("`data` of a block must be base64"))?;
        Ok(Media {
            data,
            mime_type: text("mimeType")?,
        })
    };
    match part.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Part::Text(text("text")?)),
        Some("image") => Ok(Part::Image(media()?)),
        Some("audio") => Ok(Part::Audio(media()?)),
        Some("tool_use") => match part.get("input") {
            Some(input @ Value::Object(_)) => Ok(Part::ToolUse(ToolUse {
                id: text("id")?,
                name: text("name")?,
                input: input.to_string(),
            })),
            Some(_) | None => Err(invalid("`input` of a block must be an object")),
        },
        Some(_) | None => Err(invalid(
            "a block is of a type that models do not answer with",
        )),
    }
}
