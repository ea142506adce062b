//! The same for `wasi:filesystem` 0.3.

mod streams;

use std::fs;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use wasmtime::component::{
    Accessor, Destination, FutureReader, Linker, Resource, StreamProducer, StreamReader,
    StreamResult, VecBuffer,
};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, DirectoryEntry, ErrorCode, HostDescriptorWithStore,
    NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::FilesystemResult;

use super::listing::{self, Batch, Entry, Kind, Rest, Unread};
use super::{both, said_as};
use crate::sandbox::budget::Share;
use crate::sandbox::store::Call;

const TYPES: &str = "wasi:filesystem/types@0.3.0";
const PREOPENS: &str = "wasi:filesystem/preopens@0.3.0";

/// What a function gives its guest.
type Told<T> = (std::result::Result<T, ErrorCode>,);

macro_rules! changes {
    ($types:ident: $($name:literal $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        $types.func_wrap_concurrent(
            concat!("[method]descriptor.", $name),
            |call: &Accessor<Call>, (file, $($argument),*): (Resource<Descriptor>, $($type),*)| {
                Box::pin(async move {
                    call.with(|mut call| call.get().will_change(&file));
                    let files = call.with_getter::<WasiFilesystem>(Call::filesystem);
                    told(WasiFilesystem::$method(&files, file, $($argument),*).await)
                })
            },
        )?;
    )*};
}

pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> Result<()> {
    linker.allow_shadowing(true);
    linker.instance(PREOPENS)?.func_wrap(
        "get-directories",
        |mut call: StoreContextMut<'_, Call>, (): ()| {
            call.data().asks_for_folders();
            let folders = preopens::Host::get_directories(&mut call.data_mut().filesystem())?;
            Ok((folders,))
        },
    )?;
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |call: &Accessor<Call>, (folder, at, path, how, flags): Opening| {
            Box::pin(open(call, folder, at, path, how, flags))
        },
    )?;
    both!(changes, types);
    types.func_wrap("[method]descriptor.read-directory", list)?;
    types.func_wrap("[method]descriptor.read-via-stream", streams::read)?;
    types.func_wrap("[method]descriptor.write-via-stream", streams::write)?;
    types.func_wrap("[method]descriptor.append-via-stream", streams::append)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What a file is opened with: a folder, a path in it, and in which way.
type Opening = (
    Resource<Descriptor>,
    PathFlags,
    String,
    OpenFlags,
    DescriptorFlags,
);

