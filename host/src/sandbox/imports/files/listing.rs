//! A folder that is being listed. It may hold any number of names, so they are read a few at a time, as they
//! are asked for.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use nix::dir::{Dir, Entry as Found, OwningIter, Type};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, fstatat};
use tokio::task::{JoinError, spawn_blocking};

use crate::sandbox::budget::Share;

/// How many names are read at once.
const AT_ONCE: usize = 64;

/// What the host has in memory for those: a name has 255 bytes at most.
const NAMES: usize = AT_ONCE * 320;

/// What the C library has in memory for a folder that is being read: as much as a block of its file system, but
/// no less and no more than this.
const BLOCKS: (u64, u64) = (32 << 10, 1 << 20);

/// A folder that is being listed.
pub(super) struct Listing {
    next: VecDeque<Result<Entry, Unread>>,
    /// Where the rest comes from, unless that is all.
    rest: Option<Rest>,
    _memory: Share,
}

/// What is not read yet.
pub(super) struct Rest {
    folder: Arc<fs::File>,
    names: OwningIter,
    block: u64,
    _descriptor: Share,
}

/// One of the names in a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    Pipe,
    Socket,
    BlockDevice,
    CharacterDevice,
    Unknown,
}

/// Why a name is not told.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is no text.
    NotUnicode,
    /// The system does not tell it.
    Failed(io::Error),
}

impl Listing {
    /// One that has the memory that it takes.
    pub(super) fn new(rest: Rest, memory: Share) -> Self {
        Self {
            next: VecDeque::new(),
            rest: Some(rest),
            _memory: memory,
        }
    }

    /// The next name, if there is one.
    pub(super) async fn next(&mut self) -> Option<Result<Entry, Unread>> {
        if self.next.is_empty()
            && let Some(rest) = self.rest.take()
        {
            (self.next, self.rest) = read(spawn_blocking(move || rest.read()).await);
        }
        self.next.pop_front()
    }
}

/// Names, and what is left behind them, if there may be more.
pub(super) type Batch = (VecDeque<Result<Entry, Unread>>, Option<Rest>);

/// What was read on another thread.
pub(super) fn read(done: Result<Batch, JoinError>) -> Batch {
    done.unwrap_or_else(|cause| {
        let failed = Unread::Failed(io::Error::other(cause));
        (VecDeque::from([Err(failed)]), None)
    })
}

impl Rest {
    /// Opens a folder once more, to read it from its beginning. Blocks.
    pub(super) fn open(folder: Arc<fs::File>, descriptor: Share) -> io::Result<Self> {
        let how = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let block = folder.metadata()?.blksize();
        let opened = Dir::openat(folder.as_fd(), ".", how, Mode::empty())?;
        Ok(Self {
            folder,
            names: opened.into_iter(),
            block,
            _descriptor: descriptor,
        })
    }

    /// What the host has in memory for it and the names that are read of it, in bytes.
    pub(super) fn memory(&self) -> usize {
        let (least, most) = BLOCKS;
        let block = usize::try_from(self.block.clamp(least, most));
        block.unwrap_or(usize::MAX).saturating_add(NAMES)
    }

    /// Reads some of it. Blocks.
    pub(super) fn read(mut self) -> Batch {
        let mut batch = VecDeque::with_capacity(AT_ONCE);
        while batch.len() < AT_ONCE {
            match self.names.next() {
                Some(Ok(found)) if matches!(found.file_name().to_bytes(), b"." | b"..") => {}
                Some(Ok(found)) => batch.push_back(self.entry(&found)),
                // Whether anything comes behind what cannot be read is not for sure.
                Some(Err(cause)) => {
                    batch.push_back(Err(Unread::Failed(cause.into())));
                    return (batch, None);
                }
                None => return (batch, None),
            }
        }
        (batch, Some(self))
    }

    fn entry(&self, found: &Found) -> Result<Entry, Unread> {
        let name = found.file_name().to_str();
        Ok(Entry {
            name: name.map_err(|_not_text| Unread::NotUnicode)?.to_owned(),
            kind: found
                .file_type()
                .map_or_else(|| self.looked_at(found), Kind::from),
        })
    }

