//! From files to what is served: watch the folder, compile what is new, describe it, swap it in.
//!
//! Ten events during a reload are one reload more. A file that does not load changes nothing: what
//! was served before is served on, and the reason is reported once. This is the only writer of the
//! catalog.

mod about;
mod describe;
mod folder;
mod leftovers;
mod manifest;
mod naming;
mod notes;
mod offers;
mod opened;
mod package_docs;
mod requirement;
mod sections;
mod shapes;
mod tags;
mod text;
mod watch;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch as channel};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use crate::catalog::{Catalog, Publisher, Service};
use crate::sandbox::{Asks, Compiler, Limits};
use describe::{Described, Terms};
pub use folder::Contents;
use folder::{Found, Stamp};
use manifest::Manifest;
pub use manifest::{Granted, Granting};
use opened::{Opened, functions};
use watch::Watch;

/// How often the folder is looked through even when no event came. Events get lost on network and
/// overlay file systems, and when what a symbolic link points to changes.
const RESCAN: Duration = Duration::from_secs(2);

/// How long the folder must have been quiet for. One copy is many events.
const DEBOUNCE: Duration = Duration::from_millis(15);

/// How long a file that does not load must have stood still before that is an error. Until then it
/// may be a copy in progress.
const SETTLED: Duration = Duration::from_secs(1);

/// Where services come from, and what their calls may use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of components.
    pub folder: PathBuf,
    /// What one call may use, unless the manifest of its service says otherwise.
    pub limits: Limits,
    /// What a manifest may say at most.
    pub ceiling: Limits,
    /// Folders that are the host's own, and that no manifest can grant.
    pub own: Vec<PathBuf>,
    /// Whether nothing is served that may have lost what restricts it.
    pub production: bool,
}

impl Settings {
    /// For a component that is looked at and not served.
    fn unserved() -> Self {
        Self {
            folder: PathBuf::new(),
            limits: Limits::default(),
            ceiling: Limits::CEILING,
            own: Vec::new(),
            production: false,
        }
    }
}

/// Keeps the catalog like the folder, until it is dropped.
pub struct Reload {
    settings: Settings,
    compiler: Arc<Compiler>,
    publisher: Publisher,
    watch: Watch,
    /// Bounds how many components are compiled at once.
    turns: Arc<Semaphore>,
    loads: JoinSet<Loaded>,
    seen: HashMap<Arc<str>, Seen>,
    served: BTreeMap<Arc<str>, Arc<Service>>,
    /// The stamps of what is served.
    stamps: HashMap<Arc<str>, Stamp>,
    /// What was reported of names and addresses that several functions want.
    disputes: BTreeSet<String>,
    first_pass: channel::Sender<bool>,
}

/// What is known of one file.
struct Seen {
    stamp: Stamp,
    /// When it was first seen with this stamp.
    since: Instant,
    state: State,
    /// Whether it was loaded once more because of its folders, which is done once.
    is_anew: bool,
}

enum State {
    /// It is being compiled.
    Loading,
    /// It is served, or its failure was reported: nothing to do until it changes.
    Done,
    /// It did not load, and may be a copy in progress.
    Unsettled,
}

/// What came of one file.
struct Loaded {
    name: Arc<str>,
    stamp: Stamp,
    result: Result<Described, String>,
}

