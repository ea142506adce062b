//! `wasi:config`: the values that the manifest has for the service.

use std::sync::LazyLock;

use wasmtime::Result;
use wasmtime::component::Linker;
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};

use crate::sandbox::capability::Capability;
use crate::sandbox::store::Call;

/// Links it.
pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, values)
}

/// What the service is given. It is no error to ask for a value that is not there, so a service that has
/// none at all sees that they are absent, and the log says why.
fn values(call: &mut Call) -> WasiConfig<'_> {
    static NONE: LazyLock<WasiConfigVariables> = LazyLock::new(WasiConfigVariables::new);
    let granted = call.grants.config.0.as_deref();
    if granted.is_none() {
        call.refuse(|service| {
            format!(
                "it is given no configuration; the operator gives it values {}",
                Capability::Config.place(service)
            )
        });
    }
    WasiConfig::new(granted.unwrap_or(&NONE))
}
