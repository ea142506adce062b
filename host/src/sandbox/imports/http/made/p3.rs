//! The checks of `wasi:http` 0.3. A body is a stream there, of which the host copies a chunk when the one
//! before has been taken, and only while its request is under way.

use std::pin::Pin;
use std::task::{Context as Polling, Poll};

use tokio::sync::oneshot;
use wasmtime::component::{
    Access, FutureConsumer, FutureReader, Lift, Linker, Lower, Resource, Source, StreamReader,
};
use wasmtime::{AsContextMut as _, Result, StoreContextMut, format_err};
use wasmtime_wasi_http::p3::Response;
use wasmtime_wasi_http::p3::bindings::http::types::{
    DnsErrorPayload, ErrorCode, FieldSizePayload, Host, HostFields, HostRequest,
    HostRequestWithStore, HostResponse, HostResponseWithStore, Method, Request, RequestOptions,
    Scheme, TlsAlertReceivedPayload,
};
use wasmtime_wasi_http::{FieldMap, WasiHttp, WasiHttpView};

use super::{Context, Done, LONGEST_AUTHORITY, LONGEST_URL, LONGEST_WORD, checks};
use crate::sandbox::store::Call;

const TYPES: &str = "wasi:http/types@0.3.0";

/// The longest text in an error that is passed on. The host keeps it until somebody asks.
const LONGEST_TEXT: usize = 1 << 10;

type Contents = Option<StreamReader<u8>>;
type Trailers = FutureReader<Outcome<Option<Resource<FieldMap>>>>;
type Transmitted = FutureReader<Outcome<()>>;
type Outcome<T> = std::result::Result<T, ErrorCode>;

pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> Result<()> {
    let mut types = linker.instance(TYPES)?;
    checks!(types, "request");
    types.func_wrap(
        "[static]request.new",
        |mut call: Context<'_>,
         (headers, contents, trailers, options): (
            Resource<FieldMap>,
            Contents,
            Trailers,
            Option<Resource<RequestOptions>>,
        )| {
            call.data_mut().make()?;
            let trailers = shortened(&mut call, trailers)?;
            let made = <WasiHttp as HostRequestWithStore<Call>>::new(
                access(&mut call),
                headers,
                contents,
                trailers,
                options,
            )?;
            call.data_mut().keep(&made.0)?;
            Ok((made,))
        },
    )?;
    types.func_wrap(
        "[static]request.consume-body",
        |mut call: Context<'_>, (request, outcome): (Resource<Request>, Transmitted)| {
            let outcome = shortened(&mut call, outcome)?;
            let body = <WasiHttp as HostRequestWithStore<Call>>::consume_body(
                access(&mut call),
                request,
                outcome,
            )?;
            Ok((body,))
        },
    )?;
    types.func_wrap(
        "[method]request.get-headers",
        |mut call: Context<'_>, (request,): (Resource<Request>,)| {
            let made = HostRequest::get_headers(&mut call.data_mut().http(), request)?;
            call.data_mut().keep(&made)?;
            Ok((made,))
        },
    )?;
    types.func_wrap(
        "[static]response.new",
        |mut call: Context<'_>,
         (headers, contents, trailers): (Resource<FieldMap>, Contents, Trailers)| {
            call.data_mut().make()?;
            let trailers = shortened(&mut call, trailers)?;
            let made = <WasiHttp as HostResponseWithStore<Call>>::new(
                access(&mut call),
                headers,
                contents,
                trailers,
            )?;
            call.data_mut().keep(&made.0)?;
            Ok((made,))
        },
    )?;
    types.func_wrap(
        "[static]response.consume-body",
        |mut call: Context<'_>, (response, outcome): (Resource<Response>, Transmitted)| {
            let outcome = shortened(&mut call, outcome)?;
            let body = <WasiHttp as HostResponseWithStore<Call>>::consume_body(
                access(&mut call),
                response,
                outcome,
            )?;
            Ok((body,))
        },
    )?;
    types.func_wrap(
        "[method]response.get-headers",
        |mut call: Context<'_>, (response,): (Resource<Response>,)| {
            let made = HostResponse::get_headers(&mut call.data_mut().http(), response)?;
            call.data_mut().keep(&made)?;
            Ok((made,))
        },
    )?;
    Ok(())
}

/// A call, as the bindings of what makes streams and futures take it.
fn access<'a>(call: &'a mut Context<'_>) -> Access<'a, Call, WasiHttp> {
    Access::new(call.as_context_mut(), |call| call.http())
}

/// The same future, with an error that takes little.
fn shortened<T>(
    call: &mut Context<'_>,
    future: FutureReader<Outcome<T>>,
) -> Result<FutureReader<Outcome<T>>>
where
    T: Lift + Lower + Send + Sync + 'static,
    Outcome<T>: Lift + Lower,
{
    let (sender, receiver) = oneshot::channel();
    future.pipe(&mut *call, Shortening(Some(sender)))?;
    FutureReader::new(call, async move {
        receiver
            .await
            .map_err(|_gone| format_err!("a future of `wasi:http` ended without a value"))
    })
}

/// Takes the value of a future, and passes it on.
struct Shortening<T>(Option<oneshot::Sender<Outcome<T>>>);

impl<T> FutureConsumer<Call> for Shortening<T>
where
    T: Send + 'static,
    Outcome<T>: Lift,
{
    type Item = Outcome<T>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _polling: &mut Polling<'_>,
        store: StoreContextMut<'_, Call>,
        mut source: Source<'_, Self::Item>,
        _finish: bool,
    ) -> Poll<Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        if let (Some(value), Some(sender)) = (value, self.0.take()) {
            // Nobody may be left who waits for it.
            let _unasked = sender.send(value.map_err(short));
        }
        Poll::Ready(Ok(()))
    }
}

/// What is told of an error: all but a text that is too long.
fn short(code: ErrorCode) -> ErrorCode {
    let (ErrorCode::DnsError(DnsErrorPayload { rcode: text, .. })
    | ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
        alert_message: text,
        ..
    })
    | ErrorCode::HttpRequestHeaderSize(Some(FieldSizePayload {
        field_name: text, ..
    }))
    | ErrorCode::HttpRequestTrailerSize(FieldSizePayload {
        field_name: text, ..
    })
    | ErrorCode::HttpResponseHeaderSize(FieldSizePayload {
        field_name: text, ..
    })
    | ErrorCode::HttpResponseTrailerSize(FieldSizePayload {
        field_name: text, ..
    })
    | ErrorCode::HttpResponseTransferCoding(text)
    | ErrorCode::HttpResponseContentCoding(text)
    | ErrorCode::InternalError(text)) = &code
    else {
        return code;
    };
    let is_long = text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT);
    if is_long {
        ErrorCode::InternalError(None)
    } else {
        code
    }
}
