//! Files as streams, with what the host keeps of them counted and bounded.

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::sandbox::budget::Share;

/// What is read or written at once, and what the host has in memory for each stream.
pub(super) const MEMORY: usize = 64 << 10;

/// A stream with the memory that it takes.
pub(super) struct Kept<S> {
    inner: S,
    _memory: Share,
}

impl<S> Kept<S> {
    pub(super) fn new(inner: S, memory: Share) -> Self {
        Self {
            inner,
            _memory: memory,
        }
    }
}

#[async_trait]
impl<S: Pollable> Pollable for Kept<S> {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait]
impl InputStream for Kept<DynInputStream> {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.inner.read(size)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.inner.blocking_read(size).await
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl OutputStream for Kept<DynOutputStream> {
    /// The library takes whatever it is given, and keeps it until it is written.
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > MEMORY {
            return Err(StreamError::trap(
                "more was written to a file at once than `check-write` allows",
            ));
        }
        self.inner.write(bytes)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.inner.blocking_write_and_flush(bytes).await
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};

    use super::*;
    use crate::sandbox::budget::Budget;

    #[tokio::test]
    async fn no_more_is_taken_at_once_than_is_counted() {
        let budget = Budget::new(MEMORY);
        let pipe = MemoryOutputPipe::new(4 * MEMORY);
        let inner: DynOutputStream = Box::new(pipe.clone());
        let mut stream = Kept::new(inner, budget.share().part(MEMORY).unwrap());
        assert_eq!(budget.used(), MEMORY);
        stream.write(vec![b'a'; MEMORY].into()).unwrap();
        let refused = stream.write(vec![b'b'; MEMORY + 1].into());
        assert!(matches!(refused, Err(StreamError::Trap(_))));
        stream.blocking_write_and_flush("end".into()).await.unwrap();
        assert_eq!(pipe.contents().len(), MEMORY + 3);
        drop(stream);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn what_is_there_is_read() {
        let inner: DynInputStream = Box::new(MemoryInputPipe::new("text"));
        let mut stream = Kept::new(inner, Budget::new(0).share());
        stream.ready().await;
        assert_eq!(stream.read(2).unwrap(), "te");
        assert_eq!(stream.blocking_read(9).await.unwrap(), "xt");
        assert!(matches!(stream.read(1), Err(StreamError::Closed)));
    }
}
