//! The lists of what is served, a page at a time. The first page of each is written once for each
//! generation of the catalog and each revision.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::dispatch::Context;
use super::lifecycle::{SERVER_INFO_KEY, server_info};
use super::message::{Params, Request};
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::{Protocol, prompts, resources, tools};
use crate::auth::Principal;
use crate::catalog::{Catalog, Function, Icon};

/// How long a client may keep a list without asking again, in milliseconds.
const TTL_MS: u64 = 5_000;

/// How many entries a page has. Many clients read the first page and no further.
const PAGE: usize = 1_000;

/// The longest cursor that is looked at.
const LONGEST_CURSOR: usize = 4_096;

/// What there are lists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum List {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl List {
    /// The member of the result that holds the entries.
    fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// All entries as a revision knows them, each with what it is sorted by.
    fn entries<'c>(
        self,
        catalog: &'c Catalog,
        revision: Revision,
        view: View<'c>,
    ) -> Box<dyn Iterator<Item = (&'c str, Written)> + 'c> {
        match self {
            Self::Tools => Box::new(
                catalog
                    .tools()
                    .filter(move |(_, tool)| view.shows(&tool.function))
                    .map(move |(name, tool)| {
                        (name, to_raw_value(&tools::listed(name, tool, revision)))
                    }),
            ),
            Self::Prompts => Box::new(
                catalog
                    .prompts()
                    .filter(move |(_, prompt)| view.shows(&prompt.function))
                    .map(move |(name, prompt)| {
                        (name, to_raw_value(&prompts::listed(name, prompt, revision)))
                    }),
            ),
            Self::Resources => Box::new(
                catalog
                    .resources()
                    .filter(move |(_, resource)| view.shows(&resource.function))
                    .map(move |(uri, resource)| {
                        (
                            uri,
                            to_raw_value(&resources::listed(uri, resource, revision)),
                        )
                    }),
            ),
            Self::Templates => Box::new(
                catalog
                    .templates()
                    .filter(move |(_, resource)| view.shows(&resource.function))
                    .map(move |(template, resource)| {
                        let entry = resources::listed_template(template, resource, revision);
                        (template, to_raw_value(&entry))
                    }),
            ),
        }
    }
}

/// Whose eyes a list is for.
#[derive(Clone, Copy)]
enum View<'a> {
    /// Everybody's: it shows everything.
    Everybody,
    /// One caller's, known or not: it shows what they may use.
    Of(Option<&'a Arc<Principal>>),
}

impl View<'_> {
    fn shows(self, function: &Function) -> bool {
        match self {
            Self::Everybody => true,
            Self::Of(caller) => function.access.admit(caller.cloned()).is_ok(),
        }
    }
}

type Written = serde_json::Result<Box<RawValue>>;

/// The first pages of the newest generation that was asked for.
#[derive(Default)]
pub(super) struct Listings(ArcSwapOption<Generation>);

#[derive(Clone)]
struct Generation {
    number: u64,
    pages: HashMap<(List, Revision), Arc<RawValue>>,
}

impl Protocol {
    /// `tools/list` and its like, in the order of names or addresses: the same list for everybody, unless
    /// the host shows each caller only what they may use.
    pub(super) fn list(
        &self,
        list: List,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Error> {
        let revision = context.era.revision();
        let after = match request.params.cursor {
            None => None,
            Some(_) => Some(read_cursor(&Params::text(
                request.params.cursor,
                "cursor",
            )?)?),
        };
        let catalog = &context.catalog;
        let view = if self.narrows_lists {
            View::Of(context.caller.as_ref())
        } else {
            View::Everybody
        };
        let page = match (after, view) {
            (None, View::Everybody) => self.listings.first(list, catalog, revision),
            (after, view) => page(list, catalog, revision, after.as_deref(), view).map(Arc::from),
        };
        match page {
            Ok(page) => Ok(Answer::result(request.id, &*page)),
            Err(cause) => {
                tracing::error!(%cause, list = list.member(), "a list could not be written");
                Err(Error::internal("the list could not be written"))
            }
        }
    }
}

impl Listings {
    /// The first page. Whoever asks first after a change writes it; if several do at once, they write
    /// the same.
    fn first(
        &self,
        list: List,
        catalog: &Catalog,
        revision: Revision,
    ) -> serde_json::Result<Arc<RawValue>> {
        let known = self.0.load();
        let current = known
            .as_deref()
            .filter(|known| known.number == catalog.generation());
        if let Some(page) = current.and_then(|known| known.pages.get(&(list, revision))) {
            return Ok(Arc::clone(page));
        }
        let written: Arc<RawValue> = page(list, catalog, revision, None, View::Everybody)?.into();
        let mut generation = current.cloned().unwrap_or_else(|| Generation {
            number: catalog.generation(),
            pages: HashMap::new(),
        });
        generation
            .pages
            .insert((list, revision), Arc::clone(&written));
        self.0.store(Some(Arc::new(generation)));
        Ok(written)
    }
}

/// A page as it is written.
#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    result: Map<String, Value>,
    #[serde(flatten)]
    entries: HashMap<&'static str, &'a [Box<RawValue>]>,
}

/// The entries that come after a key, as many as a page has.
fn page(
    list: List,
    catalog: &Catalog,
    revision: Revision,
    after: Option<&str>,
    view: View<'_>,
) -> Written {
    let mut entries = list
        .entries(catalog, revision, view)
        .skip_while(|(key, _)| after.is_some_and(|after| *key <= after));
    let mut end = "";
    let mut written = Vec::new();
    for (key, entry) in entries.by_ref().take(PAGE) {
        end = key;
        written.push(entry?);
    }
    let mut result = Map::new();
    if entries.next().is_some() {
        result.insert("nextCursor".into(), json!(URL_SAFE_NO_PAD.encode(end)));
    }
    if revision.is_modern() {
        result.insert("resultType".into(), json!("complete"));
        result.insert("ttlMs".into(), json!(TTL_MS));
        let scope = match view {
            View::Everybody => "public",
            View::Of(_) => "private",
        };
        result.insert("cacheScope".into(), json!(scope));
        result.insert("_meta".into(), json!({ SERVER_INFO_KEY: server_info() }));
    }
    to_raw_value(&Page {
        result,
        entries: HashMap::from([(list.member(), &*written)]),
    })
}

/// A cursor names the entry that the page before ended with, so it stays good when the list changes.
fn read_cursor(cursor: &str) -> Result<String, Error> {
    let bytes = if cursor.len() > LONGEST_CURSOR {
        None
    } else {
        URL_SAFE_NO_PAD.decode(cursor).ok()
    };
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            Error::invalid_params(
                "unknown `cursor`: send the one that came with the page before, or none",
            )
        })
}

/// A picture of what is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedIcon<'a> {
    src: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    sizes: &'a [String],
}

/// What else a client should know, for revisions that have a place for it.
pub(super) fn meta(function: &Function, revision: Revision) -> Option<&Map<String, Value>> {
    let meta = function.meta.as_ref();
    meta.filter(|_| revision.has_structured_content())
}

/// The pictures, for revisions that know them.
pub(super) fn icons(icons: &[Icon], revision: Revision) -> Vec<ListedIcon<'_>> {
    icons
        .iter()
        .filter(|_| revision.has_icons())
        .map(|icon| ListedIcon {
            src: &icon.src,
            mime_type: icon.mime_type.as_deref(),
            sizes: &icon.sizes,
        })
        .collect()
}
