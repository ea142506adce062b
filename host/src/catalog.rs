//! What is served: an immutable list of services with their tools, prompts and resources, swapped
//! whole.
//!
//! A request takes one snapshot and uses it to its end; it waits for nobody. The one
//! [`Publisher`] belongs to `reload`, so nothing else can change what is served.

mod address;
mod completion;
mod function;
mod names;
mod prompt;
mod resource;
mod tool;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use names::{Form, Wish};
use tokio::sync::watch;

use crate::digest::Digest;
use crate::value::NameCase;
pub use address::{Address, InvalidAddress, LONGEST_ADDRESS, Template};
pub use completion::{Completers, Completion};
pub use function::{Function, Icon, Service};
pub use names::{LONGEST_NAME, Withdrawn, fit, folded};
pub use prompt::{Argument, Prompt};
pub use resource::{Held, Resource};
pub use tool::{Annotations, Tool};

/// The services served at one moment, with the names and addresses of what they offer.
#[derive(Default)]
pub struct Catalog {
    generation: u64,
    changed: Lists,
    services: BTreeMap<Arc<str>, Arc<Service>>,
    tools: Named<Tool>,
    prompts: Named<Prompt>,
    /// By address, which is also the order of the list.
    resources: BTreeMap<String, Arc<Resource>>,
    /// By what is listed of them.
    templates: BTreeMap<String, Arc<Resource>>,
    /// In the order in which they are tried.
    tried: Vec<(Template, Arc<Resource>)>,
    /// Addresses that several functions wanted, and who they are.
    contested: BTreeMap<String, Vec<String>>,
}

/// The generations in which the lists last changed, one for each kind of which clients are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// The list of tools.
    pub tools: u64,
    /// The list of prompts.
    pub prompts: u64,
    /// The lists of resources and of resource templates.
    pub resources: u64,
}

/// What is found by its name.
struct Named<T> {
    /// By name, which is also the order of every list.
    served: BTreeMap<String, Arc<T>>,
    /// What else callers may write for these names: each in kebab, snake and camel case.
    spellings: HashMap<String, Arc<T>>,
    /// Names that more than one function wanted, without what models get wrong.
    withdrawn: BTreeMap<String, Withdrawn>,
}

/// A resource that was found, and what its variables are.
pub struct Read<'a> {
    /// The resource.
    pub resource: &'a Arc<Resource>,
    /// The values of the variables, in the order of the parameters.
    pub variables: Vec<String>,
}

/// Why a name or an address leads nowhere.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No service has something of that name.
    #[error("unknown {kind} `{name}`; `{kind}s/list` names those there are")]
    Name {
        /// What was asked for.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// Several services have one, and none may take the name from the others.
    #[error("`{name}` is a {kind} of several services; call {}", list(instead))]
    Withdrawn {
        /// What was asked for.
        kind: Kind,
        /// The name that was asked for.
        name: String,
        /// The names that are served instead.
        instead: BTreeSet<String>,
    },
    /// No resource is read there.
    #[error(
        "no resource is read at `{0}`; `resources/list` and `resources/templates/list` name those there are"
    )]
    Address(String),
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tool.
    Tool,
    /// A prompt.
    Prompt,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
        })
    }
}

impl Catalog {
    /// Works out the lists from a set of services. The same set gives the same lists, in whatever
    /// order the services came.
    fn new(previous: &Self, services: BTreeMap<Arc<str>, Arc<Service>>) -> Self {
        let mut catalog = Self {
            generation: previous.generation.saturating_add(1),
            tools: Named::new(services.values().flat_map(|service| &service.tools)),
            prompts: Named::new(services.values().flat_map(|service| &service.prompts)),
            ..Self::default()
        };
        catalog.place(services.values().flat_map(|service| &service.resources));
        catalog.services = services;

        let since = |is_same: bool, before: u64| if is_same { before } else { catalog.generation };
        let before = previous.changed;
        catalog.changed = Lists {
            tools: since(catalog.tools.is_listed_like(&previous.tools), before.tools),
            prompts: since(
                catalog.prompts.is_listed_like(&previous.prompts),
                before.prompts,
            ),
            resources: since(
                is_listed_like(&catalog.resources, &previous.resources)
                    && is_listed_like(&catalog.templates, &previous.templates),
                before.resources,
            ),
        };
        catalog
    }

