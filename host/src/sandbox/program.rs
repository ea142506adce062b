//! A component, compiled and linked: what is made once, so that a call only has to instantiate.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

use super::call::Call;
use super::code_cache::CodeCache;
use super::grants::Grants;
use super::{NotStarted, Settings, engine, imports};

/// Makes programs of components.
pub struct Compiler {
    /// What nearly all components run on.
    plain: Ground,
    /// What runs components that have streams, futures or async functions. It costs every call some
    /// microseconds, so only those pay that need it.
    concurrent: Ground,
    slots: u32,
}

/// An engine, and what components on it may import.
struct Ground {
    engine: Engine,
    linker: Linker<Call>,
    cache: Option<CodeCache>,
}

/// How many calls the engine for concurrent components can have at once.
const CONCURRENT_SLOTS: u32 = 100;

impl Compiler {
    /// Makes the engines with their pools, and links what services may import.
    pub fn new(settings: &Settings) -> Result<Self, NotStarted> {
        let few = settings.slots.min(CONCURRENT_SLOTS);
        Ok(Self {
            plain: Ground::new(settings, settings.slots, false)?,
            concurrent: Ground::new(settings, few, true)?,
            slots: settings.slots,
        })
    }

    pub(super) fn engines(&self) -> [&Engine; 2] {
        [&self.plain.engine, &self.concurrent.engine]
    }

    pub(super) fn slots(&self) -> usize {
        usize::try_from(self.slots).unwrap_or(usize::MAX)
    }

    /// Compiles a component, or takes its code from the cache, and links it. This takes from a
    /// tenth of a millisecond to several seconds: call it off the async threads.
    pub fn load(&self, wasm: &[u8]) -> Result<Program, NotLoaded> {
        if Engine::detect_precompiled(wasm).is_some() {
            return Err(NotLoaded::Compiled);
        }
        // Behind the magic number and the version stands the layer: 0 for a core module, 1 for a
        // component.
        match wasm.first_chunk::<8>() {
            Some([0, b'a', b's', b'm', _, _, 1, 0]) => {}
            Some([0, b'a', b's', b'm', _, _, 0, 0]) => return Err(NotLoaded::CoreModule),
            None if HEADER.starts_with(wasm) => {
                return Err(NotLoaded::Invalid(format!(
                    "it has only {} bytes",
                    wasm.len()
                )));
            }
            Some(_) | None => return Err(NotLoaded::NotWasm),
        }
        match self.plain.load(wasm) {
            // The plain engine takes a component with a stream in it for an invalid one, and has no
            // WASI 0.3 for it to import.
            Err(cause @ (NotLoaded::Invalid(_) | NotLoaded::Import(_))) => {
                match self.concurrent.load(wasm) {
                    Err(NotLoaded::Invalid(_) | NotLoaded::Import(_)) => Err(cause),
                    other => other,
                }
            }
            other => other,
        }
    }
}

impl Ground {
    fn new(settings: &Settings, slots: u32, concurrent: bool) -> Result<Self, NotStarted> {
        let refused = |cause| NotStarted::Engine { slots, cause };
        let engine = engine::engine(slots, concurrent).map_err(refused)?;
        let linker = imports::linker(&engine, concurrent).map_err(refused)?;
        let open = |path: &PathBuf| {
            CodeCache::open(path, &engine).map_err(|cause| NotStarted::Cache {
                path: path.clone(),
                cause,
            })
        };
        Ok(Self {
            cache: settings.cache.as_ref().map(open).transpose()?,
            linker,
            engine,
        })
    }

    fn load(&self, wasm: &[u8]) -> Result<Program, NotLoaded> {
        let component = match &self.cache {
            Some(cache) => cache.component(&self.engine, wasm),
            None => Component::from_binary(&self.engine, wasm),
        };
        let component = component.map_err(|cause| NotLoaded::Invalid(format!("{cause:#}")))?;
        let pre = self.linker.instantiate_pre(&component).map_err(|cause| {
            let other_version = component
                .component_type()
                .imports(&self.engine)
                .find_map(|(name, _)| provided_instead(name))
                .unwrap_or_default();
            NotLoaded::Import(format!("{cause:#}{other_version}"))
        })?;
        Ok(Program {
            component,
            pre,
            grants: Arc::default(),
        })
    }
}

/// What this host has of a package, for a component that wants another version of it.
fn provided_instead(import: &str) -> Option<String> {
    let (name, version) = import.split_once('@')?;
    [
        ("wasi:", &["0.2.", "0.3."][..]),
        ("cloister:mcp/", &["0.1."]),
    ]
    .into_iter()
    .find(|(package, provided)| {
        name.starts_with(package) && !provided.iter().any(|it| version.starts_with(it))
    })
    .map(|(package, provided)| {
        let package = package.trim_end_matches([':', '/']);
        format!(
            "; this host provides `{package}` in versions {}x",
            provided.join("x and ")
        )
    })
}

/// How every component begins.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// A component that is ready to be called.
#[derive(Clone)]
pub struct Program {
    component: Component,
    pre: InstancePre<Call>,
    grants: Arc<Grants>,
}

/// One function of a [`Program`], looked up once.
#[derive(Clone)]
pub struct Export {
    pub(super) pre: InstancePre<Call>,
    pub(super) index: ComponentExportIndex,
    pub(super) results: usize,
    pub(super) identity: Option<Identity>,
    pub(super) grants: Arc<Grants>,
}

/// Where a function takes the caller's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The index among all parameters.
    pub position: usize,
    /// Whether it is an `option`.
    pub optional: bool,
}

/// Why a file is not a program that this host can run.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded {
    /// Already compiled code, which could be anything.
    #[error(
        "it is compiled code, which this host does not take from files: put the component here instead"
    )]
    Compiled,
    /// A core module.
    #[error(
        "it is a core module, not a component: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Something else altogether.
    #[error("it is not WebAssembly: only components belong in this folder")]
    NotWasm,
    /// A component that does not validate, or one that was cut short.
    #[error("it is not a valid component, or was not copied whole: {0}; build it or copy it again")]
    Invalid(String),
    /// A component that needs what the host does not have.
    #[error("it imports what this host does not provide: {0}")]
    Import(String),
}

impl Program {
    /// The same program, with what it is granted. Without this, that is nothing.
    #[must_use]
    pub fn granted(self, grants: Grants) -> Self {
        Self {
            grants: Arc::new(grants),
            ..self
        }
    }

    /// Looks up a function, in an exported interface by its full name
    /// (`acme:weather/weather@1.0.0`) or, without one, among the exports of the world itself.
    pub fn export(
        &self,
        interface: Option<&str>,
        function: &str,
        identity: Option<Identity>,
    ) -> Option<Export> {
        let instance = match interface {
            Some(interface) => Some(self.component.get_export_index(None, interface)?),
            None => None,
        };
        let (item, index) = self.component.get_export(instance.as_ref(), function)?;
        let ComponentItem::ComponentFunc(function) = item else {
            return None;
        };
        Some(Export {
            pre: self.pre.clone(),
            index,
            results: function.results().len(),
            identity,
            grants: Arc::clone(&self.grants),
        })
    }
}
