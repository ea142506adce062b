//! The books of the admission: who is inside, aside and waiting.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot::Sender;

use super::{Bounds, Chair, Claim, Full, Place, TooManyAside};
use crate::auth::Party;

#[derive(Default)]
pub(super) struct State {
    taken: usize,
    aside: usize,
    waiting: usize,
    services: HashMap<Arc<str>, Service>,
    callers: HashMap<Party, Caller>,
    /// The callers who have somebody waiting; the next to be served stands first.
    turn: VecDeque<Party>,
    /// Those who come back.
    back: VecDeque<(Claim, Sender<Chair>)>,
}

#[derive(Default)]
struct Service {
    /// How many are inside.
    inside: usize,
    /// How many are aside.
    aside: usize,
    waiting: usize,
    most: usize,
}

#[derive(Default)]
struct Caller {
    /// How many are inside or aside.
    present: usize,
    aside: usize,
    waiting: usize,
    /// Those who wait, by service; the next lane to be served stands first.
    lanes: VecDeque<Lane>,
}

struct Lane {
    service: Arc<str>,
    waiting: VecDeque<Sender<Place>>,
}

/// Somebody who waits no longer.
pub(super) enum Waiter {
    Back(Claim, Sender<Chair>),
    New(Claim, Sender<Place>),
}

impl State {
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    pub(super) fn aside(&self) -> usize {
        self.aside
    }

    /// How many wait, without those who have stopped and were not found yet.
    pub(super) fn queued(&self) -> usize {
        let lanes = self.callers.values().flat_map(|caller| &caller.lanes);
        let waiting = lanes.flat_map(|lane| &lane.waiting);
        waiting.filter(|sender| !sender.is_closed()).count()
    }

    /// Notes how many places the service may have. True if that has changed.
    pub(super) fn allow(&mut self, claim: &Claim) -> bool {
        match self.services.get_mut(&claim.service) {
            Some(service) => std::mem::replace(&mut service.most, claim.most) != claim.most,
            None => false,
        }
    }

    /// Whether anybody waits for the service of this claim, or on behalf of its caller, or to come back.
    pub(super) fn concerns(&self, claim: &Claim) -> bool {
        let of_service = self.services.get(&claim.service).map_or(0, |it| it.waiting);
        let of_caller = self.callers.get(&claim.caller).map_or(0, |it| it.waiting);
        of_service > 0 || of_caller > 0 || !self.back.is_empty()
    }

    pub(super) fn fits(&self, claim: &Claim, bounds: &Bounds) -> bool {
        let caller = self.callers.get(&claim.caller);
        let service = self.services.get(&claim.service);
        self.taken < bounds.places
            && service.is_none_or(Service::has_room)
            && caller.is_none_or(|it| it.has_share(&claim.caller, bounds))
    }

    /// Lets somebody in who fits.
    pub(super) fn enter(&mut self, claim: &Claim) {
        self.taken = self.taken.saturating_add(1);
        let service = self.service(claim);
        service.inside = service.inside.saturating_add(1);
        let caller = self.caller(claim);
        caller.present = caller.present.saturating_add(1);
    }

    pub(super) fn leave(&mut self, claim: &Claim) {
        self.taken = self.taken.saturating_sub(1);
        let service = self.service(claim);
        service.inside = service.inside.saturating_sub(1);
        let caller = self.caller(claim);
        caller.present = caller.present.saturating_sub(1);
        self.forget(claim);
    }

    /// Whether one more may be aside.
    pub(super) fn may_step_aside(
        &self,
        claim: &Claim,
        bounds: &Bounds,
    ) -> Result<(), TooManyAside> {
        let of_caller = self.callers.get(&claim.caller).map_or(0, |it| it.aside);
        if claim.caller != Party::Local && of_caller >= bounds.aside_share {
            return Err(TooManyAside {
                most: bounds.aside_share,
                of_caller: true,
            });
        }
        if self.aside >= bounds.aside {
            return Err(TooManyAside {
                most: bounds.aside,
                of_caller: false,
            });
        }
        Ok(())
    }

    /// Somebody who is inside gives the place back, and still counts for the share of the caller.
    pub(super) fn step_aside(&mut self, claim: &Claim) {
        self.taken = self.taken.saturating_sub(1);
        self.aside = self.aside.saturating_add(1);
        let service = self.service(claim);
        service.inside = service.inside.saturating_sub(1);
        service.aside = service.aside.saturating_add(1);
        let caller = self.caller(claim);
        caller.aside = caller.aside.saturating_add(1);
    }

