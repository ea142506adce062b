//! What a component exports that is not its author's, and components that are made for other hosts.

use wit_parser::{Function, Interface};

/// Whether a toolchain, or the way a component is run elsewhere, accounts for an interface.
pub(super) fn is_leftover_interface(name: &str, interface: &Interface) -> bool {
    let (_, tail) = name.split_once('/').unwrap_or_default();
    let tail = tail.split_once('@').map_or(tail, |(tail, _version)| tail);
    name.starts_with("wasi:")
        || tail == "incoming-handler"
        || (name == "exports" && interface.functions.keys().eq(["init"]))
}

/// The `init` that a JavaScript toolchain leaves at the root, known by its parameters.
pub(super) fn is_leftover_function(function: &Function) -> bool {
    function.name == "init"
        && function.params.iter().map(|param| &*param.name).eq([
            "shim",
            "script",
            "entry-path",
            "disable-gc",
        ])
}

/// Whether an interface is one through which another host calls its tools, in whatever version.
pub(super) fn is_of_another_host(name: &str) -> bool {
    name.starts_with("act:tools/") || name.starts_with("wasmcp:")
}
