//! One connection, and what becomes of it: it is served as long as it is of use, and ended when its client
//! has gone, does not ask, or does not take what it asked for.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Version};
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::answer;

/// How long a connection that is to end may take over it when nothing is asked on it.
const LINGER: Duration = Duration::from_secs(1);

/// How long the other end may be silent before it is asked whether it is there, how long it has to say so,
/// and how often it is asked.
const SILENCE: Duration = Duration::from_mins(1);
const ECHO: Duration = Duration::from_secs(15);
const ECHOES: u32 = 4;

/// The most bytes that are read of what a client sends before it is its turn.
const AHEAD: usize = 64 << 10;

/// How HTTP/2 begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI";

/// How long a connection may be of no use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a request, or from when the connection was opened, to the end of its headers.
    pub(super) headers: Duration,
    /// From one request to the next, and from when the client takes something of its answer to when it
    /// takes more.
    pub(super) idle: Duration,
}

/// The address at the other end of the connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// What is known of a connection.
#[derive(Debug)]
struct State {
    is_http2: bool,
    /// Requests that are not answered to the end.
    running: usize,
    /// Those of them that have not been read to the end.
    arriving: usize,
    /// Since when a request has been expected or arriving.
    began: Option<Instant>,
    /// Whether any of its bytes has come.
    has_begun: bool,
    /// Since when nothing has been asked.
    idle: Instant,
    /// Since when the client has taken nothing of what there is for it.
    blocked: Option<Instant>,
    /// Since when it is to end as soon as nothing is asked.
    ending: Option<Instant>,
}

/// What is known of a connection, by all who serve it.
#[derive(Clone)]
struct Line(Arc<Mutex<State>>);

impl Line {
    fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            is_http2: false,
            running: 0,
            arriving: 0,
            began: Some(now),
            has_begun: false,
            idle: now,
            blocked: None,
            ending: None,
        })))
    }

    /// Nothing here panics while it is held; a poisoned lock is good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes have come.
    fn received(&self, bytes: &[u8]) {
        let mut state = self.state();
        if bytes.is_empty() || state.running > 0 {
            return;
        }
        // What comes on HTTP/2 between requests is mostly none.
        state.is_http2 |= !state.has_begun && bytes.starts_with(PREFACE);
        state.has_begun = true;
        if !state.is_http2 {
            state.began.get_or_insert_with(Instant::now);
        }
    }

    /// Bytes could be sent, or not.
    fn sent(&self, could: bool) {
        let mut state = self.state();
        if could {
            state.blocked = None;
        } else {
            state.blocked.get_or_insert_with(Instant::now);
        }
    }

    /// A request has come.
    fn asked(&self, version: Version) -> (Asked, Arriving) {
        let mut state = self.state();
        state.is_http2 = version == Version::HTTP_2;
        state.running = state.running.saturating_add(1);
        state.arriving = state.arriving.saturating_add(1);
        state.began = None;
        state.has_begun = true;
        drop(state);
        (Asked(self.clone()), Arriving(self.clone()))
    }

    /// When the connection has been of no use for too long, if nothing happens before.
    fn due(&self, patience: Patience) -> Instant {
        let state = self.state();
        if let Some(blocked) = state.blocked {
            blocked + patience.idle
        } else if state.running > 0 {
            // Never, but who looks again then notices what has changed meanwhile.
            Instant::now() + patience.idle
        } else if let Some(ending) = state.ending {
            ending + LINGER
        } else if let Some(began) = state.began {
            began + patience.headers
        } else {
            state.idle + patience.idle
        }
    }
}

/// A request that is not answered to the end.
struct Asked(Line);

impl Drop for Asked {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
        let now = Instant::now();
        state.idle = now;
        // The last of the answer may be on its way.
        state.ending = state.ending.map(|_| now);
    }
}

/// A request that has not been read to the end.
struct Arriving(Line);

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.arriving = state.arriving.saturating_sub(1);
    }
}

/// The body of a request, which is arriving as long as somebody reads it.
struct Asking {
    body: Incoming,
    _arriving: Arriving,
}

impl HttpBody for Asking {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer, which keeps its request until it has been taken.
struct Answer {
    body: Body,
    _asked: Asked,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a client has sent.
struct Source {
    read: OwnedReadHalf,
    /// What was read before anybody wanted it.
    ahead: BytesMut,
    /// Whether somebody waits for more, and so sees by itself when no more can come.
    is_wanted: bool,
    /// Whether no more can come.
    is_over: bool,
}

/// The same, for who wants it and who looks after the connection.
#[derive(Clone)]
struct Received(Arc<Mutex<Source>>);

impl Received {
    fn new(read: OwnedReadHalf) -> Self {
        Self(Arc::new(Mutex::new(Source {
            read,
            ahead: BytesMut::new(),
            is_wanted: false,
            is_over: false,
        })))
    }

    /// Nothing here panics while it is held; a poisoned lock is good.
    fn source(&self) -> MutexGuard<'_, Source> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut source = self.source();
        source.is_wanted = false;
        if !source.ahead.is_empty() {
            let count = source.ahead.len().min(buffer.remaining());
            buffer.put_slice(&source.ahead.split_to(count));
            return Poll::Ready(Ok(()));
        }
        if source.is_over {
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut source.read).poll_read(cx, buffer);
        source.is_wanted = read.is_pending();
        read
    }

