//! Places that are shared: there are so many in all, and nobody has them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::auth::Party;

/// How many places there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// For everybody together.
    pub all: usize,
    /// For one caller: a user, or whoever has no token and connects from one address.
    pub each: usize,
}

/// Places of one kind. Clones are the same places.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    each: HashMap<Party, usize>,
}

/// No place is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// For anybody; so many are taken.
    All(usize),
    /// For this caller, who has so many.
    Each(usize),
}

impl Full {
    /// The same in words, of places that are called so.
    pub(super) fn of(self, what: &str, remedy: &str) -> String {
        match self {
            Self::All(most) => {
                format!(
                    "there are {most} {what} already, as many as this server has; try again later"
                )
            }
            Self::Each(most) => format!(
                "this caller has {most} {what} already, as many as one may have; {remedy}, or try again later"
            ),
        }
    }
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Inner {
            bounds,
            taken: Mutex::default(),
        }))
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.0.lock().all
    }

    /// Takes a place, until what is returned is dropped.
    pub(super) fn take(&self, party: &Party) -> Result<Place, Full> {
        let bounds = self.0.bounds;
        let mut taken = self.0.lock();
        let own = taken.each.get(party).copied().unwrap_or_default();
        if own >= bounds.each {
            return Err(Full::Each(own));
        }
        if taken.all >= bounds.all {
            return Err(Full::All(taken.all));
        }
        taken.all = taken.all.saturating_add(1);
        taken.each.insert(party.clone(), own.saturating_add(1));
        Ok(Place {
            places: Arc::clone(&self.0),
            party: party.clone(),
        })
    }
}

impl Inner {
    /// Nothing panics while it is held; a poisoned lock is good.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until it is dropped.
pub(super) struct Place {
    places: Arc<Inner>,
    party: Party,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.each.get_mut(&self.party) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.each.remove(&self.party);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn party(number: u8) -> Party {
        Party::peer([203, 0, 113, number].into())
    }

    proptest! {
        #![proptest_config(crate::cases::config())]

        /// Whatever is taken and given back, the bounds hold, nobody is refused who fits, and nothing is
        /// kept of who has nothing.
        #[test]
        fn the_bounds_hold_and_nothing_else_does(
            all in 1_usize..8,
            each in 1_usize..8,
            steps in prop::collection::vec((0_u8..5, any::<bool>()), 0..100),
        ) {
            let places = Places::new(Bounds { all, each });
            let mut held: Vec<(u8, Place)> = Vec::new();
            for (number, takes) in steps {
                let own = held.iter().filter(|(of, _)| *of == number).count();
                if takes {
                    match places.take(&party(number)) {
                        Ok(place) => {
                            prop_assert!(own < each && held.len() < all);
                            held.push((number, place));
                        }
                        Err(Full::Each(most)) => prop_assert_eq!((own, most), (each, each)),
                        Err(Full::All(most)) => prop_assert_eq!((held.len(), most), (all, all)),
                    }
                } else if let Some(last) = held.iter().rposition(|(of, _)| *of == number) {
                    held.swap_remove(last);
                }
                prop_assert_eq!(places.taken(), held.len());
            }
            held.clear();
            prop_assert_eq!(places.taken(), 0);
            prop_assert!(places.0.lock().each.is_empty());
        }
    }
}
