//! A component, compiled and linked: what is made once, so that a call only has to instantiate.

use std::sync::Arc;

use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use super::capability::Asks;
use super::crossing::Crossing;
use super::engine::Kind;
use super::grants::Grants;
use super::store::Call;
use super::turns::Manners;

/// A component that is ready to be called.
#[derive(Clone)]
pub struct Program {
    pub(super) kind: Kind,
    pub(super) component: Component,
    pub(super) pre: InstancePre<Call>,
    pub(super) grants: Arc<Grants>,
    pub(super) manners: Manners,
}

/// One function of a [`Program`], looked up once.
#[derive(Clone)]
pub struct Export {
    pub(super) kind: Kind,
    pub(super) pre: InstancePre<Call>,
    pub(super) index: ComponentExportIndex,
    pub(super) results: usize,
    pub(super) is_async: bool,
    pub(super) crossing: Crossing,
    pub(super) identity: Option<Identity>,
    pub(super) grants: Arc<Grants>,
    pub(super) manners: Manners,
}

impl Export {
    /// Whether other folders stand where those were that it is granted. Blocks.
    pub fn folders_are_replaced(&self) -> bool {
        self.grants.files.are_replaced()
    }
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
    /// A component that takes more for a call than any may.
    #[error("it needs more for each call than this host has for one: {0}")]
    TooLarge(String),
    /// A component with asynchronous functions, where those are not served.
    #[error(
        "it is asynchronous, and this host does not serve such components: `async = true` in `cloister.toml` would"
    )]
    Asynchronous,
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

    /// What it may ask for beyond what every service has.
    pub fn asks(&self) -> Asks {
        Asks::of(&self.component)
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
        let results: Vec<Type> = function.results().collect();
        Some(Export {
            kind: self.kind,
            pre: self.pre.clone(),
            index,
            results: results.len(),
            is_async: function.async_(),
            crossing: Crossing::of(&results),
            identity,
            grants: Arc::clone(&self.grants),
            manners: self.manners.clone(),
        })
    }
}
