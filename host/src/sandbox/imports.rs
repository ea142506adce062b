//! What a guest may import, one capability per file. Everything is linked for everybody: an import
//! that is linked is not yet granted, and what is not granted is refused when it is used.

mod announcements;
pub(super) mod auth;
mod client;
mod config;
pub(super) mod files;
pub(super) mod http;
pub(super) mod keyvalue;
mod session;
mod sockets;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Result};

use super::bindings::cloister::mcp;
use super::store::Call;

/// A linker that has all of them. What is behind WASI depends on the grants of each call: by default no
/// files, no environment, no network. On an engine for concurrent components there is WASI 0.3 beside 0.2.
pub(super) fn linker(engine: &Engine, concurrent: bool) -> Result<Linker<Call>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    http::add_to_linker(&mut linker, concurrent)?;
    if concurrent {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    }
    files::add_to_linker(&mut linker, concurrent)?;
    sockets::add_to_linker(&mut linker, concurrent)?;
    config::add_to_linker(&mut linker)?;
    keyvalue::add_to_linker(&mut linker)?;
    mcp::auth::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    mcp::client::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    mcp::content::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    mcp::prompts::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    mcp::resources::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    mcp::session::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    mcp::tools::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
    Ok(linker)
}