    pub(super) fn come_back(&mut self, claim: &Claim) {
        self.taken = self.taken.saturating_add(1);
        self.aside = self.aside.saturating_sub(1);
        let service = self.service(claim);
        service.inside = service.inside.saturating_add(1);
        service.aside = service.aside.saturating_sub(1);
        let caller = self.caller(claim);
        caller.aside = caller.aside.saturating_sub(1);
    }

    pub(super) fn wait_to_come_back(&mut self, claim: &Claim, sender: Sender<Chair>) {
        self.back.push_back((claim.clone(), sender));
    }

    /// Puts somebody behind those who wait for the same service on behalf of the same caller.
    pub(super) fn wait(
        &mut self,
        claim: &Claim,
        sender: Sender<Place>,
        bounds: &Bounds,
    ) -> Result<(), Full> {
        if !self.has_room_to_wait(claim, bounds) {
            self.tidy();
            if !self.has_room_to_wait(claim, bounds) {
                return Err(Full);
            }
        }
        self.waiting = self.waiting.saturating_add(1);
        let service = self.service(claim);
        service.waiting = service.waiting.saturating_add(1);
        let caller = self.caller(claim);
        caller.waiting = caller.waiting.saturating_add(1);
        let is_new = caller.lanes.is_empty();
        let lane = caller
            .lanes
            .iter_mut()
            .find(|lane| lane.service == claim.service);
        match lane {
            Some(lane) => lane.waiting.push_back(sender),
            None => caller.lanes.push_back(Lane {
                service: Arc::clone(&claim.service),
                waiting: VecDeque::from([sender]),
            }),
        }
        if is_new {
            self.turn.push_back(claim.caller.clone());
        }
        Ok(())
    }

    fn has_room_to_wait(&self, claim: &Claim, bounds: &Bounds) -> bool {
        let of_caller = self.callers.get(&claim.caller).map_or(0, |it| it.waiting);
        self.waiting < bounds.queue && of_caller < bounds.queue_share
    }

    /// Forgets those who have stopped waiting.
    fn tidy(&mut self) {
        let mut gone = Vec::new();
        for (key, caller) in &mut self.callers {
            for lane in &mut caller.lanes {
                let before = lane.waiting.len();
                lane.waiting.retain(|sender| !sender.is_closed());
                let fewer = before.saturating_sub(lane.waiting.len());
                if fewer > 0 {
                    gone.push((key.clone(), Arc::clone(&lane.service), fewer));
                }
            }
            caller.lanes.retain(|lane| !lane.waiting.is_empty());
        }
        for (caller, service, fewer) in gone {
            let claim = Claim {
                service,
                caller,
                most: 0,
            };
            for _ in 0..fewer {
                self.waits_no_longer(&claim);
            }
        }
        let callers = &self.callers;
        self.turn.retain(|key| {
            callers
                .get(key)
                .is_some_and(|caller| !caller.lanes.is_empty())
        });
    }

    /// Takes out of the queue who is next and fits, if anybody does.
    pub(super) fn next(&mut self, bounds: &Bounds) -> Option<Waiter> {
        if self.taken >= bounds.places {
            return None;
        }
        for _ in 0..self.back.len() {
            let (claim, sender) = self.back.pop_front()?;
            let service = self.services.get(&claim.service);
            if sender.is_closed() || service.is_none_or(Service::has_room) {
                return Some(Waiter::Back(claim, sender));
            }
            self.back.push_back((claim, sender));
        }
        // One round: whoever has nobody that fits goes to the back.
        let mut left = self.turn.len();
        while left > 0 {
            let key = self.turn.pop_front()?;
            let Some(caller) = self.callers.get_mut(&key) else {
                left = left.saturating_sub(1);
                continue;
            };
            let found = if caller.has_share(&key, bounds) {
                caller.next(&self.services)
            } else {
                None
            };
            let more_wait = !caller.lanes.is_empty();
            let Some((service, sender)) = found else {
                if more_wait {
                    self.turn.push_back(key);
                }
                left = left.saturating_sub(1);
                continue;
            };
            let claim = Claim {
                most: self.services.get(&service).map_or(0, |it| it.most),
                service,
                caller: key.clone(),
            };
            self.waits_no_longer(&claim);
            // Who has stopped waiting does not cost the caller a turn.
            if sender.is_closed() {
                if more_wait {
                    self.turn.push_front(key);
                } else {
                    left = left.saturating_sub(1);
                }
                continue;
            }
            if more_wait {
                self.turn.push_back(key);
            }
            return Some(Waiter::New(claim, sender));
        }
        None
    }

