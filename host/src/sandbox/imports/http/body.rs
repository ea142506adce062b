//! Bodies that are counted on their way.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use super::ledger::{Ledger, UnderWay};

type Polled = Poll<Option<Result<Frame<Bytes>, Error>>>;

/// The body of a request.
pub(super) struct Sent {
    /// Behind a lock that nobody waits for, because it has to be shareable and is not shared.
    body: Mutex<WasiBody>,
    size: SizeHint,
    ledger: Arc<Ledger>,
}

impl Sent {
    pub(super) fn new(body: WasiBody, ledger: Arc<Ledger>) -> Self {
        Self {
            size: body.size_hint(),
            body: Mutex::new(body),
            ledger,
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && !self.ledger.sent(size(frame))
        {
            return Poll::Ready(Some(Err(self.ledger.request_too_large())));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.size.exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

/// The body of a response.
pub(super) struct Received {
    body: reqwest::Body,
    ledger: Arc<Ledger>,
    silence: Option<Silence>,
    /// The request is under way as long as its response is.
    _under_way: (UnderWay, OwnedSemaphorePermit),
}

/// How long a guest bears that nothing comes.
struct Silence {
    longest: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Received {
    pub(super) fn new(
        body: reqwest::Body,
        ledger: Arc<Ledger>,
        silence: Option<Duration>,
        under_way: (UnderWay, OwnedSemaphorePermit),
    ) -> Self {
        Self {
            body,
            ledger,
            silence: silence.map(|longest| Silence {
                longest,
                timer: Box::pin(tokio::time::sleep(longest)),
            }),
            _under_way: under_way,
        }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let this = &mut *self;
        let Poll::Ready(polled) = Pin::new(&mut this.body).poll_frame(context) else {
            let passed = this
                .silence
                .as_mut()
                .is_some_and(|silence| silence.timer.as_mut().poll(context).is_ready());
            return if passed {
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            } else {
                Poll::Pending
            };
        };
        if let Some(Silence { longest, timer }) = &mut this.silence {
            // A length of time that no clock reaches is as good as none.
            match Instant::now().checked_add(*longest) {
                Some(end) => timer.as_mut().reset(end),
                None => this.silence = None,
            }
        }
        Poll::Ready(polled.map(|frame| match frame {
            Ok(frame) if this.ledger.received(size(&frame)) => Ok(frame),
            Ok(_too_much) => Err(this.ledger.response_too_large()),
            Err(_broken) => Err(Error::HttpResponseIncomplete),
        }))
    }
}

/// The bytes of data, or of trailers.
fn size(frame: &Frame<Bytes>) -> usize {
    frame.data_ref().map_or_else(
        || frame.trailers_ref().map_or(0, super::ledger::size),
        Bytes::len,
    )
}
