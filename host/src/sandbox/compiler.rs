//! From the bytes of a component to a program: compiled, or its code taken from the cache, and linked.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::capacity::Capacity;
use super::code_cache::{Code, CodeCache, Kept};
use super::engine::{Kind, engine};
use super::machine::Machine;
use super::program::{NotLoaded, Program};
use super::store::Call;
use super::turns::Manners;
use super::{NotStarted, Settings, imports};

/// The memory from which on a component is a large one: it comes with an interpreter.
const LARGE: u64 = 4 << 20;

/// What a page of memory has.
const PAGE: u64 = 64 << 10;

/// How every component begins.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// Makes programs of components.
pub struct Compiler {
    small: Ground,
    large: Ground,
    concurrent: Option<Ground>,
    capacity: Capacity,
    /// What lies in the cache that all of them share, if there is one.
    code: Option<Kept>,
}

/// An engine, what components on it may import, and where their code is kept.
struct Ground {
    kind: Kind,
    engine: Engine,
    linker: Linker<Call>,
    cache: Option<CodeCache>,
}

/// Why compiled code is no program on an engine.
enum Misfit {
    /// It takes more than a slot has.
    TooLarge(String),
    NotLoaded(NotLoaded),
}

impl Compiler {
    /// Makes the engines with their pools, as large as the machine bears, and links what services may
    /// import.
    pub fn new(settings: &Settings) -> Result<Self, NotStarted> {
        let capacity = Capacity::of(Machine::look(), settings)?;
        Self::with(capacity, settings)
    }

    /// One that looks at components, and has no room for calls.
    pub fn for_inspection() -> Result<Self, NotStarted> {
        Self::with(Capacity::none(), &Settings::default())
    }

    fn with(capacity: Capacity, settings: &Settings) -> Result<Self, NotStarted> {
        let code = Kept::default();
        let ground = |kind| Ground::new(kind, &capacity, settings, &code);
        let concurrent = settings.concurrent.then(|| ground(Kind::Concurrent));
        Ok(Self {
            small: ground(Kind::Small)?,
            large: ground(Kind::Large)?,
            concurrent: concurrent.transpose()?,
            capacity,
            code: settings.cache.is_some().then_some(code),
        })
    }

    pub(super) fn code(&self) -> Option<&Kept> {
        self.code.as_ref()
    }

    /// How many calls there may be, and what they have.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    pub(super) fn engines(&self) -> impl Iterator<Item = &Engine> {
        let grounds = [
            Some(&self.small),
            Some(&self.large),
            self.concurrent.as_ref(),
        ];
        grounds.into_iter().flatten().map(|ground| &ground.engine)
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
        match self.load_synchronous(wasm) {
            // The other engines take a component with a stream in it for an invalid one, and have no
            // WASI 0.3 for it to import.
            Err(cause @ (NotLoaded::Invalid(_) | NotLoaded::Import(_))) => {
                let Some(concurrent) = &self.concurrent else {
                    return Err(if cause.speaks_of_async() {
                        NotLoaded::Asynchronous
                    } else {
                        cause
                    });
                };
                match concurrent.load(wasm) {
                    Err(NotLoaded::Invalid(_) | NotLoaded::Import(_)) => Err(cause),
                    other => other,
                }
            }
            other => other,
        }
    }

    /// On the engine for small components if it is one, and otherwise on that for large ones. The code is
    /// the same.
    fn load_synchronous(&self, wasm: &[u8]) -> Result<Program, NotLoaded> {
        let code = self.small.compile(wasm)?;
        match self.small.link(&code) {
            Ok(program) if !is_large(&program.component) => Ok(program),
            Ok(_) | Err(Misfit::TooLarge(_)) => self.large.link(&code).map_err(Misfit::at_last),
            Err(Misfit::NotLoaded(cause)) => Err(cause),
        }
    }
}

impl Ground {
    fn new(
        kind: Kind,
        capacity: &Capacity,
        settings: &Settings,
        kept: &Kept,
    ) -> Result<Self, NotStarted> {
        let slots = u32::try_from(capacity.bounds(kind).stores()).unwrap_or(u32::MAX);
        let refused = |cause| NotStarted::Engine { slots, cause };
        let engine = engine(kind, slots, capacity.stack).map_err(refused)?;
        let linker = imports::linker(&engine, kind == Kind::Concurrent).map_err(refused)?;
        let open = |path: &PathBuf| {
            CodeCache::open(path, &engine, kept).map_err(|cause| NotStarted::Cache {
                path: path.clone(),
                cause,
            })
        };
        Ok(Self {
            cache: settings.cache.as_ref().map(open).transpose()?,
            kind,
            linker,
            engine,
        })
    }

    fn load(&self, wasm: &[u8]) -> Result<Program, NotLoaded> {
        let code = self.compile(wasm)?;
        self.link(&code).map_err(Misfit::at_last)
    }

    fn compile(&self, wasm: &[u8]) -> Result<Code, NotLoaded> {
        let code = match &self.cache {
            Some(cache) => cache.code(&self.engine, wasm),
            None => self.engine.precompile_component(wasm).map(Code::Bytes),
        };
        code.map_err(|cause| NotLoaded::Invalid(format!("{cause:#}")))
    }

    fn link(&self, code: &Code) -> Result<Program, Misfit> {
        let component = code.load(&self.engine).map_err(|cause| {
            let text = format!("{cause:#}");
            // The engine has no type for this.
            if text.contains("pooling allocator") || text.contains("exceeds the limit of") {
                Misfit::TooLarge(text)
            } else {
                Misfit::NotLoaded(NotLoaded::Invalid(text))
            }
        })?;
        let pre = self.linker.instantiate_pre(&component).map_err(|cause| {
            let other_version = component
                .component_type()
                .imports(&self.engine)
                .find_map(|(name, _)| provided_instead(name))
                .unwrap_or_default();
            Misfit::NotLoaded(NotLoaded::Import(format!("{cause:#}{other_version}")))
        })?;
        Ok(Program {
            kind: self.kind,
            component,
            pre,
            grants: Arc::default(),
            manners: Manners::default(),
        })
    }
}

impl Misfit {
    /// Where no other engine has more.
    fn at_last(self) -> NotLoaded {
        match self {
            Self::TooLarge(cause) => NotLoaded::TooLarge(cause),
            Self::NotLoaded(cause) => cause,
        }
    }
}

impl NotLoaded {
    fn speaks_of_async(&self) -> bool {
        match self {
            Self::Invalid(text) => text.contains("async"),
            Self::Import(text) => text.contains("@0.3."),
            Self::Compiled
            | Self::CoreModule
            | Self::NotWasm
            | Self::TooLarge(_)
            | Self::Asynchronous => false,
        }
    }
}

/// Whether its memories are large from the first moment on.
fn is_large(component: &Component) -> bool {
    let needed = component.resources_required();
    let largest = needed.and_then(|needed| needed.max_initial_memory_size);
    largest.is_some_and(|pages| pages.saturating_mul(PAGE) > LARGE)
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
