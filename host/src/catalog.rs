//! What is served: an immutable list of services and their tools, swapped whole.
//!
//! A request takes one snapshot and uses it to its end; it waits for nobody. The one
//! [`Publisher`] belongs to `reload`, so nothing else can change what is served.

mod names;
mod tool;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use names::Wish;
use tokio::sync::watch;

pub use names::LONGEST_NAME;
pub use tool::{Annotations, Icon, Service, Tool};

/// The services served at one moment, with the names of their tools.
#[derive(Default)]
pub struct Catalog {
    generation: u64,
    services: BTreeMap<Arc<str>, Arc<Service>>,
    /// By name, which is also the order of every list.
    tools: BTreeMap<String, Arc<Tool>>,
    /// Names that more than one service wanted, and what each got instead.
    withdrawn: BTreeMap<String, Vec<String>>,
}

/// Why a name leads to no tool.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTool {
    /// No service has a tool of that name.
    #[error("unknown tool `{0}`; `tools/list` names those there are")]
    Absent(String),
    /// Several services have one, and none may take the name from the others.
    #[error("`{name}` is a tool of several services; call {}", list(instead))]
    Withdrawn {
        /// The name that was asked for.
        name: String,
        /// The names that are served instead.
        instead: Vec<String>,
    },
}

impl Catalog {
    /// Works out the list from a set of services. The same set gives the same list, in whatever
    /// order the services came.
    fn new(generation: u64, services: BTreeMap<Arc<str>, Arc<Service>>) -> Self {
        let tools: Vec<&Arc<Tool>> = services
            .values()
            .flat_map(|service| &service.tools)
            .collect();
        let wishes: Vec<Wish<'_>> = tools
            .iter()
            .map(|tool| Wish {
                service: &tool.service,
                name: &tool.name,
            })
            .collect();
        let given = names::name(&wishes);
        let tools = given
            .names
            .into_iter()
            .zip(tools.into_iter().map(Arc::clone))
            .collect();
        Self {
            generation,
            withdrawn: given.withdrawn,
            tools,
            services,
        }
    }

    /// Counts up with every change. Lists made from one generation are good for all of it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The services, by name.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().map(|service| &**service)
    }

    /// The tools with the names they are served under, sorted by name.
    pub fn tools(&self) -> impl Iterator<Item = (&str, &Tool)> {
        self.tools.iter().map(|(name, tool)| (&**name, &**tool))
    }

    /// The OAuth scopes that one or another tool demands.
    pub fn scopes(&self) -> BTreeSet<&str> {
        let tools = self.tools.values();
        tools
            .flat_map(|tool| tool.access.scopes())
            .map(String::as_str)
            .collect()
    }

    /// Finds a tool by the name it is served under.
    pub fn tool(&self, name: &str) -> Result<&Arc<Tool>, UnknownTool> {
        self.tools
            .get(name)
            .ok_or_else(|| match self.withdrawn.get(name) {
                Some(instead) => UnknownTool::Withdrawn {
                    name: name.to_owned(),
                    instead: instead.clone(),
                },
                None => UnknownTool::Absent(short(name)),
            })
    }
}

/// Cuts a name that came from a client to a length fit for a message.
fn short(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

fn list(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" or ")
}

/// The readers' end: takes snapshots, and can wait for the next change.
#[derive(Clone)]
pub struct Catalogs {
    current: Arc<ArcSwap<Catalog>>,
    changed: watch::Receiver<u64>,
}

/// The writer's end, of which there is one.
pub struct Publisher {
    current: Arc<ArcSwap<Catalog>>,
    changed: watch::Sender<u64>,
}

/// An empty catalog, with both its ends.
pub fn empty() -> (Publisher, Catalogs) {
    let current = Arc::new(ArcSwap::from_pointee(Catalog::default()));
    let (sender, receiver) = watch::channel(0);
    (
        Publisher {
            current: Arc::clone(&current),
            changed: sender,
        },
        Catalogs {
            current,
            changed: receiver,
        },
    )
}

impl Catalogs {
    /// What is served now. Hold on to it for one request, not longer.
    pub fn snapshot(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// The generation that is served, as a value that can be watched.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }
}

impl Publisher {
    /// Serves this set of services from now on. Requests that run keep what they started with.
    pub fn publish(&self, services: BTreeMap<Arc<str>, Arc<Service>>) -> Arc<Catalog> {
        let generation = self.current.load().generation.saturating_add(1);
        let catalog = Arc::new(Catalog::new(generation, services));
        self.current.store(Arc::clone(&catalog));
        self.changed.send_replace(generation);
        catalog
    }
}
