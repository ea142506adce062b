//! Where the buckets lie: in one file for the whole host, which is opened when it is first needed.
//!
//! A write is answered when it is on disk. There is one writer at a time, and who waits for their turn
//! waits on the async side: threads for work that blocks are few, and others need them too.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Builder, CommitError, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable,
    StorageError, Table, TableDefinition, TableError, TransactionError, WriteTransaction,
};
use tokio::sync::Mutex as Turn;

/// The name of the file in the folder for state.
const FILE: &str = "buckets.redb";

/// The memory that the database may use to have pages at hand.
const CACHE: usize = 16 << 20;

/// The longest key, in bytes.
const LONGEST_KEY: usize = 1 << 10;

/// The largest value, in bytes.
const LARGEST_VALUE: usize = 1 << 20;

/// The most keys of one bucket.
const MOST_KEYS: u64 = 100_000;

/// The most keys in one batch, or one page of a listing.
pub(super) const BATCH: usize = 1_000;

/// The most bytes of values in one batch.
const BATCH_BYTES: usize = 8 << 20;

type EntryKey = (&'static [u8], &'static str);
type EntryValue = (u64, &'static [u8]);

/// By bucket and key: the number of the entry, and its value.
const ENTRIES: TableDefinition<'_, EntryKey, EntryValue> = TableDefinition::new("entries");

/// By bucket and number: the key. Numbers are given once, in the order in which keys are made, so a
/// listing that goes by them misses nothing when keys come and go.
const ORDER: TableDefinition<'_, (&[u8], u64), &str> = TableDefinition::new("order");

/// By bucket: its bytes, its keys, and the next number.
const TOTALS: TableDefinition<'_, &[u8], (u64, u64, u64)> = TableDefinition::new("totals");

/// The database of a host. Clones are the same one.
#[derive(Clone)]
pub(in crate::sandbox) struct Database(Arc<Shared>);

struct Shared {
    /// The folder; none keeps everything in memory.
    folder: Option<PathBuf>,
    opened: Mutex<Option<Arc<redb::Database>>>,
    turn: Arc<Turn<()>>,
}

/// One bucket, with the bytes that it may have.
#[derive(Clone)]
pub(super) struct Place {
    /// What no other bucket has.
    pub(super) id: Arc<[u8]>,
    pub(super) quota: u64,
}

/// Why something was not done, in words for the guest.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    #[error("a key has more than {LONGEST_KEY} bytes, the most it may have; shorten it")]
    KeyTooLong,
    #[error("a value has more than {} KiB, the most it may have; divide it", LARGEST_VALUE >> 10)]
    ValueTooLarge,
    #[error(
        "the bucket is full: its keys and values may have {quota} bytes together; delete some, or have the operator raise its `quota`"
    )]
    Full { quota: u64 },
    #[error("the bucket is full: it has {MOST_KEYS} keys, the most it may have; delete some")]
    TooManyKeys,
    #[error(
        "a batch has more than {BATCH} keys or {} MiB of values, the most it may have; divide it",
        BATCH_BYTES >> 20
    )]
    BatchTooLarge,
    #[error("the value is not a number that can be added to")]
    NotANumber,
    #[error("the sum is too large for a number of 64 bits")]
    Overflow,
    #[error("the host's buckets cannot be used at the moment; its log says why")]
    Unavailable,
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
    #[error("the folder for state, `{}`, cannot be used: {cause}", folder.display())]
    Folder { folder: PathBuf, cause: io::Error },
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

