//! What a guest makes of requests before any is sent, in memory of the host. The bindings bound headers and
//! paths; here are bounds for the rest, and the count of all of it.

mod p2;
mod p3;

use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};

use super::ledger::UNDER_WAY;
use super::{CHUNK, FIELDS, HEADERS, LONGEST_URL};
use crate::sandbox::failure::{HostFull, TooManyMade};
use crate::sandbox::store::Call;

/// The longest name of a method, and of a scheme.
const LONGEST_WORD: usize = 64;

/// The longest authority: a name (RFC 1035 §2.3.4), a user and a port.
const LONGEST_AUTHORITY: usize = 300;

/// What the host may have for each thing that is made here: a body has a chunk that waits to be taken, and
/// one that is being written.
const KEPT: usize = FIELDS + LONGEST_URL + 2 * CHUNK;

// It may be the headers of an answer, which a guest can have copied.
const _: () = assert!(HEADERS <= KEPT);

/// How many requests and responses of WASI 0.3 a call may make. The host has streams and futures that belong
/// to them, and a guest that hands one of its own futures to another may leave them without a handle.
pub(in crate::sandbox) const MOST_MADE: usize = 1_000;

type Context<'a> = StoreContextMut<'a, Call>;
type Done = std::result::Result<(), ()>;

/// Puts these checks in the place of what they are before, in both versions if the linker has both.
pub(super) fn add_to_linker(linker: &mut Linker<Call>, concurrent: bool) -> Result<()> {
    linker.allow_shadowing(true);
    p2::add_to_linker(linker)?;
    if concurrent {
        p3::add_to_linker(linker)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// The checks of what is the same in all versions but for the types of their bindings, which are those
/// where this stands.
macro_rules! checks {
    ($types:ident, $request:literal) => {
        $types.func_wrap(
            concat!("[method]", $request, ".set-method"),
            |mut call: Context<'_>, (request, method): (Resource<Request>, Method)| {
                if matches!(&method, Method::Other(name) if name.len() > LONGEST_WORD) {
                    return Ok((Done::Err(()),));
                }
                Ok((call.data_mut().http().set_method(request, method)?,))
            },
        )?;
        $types.func_wrap(
            concat!("[method]", $request, ".set-scheme"),
            |mut call: Context<'_>, (request, scheme): (Resource<Request>, Option<Scheme>)| {
                if matches!(&scheme, Some(Scheme::Other(name)) if name.len() > LONGEST_WORD) {
                    return Ok((Done::Err(()),));
                }
                Ok((call.data_mut().http().set_scheme(request, scheme)?,))
            },
        )?;
        $types.func_wrap(
            concat!("[method]", $request, ".set-authority"),
            |mut call: Context<'_>, (request, text): (Resource<Request>, Option<String>)| {
                if text
                    .as_ref()
                    .is_some_and(|text| text.len() > LONGEST_AUTHORITY)
                {
                    return Ok((Done::Err(()),));
                }
                Ok((call.data_mut().http().set_authority(request, text)?,))
            },
        )?;
        $types.func_wrap(
            concat!("[method]", $request, ".set-path-with-query"),
            |mut call: Context<'_>, (request, text): (Resource<Request>, Option<String>)| {
                if text.as_ref().is_some_and(|text| text.len() > LONGEST_URL) {
                    return Ok((Done::Err(()),));
                }
                Ok((call.data_mut().http().set_path_with_query(request, text)?,))
            },
        )?;
        $types.func_wrap("[constructor]fields", |mut call: Context<'_>, (): ()| {
            let made = HostFields::new(&mut call.data_mut().http())?;
            call.data_mut().keep(&made)?;
            Ok((made,))
        })?;
        $types.func_wrap(
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
        $types.func_wrap(
            "[method]fields.clone",
            |mut call: Context<'_>, (fields,): (Resource<FieldMap>,)| {
                let made = HostFields::clone(&mut call.data_mut().http(), fields)?;
                call.data_mut().keep(&made)?;
                Ok((made,))
            },
        )?;
    };
}
use checks;

impl Call {
    /// Takes memory for what was made, unless what was there before had as much. Numbers of handles are used
    /// again, so the highest says how many there were at once.
    fn keep<T: 'static>(&mut self, made: &Resource<T>) -> Result<()> {
        let handles = usize::try_from(made.rep())
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let more = handles.saturating_sub(self.http.handles);
        self.take(more)?;
        self.http.handles = self.http.handles.max(handles);
        Ok(())
    }

    /// Counts one more request or response of WASI 0.3, unless there are too many. A request that is under
    /// way has no handle any more, so there is memory for as many as may be.
    fn make(&mut self) -> Result<()> {
        if self.http.made >= MOST_MADE {
            return Err(TooManyMade.into());
        }
        self.http.made = self.http.made.saturating_add(1);
        self.take(usize::from(self.http.made <= UNDER_WAY))
    }

    fn take(&mut self, things: usize) -> Result<()> {
        if self.meter.take(things.saturating_mul(KEPT)) {
            Ok(())
        } else {
            Err(HostFull.into())
        }
    }
}