    /// What a name stands for, where the file system does not say so along with it.
    fn looked_at(&self, found: &Found) -> Kind {
        let looked = fstatat(
            self.folder.as_fd(),
            found.file_name(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        );
        looked.map_or(Kind::Unknown, |there| {
            let format = SFlag::from_bits_truncate(there.st_mode) & SFlag::S_IFMT;
            [
                (SFlag::S_IFREG, Kind::File),
                (SFlag::S_IFDIR, Kind::Folder),
                (SFlag::S_IFLNK, Kind::Link),
                (SFlag::S_IFIFO, Kind::Pipe),
                (SFlag::S_IFSOCK, Kind::Socket),
                (SFlag::S_IFBLK, Kind::BlockDevice),
                (SFlag::S_IFCHR, Kind::CharacterDevice),
            ]
            .into_iter()
            .find_map(|(flag, kind)| (flag == format).then_some(kind))
            .unwrap_or(Kind::Unknown)
        })
    }
}

impl From<Type> for Kind {
    fn from(kind: Type) -> Self {
        match kind {
            Type::File => Self::File,
            Type::Directory => Self::Folder,
            Type::Symlink => Self::Link,
            Type::Fifo => Self::Pipe,
            Type::Socket => Self::Socket,
            Type::BlockDevice => Self::BlockDevice,
            Type::CharacterDevice => Self::CharacterDevice,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::budget::Budget;

    #[tokio::test]
    async fn a_folder_is_read_a_few_names_at_a_time_and_told_in_whole() {
        let folder = tempfile::tempdir().unwrap();
        let inside = |name: &str| folder.path().join(name);
        for at in 0..3 * AT_ONCE {
            fs::write(inside(&format!("file {at}")), "").unwrap();
        }
        fs::create_dir(inside("folder")).unwrap();
        std::os::unix::fs::symlink("folder", inside("link")).unwrap();
        nix::unistd::mkfifo(&inside("pipe"), Mode::S_IRWXU).unwrap();
        let (descriptors, memory) = (Budget::new(1), Budget::new(2 << 20));
        let opened = Arc::new(fs::File::open(folder.path()).unwrap());
        let one = descriptors.share().part(1).unwrap();
        let rest = Rest::open(opened, one).unwrap();
        let needed = rest.memory();
        assert!(needed > NAMES);
        let mut listing = Listing::new(rest, memory.share().part(needed).unwrap());
        assert_eq!(descriptors.used(), 1);

        let mut told = Vec::new();
        let mut most = 0;
        while let Some(next) = listing.next().await {
            most = most.max(listing.next.len());
            told.push(next.unwrap());
        }
        assert!(most < AT_ONCE && told.len() == 3 * AT_ONCE + 3);
        for (name, kind) in [
            ("file 100", Kind::File),
            ("folder", Kind::Folder),
            ("link", Kind::Link),
            ("pipe", Kind::Pipe),
        ] {
            let entry = told.iter().find(|entry| entry.name == name).unwrap();
            assert_eq!(entry.kind, kind, "{name}");
        }
        // What is read to its end needs no descriptor any more; the names that are not told yet are in memory.
        assert_eq!((descriptors.used(), memory.used()), (0, needed));
        assert!(listing.next().await.is_none());
        drop(listing);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn what_the_file_system_does_not_say_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("folder", folder.path().join("link")).unwrap();
        let opened = Arc::new(fs::File::open(folder.path()).unwrap());
        let share = || Budget::new(0).share();
        let mut rest = Rest::open(opened, share()).unwrap();
        let found: Vec<Found> = rest.names.by_ref().map(Result::unwrap).collect();
        let kind = |name: &str| {
            let found = found
                .iter()
                .find(|it| it.file_name().to_bytes() == name.as_bytes());
            rest.looked_at(found.unwrap())
        };
        assert_eq!((kind("folder"), kind("link")), (Kind::Folder, Kind::Link));
    }
}
