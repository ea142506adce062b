//! The checks of `wasi:http` 0.2.

use wasmtime::Result;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{
    Host, HostFields, HostIncomingResponse, HostOutgoingRequest, IncomingResponse, Method,
    OutgoingRequest as Request, Scheme,
};
use wasmtime_wasi_http::{FieldMap, WasiHttpView};

use super::{Context, Done, LONGEST_AUTHORITY, LONGEST_URL, LONGEST_WORD, checks};
use crate::sandbox::store::Call;

const TYPES: &str = "wasi:http/types@0.2.12";

pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> Result<()> {
    let mut types = linker.instance(TYPES)?;
    checks!(types, "outgoing-request");
    types.func_wrap(
        "[constructor]outgoing-request",
        |mut call: Context<'_>, (headers,): (Resource<FieldMap>,)| {
            let made = HostOutgoingRequest::new(&mut call.data_mut().http(), headers)?;
            call.data_mut().keep(&made)?;
            Ok((made,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.headers",
        |mut call: Context<'_>, (request,): (Resource<Request>,)| {
            let made = HostOutgoingRequest::headers(&mut call.data_mut().http(), request)?;
            call.data_mut().keep(&made)?;
            Ok((made,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.body",
        |mut call: Context<'_>, (request,): (Resource<Request>,)| {
            let made = call.data_mut().http().body(request)?;
            if let Ok(body) = &made {
                call.data_mut().keep(body)?;
            }
            Ok((made,))
        },
    )?;
    types.func_wrap(
        "[method]incoming-response.headers",
        |mut call: Context<'_>, (response,): (Resource<IncomingResponse>,)| {
            let made = HostIncomingResponse::headers(&mut call.data_mut().http(), response)?;
            call.data_mut().keep(&made)?;
            Ok((made,))
        },
    )?;
    Ok(())
}
