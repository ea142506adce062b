//! What a service may ask for that not every service has: the imports that ask, and the line of a manifest
//! that grants it, in words that refusals and `cloister inspect` share.

use std::collections::BTreeSet;

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// What a service has only as far as its operator grants it, each by a table of its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// To look after the sign-ins of its callers.
    Sessions,
    /// Requests over HTTP.
    Http,
    /// Variables of its environment.
    Env,
    /// Secrets that its callers have for themselves.
    Secrets,
    /// Values of `wasi:config`.
    Config,
    /// Folders of the machine.
    Files,
    /// Buckets of values by key.
    Store,
}

impl Capability {
    /// All of them, in the order of a manifest: first what stands before all tables.
    pub const ALL: [Self; 7] = [
        Self::Sessions,
        Self::Http,
        Self::Env,
        Self::Secrets,
        Self::Config,
        Self::Files,
        Self::Store,
    ];

    /// The table of a manifest that grants it; none is granted before all tables.
    pub fn table(self) -> Option<&'static str> {
        match self {
            Self::Sessions => None,
            Self::Http => Some("http"),
            Self::Env => Some("env"),
            Self::Secrets => Some("secrets"),
            Self::Config => Some("config"),
            Self::Files => Some("files"),
            Self::Store => Some("store"),
        }
    }

    /// The line of that table that grants it by this name, which is written as in TOML.
    fn line_for(self, name: &str) -> String {
        match self {
            Self::Sessions => "sessions = true".to_owned(),
            Self::Http => format!("allow = [{name}]"),
            Self::Env | Self::Config => format!("{name} = \"value\""),
            Self::Secrets => {
                format!("{name} = {{ user = \"its name in their private metadata\" }}")
            }
            Self::Files => format!("{name} = {{ path = \"…\" }}"),
            Self::Store => format!("{name} = {{ scope = \"user\" }}"),
        }
    }

    /// The line of that table that grants it by some name.
    pub fn line(self) -> String {
        self.line_for(match self {
            Self::Sessions => "",
            Self::Http => "\"https://api.example.com\"",
            Self::Env | Self::Secrets => "NAME",
            Self::Config => "name",
            Self::Files => "\"/data\"",
            Self::Store => "default",
        })
    }

    /// In which file, under what and by which line the operator grants it: by some name.
    pub fn place(self, service: &str) -> String {
        self.at(service, &self.line())
    }

    /// The same, by this name, which is written as in TOML.
    pub(super) fn place_for(self, service: &str, name: &str) -> String {
        self.at(service, &self.line_for(name))
    }

    fn at(self, service: &str, line: &str) -> String {
        match self.table() {
            Some(table) => format!("in `mcp/{service}.toml`, under `[{table}]`: {line}"),
            None => format!("in `mcp/{service}.toml`: {line}"),
        }
    }

    /// Whether there are toolchains that have every program ask for it. Those of interpreters import all
    /// that may be needed, and most of the others the environment.
    pub fn comes_with_toolchains(self) -> bool {
        match self {
            Self::Http | Self::Env | Self::Secrets | Self::Files => true,
            Self::Sessions | Self::Config | Self::Store => false,
        }
    }
}

/// Where a service that wants sockets is to look instead. It begins a text.
pub fn no_sockets(service: &str) -> String {
    format!(
        "no service has sockets of its own; it may send requests over `wasi:http`, to the origins that the operator grants {}",
        Capability::Http.place(service)
    )
}

/// What a component may ask for, by its imports: it cannot do anything with what it does not import, and
/// need not do anything with what it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// What the operator may grant it.
    pub capabilities: BTreeSet<Capability>,
    /// Sockets, which nobody is granted.
    pub sockets: bool,
    /// Answers of its callers, their models and programs, which are theirs to give.
    pub answers: bool,
}

impl Asks {
    pub(super) fn of(component: &Component) -> Self {
        let engine = component.engine();
        let mut asks = Self::default();
        for (name, import) in component.component_type().imports(engine) {
            let ComponentItem::ComponentInstance(interface) = import.ty else {
                continue;
            };
            // A version that means something else is not linked.
            let name = name.split_once('@').map_or(name, |(name, _version)| name);
            for (function, item) in interface.exports(engine) {
                if matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                    asks.note(name, function);
                }
            }
        }
        asks
    }

    /// Notes what a function gives to those who call it. Without it, the rest of its interface is of no use:
    /// there is no folder to open files in, and no bucket to read from.
    fn note(&mut self, interface: &str, function: &str) {
        let capability = match (interface, function) {
            ("cloister:mcp/session", "info") => return,
            ("cloister:mcp/session", _) => Capability::Sessions,
            ("cloister:mcp/auth", "[method]auth-user.secret") => Capability::Secrets,
            ("wasi:http/outgoing-handler", "handle") | ("wasi:http/client", "send") => {
                Capability::Http
            }
            ("wasi:cli/environment", "get-environment") => Capability::Env,
            ("wasi:config/store", _) => Capability::Config,
            ("wasi:filesystem/preopens", "get-directories") => Capability::Files,
            ("wasi:keyvalue/store", "open") => Capability::Store,
            (
                "wasi:sockets/tcp-create-socket"
                | "wasi:sockets/udp-create-socket"
                | "wasi:sockets/ip-name-lookup",
                _,
            )
            | ("wasi:sockets/types", "[static]tcp-socket.create" | "[static]udp-socket.create") => {
                self.sockets = true;
                return;
            }
            ("cloister:mcp/client", "ask" | "elicit" | "visit" | "sample" | "list-roots") => {
                self.answers = true;
                return;
            }
            _ => return,
        };
        self.capabilities.insert(capability);
    }
}
