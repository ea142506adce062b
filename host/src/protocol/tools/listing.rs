//! The list of tools, written once for each generation of the catalog and each revision.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::super::lifecycle::SERVER_INFO_KEY;
use super::super::lifecycle::server_info;
use super::super::revision::Revision;
use crate::catalog::{Annotations, Catalog, Tool};

/// How long a client may keep the list without asking again, in milliseconds.
const TTL_MS: u64 = 5_000;

/// The lists of the newest generation that was asked for.
#[derive(Default)]
pub(in crate::protocol) struct Listings(ArcSwapOption<Listing>);

struct Listing {
    generation: u64,
    /// In the order of [`Revision::ALL`].
    lists: Vec<(Revision, Arc<RawValue>)>,
}

impl Listings {
    /// The result of `tools/list` for a revision. Whoever asks first after a change writes it; if
    /// several do at once, they write the same.
    pub(super) fn of(
        &self,
        catalog: &Catalog,
        revision: Revision,
    ) -> Result<Arc<RawValue>, serde_json::Error> {
        if let Some(listing) = &*self.0.load()
            && listing.generation == catalog.generation()
            && let Some((_, list)) = listing.lists.iter().find(|(of, _)| *of == revision)
        {
            return Ok(Arc::clone(list));
        }
        let lists = Revision::ALL
            .into_iter()
            .map(|revision| Ok((revision, write(catalog, revision)?)))
            .collect::<Result<Vec<_>, serde_json::Error>>()?;
        let wanted = lists
            .iter()
            .find(|(of, _)| *of == revision)
            .map(|(_, list)| Arc::clone(list));
        self.0.store(Some(Arc::new(Listing {
            generation: catalog.generation(),
            lists,
        })));
        match wanted {
            Some(list) => Ok(list),
            None => write(catalog, revision),
        }
    }
}

fn write(catalog: &Catalog, revision: Revision) -> Result<Arc<RawValue>, serde_json::Error> {
    let tools: Vec<Listed<'_>> = catalog
        .tools()
        .map(|(name, tool)| Listed::of(name, tool, revision))
        .collect();
    let list = if revision.is_modern() {
        to_raw_value(&serde_json::json!({
            "resultType": "complete",
            "tools": tools,
            "ttlMs": TTL_MS,
            "cacheScope": "public",
            "_meta": { SERVER_INFO_KEY: server_info() },
        }))
    } else {
        #[derive(Serialize)]
        struct Tools<'a> {
            tools: Vec<Listed<'a>>,
        }
        to_raw_value(&Tools { tools })
    };
    list.map(Arc::from)
}

/// A tool as one revision knows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
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
    meta: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedIcon<'a> {
    src: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    sizes: &'a [String],
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
    fn of(name: &'a str, tool: &'a Tool, revision: Revision) -> Self {
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
            icons: function
                .icons
                .iter()
                .filter(|_| revision.has_icons())
                .map(|icon| ListedIcon {
                    src: &icon.src,
                    mime_type: icon.mime_type.as_deref(),
                    sizes: &icon.sizes,
                })
                .collect(),
            meta: tool
                .ui
                .as_ref()
                .filter(|_| revision.has_structured_content())
                .map(|uri| json!({ "ui": { "resourceUri": uri } })),
        }
    }
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