impl Database {
    /// The database in this folder. Nothing happens there until a guest opens a bucket.
    pub(in crate::sandbox) fn new(folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            folder,
            opened: Mutex::default(),
            turn: Arc::default(),
        }))
    }

    /// The value of a key.
    pub(super) async fn get(&self, place: Place, key: String) -> Result<Option<Vec<u8>>, NotDone> {
        self.read(move |reading| reading.value(&place, &key)).await
    }

    /// The values of keys, where they are there.
    pub(super) async fn get_many(
        &self,
        place: Place,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, NotDone> {
        if keys.len() > BATCH {
            return Err(NotDone::BatchTooLarge);
        }
        self.read(move |reading| {
            let mut bytes = 0_usize;
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                let value = reading.value(&place, &key)?;
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

    /// One page of keys, and where the next begins, if there is one.
    pub(super) async fn keys(
        &self,
        place: Place,
        from: u64,
    ) -> Result<(Vec<String>, Option<u64>), NotDone> {
        self.read(move |reading| {
            let Some(order) = absent(reading.0.open_table(ORDER))? else {
                return Ok((Vec::new(), None));
            };
            let mut keys = Vec::new();
            for entry in order.range((&*place.id, from)..=(&*place.id, u64::MAX))? {
                let (at, key) = entry?;
                if keys.len() == BATCH {
                    return Ok((keys, Some(at.value().1)));
                }
                keys.push(key.value().to_owned());
            }
            Ok((keys, None))
        })
        .await
    }

    /// Sets values, all or none.
    pub(super) async fn set(
        &self,
        place: Place,
        values: Vec<(String, Vec<u8>)>,
    ) -> Result<(), NotDone> {
        let bytes = values.iter().map(|(_, value)| value.len()).sum::<usize>();
        if values.len() > BATCH || (values.len() > 1 && bytes > BATCH_BYTES) {
            return Err(NotDone::BatchTooLarge);
        }
        self.write(place, move |bucket| {
            for (key, value) in &values {
                bucket.set(key, value)?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes keys, all or none; those that are not there are no error.
    pub(super) async fn delete(&self, place: Place, keys: Vec<String>) -> Result<(), NotDone> {
        if keys.len() > BATCH {
            return Err(NotDone::BatchTooLarge);
        }
        self.write(place, move |bucket| {
            for key in &keys {
                bucket.delete(key)?;
            }
            Ok(())
        })
        .await
    }

    /// Adds to a number, which is written in decimal digits, and gives the sum.
    pub(super) async fn increment(
        &self,
        place: Place,
        key: String,
        delta: u64,
    ) -> Result<u64, NotDone> {
        self.write(place, move |bucket| {
            let before = bucket.number(&key)?;
            let sum = before.checked_add(delta).ok_or(NotDone::Overflow)?;
            bucket.set(&key, sum.to_string().as_bytes())?;
            Ok(sum)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, NotDone> {
        let shared = Arc::clone(&self.0);
        blocking(move || work(&Reading(shared.open()?.begin_read()?))).await
    }

    async fn write<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce(&mut Writing<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, NotDone> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        let shared = Arc::clone(&self.0);
        blocking(move || {
            // Kept even when the guest that waits has gone: what began is finished.
            let _turn = turn;
            let mut transaction = shared.open()?.begin_write()?;
            // What guests write could be made to look like a commit that was cut short; two phases do
            // not rely on checksums, and opening after a crash takes no time.
            transaction.set_quick_repair(true);
            let mut writing = Writing::begin(&transaction, &place)?;
            let done = work(&mut writing)?;
            writing.finish()?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }
}

impl Shared {
    /// The database, opened now if it is not. What failed is tried again by the next who comes.
    fn open(&self) -> Result<Arc<redb::Database>, Failed> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &*opened {
            return Ok(Arc::clone(database));
        }
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE);
        let database = match &self.folder {
            Some(folder) => {
                let path = folder.join(FILE);
                let file = private_file(folder, &path).map_err(|cause| Failed::Folder {
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
        let database = Arc::new(database);
        *opened = Some(Arc::clone(&database));
        Ok(database)
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

/// Does the work where it may block. What is wrong with the database is for the log.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failed> + Send + 'static,
) -> Result<T, NotDone> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(Failed::Guest(cause))) => Err(cause),
        Ok(Err(cause)) => {
            tracing::error!(%cause, "buckets cannot be used");
            Err(NotDone::Unavailable)
        }
        Err(panic) => {
            tracing::error!(%panic, "the database failed, which is a defect worth reporting");
            Err(NotDone::Unavailable)
        }
    }
}

/// A table that nothing was written to yet is not there.
fn absent<T>(opened: Result<T, TableError>) -> Result<Option<T>, TableError> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// The database as it is at one moment.
struct Reading(ReadTransaction);

impl Reading {
    fn value(&self, place: &Place, key: &str) -> Result<Option<Vec<u8>>, Failed> {
        let Some(entries) = absent(self.0.open_table(ENTRIES))? else {
            return Ok(None);
        };
        let entry = entries.get((&*place.id, key))?;
        Ok(entry.map(|entry| entry.value().1.to_vec()))
    }
}

/// One bucket, while it is written to.
struct Writing<'a> {
    place: &'a Place,
    entries: Table<'a, EntryKey, EntryValue>,
    order: Table<'a, (&'static [u8], u64), &'static str>,
    totals: Table<'a, &'static [u8], (u64, u64, u64)>,
    bytes: u64,
    keys: u64,
    next: u64,
}

impl<'a> Writing<'a> {
    fn begin(transaction: &'a WriteTransaction, place: &'a Place) -> Result<Self, Failed> {
        let totals = transaction.open_table(TOTALS)?;
        let (bytes, keys, next) = totals
            .get(&*place.id)?
            .map_or((0, 0, 0), |totals| totals.value());
        Ok(Self {
            place,
            entries: transaction.open_table(ENTRIES)?,
            order: transaction.open_table(ORDER)?,
            totals,
            bytes,
            keys,
            next,
        })
    }

    /// Whoever has more than they may, since the operator lowered it, may still have less.
    fn set(&mut self, key: &str, value: &[u8]) -> Result<(), Failed> {
        if key.len() > LONGEST_KEY {
            return Err(NotDone::KeyTooLong.into());
        }
        if value.len() > LARGEST_VALUE {
            return Err(NotDone::ValueTooLarge.into());
        }
        let at = (&*self.place.id, key);
        let before = self.entries.get(at)?.map(|entry| {
            let (number, value) = entry.value();
            (number, value.len())
        });
        let (number, freed) = match before {
            Some((number, length)) => (number, size(key, length)),
            None => (self.next, 0),
        };
        let bytes = self
            .bytes
            .saturating_sub(freed)
            .saturating_add(size(key, value.len()));
        if bytes > self.place.quota && bytes > self.bytes {
            let quota = self.place.quota;
            return Err(NotDone::Full { quota }.into());
        }
        if before.is_none() {
            if self.keys >= MOST_KEYS {
                return Err(NotDone::TooManyKeys.into());
            }
            self.order.insert((&*self.place.id, number), key)?;
            self.keys = self.keys.saturating_add(1);
            self.next = self.next.saturating_add(1);
        }
        self.entries.insert(at, (number, value))?;
        self.bytes = bytes;
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<(), Failed> {
        let removed = self.entries.remove((&*self.place.id, key))?;
        let Some((number, length)) = removed.map(|entry| {
            let (number, value) = entry.value();
            (number, value.len())
        }) else {
            return Ok(());
        };
        self.order.remove((&*self.place.id, number))?;
        self.keys = self.keys.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size(key, length));
        Ok(())
    }

    /// The number that is the value of a key; nought if there is none.
    fn number(&self, key: &str) -> Result<u64, Failed> {
        let Some(entry) = self.entries.get((&*self.place.id, key))? else {
            return Ok(0);
        };
        let (_, value) = entry.value();
        std::str::from_utf8(value)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| NotDone::NotANumber.into())
    }

    fn finish(mut self) -> Result<(), Failed> {
        let totals = (self.bytes, self.keys, self.next);
        self.totals.insert(&*self.place.id, totals)?;
        Ok(())
    }
}

fn size(key: &str, value: usize) -> u64 {
    u64::try_from(key.len().saturating_add(value)).unwrap_or(u64::MAX)
}
