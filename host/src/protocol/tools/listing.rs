//! A tool as it is listed.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::catalog::{Annotations, Function, Tool};
use crate::protocol::listing::{self, ListedIcon, icons};
use crate::protocol::revision::Revision;

/// A tool as one revision knows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::protocol) struct Listed<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<ListedAnnotations<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    icons: Vec<ListedIcon<'a>>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<Map<String, Value>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedAnnotations<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destructive_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotent_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_world_hint: Option<bool>,
}

impl<'a> Listed<'a> {
    pub(super) fn of(name: &'a str, tool: &'a Tool, revision: Revision) -> Self {
        let knows_titles = revision.has_structured_content();
        let function = &tool.function;
        let title = function.title.as_deref();
        Self {
            name,
            title: title.filter(|_| knows_titles),
            description: function.description.as_deref(),
            input_schema: function.signature.input_schema(),
            output_schema: function
                .signature
                .output_schema()
                .map(|schema| &**schema)
                .filter(|_| revision.has_structured_content()),
            annotations: ListedAnnotations::of(
                tool.annotations,
                // The revision before titles has a place for one among the annotations.
                title.filter(|_| !knows_titles),
            ),
            icons: icons(&function.icons, revision),
            meta: meta(function, revision, tool.ui.as_deref()),
        }
    }
}

/// What else a client should know, and where the user interface is (MCP Apps).
fn meta(function: &Function, revision: Revision, ui: Option<&str>) -> Option<Map<String, Value>> {
    let said = listing::meta(function, revision);
    let ui = ui.filter(|_| revision.has_structured_content());
    let Some(ui) = ui else { return said.cloned() };
    let mut meta = said.cloned().unwrap_or_default();
    // What else is said of it stays, such as who may see the tool.
    match meta.get_mut("ui") {
        Some(Value::Object(about)) => {
            about.insert("resourceUri".into(), json!(ui));
        }
        _ => {
            meta.insert("ui".into(), json!({ "resourceUri": ui }));
        }
    }
    Some(meta)
}

impl<'a> ListedAnnotations<'a> {
    fn of(annotations: Annotations, title: Option<&'a str>) -> Option<Self> {
        (annotations != Annotations::default() || title.is_some()).then_some(Self {
            title,
            read_only_hint: annotations.read_only,
            destructive_hint: annotations.destructive,
            idempotent_hint: annotations.idempotent,
            open_world_hint: annotations.open_world,
        })
    }
}
