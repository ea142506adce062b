//! `wasi:filesystem`: the folders that the operator grants. The engine's library keeps guests inside them;
//! what it leaves open is bounded here: how many files calls have open, what the host has in memory for them,
//! what they may be, and how much of a folder is read at once. And the log is told what is not granted.

mod concurrent;
mod listing;
mod opened;
mod stream;

use std::io;
use std::sync::atomic::Ordering;

use tokio::task::spawn_blocking;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, HostDescriptor,
    NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use self::listing::{Kind, Listing, Rest, Unread};
pub(in crate::sandbox) use self::opened::Opened;
use self::stream::Kept;
use crate::sandbox::budget::Share;
use crate::sandbox::capability::Capability;
use crate::sandbox::failure::HostFull;
use crate::sandbox::store::Call;

const TYPES: &str = "wasi:filesystem/types@0.2.12";
const PREOPENS: &str = "wasi:filesystem/preopens@0.2.12";

type Context<'a> = StoreContextMut<'a, Call>;

/// What a function gives its guest.
type Told<T> = (std::result::Result<T, ErrorCode>,);

/// Has functions that change what is in a folder tell when it is granted for reading only.
macro_rules! changes {
    ($types:ident: $($name:literal $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        $types.func_wrap_async(
            concat!("[method]descriptor.", $name),
            |mut call: Context<'_>, (file, $($argument),*): (Resource<Descriptor>, $($type),*)| {
                Box::new(async move {
                    let call = call.data_mut();
                    call.will_change(&file);
                    told(call.filesystem().$method(file, $($argument),*).await)
                })
            },
        )?;
    )*};
}

/// Does so for the functions that both versions have, in words of the one at hand.
macro_rules! both {
    ($changes:ident, $types:ident) => {
        $changes! { $types:
            "create-directory-at" create_directory_at(path: String);
            "link-at" link_at(at: PathFlags, old: String, folder: Resource<Descriptor>, new: String);
            "remove-directory-at" remove_directory_at(path: String);
            "rename-at" rename_at(old: String, folder: Resource<Descriptor>, new: String);
            "set-size" set_size(size: u64);
            "set-times" set_times(accessed: NewTimestamp, modified: NewTimestamp);
            "set-times-at" set_times_at(at: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp);
            "symlink-at" symlink_at(target: String, path: String);
            "unlink-file-at" unlink_file_at(path: String);
        }
    };
}
use both;

/// What a listing says, in words of the version at hand; each has its own for what is not known.
macro_rules! said_as {
    ($type:ident, $code:ident, $unknown:expr) => {
        impl From<Kind> for $type {
            fn from(kind: Kind) -> Self {
                match kind {
                    Kind::File => Self::RegularFile,
                    Kind::Folder => Self::Directory,
                    Kind::Link => Self::SymbolicLink,
                    Kind::Pipe => Self::Fifo,
                    Kind::Socket => Self::Socket,
                    Kind::BlockDevice => Self::BlockDevice,
                    Kind::CharacterDevice => Self::CharacterDevice,
                    Kind::Unknown => $unknown,
                }
            }
        }

        impl From<Unread> for $code {
            fn from(unread: Unread) -> Self {
                match unread {
                    Unread::NotUnicode => Self::IllegalByteSequence,
                    Unread::Failed(cause) => cause.into(),
                }
            }
        }
    };
}
use said_as;

/// Links it. On an engine for `concurrent` components there is 0.3 beside 0.2.
pub(super) fn add_to_linker(linker: &mut Linker<Call>, concurrent: bool) -> Result<()> {
    linker.allow_shadowing(true);
    linker
        .instance(PREOPENS)?
        .func_wrap("get-directories", |mut call: Context<'_>, (): ()| {
            call.data().asks_for_folders();
            let folders = preopens::Host::get_directories(&mut call.data_mut().filesystem())?;
            Ok((folders,))
        })?;
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async(
        "[method]descriptor.open-at",
        |mut call: Context<'_>, (folder, at, path, how, flags): Opening| {
            Box::new(async move { call.data_mut().open(folder, at, path, how, flags).await })
        },
    )?;
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut call: Context<'_>, (file, offset): (Resource<Descriptor>, u64)| {
            let call = call.data_mut();
            let opened = told(call.filesystem().read_via_stream(file, offset))?;
            call.kept::<DynInputStream>(opened, |inner| Box::new(inner))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut call: Context<'_>, (file, offset): (Resource<Descriptor>, u64)| {
            let call = call.data_mut();
            call.will_change(&file);
            let opened = told(call.filesystem().write_via_stream(file, offset))?;
            call.kept::<DynOutputStream>(opened, |inner| Box::new(inner))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut call: Context<'_>, (file,): (Resource<Descriptor>,)| {
            let call = call.data_mut();
            call.will_change(&file);
            let opened = told(call.filesystem().append_via_stream(file))?;
            call.kept::<DynOutputStream>(opened, |inner| Box::new(inner))
        },
    )?;
    both!(changes, types);
    changes! { types:
        "write" write(bytes: Vec<u8>, offset: u64);
    }
    types.resource(
        "directory-entry-stream",
        ResourceType::host::<Listing>(),
        |mut call, number| {
            let listing = Resource::<Listing>::new_own(number);
            call.data_mut().ctx().table.delete(listing)?;
            Ok(())
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut call: Context<'_>, (folder,): (Resource<Descriptor>,)| {
            Box::new(async move { call.data_mut().list(folder).await })
        },
    )?;
    types.func_wrap_async(
        "[method]directory-entry-stream.read-directory-entry",
        |mut call: Context<'_>, (listing,): (Resource<Listing>,)| {
            Box::new(async move { call.data_mut().listed(&listing).await })
        },
    )?;
    linker.allow_shadowing(false);
    if concurrent {
        concurrent::add_to_linker(linker)?;
    }
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

