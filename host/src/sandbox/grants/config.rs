//! Values that a service has by name, in `wasi:config`.

use std::sync::Arc;

use wasmtime_wasi_config::WasiConfigVariables;

/// The values of a service by their names, if the operator grants it any. They may hold secrets.
#[derive(Clone, Default)]
pub struct ConfigValues(pub(in crate::sandbox) Option<Arc<WasiConfigVariables>>);

impl FromIterator<(String, String)> for ConfigValues {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        Self(Some(Arc::new(values.into_iter().collect())))
    }
}