impl Reload {
    /// Prepares to watch the folder. Nothing is read yet.
    pub fn new(settings: Settings, compiler: Arc<Compiler>, publisher: Publisher) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            watch: Watch::new(settings.folder.clone()),
            settings,
            compiler,
            publisher,
            turns: Arc::new(Semaphore::new(cores)),
            loads: JoinSet::new(),
            seen: HashMap::new(),
            served: BTreeMap::new(),
            stamps: HashMap::new(),
            disputes: BTreeSet::new(),
            first_pass: channel::Sender::new(false),
        }
    }

    /// Becomes true when everything that lay in the folder at the start is served or was reported.
    pub fn first_pass(&self) -> channel::Receiver<bool> {
        self.first_pass.subscribe()
    }

    /// Watches and reloads for ever.
    pub async fn run(mut self) {
        let mut rescan = tokio::time::interval(RESCAN);
        rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let settles = self.next_to_settle();
            tokio::select! {
                _ = rescan.tick() => self.look().await,
                () = self.watch.changed() => {
                    tokio::time::sleep(DEBOUNCE).await;
                    self.look().await;
                }
                () = sleep_until(settles), if settles.is_some() => self.look().await,
                Some(loaded) = self.loads.join_next() => self.take(loaded),
            }
            if self.loads.is_empty() && self.next_to_settle().is_none() {
                self.first_pass.send_replace(true);
            }
        }
    }

    /// Looks through the folder, and starts to load what is new.
    async fn look(&mut self) {
        self.watch.ensure();
        let folder = self.settings.folder.clone();
        let served = self.served.clone();
        let look = move || io::Result::Ok((folder::scan(&folder)?, replaced(&served)));
        let (found, replaced) = match tokio::task::spawn_blocking(look).await {
            Ok(Ok(found)) => found,
            Ok(Err(cause)) => {
                tracing::error!(folder = %self.settings.folder.display(), %cause, "the folder of services cannot be read; what was served is served on");
                return;
            }
            Err(panic) => {
                tracing::error!(%panic, "looking through the folder of services failed");
                return;
            }
        };

        self.seen.retain(|name, _| found.contains_key(name));
        let (stay, gone) = std::mem::take(&mut self.served)
            .into_iter()
            .partition(|(name, _)| found.contains_key(name));
        self.served = stay;
        if !gone.is_empty() {
            self.publish();
        }
        for (name, service) in gone {
            tracing::info!(service = %name, digest = %service.digest, "removed");
        }

        self.stamps.retain(|name, _| self.served.contains_key(name));

        for (name, file) in found {
            let is_anew = replaced.contains(&name);
            self.consider(name, file, is_anew);
        }
    }

    /// Loads a file if it is new, or if it is to be loaded anew.
    fn consider(&mut self, name: Arc<str>, file: Found, is_anew: bool) {
        let now = Instant::now();
        let since = match self.seen.get(&name) {
            Some(seen) if seen.stamp == file.stamp => match seen.state {
                State::Done if is_anew && !seen.is_anew => now,
                State::Loading | State::Done => return,
                State::Unsettled if now < seen.since + SETTLED => return,
                // It has stood still: this attempt is the one that counts.
                State::Unsettled => seen.since,
            },
            Some(_) | None => now,
        };
        self.seen.insert(
            Arc::clone(&name),
            Seen {
                stamp: file.stamp.clone(),
                since,
                state: State::Loading,
                is_anew,
            },
        );
        let compiler = Arc::clone(&self.compiler);
        let turns = Arc::clone(&self.turns);
        let settings = self.settings.clone();
        self.loads.spawn(async move {
            let _permit = turns.acquire_owned().await;
            let stamp = file.stamp.clone();
            let service = Arc::clone(&name);
            let result =
                tokio::task::spawn_blocking(move || load(&compiler, &service, &file, &settings))
                    .await
                    .unwrap_or_else(|panic| Err(fault(&panic)));
            Loaded {
                name,
                stamp,
                result,
            }
        });
    }

    /// Takes in what has been loaded, all that is ready at once.
    fn take(&mut self, first: Result<Loaded, JoinError>) {
        let mut next = Some(first);
        let mut changed = Vec::new();
        while let Some(loaded) = next {
            match loaded {
                Ok(loaded) => changed.extend(self.settle(loaded)),
                Err(panic) => tracing::error!(%panic, "loading a service failed"),
            }
            next = self.loads.try_join_next();
        }
        if !changed.is_empty() {
            self.publish();
        }
        // Who reads it may call it.
        for (name, service) in changed {
            tracing::info!(service = %name, tools = service.tools.len(), prompts = service.prompts.len(), resources = service.resources.len(), digest = %service.digest, "serving");
        }
    }

    /// Decides what becomes of one file: the service that is served from now on, if it is another.
    fn settle(&mut self, loaded: Loaded) -> Option<(Arc<str>, Arc<Service>)> {
        // Without it, it was deleted meanwhile.
        let seen = self.seen.get_mut(&loaded.name)?;
        if seen.stamp != loaded.stamp {
            // It was replaced meanwhile, and the new file is being loaded.
            return None;
        }
        let name = loaded.name;
        let before = self.served.get(&name).zip(self.stamps.get(&name));
        let result = loaded.result.and_then(|described| {
            let opened = before.and_then(|(service, stamp)| {
                Opened::between((stamp, service), (&loaded.stamp, &described.service))
            });
            match opened {
                Some(Opened { function, gone: Some(gone) }) => Err(format!(
                    "its {gone} is gone, which said who may call `{function}`; put it back, or write another that says who may"
                )),
                // What is written in place is half there at first, and says less than it will.
                Some(Opened { function, .. }) if Instant::now() < seen.since + SETTLED => {
                    Err(format!("more callers than before may call `{function}`"))
                }
                Some(_) | None => Ok(described),
            }
        });
        match result {
            Ok(Described { service, notes, .. }) => {
                seen.state = State::Done;
                seen.is_anew = false;
                self.stamps.insert(Arc::clone(&name), loaded.stamp);
                for note in notes {
                    tracing::warn!(service = %name, "{note}");
                }
                let service = Arc::new(service);
                self.served.insert(Arc::clone(&name), Arc::clone(&service));
                Some((name, service))
            }
            Err(_cause) if Instant::now() < seen.since + SETTLED => {
                seen.state = State::Unsettled;
                None
            }
            Err(cause) => {
                seen.state = State::Done;
                let file = self.settings.folder.join(format!("{name}.wasm"));
                if self.served.contains_key(&name) {
                    tracing::error!(service = %name, "{}: {cause}; the version before it is served on", file.display());
                } else {
                    tracing::error!(service = %name, "{}: {cause}", file.display());
                }
                None
            }
        }
    }

    fn publish(&mut self) {
        let catalog = self.publisher.publish(self.served.clone());
        let disputes: BTreeSet<String> = disputes(&catalog).collect();
        for dispute in disputes.difference(&self.disputes) {
            tracing::warn!("{dispute}");
        }
        self.disputes = disputes;
        tracing::debug!(
            generation = catalog.generation(),
            tools = catalog.tools().count(),
            prompts = catalog.prompts().count(),
            resources = catalog.resources().count() + catalog.templates().count(),
            "the catalog has changed"
        );
    }

    fn next_to_settle(&self) -> Option<Instant> {
        self.seen
            .values()
            .filter(|seen| matches!(seen.state, State::Unsettled))
            .map(|seen| seen.since + SETTLED)
            .min()
    }
}

