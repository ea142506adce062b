//! `wasi:config`: the values that the manifest has for the service.

use wasmtime::Result;
use wasmtime::component::Linker;
use wasmtime_wasi_config::WasiConfig;

use crate::sandbox::store::Call;

/// Links it.
pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, |call| WasiConfig::new(&call.grants.config.0))
}
