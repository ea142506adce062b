//! Where buckets lie: in a file of the host's own, or on a server that several hosts share. Both hold the
//! same buckets to the same bounds.

mod embedded;
mod remote;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::embedded::Embedded;
use self::remote::Remote;
pub use self::remote::{BucketServer, NoServer};
use super::change::{Change, Delta, Seen};
use super::place::Place;

/// The longest key, in bytes.
const LONGEST_KEY: usize = 1 << 10;

/// The largest value, in bytes.
const LARGEST_VALUE: usize = 1 << 20;

/// The most keys of one bucket.
const MOST_KEYS: u64 = 100_000;

/// The most keys in one batch, or one page of a listing.
const BATCH: usize = 1_000;

/// The most bytes of values in one batch.
const BATCH_BYTES: usize = 8 << 20;

/// Where services keep what they keep in buckets.
#[derive(Clone, Debug)]
pub enum BucketStore {
    /// In memory, until the host ends.
    Memory,
    /// In a file in this folder, for one host alone.
    Folder(PathBuf),
    /// On a Redis or Valkey server.
    Server(BucketServer),
}

/// Whether buckets can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketState {
    /// They are in memory.
    InMemory,
    /// They are in a file.
    OnDisk,
    /// Their server answers.
    Connected,
    /// Their server does not answer.
    Away,
}

impl BucketState {
    /// Whether they can be used.
    pub fn is_usable(self) -> bool {
        self != Self::Away
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::InMemory => "in memory",
            Self::OnDisk => "on disk",
            Self::Connected => "connected",
            Self::Away => "away",
        }
    }
}

/// The database of a host. Clones are the same one.
#[derive(Clone)]
pub(in crate::sandbox) struct Database {
    kind: Kind,
    /// How many changes are being made.
    pending: Arc<AtomicUsize>,
}

/// A change that is being made, until this is dropped.
struct Pending(Arc<AtomicUsize>);

impl Pending {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone)]
enum Kind {
    Embedded(Embedded),
    Remote(Remote),
}

/// Why something was not done, in words for the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
    #[error("the sum does not fit into a number of 64 bits")]
    Overflow,
    #[error("the value is not the one that was seen any more")]
    Changed,
    #[error("the cursor is not one that a page was given with")]
    NoCursor,
    #[error("the host's buckets cannot be used at the moment; its log says why")]
    Unavailable,
    #[error(
        "the host's buckets did not answer; what was asked for may have been done or not, and the host's log says more"
    )]
    Unknown,
}

impl Database {
    /// The database in this place. In a folder nothing happens until a guest opens a bucket.
    pub(in crate::sandbox) fn new(store: &BucketStore) -> Self {
        let kind = match store {
            BucketStore::Memory => Kind::Embedded(Embedded::new(None)),
            BucketStore::Folder(folder) => Kind::Embedded(Embedded::new(Some(folder.clone()))),
            BucketStore::Server(server) => Kind::Remote(Remote::new(server)),
        };
        Self {
            kind,
            pending: Arc::default(),
        }
    }

    /// How many changes are being made, or wait for their turn.
    pub(in crate::sandbox) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Whether it can be used.
    pub(in crate::sandbox) fn state(&self) -> BucketState {
        match &self.kind {
            Kind::Embedded(embedded) if embedded.is_in_memory() => BucketState::InMemory,
            Kind::Embedded(_) => BucketState::OnDisk,
            Kind::Remote(remote) if remote.is_there() => BucketState::Connected,
            Kind::Remote(_) => BucketState::Away,
        }
    }

    /// The value of a key.
    pub(super) async fn get(&self, place: Place, key: String) -> Result<Option<Vec<u8>>, NotDone> {
        let found = self.get_many(place, vec![key]).await?;
        Ok(found.into_iter().flatten().next().map(|(_, value)| value))
    }

    /// Whether there is a value of a key.
    pub(super) async fn exists(&self, place: Place, key: String) -> Result<bool, NotDone> {
        match &self.kind {
            Kind::Embedded(embedded) => embedded.exists(place, key).await,
            Kind::Remote(remote) => remote.exists(&place, &key).await,
        }
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
        match &self.kind {
            Kind::Embedded(embedded) => embedded.get_many(place, keys).await,
            Kind::Remote(remote) => remote.get_many(&place, keys).await,
        }
    }

    /// One page of keys, and where the next begins, if there is one.
    pub(super) async fn keys(
        &self,
        place: Place,
        from: u64,
    ) -> Result<(Vec<String>, Option<u64>), NotDone> {
        match &self.kind {
            Kind::Embedded(embedded) => embedded.keys(place, from).await,
            Kind::Remote(remote) => remote.keys(&place, from).await,
        }
    }

    /// Changes a bucket, and gives the sum if something was added. It is kept when this returns.
    pub(super) async fn change(&self, place: Place, change: Change) -> Result<i128, NotDone> {
        fits(&change)?;
        let pending = Pending::begin(&self.pending);
        match &self.kind {
            // One that was begun is made, whoever waits for it.
            Kind::Embedded(embedded) => embedded.change(place, change, pending).await,
            Kind::Remote(remote) => {
                let made = remote.change(&place, change).await;
                drop(pending);
                made
            }
        }
    }
}

/// Whether a change is small enough by itself.
fn fits(change: &Change) -> Result<(), NotDone> {
    match change {
        Change::Set(values) => {
            if values.len() > BATCH || (values.len() > 1 && change.bytes() > BATCH_BYTES) {
                return Err(NotDone::BatchTooLarge);
            }
            let mut values = values.iter();
            values.try_for_each(|(key, value)| entry_fits(key, value))
        }
        Change::Delete(keys) if keys.len() > BATCH => Err(NotDone::BatchTooLarge),
        Change::Delete(_) => Ok(()),
        Change::Add { key, .. } => entry_fits(key, &[]),
        Change::Swap { key, value, .. } => entry_fits(key, value),
    }
}

/// Whether a key and its value are small enough by themselves.
fn entry_fits(key: &str, value: &[u8]) -> Result<(), NotDone> {
    if key.len() > LONGEST_KEY {
        return Err(NotDone::KeyTooLong);
    }
    if value.len() > LARGEST_VALUE {
        return Err(NotDone::ValueTooLarge);
    }
    Ok(())
}
