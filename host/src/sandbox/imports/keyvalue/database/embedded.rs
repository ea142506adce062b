//! Buckets in one file for the whole host, which is opened when it is first needed.

mod tables;
mod writer;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Builder, CommitError, DatabaseError, ReadableDatabase, StorageError, TableError,
    TransactionError,
};

use self::tables::Reading;
use self::writer::{Job, Queue};
use super::{BATCH_BYTES, Change, NotDone, Pending, Place};

/// The name of the file in the folder for state.
const FILE: &str = "buckets.redb";

/// The memory that the database may use to have pages at hand.
const CACHE: usize = 16 << 20;

/// Buckets in a file, or in memory. Clones are the same ones.
#[derive(Clone)]
pub(super) struct Embedded(Arc<Shared>);

struct Shared {
    /// The folder; none keeps everything in memory.
    folder: Option<PathBuf>,
    opened: Mutex<Option<Opened>>,
    queue: Mutex<Queue>,
}

/// The database, while it is open.
#[derive(Clone)]
struct Opened {
    database: Arc<redb::Database>,
    /// Its file, as long as that is where it was opened; none is in memory.
    file: Option<Inode>,
}

/// What tells a file from another that is put in its place: its device and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inode(u64, u64);

impl From<&Metadata> for Inode {
    fn from(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// Why something was not done: over the guest, or over the database, of which only the log is told.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Guest(#[from] NotDone),
    #[error(
        "`{}` is in use by another host; give each host a `state_dir` of its own",
        _0.display()
    )]
    InUse(PathBuf),
    #[error(
        "`{}` was removed or replaced while it was in use, and what was kept in it is gone with it; the file that is there now is opened, or a new one",
        _0.display()
    )]
    Replaced(PathBuf),
    #[error("the folder for state, `{}`, cannot be used: {cause}", folder.display())]
    Folder { folder: PathBuf, cause: io::Error },
    #[error("what was written just now cannot be found in the folder for state, `{}`: {cause}", folder.display())]
    Unconfirmed { folder: PathBuf, cause: io::Error },
    #[error("the database cannot be opened: {0}")]
    Open(#[from] DatabaseError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Embedded {
    /// Those in this folder, or without one in memory. Nothing happens there until a guest opens a bucket.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            folder,
            opened: Mutex::default(),
            queue: Mutex::default(),
        }))
    }

    /// Whether they end with the host.
    pub(super) fn is_in_memory(&self) -> bool {
        self.0.folder.is_none()
    }

    pub(super) async fn exists(&self, place: Place, key: String) -> Result<bool, NotDone> {
        self.read(&place, move |reading| reading.has(&key)).await
    }

    pub(super) async fn get_many(
        &self,
        place: Place,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, NotDone> {
        self.read(&place, move |reading| {
            let mut bytes = 0_usize;
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                let value = reading.value(&key)?;
                bytes = bytes.saturating_add(value.as_ref().map_or(0, Vec::len));
                if bytes > BATCH_BYTES {
                    return Err(NotDone::BatchTooLarge.into());
                }
                values.push(value.map(|value| (key, value)));
            }
            Ok(values)
        })
        .await
    }

    pub(super) async fn keys(
        &self,
        place: Place,
        from: u64,
    ) -> Result<(Vec<String>, Option<u64>), NotDone> {
        self.read(&place, move |reading| reading.keys(from)).await
    }

    /// Changes a bucket, as a whole or not at all, and gives the sum if something was added. It is on disk
    /// when this returns.
    pub(super) async fn change(
        &self,
        place: Place,
        change: Change,
        pending: Pending,
    ) -> Result<i128, NotDone> {
        let (job, answer) = Job::new(&place, change, pending);
        writer::push(&self.0, (place.service, place.party), job);
        // What is not answered was not done: the writer fell.
        answer.await.unwrap_or(Err(NotDone::Unavailable))
    }

    async fn read<T: Send + 'static>(
        &self,
        place: &Place,
        work: impl FnOnce(&Reading) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, NotDone> {
        let id = place.id();
        let shared = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            shared.work(|opened| work(&Reading::new(id, opened.database.begin_read()?)))
        });
        done.await.unwrap_or_else(|panic| {
            tracing::error!(%panic, "the database failed, which is a defect worth reporting");
            Err(NotDone::Unavailable)
        })
    }
}

impl Shared {
    /// Does work with the database, and says what a guest is told if it fails. One that failed to read or
    /// write once refuses to ever after, so it is opened anew then.
    fn work<T>(&self, work: impl FnOnce(&Opened) -> Result<T, Failed>) -> Result<T, NotDone> {
        let opened = self.open().map_err(|failed| failed.told())?;
        work(&opened).map_err(|failed| {
            if !matches!(failed, Failed::Guest(_) | Failed::Unconfirmed { .. }) {
                self.forget(opened);
            }
            failed.told()
        })
    }

