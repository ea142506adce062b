//! Files as streams of 0.3. They are those of 0.2, with what the host keeps of them counted; one that the host
//! itself reads or writes goes on when the guest has no handle of it any more, so these are counted, too.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::component::{
    Destination, FutureReader, Resource, Source, StreamConsumer, StreamProducer, StreamReader,
    StreamResult, VecBuffer,
};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode as Code, HostDescriptor};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, StreamError};
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode;

use super::super::stream::MEMORY;
use super::super::{self as files, Told};
use crate::sandbox::budget::Share;
use crate::sandbox::store::Call;

type Store<'a> = StoreContextMut<'a, Call>;
type Ended = std::result::Result<(), ErrorCode>;
type Read = (StreamReader<u8>, FutureReader<Ended>);

pub(super) fn read(
    mut store: Store<'_>,
    (file, offset): (Resource<Descriptor>, u64),
) -> Result<(Read,)> {
    let call = store.data_mut();
    let opened = files::told(call.filesystem().read_via_stream(file, offset))?;
    let opened = call.kept::<DynInputStream>(opened, |inner| Box::new(inner))?;
    let (end, ended) = oneshot::channel();
    let bytes = match call.taken(opened)? {
        Ok(work) => StreamReader::new(
            &mut store,
            Reading {
                work,
                end: End(Some(end)),
            },
        )?,
        Err(code) => {
            let _nobody_asks = end.send(Err(code));
            StreamReader::new(&mut store, std::iter::empty())?
        }
    };
    Ok(((bytes, FutureReader::new(&mut store, ended)?),))
}

pub(super) fn write(
    mut store: Store<'_>,
    (file, bytes, offset): (Resource<Descriptor>, StreamReader<u8>, u64),
) -> Result<(FutureReader<Ended>,)> {
    let call = store.data_mut();
    call.will_change(&file);
    let opened = files::told(call.filesystem().write_via_stream(file, offset))?;
    written(store, opened, bytes)
}

pub(super) fn append(
    mut store: Store<'_>,
    (file, bytes): (Resource<Descriptor>, StreamReader<u8>),
) -> Result<(FutureReader<Ended>,)> {
    let call = store.data_mut();
    call.will_change(&file);
    let opened = files::told(call.filesystem().append_via_stream(file))?;
    written(store, opened, bytes)
}

fn written(
    mut store: Store<'_>,
    opened: Told<Resource<DynOutputStream>>,
    mut bytes: StreamReader<u8>,
) -> Result<(FutureReader<Ended>,)> {
    let call = store.data_mut();
    let opened = call.kept::<DynOutputStream>(opened, |inner| Box::new(inner))?;
    let (end, ended) = oneshot::channel();
    match call.taken(opened)? {
        Ok(work) => bytes.pipe(
            &mut store,
            Writing {
                work,
                under_way: 0,
                end: End(Some(end)),
            },
        )?,
        Err(code) => {
            bytes.close(&mut store)?;
            let _nobody_asks = end.send(Err(code));
        }
    }
    Ok((FutureReader::new(&mut store, ended)?,))
}

impl Call {
    /// Takes a stream of 0.2 out of the table: it has no handle, but a place among those that have none.
    fn taken<S: Send + 'static>(
        &mut self,
        opened: Told<Resource<S>>,
    ) -> Result<std::result::Result<Work<S>, ErrorCode>> {
        Ok(match opened {
            (Ok(stream),) => {
                let inner = self.table.delete(stream)?;
                Ok(Work {
                    state: State::Idle(inner),
                    _place: self.opened.stream()?,
                })
            }
            (Err(code),) => Err(as_3(code)),
        })
    }
}

/// A stream, and what is being done with it.
struct Work<S> {
    state: State<S>,
    _place: Share,
}

enum State<S> {
    Idle(S),
    Busy(Step<S>),
    Gone,
}

/// A step of reading or writing, which gives back the stream, and what was read.
type Step<S> = Pin<Box<dyn Future<Output = (S, std::result::Result<Bytes, StreamError>)> + Send>>;

