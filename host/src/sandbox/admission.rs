//! Who may run now, and who waits: a bounded number of places, and a bounded queue in which whoever asks
//! for much waits behind themselves, not in front of others.
//!
//! Callers who wait are served in turn, and each caller's services in turn, so the first who waits for
//! somebody waits for one round, however many wait for others. A call that waits for a person's answer
//! steps aside meanwhile, and comes back before anybody who is new.

mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::auth::Party;

use self::state::{State, Waiter};

/// Places for calls. Clones are the same places.
#[derive(Clone)]
pub(super) struct Admission(Arc<Inner>);

struct Inner {
    bounds: Bounds,
    state: Mutex<State>,
}

/// How many may be where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// How many may run.
    pub(super) places: usize,
    /// How many of one caller may run or be aside. A host that serves nobody but the process that started
    /// it keeps nothing for others.
    pub(super) share: usize,
    /// How many may wait for a place, and how many of one caller.
    pub(super) queue: usize,
    /// See above.
    pub(super) queue_share: usize,
    /// How many may be aside, and how many of one caller.
    pub(super) aside: usize,
    /// See above.
    pub(super) aside_share: usize,
}

impl Bounds {
    /// For so many places. One caller alone can have neither all of them nor all of the queue.
    pub(super) fn of(places: usize) -> Self {
        Self {
            places,
            share: places.div_ceil(2),
            queue: places,
            queue_share: places.div_ceil(8).max(4),
            aside: places.div_ceil(4).max(4),
            aside_share: places.div_ceil(16).max(4),
        }
    }

    /// How many calls there may be that have a store, at most.
    pub(super) fn stores(&self) -> usize {
        self.places.saturating_add(self.aside)
    }
}

/// Who wants a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The service that is called.
    pub(super) service: Arc<str>,
    /// Whose share of the places it takes.
    pub(super) caller: Party,
    /// How many places the service may have. The last to ask is right: its manifest may have changed.
    pub(super) most: usize,
}

/// All places are taken, and so are those in the queue that this claim could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// So many calls wait for answers already, of this caller or altogether.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{most} calls{} wait for answers of their clients already, which is the limit; answer one of those first",
    if *of_caller { " of this caller" } else { "" }
)]
pub struct TooManyAside {
    /// How many may.
    pub most: usize,
    /// Whether they are all of the same caller.
    pub of_caller: bool,
}

impl Admission {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Inner {
            bounds,
            state: Mutex::default(),
        }))
    }

    /// How many places a service may have that wants so many.
    pub(super) fn most_of_service(&self, wanted: Option<usize>) -> usize {
        let bounds = &self.0.bounds;
        wanted.map_or(bounds.share, |wanted| wanted.min(bounds.places))
    }

    /// How many calls there are that have a store: those that run, and those that are aside.
    pub(super) fn admitted(&self) -> usize {
        let state = self.lock();
        state.taken().saturating_add(state.aside())
    }

    /// How many of those are aside.
    pub(super) fn aside(&self) -> usize {
        self.lock().aside()
    }

    /// How many calls wait for a place that have had none.
    pub(super) fn queued(&self) -> usize {
        self.lock().queued()
    }

    /// Takes a place, or waits for one. Whoever stops waiting leaves the queue.
    pub(super) async fn enter(&self, claim: &Claim) -> Result<Place, Full> {
        let place = {
            let mut state = self.lock();
            if state.allow(claim) {
                self.serve(&mut state);
            }
            // Those who wait could not have taken it, or they would have.
            if state.fits(claim, &self.0.bounds) {
                return Ok(self.place(&mut state, claim.clone()));
            }
            let (sender, receiver) = oneshot::channel();
            state.wait(claim, sender, &self.0.bounds)?;
            receiver
        };
        // The sender is dropped only with the admission itself.
        place.await.map_err(|_gone| Full)
    }

    fn place(&self, state: &mut State, claim: Claim) -> Place {
        state.enter(&claim);
        Place {
            admission: self.clone(),
            claim,
            seat: Seat::Inside,
        }
    }

    /// Gives what is free to those who wait, until nobody fits any more.
    fn serve(&self, state: &mut State) {
        while let Some(waiter) = state.next(&self.0.bounds) {
            match waiter {
                // Its call has ended, and has been counted out by itself.
                Waiter::Back(_, sender) if sender.is_closed() => {}
                Waiter::Back(claim, sender) => {
                    state.come_back(&claim);
                    let chair = Chair(Some((self.clone(), claim)));
                    if let Err(mut unwanted) = sender.send(chair)
                        && let Some((_, claim)) = unwanted.0.take()
                    {
                        state.step_aside(&claim);
                    }
                }
                Waiter::New(claim, sender) => {
                    let place = self.place(state, claim);
                    if let Err(mut unwanted) = sender.send(place) {
                        unwanted.seat = Seat::Nowhere;
                        state.leave(&unwanted.claim);
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until it is dropped.
pub(super) struct Place {
    admission: Admission,
    claim: Claim,
    seat: Seat,
}

enum Seat {
    Inside,
    Aside,
    Nowhere,
}

impl Place {
    /// Lets others in for as long as this call waits for somebody.
    pub(super) fn step_aside(&mut self) -> Result<(), TooManyAside> {
        let mut state = self.admission.lock();
        state.may_step_aside(&self.claim, &self.admission.0.bounds)?;
        state.step_aside(&self.claim);
        self.seat = Seat::Aside;
        self.admission.serve(&mut state);
        Ok(())
    }

    /// Takes a place again, before anybody who is new.
    pub(super) async fn come_back(&mut self) {
        let chair = {
            let mut state = self.admission.lock();
            let (sender, receiver) = oneshot::channel();
            state.wait_to_come_back(&self.claim, sender);
            self.admission.serve(&mut state);
            receiver
        };
        // The sender is dropped only with the admission itself.
        if let Ok(mut chair) = chair.await
            && chair.0.take().is_some()
        {
            self.seat = Seat::Inside;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Seat::Nowhere = self.seat {
            return;
        }
        let mut state = self.admission.lock();
        let all_wait = state.taken() >= self.admission.0.bounds.places;
        if let Seat::Aside = self.seat {
            state.come_back(&self.claim);
        }
        let some_wait = state.concerns(&self.claim);
        state.leave(&self.claim);
        // While there were places, whoever waits does so for this service or this caller.
        if all_wait || some_wait {
            self.admission.serve(&mut state);
        }
    }
}

/// The place of somebody who comes back, on its way to them. Whoever does not take it is still aside.
struct Chair(Option<(Admission, Claim)>);

impl Drop for Chair {
    fn drop(&mut self) {
        if let Some((admission, claim)) = self.0.take() {
            let mut state = admission.lock();
            state.step_aside(&claim);
            admission.serve(&mut state);
        }
    }
}
