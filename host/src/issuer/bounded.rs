//! A map that forgets what is oldest rather than grow without end.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A map of at most so many entries.
pub(super) struct Bounded<K, V> {
    most: usize,
    /// When the next entry comes, counted.
    next: u64,
    entries: HashMap<K, (u64, V)>,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            next: 0,
            entries: HashMap::new(),
        }
    }

    /// Adds an entry, or puts it in the place of another under the same key. The oldest one goes when
    /// there are too many.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.entries.insert(key, (self.next, value));
        self.next = self.next.saturating_add(1);
        if self.entries.len() > self.most {
            let oldest = self.entries.iter().min_by_key(|(_, (since, _))| *since);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.entries.remove(&key);
            }
        }
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.entries.remove(key).map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|(_, value)| value)
    }

    /// The entries, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &V> {
        let mut entries: Vec<_> = self.entries.values().collect();
        entries.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
        entries.into_iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut map = Bounded::new(2);
        for key in ["a", "b", "a", "c"] {
            map.insert(key, key);
        }
        assert_eq!(map.newest_first().collect::<Vec<_>>(), [&"c", &"a"]);
        assert_eq!(map.remove("a"), Some("a"));
        map.insert("d", "d");
        assert_eq!(map.newest_first().collect::<Vec<_>>(), [&"d", &"c"]);
    }
}
