//! How buckets lie in the file.

use std::collections::HashMap;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, TableError, WriteTransaction};

use super::super::{BATCH, Change, Delta, MOST_KEYS, NotDone, Seen};
use super::Failed;

type EntryKey = (&'static [u8], &'static str);
type EntryValue = (u64, &'static [u8]);

/// By bucket and key: the number of the entry, and its value.
const ENTRIES: TableDefinition<'_, EntryKey, EntryValue> = TableDefinition::new("entries");

/// By bucket and number: the key. Numbers are given once, in the order in which keys are made, so a
/// listing that goes by them misses nothing when keys come and go.
const ORDER: TableDefinition<'_, (&[u8], u64), &str> = TableDefinition::new("order");

/// By bucket: its bytes, its keys, and the next number.
const TOTALS: TableDefinition<'_, &[u8], (u64, u64, u64)> = TableDefinition::new("totals");

/// A bucket as it is at one moment.
pub(super) struct Reading {
    id: Arc<[u8]>,
    transaction: ReadTransaction,
}

impl Reading {
    pub(super) fn new(id: Arc<[u8]>, transaction: ReadTransaction) -> Self {
        Self { id, transaction }
    }

    pub(super) fn value(&self, key: &str) -> Result<Option<Vec<u8>>, Failed> {
        let Some(entries) = absent(self.transaction.open_table(ENTRIES))? else {
            return Ok(None);
        };
        let entry = entries.get((&*self.id, key))?;
        Ok(entry.map(|entry| entry.value().1.to_vec()))
    }

    pub(super) fn has(&self, key: &str) -> Result<bool, Failed> {
        let Some(entries) = absent(self.transaction.open_table(ENTRIES))? else {
            return Ok(false);
        };
        Ok(entries.get((&*self.id, key))?.is_some())
    }

    /// One page of keys, those whose numbers begin there, and the number of the next.
    pub(super) fn keys(&self, from: u64) -> Result<(Vec<String>, Option<u64>), Failed> {
        let Some(order) = absent(self.transaction.open_table(ORDER))? else {
            return Ok((Vec::new(), None));
        };
        let mut keys = Vec::new();
        for entry in order.range((&*self.id, from)..=(&*self.id, u64::MAX))? {
            let (at, key) = entry?;
            if keys.len() == BATCH {
                return Ok((keys, Some(at.value().1)));
            }
            keys.push(key.value().to_owned());
        }
        Ok((keys, None))
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

/// All buckets, while they are written to.
pub(super) struct Tables<'t> {
    entries: Table<'t, EntryKey, EntryValue>,
    order: Table<'t, (&'static [u8], u64), &'static str>,
    totals: Table<'t, &'static [u8], (u64, u64, u64)>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Failed> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            order: transaction.open_table(ORDER)?,
            totals: transaction.open_table(TOTALS)?,
        })
    }

    /// Changes a bucket, and gives the sum if something was added. Nothing is written before all of it is
    /// known to fit: what others asked for is in the same transaction.
    pub(super) fn apply(&mut self, id: &[u8], quota: u64, change: &Change) -> Result<i128, Failed> {
        let totals = self.totals.get(id)?.map(|totals| totals.value());
        let (bytes, keys, next) = totals.unwrap_or_default();
        Bucket {
            tables: self,
            id,
            quota,
            bytes,
            keys,
            next,
        }
        .apply(change)
    }
}

/// One bucket, while it is written to.
struct Bucket<'b, 't> {
    tables: &'b mut Tables<'t>,
    id: &'b [u8],
    quota: u64,
    bytes: u64,
    keys: u64,
    next: u64,
}

impl Bucket<'_, '_> {
    fn apply(&mut self, change: &Change) -> Result<i128, Failed> {
        let mut sum = 0;
        match change {
            Change::Set(values) => {
                let values: Vec<_> = values.iter().map(|(key, it)| (&**key, &**it)).collect();
                self.set(&values)?;
            }
            Change::Delete(keys) => {
                for key in keys {
                    self.delete(key)?;
                }
            }
            Change::Add { key, delta } => {
                sum = self.sum(key, *delta)?;
                self.set(&[(key, sum.to_string().as_bytes())])?;
            }
            Change::Swap { key, seen, value } => {
                if self.seen(key)? != *seen {
                    return Err(NotDone::Changed.into());
                }
                self.set(&[(key, value)])?;
            }
        }
        let totals = (self.bytes, self.keys, self.next);
        self.tables.totals.insert(self.id, totals)?;
        Ok(sum)
    }

    /// The number of a key and the length of its value, if there is one.
    fn entry(&self, key: &str) -> Result<Option<(u64, usize)>, Failed> {
        let entry = self.tables.entries.get((self.id, key))?;
        Ok(entry.map(|entry| {
            let (number, value) = entry.value();
            (number, value.len())
        }))
    }

    fn seen(&self, key: &str) -> Result<Seen, Failed> {
        let entry = self.tables.entries.get((self.id, key))?;
        Ok(Seen::of(entry.as_ref().map(|entry| entry.value().1)))
    }

    /// Whoever has more than they may, since the operator lowered it, may still have less.
    fn set(&mut self, values: &[(&str, &[u8])]) -> Result<(), Failed> {
        let (mut bytes, mut keys, mut next) = (self.bytes, self.keys, self.next);
        let mut planned: HashMap<&str, (u64, usize)> = HashMap::new();
        for (key, value) in values {
            let before = match planned.get(key) {
                Some(planned) => Some(*planned),
                None => self.entry(key)?,
            };
            let freed = before.map_or(0, |(_, length)| size(key, length));
            let after = bytes
                .saturating_sub(freed)
                .saturating_add(size(key, value.len()));
            if after > self.quota && after > bytes {
                let quota = self.quota;
                return Err(NotDone::Full { quota }.into());
            }
            let number = match before {
                Some((number, _)) => number,
                None if keys >= MOST_KEYS => return Err(NotDone::TooManyKeys.into()),
                None => {
                    keys = keys.saturating_add(1);
                    next = next.saturating_add(1);
                    next.saturating_sub(1)
                }
            };
            planned.insert(key, (number, value.len()));
            bytes = after;
        }
        for (key, value) in values {
            let number = planned.get(key).map_or(next, |(number, _)| *number);
            if number >= self.next {
                self.tables.order.insert((self.id, number), *key)?;
            }
            let entry = (number, *value);
            self.tables.entries.insert((self.id, *key), entry)?;
        }
        (self.bytes, self.keys, self.next) = (bytes, keys, next);
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<(), Failed> {
        let removed = self.tables.entries.remove((self.id, key))?;
        let Some((number, length)) = removed.map(|entry| {
            let (number, value) = entry.value();
            (number, value.len())
        }) else {
            return Ok(());
        };
        self.tables.order.remove((self.id, number))?;
        self.keys = self.keys.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size(key, length));
        Ok(())
    }

    /// What a number becomes; one that is not there is nought.
    fn sum(&self, key: &str, delta: Delta) -> Result<i128, Failed> {
        let entry = self.tables.entries.get((self.id, key))?;
        let before = match &entry {
            Some(entry) => delta.read(entry.value().1).ok_or(NotDone::NotANumber)?,
            None => 0,
        };
        Ok(delta.added_to(before).ok_or(NotDone::Overflow)?)
    }
}

fn size(key: &str, value: usize) -> u64 {
    u64::try_from(key.len().saturating_add(value)).unwrap_or(u64::MAX)
}
