//! What a guest makes of requests before any is sent, in memory of the host. The bindings bound headers and
//! paths; here are bounds for the rest, and the count of all of it.

use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p2::bindings::http::types::{
    Host, HostFields, HostOutgoingRequest, Method, OutgoingRequest, Scheme,
};
use wasmtime_wasi_http::{FieldMap, WasiHttpView};

use super::{CHUNK, FIELDS, LONGEST_URL};
use crate::sandbox::failure::HostFull;
use crate::sandbox::store::Call;

const TYPES: &str = "wasi:http/types@0.2.12";

/// The longest name of a method, and of a scheme.
const LONGEST_WORD: usize = 64;

/// The longest authority: a name (RFC 1035 §2.3.4), a user and a port.
const LONGEST_AUTHORITY: usize = 300;

/// What the host may have for each thing that is made here: a body has a chunk that waits to be taken, and
/// one that is being written.
const KEPT: usize = FIELDS + LONGEST_URL + 2 * CHUNK;

type Done = std::result::Result<(), ()>;

/// Puts these checks in the place of what they are before.
pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut call: Context<'_>, (request, method): (Resource<OutgoingRequest>, Method)| {
            if matches!(&method, Method::Other(name) if name.len() > LONGEST_WORD) {
                return Ok((Done::Err(()),));
            }
            Ok((call.data_mut().http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-scheme",
        |mut call: Context<'_>, (request, scheme): (Resource<OutgoingRequest>, Option<Scheme>)| {
            if matches!(&scheme, Some(Scheme::Other(name)) if name.len() > LONGEST_WORD) {
                return Ok((Done::Err(()),));
            }
            Ok((call.data_mut().http().set_scheme(request, scheme)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut call: Context<'_>, (request, text): (Resource<OutgoingRequest>, Option<String>)| {
            if text
                .as_ref()
                .is_some_and(|text| text.len() > LONGEST_AUTHORITY)
            {
                return Ok((Done::Err(()),));
            }
            Ok((call.data_mut().http().set_authority(request, text)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut call: Context<'_>, (request, text): (Resource<OutgoingRequest>, Option<String>)| {
            if text.as_ref().is_some_and(|text| text.len() > LONGEST_URL) {
                return Ok((Done::Err(()),));
            }
            Ok((call.data_mut().http().set_path_with_query(request, text)?,))
        },
    )?;
    types.func_wrap("[constructor]fields", |mut call: Context<'_>, (): ()| {
        let made = HostFields::new(&mut call.data_mut().http())?;
        call.data_mut().keep(&made)?;
        Ok((made,))
    })?;
    types.func_wrap(
        "[static]fields.from-list",
        |mut call: Context<'_>, (entries,): (Vec<(String, Vec<u8>)>,)| {
            let made = HostFields::from_list(&mut call.data_mut().http(), entries);
            let made = match made {
                Ok(made) => made,
                Err(refused) => {
                    let mut http = call.data_mut().http();
                    return Ok((Err(Host::convert_header_error(&mut http, refused)?),));
                }
            };
            call.data_mut().keep(&made)?;
            Ok((Ok(made),))
        },
    )?;
    types.func_wrap(
        "[method]fields.clone",
        |mut call: Context<'_>, (fields,): (Resource<FieldMap>,)| {
            let made = HostFields::clone(&mut call.data_mut().http(), fields)?;
            call.data_mut().keep(&made)?;
            Ok((made,))
        },
    )?;
    types.func_wrap(
        "[constructor]outgoing-request",
        |mut call: Context<'_>, (headers,): (Resource<FieldMap>,)| {
            let made = HostOutgoingRequest::new(&mut call.data_mut().http(), headers)?;
            call.data_mut().keep(&made)?;
            Ok((made,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.body",
        |mut call: Context<'_>, (request,): (Resource<OutgoingRequest>,)| {
            let made = call.data_mut().http().body(request)?;
            if let Ok(body) = &made {
                call.data_mut().keep(body)?;
            }
            Ok((made,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

type Context<'a> = StoreContextMut<'a, Call>;

impl Call {
    /// Takes memory for what was made, unless what was there before had as much. Numbers of handles are used
    /// again, so the highest says how many there were at once.
    fn keep<T: 'static>(&mut self, made: &Resource<T>) -> Result<()> {
        let handles = usize::try_from(made.rep())
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let more = handles.saturating_sub(self.http.handles);
        if !self.meter.take(more.saturating_mul(KEPT)) {
            return Err(HostFull.into());
        }
        self.http.handles = self.http.handles.max(handles);
        Ok(())
    }
}
