//! `wasi:http`, outgoing: requests to the origins that the operator grants, and to no other.

mod body;
mod ledger;
pub(in crate::sandbox) mod made;

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONNECTION, TE, TRAILER};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use reqwest::{Body, Request};
use url::Url;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
};

use self::body::{Received, Sent};
use self::ledger::{Ledger, UnderWay};
use crate::sandbox::grants::{CONNECT, Grants, HEADERS, Http, Origin, Prohibited, Unresolved};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::store::Call;
use crate::sandbox::usage::Usage;

/// What the headers of one message that a guest makes may take, in bytes. A guest may keep many.
const FIELDS: usize = 32 << 10;

/// What a guest may write at once of a body that nobody takes. A guest may keep many of these, too.
const CHUNK: usize = 64 << 10;

/// The longest URL.
const LONGEST_URL: usize = 16 << 10;

/// `wasi:http` in one call.
pub(in crate::sandbox) struct Outgoing {
    settings: WasiHttpCtx,
    hooks: Hooks,
    /// How many handles the call has had at once for which the host may keep what a guest makes.
    handles: usize,
    /// How many requests and responses it has made that have streams and futures of the host.
    made: usize,
}

/// Links it: version 0.2, and on an engine for concurrent components 0.3 beside it, whose requests go the
/// same way.
pub(super) fn add_to_linker(
    linker: &mut Linker<Call>,
    concurrent: bool,
) -> Result<(), wasmtime::Error> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    if concurrent {
        wasmtime_wasi_http::p3::add_to_linker(linker)?;
    }
    made::add_to_linker(linker, concurrent)
}

struct Hooks {
    grants: Arc<Grants>,
    ledger: Arc<Ledger>,
}

impl Outgoing {
    pub(in crate::sandbox) fn new(
        service: Arc<str>,
        grants: Arc<Grants>,
        limit: usize,
        refusal: Refusal,
        usage: Usage,
    ) -> Self {
        let mut settings = WasiHttpCtx::new();
        settings.set_field_size_limit(FIELDS);
        let ledger = Arc::new(Ledger::new(service, limit, refusal, usage));
        Self {
            settings,
            hooks: Hooks { grants, ledger },
            handles: 0,
            made: 0,
        }
    }

    pub(in crate::sandbox) fn view<'a>(
        &'a mut self,
        table: &'a mut ResourceTable,
    ) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table,
            ctx: &mut self.settings,
        }
    }
}