    /// Gives each resource its address. One that several want is given to none of them, so that a
    /// new file can never take over an address that callers already trust; and no service can want
    /// what others fall back to.
    fn place<'s>(&mut self, resources: impl Iterator<Item = &'s Arc<Resource>>) {
        let resources: Vec<_> = resources.collect();
        let mut wanted: BTreeMap<String, Vec<&Arc<Resource>>> = BTreeMap::new();
        for resource in resources.iter().copied() {
            let claims = BTreeSet::from([resource.address.claim(), resource.fallback.claim()]);
            for claim in claims {
                wanted.entry(claim).or_default().push(resource);
            }
        }
        for resource in resources {
            let claim = resource.address.claim();
            let rivals = wanted.get(&claim).map(Vec::as_slice).unwrap_or_default();
            let address = if rivals.len() > 1 {
                let origin = |rival: &&Arc<Resource>| {
                    format!("{} of {}", rival.function.origin, rival.function.service)
                };
                self.contested
                    .insert(claim, rivals.iter().map(origin).collect());
                &resource.fallback
            } else {
                &resource.address
            };
            let entry = (address.to_string(), Arc::clone(resource));
            match address {
                Address::Fixed(_) => self.resources.extend([entry]),
                Address::Template(template) => {
                    self.templates.extend([entry]);
                    self.tried.push((template.clone(), Arc::clone(resource)));
                }
            }
        }
        self.tried
            .sort_by_cached_key(|(template, _)| template.precedence());
    }

    /// Counts up with every change. Lists made from one generation are good for all of it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The generations in which clients last saw the lists change. Each grows only when its own list
    /// is not what it was before.
    pub fn changed(&self) -> Lists {
        self.changed
    }

    /// The services, by name.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().map(|service| &**service)
    }

    /// A service by its name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name).map(|service| &**service)
    }

    /// The tools with the names they are served under, sorted by name.
    pub fn tools(&self) -> impl Iterator<Item = (&str, &Tool)> {
        listed(&self.tools.served)
    }

    /// The OAuth scopes that one or another function demands.
    pub fn scopes(&self) -> BTreeSet<&str> {
        let tools = self.tools.served.values().map(|tool| &tool.function);
        let prompts = self.prompts.served.values().map(|prompt| &prompt.function);
        let read = self.resources.values().chain(self.templates.values());
        tools
            .chain(prompts)
            .chain(read.map(|resource| &resource.function))
            .flat_map(|function| function.access.scopes())
            .map(String::as_str)
            .collect()
    }

    /// Finds a tool by the name it is served under.
    pub fn tool(&self, name: &str) -> Result<&Arc<Tool>, Unknown> {
        self.tools.get(name, Kind::Tool)
    }

    /// The prompts with the names they are served under, sorted by name.
    pub fn prompts(&self) -> impl Iterator<Item = (&str, &Prompt)> {
        listed(&self.prompts.served)
    }

    /// Finds a prompt by the name it is served under.
    pub fn prompt(&self, name: &str) -> Result<&Arc<Prompt>, Unknown> {
        self.prompts.get(name, Kind::Prompt)
    }

    /// The resources that have one address, with it, sorted by it.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &Resource)> {
        listed(&self.resources)
    }

    /// The resources that have many addresses, with their templates, sorted by them.
    pub fn templates(&self) -> impl Iterator<Item = (&str, &Resource)> {
        listed(&self.templates)
    }

    /// Finds a resource by its template, as it is listed.
    pub fn template(&self, template: &str) -> Option<&Arc<Resource>> {
        self.templates.get(template)
    }

    /// Finds the resource that is read at a URI: the one that has it for itself, or else that whose
    /// template says most of it.
    pub fn resource(&self, uri: &str) -> Result<Read<'_>, Unknown> {
        let variables = Vec::new();
        if let Some(resource) = self.resources.get(uri) {
            return Ok(Read {
                resource,
                variables,
            });
        }
        let mut found = self.tried.iter().filter_map(|(template, resource)| {
            let variables = template.read(uri)?;
            Some(Read {
                resource,
                variables,
            })
        });
        found
            .next()
            .ok_or_else(|| Unknown::Address(short(uri, LONGEST_ADDRESS)))
    }

    /// The names that several tools or prompts wanted and none got.
    pub fn withdrawn(&self) -> impl Iterator<Item = (Kind, &Withdrawn)> {
        let tools = self.tools.withdrawn.values();
        let prompts = self.prompts.withdrawn.values();
        tools
            .map(|it| (Kind::Tool, it))
            .chain(prompts.map(|it| (Kind::Prompt, it)))
    }

    /// The addresses that several functions wanted and none got, with those functions.
    pub fn contested(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.contested
            .iter()
            .map(|(address, rivals)| (&**address, &**rivals))
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            served: BTreeMap::new(),
            spellings: HashMap::new(),
            withdrawn: BTreeMap::new(),
        }
    }
}