async fn open(
    call: &Accessor<Call>,
    folder: Resource<Descriptor>,
    at: PathFlags,
    path: String,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Told<Resource<Descriptor>>> {
    let descriptor = call.with(|mut call| {
        let call = call.get();
        if how.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
            || flags.contains(DescriptorFlags::WRITE)
        {
            call.will_change(&folder);
        }
        call.opened.make_room()
    })?;
    let files = call.with_getter::<WasiFilesystem>(Call::filesystem);
    let same = Resource::new_borrow(folder.rep());
    match told(WasiFilesystem::stat_at(&files, same, at, path.clone()).await)? {
        (Ok(there),) if !may_be_opened(&there.type_) => return Ok((Err(ErrorCode::Unsupported),)),
        // It may be about to be made.
        (Ok(_) | Err(ErrorCode::NoEntry),) => {}
        (Err(cause),) => return Ok((Err(cause),)),
    }
    let opened = told(WasiFilesystem::open_at(&files, folder, at, path, how, flags).await)?;
    if let (Ok(file),) = &opened {
        call.with(|mut call| {
            let call = call.get();
            call.opened.note(call.table.get(file)?, descriptor);
            Ok::<_, wasmtime::Error>(())
        })?;
    }
    Ok(opened)
}

fn told<T>(done: FilesystemResult<T>) -> Result<Told<T>> {
    Ok((match done {
        Ok(done) => Ok(done),
        Err(cause) => Err(cause.downcast()?),
    },))
}

fn may_be_opened(there: &DescriptorType) -> bool {
    matches!(
        there,
        DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink
    )
}

/// The names in a folder, and whether they are all.
type Listed = (
    StreamReader<DirectoryEntry>,
    FutureReader<std::result::Result<(), ErrorCode>>,
);

fn list(
    mut store: StoreContextMut<'_, Call>,
    (folder,): (Resource<Descriptor>,),
) -> Result<(Listed,)> {
    let call = store.data_mut();
    let (end, ended) = oneshot::channel();
    let names = if let Descriptor::Dir(folder) = call.table.get(&folder)? {
        let folder = folder.dir.clone();
        let opening = (folder, call.opened.one()?);
        StreamReader::new(&mut store, Names::new(opening, end))?
    } else {
        let _nobody_asks = end.send(Err(ErrorCode::NotDirectory));
        StreamReader::new(&mut store, std::iter::empty())?
    };
    Ok(((names, FutureReader::new(&mut store, ended)?),))
}

/// The names in a folder, as they are asked for. No thread waits for that.
struct Names {
    next: Next,
    memory: Option<Share>,
    end: Option<oneshot::Sender<std::result::Result<(), ErrorCode>>>,
}

/// Where names come from.
enum Next {
    /// A folder that is not opened yet, and a descriptor for it.
    Folder(Arc<fs::File>, Share),
    Opening(JoinHandle<io::Result<Rest>>),
    Rest(Rest),
    Reading(JoinHandle<Batch>),
    Nowhere,
}

impl Names {
    fn new(
        (folder, descriptor): (Arc<fs::File>, Share),
        end: oneshot::Sender<std::result::Result<(), ErrorCode>>,
    ) -> Self {
        Self {
            next: Next::Folder(folder, descriptor),
            memory: None,
            end: Some(end),
        }
    }

    /// The next of them. What is begun goes on, whether or not it is asked for again.
    fn poll(&mut self, context: &mut Context<'_>, call: &Call) -> Poll<Result<Batch>> {
        loop {
            self.next = match std::mem::replace(&mut self.next, Next::Nowhere) {
                Next::Folder(folder, descriptor) => {
                    Next::Opening(spawn_blocking(move || Rest::open(folder, descriptor)))
                }
                Next::Opening(mut opening) => match Pin::new(&mut opening).poll(context) {
                    Poll::Pending => {
                        self.next = Next::Opening(opening);
                        return Poll::Pending;
                    }
                    Poll::Ready(opened) => match opened.map_err(io::Error::other).flatten() {
                        Ok(rest) => {
                            self.memory = Some(call.part(rest.memory())?);
                            Next::Rest(rest)
                        }
                        Err(cause) => {
                            return Poll::Ready(Ok(([Err(Unread::Failed(cause))].into(), None)));
                        }
                    },
                },
                Next::Rest(rest) => Next::Reading(spawn_blocking(move || rest.read())),
                Next::Reading(mut reading) => match Pin::new(&mut reading).poll(context) {
                    Poll::Pending => {
                        self.next = Next::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(read) => return Poll::Ready(Ok(listing::read(read))),
                },
                Next::Nowhere => return Poll::Ready(Ok(Batch::default())),
            };
        }
    }

    fn end(&mut self, how: std::result::Result<(), ErrorCode>) -> StreamResult {
        if let Some(end) = self.end.take() {
            let _nobody_asks = end.send(how);
        }
        StreamResult::Dropped
    }
}

impl StreamProducer<Call> for Names {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, Call>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let (batch, rest) = match self.poll(context, store.data()) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            read @ (Poll::Pending | Poll::Ready(_)) => ready!(read)?,
        };
        let is_all = rest.is_none();
        self.next = rest.map_or(Next::Nowhere, Next::Rest);
        let mut names = Vec::with_capacity(batch.len());
        let mut result = StreamResult::Completed;
        for entry in batch {
            match entry {
                Ok(entry) => names.push(entry.into()),
                Err(unread) => {
                    self.next = Next::Nowhere;
                    result = self.end(Err(unread.into()));
                    break;
                }
            }
        }
        if is_all {
            result = self.end(Ok(()));
        }
        destination.set_buffer(names.into());
        Poll::Ready(Ok(result))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl From<Entry> for DirectoryEntry {
    fn from(entry: Entry) -> Self {
        Self {
            type_: entry.kind.into(),
            name: entry.name,
        }
    }
}

said_as!(DescriptorType, ErrorCode, DescriptorType::Other(None));