type Response = http::Response<WasiBody>;
type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Done,
    ) -> Box<dyn Future<Output = Result<(Response, Done), Error>> + Send> {
        let admitted = self.admit(request);
        let options = options.unwrap_or_default();
        Box::new(async move {
            let response = admitted?.send(&options).await?;
            let done: Done = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }

    /// The host header is made of the URL that is really asked for.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }
}

/// A request that may be sent.
struct Admitted {
    http: Http,
    origin: Origin,
    request: Request,
    ledger: Arc<Ledger>,
    under_way: UnderWay,
}

impl Hooks {
    /// Checks a request against what is granted, and makes it what is sent.
    fn admit(&self, request: http::Request<WasiBody>) -> Result<Admitted, Error> {
        let under_way = self.ledger.begin().ok_or(Error::ConnectionLimitReached)?;
        let (parts, body) = request.into_parts();
        // They would have the server repeat what the host puts on, or open a tunnel.
        if ["CONNECT", "TRACE", "TRACK"]
            .iter()
            .any(|refused| parts.method.as_str().eq_ignore_ascii_case(refused))
        {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let text = parts.uri.to_string();
        if text.len() > LONGEST_URL {
            return Err(Error::HttpRequestUriTooLong);
        }
        let mut url = Url::parse(&text).map_err(|_not_one| Error::HttpRequestUriInvalid)?;
        let origin = Origin::of(&mut url).ok_or(Error::HttpRequestUriInvalid)?;
        let http = self.grants.http.as_ref().filter(|it| it.allows(&origin));
        let Some(http) = http else {
            self.ledger.not_granted(&origin);
            return Err(Error::HttpRequestDenied);
        };
        let mut headers = parts.headers;
        for name in [TE, TRAILER] {
            headers.remove(name);
        }
        for (name, value) in http.headers(&origin).into_iter().flatten() {
            headers.insert(name, value.clone());
        }
        if authenticates_connection(&headers) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let size = text.len().saturating_add(ledger::size(&headers));
        if !self.ledger.sent(size) {
            return Err(Error::HttpRequestBodySize(None));
        }
        Ok(Admitted {
            http: http.clone(),
            origin,
            request: made(parts.method, url, headers, body, &self.ledger),
            ledger: Arc::clone(&self.ledger),
            under_way,
        })
    }
}

fn made(
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: WasiBody,
    ledger: &Arc<Ledger>,
) -> Request {
    let mut request = Request::new(method, url);
    *request.headers_mut() = headers;
    *request.body_mut() = Some(Body::wrap(Sent::new(body, Arc::clone(ledger))));
    request
}

/// Whether a request signs in the connection rather than itself. Such a connection is not kept: whoever
/// came next on it would be taken for the caller of this call.
fn authenticates_connection(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|value| {
        let scheme = value.as_bytes().split(|byte| *byte == b' ').next();
        scheme.is_some_and(|scheme| {
            scheme.eq_ignore_ascii_case(b"negotiate") || scheme.eq_ignore_ascii_case(b"ntlm")
        })
    })
}

impl Admitted {
    async fn send(self, options: &RequestOptions) -> Result<Response, Error> {
        let turn = self
            .http
            .turn()
            .await
            .ok_or(Error::ConnectionLimitReached)?;
        self.ledger.reached(&self.origin);
        let sending = self.http.send(self.request);
        let answered = match options.first_byte_timeout {
            Some(patience) => {
                let patience = patience.saturating_add(options.connect_timeout.unwrap_or(CONNECT));
                tokio::time::timeout(patience, sending)
                    .await
                    .map_err(|_passed| Error::HttpResponseTimeout)?
            }
            None => sending.await,
        };
        let response = answered.map_err(|error| failed(error, &self.origin, &self.ledger))?;
        let (parts, body) = http::Response::from(response).into_parts();
        let size = ledger::size(&parts.headers);
        if !self.ledger.received(size) {
            return Err(self.ledger.response_too_large());
        }
        if size > HEADERS {
            let limit = u32::try_from(HEADERS).ok();
            return Err(Error::HttpResponseHeaderSectionSize(limit));
        }
        let body = Received::new(
            body,
            self.ledger,
            options.between_bytes_timeout,
            (self.under_way, turn),
        );
        Ok(Response::from_parts(parts, body.boxed_unsync()))
    }
}

/// The kind of what an error of input and output may be wrapped around, which its sources leave out.
fn innermost(error: &io::Error) -> io::ErrorKind {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref())
        .map_or_else(|| error.kind(), io::Error::kind)
}

/// What a guest is told of a request that failed.
fn failed(error: reqwest::Error, origin: &Origin, ledger: &Ledger) -> Error {
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(at) = cause {
        if let Some(prohibited) = at.downcast_ref::<Prohibited>() {
            ledger.prohibited(origin, prohibited);
            return Error::DestinationIpProhibited;
        }
        if at.is::<Unresolved>() {
            return Error::DnsError {
                rcode: None,
                info_code: None,
            };
        }
        if let Some(Error::HttpRequestBodySize(size)) = at.downcast_ref::<Error>() {
            return Error::HttpRequestBodySize(*size);
        }
        match at.downcast_ref().map(innermost) {
            Some(io::ErrorKind::ConnectionRefused) => return Error::ConnectionRefused,
            // So rustls says that a certificate, or the server, is not as it should be.
            Some(io::ErrorKind::InvalidData) => return Error::TlsProtocolError,
            Some(_) | None => {}
        }
        cause = at.source();
    }
    tracing::debug!(%origin, ?error, "a request of a service failed");
    if error.is_builder() {
        Error::HttpRequestUriInvalid
    } else if error.is_connect() && error.is_timeout() {
        Error::ConnectionTimeout
    } else if error.is_connect() {
        Error::DestinationUnavailable
    } else {
        Error::HttpProtocolError
    }
}

#[cfg(test)]
mod tests;
