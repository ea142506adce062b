//! Who may run now, and who waits: a bounded number of places, and a bounded queue in which whoever asks
//! for much waits behind themselves, not in front of others.
//!
//! Those who wait stand in lanes, one for each caller of each service. A place that comes free goes to
//! the lanes in turn, so the first in a lane waits for one round, however long another lane is.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How many may wait in one lane.
const LANE: usize = 100;

/// Places for calls.
#[derive(Clone)]
pub(super) struct Admission(Arc<Inner>);

struct Inner {
    places: usize,
    /// How many may wait altogether.
    queue: usize,
    /// How many places one caller may have who is known.
    share: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: usize,
    by_service: HashMap<Arc<str>, usize>,
    by_caller: HashMap<Arc<str>, usize>,
    /// The next lane to be served stands first.
    lanes: VecDeque<Lane>,
}

/// Those who wait for the same service on behalf of the same caller.
struct Lane {
    whose: Claim,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// Who wants a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The service that is called.
    pub(super) service: Arc<str>,
    /// The id of the caller, if it is known. All others are one caller.
    pub(super) caller: Option<Arc<str>>,
    /// How many places the service may have.
    pub(super) most: usize,
}

/// All places are taken, and so are those in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Admission {
    /// That many places, and as many to wait for one.
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Inner {
            places,
            queue: places,
            // One caller alone cannot take what others need.
            share: places.div_ceil(2),
            state: Mutex::default(),
        }))
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        self.lock().taken
    }

    /// Takes a place, or waits for one in its lane. Whoever stops waiting leaves the lane.
    pub(super) async fn enter(&self, claim: &Claim) -> Result<Place, Full> {
        let place = {
            let mut state = self.lock();
            // Those in the lanes could not have taken it, or they would have.
            if state.fits(claim, &self.0) {
                return Ok(self.take(&mut state, claim.clone()));
            }
            let (sender, receiver) = oneshot::channel();
            state.wait(claim, sender, self.0.queue)?;
            receiver
        };
        // The sender is dropped only with the admission itself.
        place.await.map_err(|_gone| Full)
    }

    fn take(&self, state: &mut State, claim: Claim) -> Place {
        state.taken = state.taken.saturating_add(1);
        let count = state
            .by_service
            .entry(Arc::clone(&claim.service))
            .or_default();
        *count = count.saturating_add(1);
        if let Some(caller) = &claim.caller {
            let count = state.by_caller.entry(Arc::clone(caller)).or_default();
            *count = count.saturating_add(1);
        }
        Place {
            admission: Some(self.clone()),
            claim,
        }
    }

    fn leave(&self, claim: &Claim) {
        let mut state = self.lock();
        state.taken = state.taken.saturating_sub(1);
        less(&mut state.by_service, &claim.service);
        if let Some(caller) = &claim.caller {
            less(&mut state.by_caller, caller);
        }
        // The first in the first lane that may have the place gets it, and that lane goes to the back.
        for _ in 0..state.lanes.len() {
            let Some(mut lane) = state.lanes.pop_front() else {
                break;
            };
            let mut served = false;
            while !served && state.fits(&lane.whose, &self.0) {
                let Some(next) = lane.waiting.pop_front() else {
                    break;
                };
                let place = self.take(&mut state, lane.whose.clone());
                match next.send(place) {
                    Ok(()) => served = true,
                    // It has stopped waiting.
                    Err(unwanted) => unwanted.give_back(&mut state),
                }
            }
            if !lane.waiting.is_empty() {
                state.lanes.push_back(lane);
            }
            if served {
                break;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn less(counts: &mut HashMap<Arc<str>, usize>, of: &Arc<str>) {
    if let Some(count) = counts.get_mut(of) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(of);
        }
    }
}

impl State {
    fn fits(&self, claim: &Claim, limits: &Inner) -> bool {
        let of_caller = claim
            .caller
            .as_ref()
            .and_then(|caller| self.by_caller.get(caller));
        let of_service = self.by_service.get(&claim.service);
        self.taken < limits.places
            && of_service.is_none_or(|count| *count < claim.most)
            && of_caller.is_none_or(|count| *count < limits.share)
    }

    /// Puts somebody into the lane of a claim.
    fn wait(
        &mut self,
        claim: &Claim,
        sender: oneshot::Sender<Place>,
        queue: usize,
    ) -> Result<(), Full> {
        let waiting: usize = self.lanes.iter().map(|lane| lane.waiting.len()).sum();
        if waiting >= queue {
            self.tidy();
            let waiting: usize = self.lanes.iter().map(|lane| lane.waiting.len()).sum();
            if waiting >= queue {
                return Err(Full);
            }
        }
        let lane = self
            .lanes
            .iter_mut()
            .find(|lane| lane.whose.service == claim.service && lane.whose.caller == claim.caller);
        match lane {
            Some(lane) => {
                if lane.waiting.len() >= LANE {
                    lane.waiting.retain(|waiting| !waiting.is_closed());
                }
                if lane.waiting.len() >= LANE {
                    return Err(Full);
                }
                lane.waiting.push_back(sender);
            }
            None => self.lanes.push_back(Lane {
                whose: claim.clone(),
                waiting: VecDeque::from([sender]),
            }),
        }
        Ok(())
    }

    /// Forgets those who have stopped waiting.
    fn tidy(&mut self) {
        for lane in &mut self.lanes {
            lane.waiting.retain(|waiting| !waiting.is_closed());
        }
        self.lanes.retain(|lane| !lane.waiting.is_empty());
    }
}

/// A place, until it is dropped.
pub(super) struct Place {
    admission: Option<Admission>,
    claim: Claim,
}

impl Place {
    /// Gives the place back where the lock is held already.
    fn give_back(mut self, state: &mut State) {
        if self.admission.take().is_some() {
            state.taken = state.taken.saturating_sub(1);
            less(&mut state.by_service, &self.claim.service);
            if let Some(caller) = &self.claim.caller {
                less(&mut state.by_caller, caller);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            admission.leave(&self.claim);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;

    fn claim(service: &str, caller: Option<&str>, most: usize) -> Claim {
        Claim {
            service: service.into(),
            caller: caller.map(Into::into),
            most,
        }
    }

    /// Somebody who asks, and has been heard.
    fn ask(admission: &Admission, claim: Claim) -> BoxFuture<'static, Result<Place, Full>> {
        let admission = admission.clone();
        let mut asking = async move { admission.enter(&claim).await }.boxed();
        match (&mut asking).now_or_never() {
            Some(answer) => std::future::ready(answer).boxed(),
            None => asking,
        }
    }

    fn now(asking: &mut BoxFuture<'static, Result<Place, Full>>) -> Option<Place> {
        asking.now_or_never().map(|answer| answer.ok().unwrap())
    }

    #[test]
    fn who_floods_waits_behind_themselves() {
        let admission = Admission::new(4);
        let mut inside: Vec<Place> = (0..4)
            .map(|_| now(&mut ask(&admission, claim("a", None, 4))).unwrap())
            .collect();
        let mut flood: Vec<_> = (0..3)
            .map(|_| ask(&admission, claim("a", None, 4)))
            .collect();
        let mut other = ask(&admission, claim("b", Some("ada"), 4));
        assert_eq!(admission.taken(), 4);

        inside.pop();
        assert!(now(&mut flood[0]).is_some_and(|place| {
            inside.push(place);
            true
        }));
        // Three wait, and the one who came last is next.
        inside.pop();
        assert!(now(&mut other).is_some());
    }

    #[test]
    fn a_caller_and_a_service_have_no_more_than_their_share() {
        let admission = Admission::new(4);
        let first = now(&mut ask(&admission, claim("a", Some("ada"), 4))).unwrap();
        let _second = now(&mut ask(&admission, claim("b", Some("ada"), 4))).unwrap();
        let mut third = ask(&admission, claim("c", Some("ada"), 4));
        assert!(now(&mut third).is_none());

        let _bob = now(&mut ask(&admission, claim("d", Some("bob"), 1))).unwrap();
        let mut busy = ask(&admission, claim("d", None, 1));
        assert!(now(&mut busy).is_none());
        let _free = now(&mut ask(&admission, claim("e", None, 1))).unwrap();

        drop(first);
        assert!(now(&mut third).is_some());
    }

    #[test]
    fn the_queue_has_an_end_and_those_who_leave_it_make_room() {
        let admission = Admission::new(2);
        let inside: Vec<_> = (0..2)
            .map(|_| now(&mut ask(&admission, claim("a", None, 2))).unwrap())
            .collect();
        let waiting: Vec<_> = (0..2)
            .map(|_| ask(&admission, claim("a", None, 2)))
            .collect();
        let full = ask(&admission, claim("b", None, 2)).now_or_never().unwrap();
        assert_eq!(full.err(), Some(Full));

        drop(waiting);
        let mut next = ask(&admission, claim("b", None, 2));
        assert!(now(&mut next).is_none());
        drop(inside);
        assert!(now(&mut next).is_some());
        assert_eq!(admission.taken(), 0);
    }
}