    /// While nobody wants to know what a client sends, looks whether it is there at all, and reads on for
    /// that. Ready when it has gone, or has sent more than is kept.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<Gone> {
        let mut source = self.source();
        let Source {
            read,
            ahead,
            is_wanted,
            is_over,
        } = &mut *source;
        if *is_wanted {
            return Poll::Pending;
        }
        let mut room = [MaybeUninit::uninit(); 4 << 10];
        while !*is_over {
            if ahead.len() >= AHEAD {
                return Poll::Ready(Gone::TooFar);
            }
            let mut buffer = ReadBuf::uninit(&mut room);
            match ready!(Pin::new(&mut *read).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => ahead.extend_from_slice(buffer.filled()),
                Ok(()) | Err(_) => *is_over = true,
            }
        }
        Poll::Ready(Gone::Away)
    }
}

/// Why a client is not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    /// It is not there any more.
    Away,
    /// It has sent so much before it was asked for more that nobody can see whether it is there.
    TooFar,
}

/// The bytes of a connection, seen on their way.
struct Wire {
    line: Line,
    received: Received,
    write: Arc<OwnedWriteHalf>,
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(this.received.poll_read(cx, buffer))?;
        this.line
            .received(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl Wire {
    fn stream(&self) -> &TcpStream {
        (*self.write).as_ref()
    }

    /// Sends something as soon as the client takes it.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = self.stream();
        loop {
            let Poll::Ready(writable) = stream.poll_write_ready(cx) else {
                self.line.sent(false);
                return Poll::Pending;
            };
            writable?;
            match send(stream) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                done => {
                    self.line.sent(true);
                    return Poll::Ready(done);
                }
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |stream| stream.try_write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(self.stream()).shutdown(std::net::Shutdown::Write))
    }
}

/// Has the system notice when the other end is not there any more, and send at once what there is to
/// send.
pub(super) fn prepare(stream: &TcpStream, patience: Patience) {
    let keepalive = TcpKeepalive::new()
        .with_time(SILENCE)
        .with_interval(ECHO)
        .with_retries(ECHOES);
    let socket = SockRef::from(stream);
    let prepared = stream
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    let prepared = prepared.and_then(|()| socket.set_tcp_user_timeout(Some(patience.idle)));
    #[cfg(not(target_os = "linux"))]
    let _ = patience;
    if let Err(cause) = prepared {
        tracing::debug!(%cause, "a connection keeps the system's ways");
    }
}

/// How a connection ended.
enum End {
    /// As HTTP ends one.
    Served,
    /// Its client has gone.
    Gone,
    /// It was of no use.
    Overdue,
}

/// Serves one connection to its end. When the host stops, what is in progress is finished.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    patience: Patience,
    mut stop: watch::Receiver<bool>,
) {
    let line = Line::new();
    let (read, write) = stream.into_split();
    let write = Arc::new(write);
    let received = Received::new(read);
    let wire = Wire {
        line: line.clone(),
        received: received.clone(),
        write: Arc::clone(&write),
    };
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let (asked, arriving) = line.asked(request.version());
        let mut request = request.map(|body| Asking {
            body,
            _arriving: arriving,
        });
        request.extensions_mut().insert(Peer(peer));
        let answer = router.call(request);
        async move {
            let answer = answer.await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body| Answer {
                body,
                _asked: asked,
            }))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Time is kept here: what HTTP/1 has of it would end connections between two requests, too.
    builder.http1().header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(SILENCE)
        .keep_alive_timeout(ECHO);
    let end = {
        let mut connection = pin!(builder.serve_connection(TokioIo::new(wire), service));
        let mut stopped = pin!(async move {
            // The host itself may be gone, which means the same.
            let _gone = stop.wait_for(|stop| *stop).await;
        });
        let mut timer = pin!(sleep_until(line.due(patience)));
        poll_fn(|cx| {
            // Whoever is not to go on says so to the other end as its version of HTTP does.
            if line.state().ending.is_none() && stopped.as_mut().poll(cx).is_ready() {
                line.state().ending = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            loop {
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(End::Served);
                }
                let (is_asked, is_http2) = {
                    let state = line.state();
                    (state.running > 0 && state.arriving == 0, state.is_http2)
                };
                if is_asked
                    && let Poll::Ready(gone) = received.poll_gone(cx)
                    // With several requests at once, it is not over for the others.
                    && !(is_http2 && gone == Gone::TooFar)
                {
                    return Poll::Ready(End::Gone);
                }
                let due = line.due(patience);
                if due <= Instant::now() {
                    let mut state = line.state();
                    if state.ending.is_some() || !state.is_http2 || state.blocked.is_some() {
                        return Poll::Ready(End::Overdue);
                    }
                    state.ending = Some(Instant::now());
                    drop(state);
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                // It is moved only where it would come too late; where it comes too early, it is moved then.
                if due < timer.deadline() {
                    timer.as_mut().reset(due);
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                timer.as_mut().reset(due);
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    };
    let state = line.state();
    let is_late = matches!(end, End::Overdue) && state.running == 0 && state.began.is_some();
    if is_late && state.has_begun && !state.is_http2 {
        // Nobody is waited for who does not take it.
        let _not_taken = write.try_write(answer::LATE);
    }
}