impl<T: Entry> Named<T> {
    fn new<'s>(entries: impl Iterator<Item = &'s Arc<T>>) -> Self
    where
        T: 's,
    {
        let entries: Vec<&Arc<T>> = entries.collect();
        let wishes: Vec<Wish<'_>> = entries
            .iter()
            .map(|entry| Wish {
                service: &entry.function().service,
                name: &entry.function().name,
            })
            .collect();
        let given = names::name(&wishes);
        let spellings = spellings(&entries, &given);
        Self {
            spellings,
            served: given
                .names
                .into_iter()
                .zip(entries.into_iter().map(Arc::clone))
                .collect(),
            withdrawn: given.withdrawn,
        }
    }

    fn get(&self, name: &str, kind: Kind) -> Result<&Arc<T>, Unknown> {
        let found = self.served.get(name).or_else(|| self.spellings.get(name));
        found.ok_or_else(|| {
            // Whoever asks may choose how long the name is.
            let withdrawn = (name.len() <= LONGEST_NAME).then(|| self.withdrawn.get(&folded(name)));
            match withdrawn.flatten() {
                Some(withdrawn) => Unknown::Withdrawn {
                    kind,
                    name: name.to_owned(),
                    instead: withdrawn.instead.clone(),
                },
                None => Unknown::Name {
                    kind,
                    name: short(name, LONGEST_NAME),
                },
            }
        })
    }

    fn is_listed_like(&self, other: &Self) -> bool {
        is_listed_like(&self.served, &other.served)
    }
}

/// What else callers may write for the names that were given. A spelling that could mean another
/// entry, or a name that was withdrawn, means nothing.
fn spellings<T: Entry>(entries: &[&Arc<T>], given: &names::Given) -> HashMap<String, Arc<T>> {
    let others: Vec<Vec<String>> = entries
        .iter()
        .zip(&given.forms)
        .map(|(entry, form)| {
            let function = entry.function();
            let spelled = [NameCase::Camel, NameCase::Snake, NameCase::Kebab]
                .map(|case| case.of(&function.wit));
            match form {
                Form::Bare => spelled.into(),
                Form::Prefixed => spelled
                    .map(|spelled| format!("{}_{spelled}", function.service))
                    .into(),
                Form::Hashed(_) => Vec::new(),
            }
        })
        .collect();
    let mut owners: HashMap<String, BTreeSet<usize>> = HashMap::new();
    for (index, (name, others)) in given.names.iter().zip(&others).enumerate() {
        for spelling in others.iter().chain([name]) {
            owners.entry(folded(spelling)).or_default().insert(index);
        }
    }
    let mut spellings = HashMap::new();
    for (entry, others) in entries.iter().zip(others) {
        for spelling in others {
            let alike = folded(&spelling);
            let is_own = owners.get(&alike).is_some_and(|owners| owners.len() == 1);
            if is_own && !given.withdrawn.contains_key(&alike) {
                spellings.insert(spelling, Arc::clone(entry));
            }
        }
    }
    spellings
}

/// What stands in a list.
trait Entry {
    fn function(&self) -> &Function;
    fn listed(&self) -> Digest;
}

macro_rules! entries {
    ($($kind:ty),*) => {
        $(impl Entry for $kind {
            fn function(&self) -> &Function {
                &self.function
            }
            fn listed(&self) -> Digest {
                self.listed
            }
        })*
    };
}
entries!(Tool, Prompt, Resource);

fn listed<T>(entries: &BTreeMap<String, Arc<T>>) -> impl Iterator<Item = (&str, &T)> {
    entries.iter().map(|(name, entry)| (&**name, &**entry))
}

fn is_listed_like<T: Entry>(
    one: &BTreeMap<String, Arc<T>>,
    other: &BTreeMap<String, Arc<T>>,
) -> bool {
    let said = |(name, entry): (&String, &Arc<T>)| (name.clone(), entry.listed());
    one.len() == other.len() && one.iter().map(said).eq(other.iter().map(said))
}

/// Cuts what came from a client to a length fit for a message.
fn short(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn list(names: &BTreeSet<String>) -> String {
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
        let catalog = Arc::new(Catalog::new(&self.current.load(), services));
        self.current.store(Arc::clone(&catalog));
        self.changed.send_replace(catalog.generation);
        catalog
    }
}