/// What came of a step.
enum Done {
    Bytes(Bytes),
    End(Ended),
}

impl<S> Work<S> {
    /// Goes on with a step, or begins the one that `next` makes. What is begun goes on, whether or not it is
    /// asked for again.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        next: impl FnOnce(S) -> Step<S>,
    ) -> Poll<Result<Done>> {
        let mut step = match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(stream) => next(stream),
            State::Busy(step) => step,
            State::Gone => return Poll::Ready(Ok(Done::End(Ok(())))),
        };
        let Poll::Ready((stream, done)) = step.as_mut().poll(context) else {
            self.state = State::Busy(step);
            return Poll::Pending;
        };
        Poll::Ready(Ok(match done {
            Ok(bytes) => {
                self.state = State::Idle(stream);
                Done::Bytes(bytes)
            }
            Err(StreamError::Closed) => Done::End(Ok(())),
            Err(StreamError::LastOperationFailed(cause)) => {
                let cause = cause.downcast_ref::<std::io::Error>();
                Done::End(Err(cause.map_or(ErrorCode::Io, ErrorCode::from)))
            }
            Err(StreamError::Trap(cause)) => return Poll::Ready(Err(cause)),
        }))
    }
}

/// Whoever is told how a stream has ended: well, where nothing else is said.
struct End(Option<oneshot::Sender<Ended>>);

impl End {
    fn tell(&mut self, how: Ended) -> StreamResult {
        if let Some(end) = self.0.take() {
            let _nobody_asks = end.send(how);
        }
        StreamResult::Dropped
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.tell(Ok(()));
    }
}

/// A file that is being read.
struct Reading {
    work: Work<DynInputStream>,
    end: End,
}

impl StreamProducer<Call> for Reading {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, Call>,
        mut destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let read = self.work.poll(context, |mut stream| {
            Box::pin(async move {
                let read = stream.blocking_read(MEMORY).await;
                (stream, read)
            })
        });
        let read = match read {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            read @ (Poll::Pending | Poll::Ready(_)) => ready!(read)?,
        };
        Poll::Ready(Ok(match read {
            Done::Bytes(bytes) => {
                destination.set_buffer(Vec::from(bytes).into());
                StreamResult::Completed
            }
            Done::End(how) => self.end.tell(how),
        }))
    }
}

/// A file that is being written.
struct Writing {
    work: Work<DynOutputStream>,
    /// How many bytes are being written, of those that are there.
    under_way: usize,
    end: End,
}

impl StreamConsumer<Call> for Writing {
    type Item = u8;

    /// What is being written is written: it is not given up where the guest would rather `finish`, and it is
    /// soon done.
    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'_, Call>,
        source: Source<'_, u8>,
        _finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let there = source.remaining();
        if there.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let me = &mut *self;
        let (work, under_way) = (&mut me.work, &mut me.under_way);
        let written = ready!(work.poll(context, |mut stream| {
            let next = there.get(..MEMORY).unwrap_or(there);
            *under_way = next.len();
            let next = Bytes::copy_from_slice(next);
            Box::pin(async move {
                let written = stream.blocking_write_and_flush(next).await;
                (stream, written.map(|()| Bytes::new()))
            })
        }))?;
        Poll::Ready(Ok(match written {
            Done::Bytes(_none) => {
                source.mark_read(std::mem::take(&mut me.under_way));
                StreamResult::Completed
            }
            Done::End(how) => me.end.tell(how),
        }))
    }
}

/// Why a file is no stream, in words of 0.3.
fn as_3(code: Code) -> ErrorCode {
    [
        (Code::IsDirectory, ErrorCode::IsDirectory),
        (Code::BadDescriptor, ErrorCode::BadDescriptor),
        (Code::NotPermitted, ErrorCode::NotPermitted),
    ]
    .into_iter()
    .find_map(|(of_2, of_3)| (of_2 == code).then_some(of_3))
    .unwrap_or(ErrorCode::Io)
}