/// The services whose folders are others by now than those that they were granted.
fn replaced(served: &BTreeMap<Arc<str>, Arc<Service>>) -> HashSet<Arc<str>> {
    let is_replaced = |service: &Service| {
        let mut functions = functions(service);
        functions
            .next()
            .is_some_and(|function| function.export.folders_are_replaced())
    };
    let served = served.iter().filter(|(_, service)| is_replaced(service));
    served.map(|(name, _)| Arc::clone(name)).collect()
}

/// As many names are told in one line.
const NAMED: usize = 24;

/// What several functions want and none has, a line each.
fn disputes(catalog: &Catalog) -> impl Iterator<Item = String> {
    let quoted = |names: &BTreeSet<String>| {
        let some: Vec<String> = names
            .iter()
            .take(NAMED)
            .map(|name| format!("`{name}`"))
            .collect();
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} others"),
        };
        some.join(", ") + &more
    };
    let names = catalog.withdrawn().map(move |(kind, withdrawn)| {
        format!(
            "several functions want to be the {kind} {}, so none is; they are called {}",
            quoted(&withdrawn.names),
            quoted(&withdrawn.instead)
        )
    });
    let addresses = catalog.contested().map(|(address, rivals)| {
        format!(
            "several functions want the address `{address}`, so none has it: {}",
            rivals.join(", ")
        )
    });
    names.chain(addresses)
}

/// What a component would be served as.
pub struct Inspection {
    /// The service with its tools.
    pub service: Service,
    /// What is left out or looks like a mistake, a line each.
    pub notes: Vec<String>,
    /// What it may ask for.
    pub asks: Asks,
    /// What its manifest says of what it may use.
    pub granted: Granting,
    /// How many types, fields and cases were read for it, in the component and in its texts.
    pub work: u32,
}

impl From<Described> for Inspection {
    fn from(described: Described) -> Self {
        Self {
            service: described.service,
            notes: described.notes,
            asks: described.asks,
            granted: described.granted,
            work: described.work,
        }
    }
}

/// Describes one component without serving it.
pub fn inspect(path: &Path, compiler: &Compiler) -> Result<Inspection, String> {
    let (name, file) =
        Found::at(path).ok_or("there is no such file, or its name does not end in `.wasm`")?;
    load(compiler, &name, &file, &Settings::unserved()).map(Inspection::from)
}

/// Describes one component whose files are in memory.
pub fn inspect_contents(
    name: &str,
    contents: &Contents,
    compiler: &Compiler,
) -> Result<Inspection, String> {
    let settings = Settings::unserved();
    understand(compiler, &Arc::from(name), contents, &settings).map(Inspection::from)
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

/// Reads, compiles and describes one file. Blocks.
fn load(
    compiler: &Compiler,
    name: &Arc<str>,
    file: &Found,
    settings: &Settings,
) -> Result<Described, String> {
    let contents = file.read().map_err(|cause| cause.to_string())?;
    understand(compiler, name, &contents, settings)
}

/// Compiles and describes what was read.
fn understand(
    compiler: &Compiler,
    name: &Arc<str>,
    contents: &Contents,
    settings: &Settings,
) -> Result<Described, String> {
    let manifest = match &contents.manifest {
        Some(bytes) => Manifest::read(bytes)
            .map_err(|cause| format!("its manifest cannot be used: {cause}"))?,
        None => Manifest::default(),
    };
    let grants = manifest
        .grants(&settings.own)
        .map_err(|cause| format!("in its manifest, {cause}"))?;
    let program = compiler
        .load(&contents.wasm)
        .map_err(|cause| cause.to_string())?
        .granted(grants);
    let limits = manifest
        .limits(settings.limits, &settings.ceiling)
        .map_err(|cause| format!("in its manifest, {cause}"))?;
    let terms = Terms {
        limits,
        production: settings.production,
    };
    describe::describe(name, contents, &manifest, &program, &terms)
        .map_err(|cause| cause.to_string())
}

/// A panic while loading is a defect of the host, and no reason to serve less.
fn fault(panic: &JoinError) -> String {
    format!("loading it failed inside the host, which is a defect worth reporting: {panic}")
}