impl Call {
    /// Tells the log, once for each manifest, that the service asks for folders and the operator has not said
    /// which. Some toolchains have every program ask, so it is no refusal of the call.
    fn asks_for_folders(&self) {
        let files = &self.grants.files;
        if !files.is_stated && !files.is_missed.swap(true, Ordering::Relaxed) {
            let service = &self.service;
            tracing::info!(
                %service,
                "it asks for folders and is granted none; the operator grants them {}; where it needs none, an empty `[files]` says so",
                Capability::Files.place(service)
            );
        }
    }

    /// Notes that a folder is granted for reading only, if something in it is about to be changed.
    fn will_change(&mut self, file: &Resource<Descriptor>) {
        let perms = match self.table.get(file) {
            Ok(Descriptor::File(file)) => file.perms,
            Ok(Descriptor::Dir(folder)) => folder.perms,
            Err(_not_one) => return,
        };
        if perms.write_not_permitted() {
            let folders = self.grants.files.for_reading.join("`, `");
            self.refuse(|service| {
                format!(
                    "`{folders}` may be read only; the operator has it written to in `mcp/{service}.toml`, under `[files]`, with `write = true`"
                )
            });
        }
    }

    async fn open(
        &mut self,
        folder: Resource<Descriptor>,
        at: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Told<Resource<Descriptor>>> {
        if how.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
            || flags.contains(DescriptorFlags::WRITE)
        {
            self.will_change(&folder);
        }
        let descriptor = self.opened.make_room()?;
        let same = Resource::new_borrow(folder.rep());
        let there = self.filesystem().stat_at(same, at, path.clone()).await;
        match told(there)? {
            (Ok(there),) if !may_be_opened(&there) => return Ok((Err(ErrorCode::Unsupported),)),
            // It may be about to be made.
            (Ok(_) | Err(ErrorCode::NoEntry),) => {}
            (Err(cause),) => return Ok((Err(cause),)),
        }
        let mut files = self.filesystem();
        let opened = told(files.open_at(folder, at, path, how, flags).await)?;
        if let (Ok(file),) = &opened {
            self.opened.note(self.table.get(file)?, descriptor);
        }
        Ok(opened)
    }

    async fn list(&mut self, folder: Resource<Descriptor>) -> Result<Told<Resource<Listing>>> {
        let Descriptor::Dir(folder) = self.table.get(&folder)? else {
            return Ok((Err(ErrorCode::NotDirectory),));
        };
        let folder = folder.dir.clone();
        let descriptor = self.opened.one()?;
        let opening = spawn_blocking(move || Rest::open(folder, descriptor));
        Ok((match opening.await.map_err(io::Error::other).flatten() {
            Ok(rest) => {
                let memory = self.part(rest.memory())?;
                Ok(self.table.push(Listing::new(rest, memory))?)
            }
            Err(cause) => Err(cause.into()),
        },))
    }

    async fn listed(
        &mut self,
        listing: &Resource<Listing>,
    ) -> Result<Told<Option<DirectoryEntry>>> {
        let next = self.table.get_mut(listing)?.next().await;
        Ok((match next {
            Some(Ok(entry)) => Ok(Some(DirectoryEntry {
                type_: entry.kind.into(),
                name: entry.name,
            })),
            Some(Err(unread)) => Err(unread.into()),
            None => Ok(None),
        },))
    }

    /// Puts a stream in the table again, with what it keeps in memory counted.
    fn kept<S: Send + 'static>(
        &mut self,
        opened: Told<Resource<S>>,
        boxed: impl FnOnce(Kept<S>) -> S,
    ) -> Result<Told<Resource<S>>> {
        let (Ok(stream),) = opened else {
            return Ok(opened);
        };
        let memory = self.part(stream::MEMORY)?;
        let inner = self.table.delete(stream)?;
        Ok((Ok(self.table.push(boxed(Kept::new(inner, memory)))?),))
    }

    /// Memory for something that may be gone before the call is.
    fn part(&self, bytes: usize) -> Result<Share> {
        self.meter.part(bytes).ok_or_else(|| HostFull.into())
    }
}

/// In words of the interface, unless it is to end the guest.
fn told<T>(done: FsResult<T>) -> Result<Told<T>> {
    Ok((match done {
        Ok(done) => Ok(done),
        Err(cause) => Err(cause.downcast()?),
    },))
}

/// Opening a pipe or a device may block a thread of the host for ever.
fn may_be_opened(there: &DescriptorStat) -> bool {
    matches!(
        there.type_,
        DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink
    )
}

said_as!(DescriptorType, ErrorCode, DescriptorType::Unknown);
