//! `wasi:sockets`, of which no service has any: a connection past `wasi:http` would be past its checks. None is
//! made, and the log is told where to look instead.

use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, Network};
use wasmtime_wasi::p2::{self, TcpSocket, UdpSocket};
use wasmtime_wasi::p3::bindings::sockets as concurrent;

use crate::sandbox::capability::no_sockets;
use crate::sandbox::store::Call;

type Context<'a> = StoreContextMut<'a, Call>;
type Refused<T, E = ErrorCode> = (std::result::Result<T, E>,);

/// Links it. On an engine for `concurrent` components there is 0.3 beside 0.2.
pub(super) fn add_to_linker(linker: &mut Linker<Call>, concurrent: bool) -> Result<()> {
    linker.allow_shadowing(true);
    linker
        .instance("wasi:sockets/tcp-create-socket@0.2.12")?
        .func_wrap(
            "create-tcp-socket",
            |call: Context<'_>, (_family,): (IpAddressFamily,)| {
                call.data().refuse_socket();
                Ok::<Refused<Resource<TcpSocket>>, _>((Err(ErrorCode::AccessDenied),))
            },
        )?;
    linker
        .instance("wasi:sockets/udp-create-socket@0.2.12")?
        .func_wrap(
            "create-udp-socket",
            |call: Context<'_>, (_family,): (IpAddressFamily,)| {
                call.data().refuse_socket();
                Ok::<Refused<Resource<UdpSocket>>, _>((Err(ErrorCode::AccessDenied),))
            },
        )?;
    linker
        .instance("wasi:sockets/ip-name-lookup@0.2.12")?
        .func_wrap(
            "resolve-addresses",
            |call: Context<'_>, (_network, _name): (Resource<Network>, String)| {
                call.data().refuse_socket();
                Ok::<
                    Refused<Resource<p2::bindings::sockets::ip_name_lookup::ResolveAddressStream>>,
                    _,
                >((Err(ErrorCode::AccessDenied),))
            },
        )?;
    if concurrent {
        use concurrent::types::{ErrorCode, IpAddressFamily};
        let mut types = linker.instance("wasi:sockets/types@0.3.0")?;
        types.func_wrap(
            "[static]tcp-socket.create",
            |call: Context<'_>, (_family,): (IpAddressFamily,)| {
                call.data().refuse_socket();
                Ok::<Refused<Resource<concurrent::types::TcpSocket>, ErrorCode>, _>((Err(
                    ErrorCode::AccessDenied,
                ),))
            },
        )?;
        types.func_wrap(
            "[static]udp-socket.create",
            |call: Context<'_>, (_family,): (IpAddressFamily,)| {
                call.data().refuse_socket();
                Ok::<Refused<Resource<concurrent::types::UdpSocket>, ErrorCode>, _>((Err(
                    ErrorCode::AccessDenied,
                ),))
            },
        )?;
        linker
            .instance("wasi:sockets/ip-name-lookup@0.3.0")?
            .func_wrap_concurrent(
                "resolve-addresses",
                |call: &Accessor<Call>, (_name,): (String,)| {
                    use concurrent::ip_name_lookup::{ErrorCode, IpAddress};
                    call.with(|mut call| call.get().refuse_socket());
                    Box::pin(async {
                        Ok::<Refused<Vec<IpAddress>, ErrorCode>, _>((Err(ErrorCode::AccessDenied),))
                    })
                },
            )?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

impl Call {
    fn refuse_socket(&self) {
        self.refuse(no_sockets);
    }
}