    fn waits_no_longer(&mut self, claim: &Claim) {
        self.waiting = self.waiting.saturating_sub(1);
        let service = self.service(claim);
        service.waiting = service.waiting.saturating_sub(1);
        let caller = self.caller(claim);
        caller.waiting = caller.waiting.saturating_sub(1);
        self.forget(claim);
    }

    fn service(&mut self, claim: &Claim) -> &mut Service {
        self.services
            .entry(Arc::clone(&claim.service))
            .or_insert_with(|| Service {
                most: claim.most,
                ..Service::default()
            })
    }

    fn caller(&mut self, claim: &Claim) -> &mut Caller {
        self.callers.entry(claim.caller.clone()).or_default()
    }

    /// Keeps nothing of those who are neither here nor waiting.
    fn forget(&mut self, claim: &Claim) {
        if let Some(service) = self.services.get(&claim.service)
            && service.inside == 0
            && service.aside == 0
            && service.waiting == 0
        {
            self.services.remove(&claim.service);
        }
        if let Some(caller) = self.callers.get(&claim.caller)
            && caller.present == 0
            && caller.waiting == 0
        {
            self.callers.remove(&claim.caller);
        }
    }
}

impl Service {
    fn has_room(&self) -> bool {
        self.inside < self.most
    }
}

impl Caller {
    fn has_share(&self, party: &Party, bounds: &Bounds) -> bool {
        *party == Party::Local || self.present < bounds.share
    }

    /// The first in the first lane whose service has room. That lane goes to the back.
    fn next(&mut self, services: &HashMap<Arc<str>, Service>) -> Option<(Arc<str>, Sender<Place>)> {
        for _ in 0..self.lanes.len() {
            let mut lane = self.lanes.pop_front()?;
            let has_room = services.get(&lane.service).is_none_or(Service::has_room);
            let next = if has_room {
                lane.waiting.pop_front()
            } else {
                None
            };
            let service = Arc::clone(&lane.service);
            if !lane.waiting.is_empty() {
                self.lanes.push_back(lane);
            }
            if let Some(sender) = next {
                return Some((service, sender));
            }
        }
        None
    }
}

#[cfg(test)]
impl State {
    /// Whether nothing is left of anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
            && self.aside == 0
            && self.waiting == 0
            && self.services.is_empty()
            && self.callers.is_empty()
            && self.turn.is_empty()
            && self.back.is_empty()
    }

    /// What is wrong with the books, looked at from outside.
    pub(super) fn fault(&self, bounds: &Bounds) -> Option<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, what: String| {
            if !holds {
                faults.push(what);
            }
        };
        check(self.taken <= bounds.places, format!("{} taken", self.taken));
        check(self.aside <= bounds.aside, format!("{} aside", self.aside));
        check(
            self.waiting <= bounds.queue,
            format!("{} waiting", self.waiting),
        );
        for (name, service) in &self.services {
            check(
                service.inside <= service.most,
                format!("{} of {name}", service.inside),
            );
        }
        let mut present = 0;
        for (key, caller) in &self.callers {
            present += caller.present;
            check(
                *key == Party::Local || caller.present <= bounds.share,
                format!("{} of {key:?}", caller.present),
            );
            check(
                *key == Party::Local || caller.aside <= bounds.aside_share,
                format!("{} of {key:?} aside", caller.aside),
            );
            check(
                caller.waiting <= bounds.queue_share,
                format!("{} of {key:?} waiting", caller.waiting),
            );
            for lane in &caller.lanes {
                let claim = Claim {
                    service: Arc::clone(&lane.service),
                    caller: key.clone(),
                    most: 0,
                };
                let somebody = lane.waiting.iter().any(|sender| !sender.is_closed());
                check(
                    !(somebody && self.fits(&claim, bounds)),
                    format!("somebody of {key:?} waits for {} and fits", lane.service),
                );
            }
        }
        check(
            present == self.taken + self.aside,
            format!(
                "{present} present, {} taken, {} aside",
                self.taken, self.aside
            ),
        );
        for (claim, sender) in &self.back {
            let has_room = self
                .services
                .get(&claim.service)
                .is_none_or(Service::has_room);
            check(
                sender.is_closed() || !has_room || self.taken == bounds.places,
                format!("somebody waits to come back to {} and fits", claim.service),
            );
        }
        (!faults.is_empty()).then(|| faults.join("; "))
    }
}