    /// The database, opened now if it is not. What failed is tried again by the next who comes.
    fn open(&self) -> Result<Opened, Failed> {
        let known = self.opened().clone();
        // The file is looked at without the lock: on a disk that is slow, nobody waits for another.
        if let Some(known) = known {
            return match self.is_in_place(&known) {
                Ok(()) => Ok(known),
                Err(failed) => {
                    if matches!(failed, Failed::Replaced(_)) {
                        self.forget(known);
                    }
                    Err(failed)
                }
            };
        }
        let mut opened = self.opened();
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE);
        let mut inode = None;
        let database = match &self.folder {
            Some(folder) => {
                let path = folder.join(FILE);
                let file = private_file(folder, &path)
                    .and_then(|file| {
                        inode = Some(Inode::from(&file.metadata()?));
                        Ok(file)
                    })
                    .map_err(|cause| Failed::Folder {
                        folder: folder.clone(),
                        cause,
                    })?;
                builder
                    .create_with_backend(FileBackend::new(file)?)
                    .map_err(|cause| {
                        if matches!(cause, DatabaseError::DatabaseAlreadyOpen) {
                            Failed::InUse(path)
                        } else {
                            cause.into()
                        }
                    })?
            }
            None => builder.create_with_backend(InMemoryBackend::new())?,
        };
        let fresh = Opened {
            database: Arc::new(database),
            file: inode,
        };
        *opened = Some(fresh.clone());
        Ok(fresh)
    }

    /// Whoever has a file open can read and write it, though nobody will find it any more.
    fn is_in_place(&self, opened: &Opened) -> Result<(), Failed> {
        let (Some(folder), Some(inode)) = (&self.folder, opened.file) else {
            return Ok(());
        };
        let path = folder.join(FILE);
        match fs::metadata(&path) {
            Ok(metadata) if Inode::from(&metadata) == inode => Ok(()),
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Failed::Folder {
                folder: folder.clone(),
                cause,
            }),
            _ => Err(Failed::Replaced(path)),
        }
    }

    /// Has the next who comes open the database anew, unless somebody has done that since.
    fn forget(&self, failed: Opened) {
        let mut opened = self.opened();
        if opened
            .as_ref()
            .is_some_and(|it| Arc::ptr_eq(&it.database, &failed.database))
        {
            *opened = None;
        }
        // Under the lock: it is closed before it is opened again.
        drop(failed);
    }

    fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failed {
    /// What a guest is told of it. What is wrong with the database is for the log.
    fn told(&self) -> NotDone {
        if let Self::Guest(cause) = self {
            return *cause;
        }
        tracing::error!(cause = %self, "buckets cannot be used");
        if matches!(self, Self::Commit(_) | Self::Unconfirmed { .. }) {
            NotDone::Unknown
        } else {
            NotDone::Unavailable
        }
    }
}

/// Opens a file that is this user's alone, and makes it and its folder if need be.
fn private_file(folder: &Path, path: &Path) -> io::Result<File> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;
    use crate::auth::Party;
    use crate::sandbox::grants::BucketScope;

    fn place() -> Place {
        Place {
            service: "keeper".into(),
            bucket: "all".into(),
            scope: BucketScope::Service,
            owner: "".into(),
            quota: 1 << 20,
            party: Party::Local,
        }
    }

    fn set(key: usize) -> Change {
        Change::Set(vec![(key.to_string(), vec![7])])
    }

    #[tokio::test]
    async fn changes_are_counted_until_they_are_made() {
        let buckets = Embedded::new(None);
        let count: Arc<AtomicUsize> = Arc::default();
        let pending = || count.load(Ordering::Relaxed);
        let change = |key| {
            let buckets = buckets.clone();
            let begun = Pending::begin(&count);
            tokio::spawn(async move { buckets.change(place(), set(key), begun).await })
        };
        assert_eq!(change(0).await.unwrap(), Ok(0));
        assert_eq!(pending(), 0);
        // Nobody can write meanwhile.
        let database = buckets.0.open().ok().unwrap().database;
        let held = database.begin_write().unwrap();
        let changes: Vec<_> = (0..10).map(change).collect();
        assert_eq!(pending(), 10);
        held.abort().unwrap();
        for made in join_all(changes).await {
            assert_eq!(made.unwrap(), Ok(0));
        }
        assert_eq!(pending(), 0);
    }

    #[test]
    fn what_fails_late_closes_no_other_database() {
        let folder = tempfile::tempdir().unwrap();
        let buckets = Embedded::new(Some(folder.path().into()));
        let shared = &buckets.0;
        let mut next = None;
        let failed: Result<(), _> = shared.work(|first| {
            fs::remove_file(folder.path().join(FILE)).unwrap();
            assert!(matches!(shared.open(), Err(Failed::Replaced(_))));
            // The next who comes has a new one.
            let opened = shared.open().ok().unwrap();
            assert!(!Arc::ptr_eq(&opened.database, &first.database));
            next = Some(opened);
            Err(Failed::Storage(StorageError::PreviousIo))
        });
        assert_eq!(failed, Err(NotDone::Unavailable));
        let opened = shared.open().ok().unwrap();
        assert!(Arc::ptr_eq(&opened.database, &next.unwrap().database));

        // One that fails itself is opened anew.
        drop(opened);
        let mut last = std::sync::Weak::new();
        let failed: Result<(), _> = shared.work(|opened| {
            last = Arc::downgrade(&opened.database);
            Err(Failed::Storage(StorageError::PreviousIo))
        });
        assert_eq!(failed, Err(NotDone::Unavailable));
        assert!(last.upgrade().is_none());
        assert!(shared.open().is_ok());
    }
}
