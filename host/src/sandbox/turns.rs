//! Who may go on computing. A call that has computed for a while needs a turn for every tick more, and
//! there are fewer turns than threads: one thread is always left for those who want little. Whoever waits
//! for a turn waits behind their own calls, not behind those of others: callers are served in turn.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;

use super::ticker::TICK;
use super::usage::Usage;
use crate::auth::Party;

/// For how long a call computes before it needs a turn. Most are done by then.
const FREE: Duration = TICK;

/// A call should give way after a tick. Some things cannot be interrupted, such as filling memory or
/// handing over a large result; whoever does them for longer than this needs turns from the beginning.
const LONG: Duration = Duration::from_millis(4);

/// How long that is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Turns. Clones are the same turns.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    waiting: HashMap<Party, VecDeque<Arc<Seat>>>,
    /// The callers who have somebody waiting; the next to be served stands first.
    order: VecDeque<Party>,
}

/// Where somebody waits.
#[derive(Default)]
struct Seat {
    is_called: AtomicBool,
    is_left: AtomicBool,
    waker: AtomicWaker,
}

impl Turns {
    /// So many at once.
    pub(super) fn new(turns: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: turns,
            waiting: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    /// What one call has of them, which is nothing yet.
    pub(super) fn of(&self, caller: Party) -> Turn {
        Turn {
            turns: self.clone(),
            caller,
            has: Has::Nothing,
        }
    }

    fn pass_on(&self) {
        let mut state = self.lock();
        let next = state.next();
        match &next {
            Some(seat) => seat.is_called.store(true, Ordering::Release),
            None => state.free = state.free.saturating_add(1),
        }
        drop(state);
        if let Some(seat) = next {
            seat.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, caller: Party, seat: Arc<Seat>) {
        match self.waiting.entry(caller) {
            Entry::Occupied(mut queue) => queue.get_mut().push_back(seat),
            Entry::Vacant(place) => {
                self.order.push_back(place.key().clone());
                place.insert(VecDeque::from([seat]));
            }
        }
    }

    fn next(&mut self) -> Option<Arc<Seat>> {
        while let Some(caller) = self.order.pop_front() {
            let Some(queue) = self.waiting.get_mut(&caller) else {
                continue;
            };
            let next = queue.pop_front();
            if queue.is_empty() {
                self.waiting.remove(&caller);
            } else {
                self.order.push_back(caller);
            }
            if let Some(seat) = next.filter(|seat| !seat.is_left.load(Ordering::Acquire)) {
                return Some(seat);
            }
        }
        None
    }
}

/// The turn of one call, when it has one. It passes on when this is dropped.
pub struct Turn {
    turns: Turns,
    caller: Party,
    has: Has,
}

enum Has {
    Nothing,
    Seat(Arc<Seat>),
    Turn,
}

impl Turn {
    /// Waits for a turn.
    pub(super) async fn taken(mut self) -> Self {
        poll_fn(|context| self.poll_take(context)).await;
        self
    }

    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &self.has {
            Has::Turn => return Poll::Ready(()),
            Has::Seat(seat) => {
                seat.waker.register(context.waker());
                if !seat.is_called.load(Ordering::Acquire) {
                    return Poll::Pending;
                }
                self.has = Has::Turn;
                return Poll::Ready(());
            }
            Has::Nothing => {}
        }
        let mut state = self.turns.lock();
        // While a turn is free, nobody waits for one.
        if let Some(fewer) = state.free.checked_sub(1) {
            state.free = fewer;
            self.has = Has::Turn;
            return Poll::Ready(());
        }
        let seat = Arc::new(Seat::default());
        seat.waker.register(context.waker());
        state.wait(self.caller.clone(), Arc::clone(&seat));
        self.has = Has::Seat(seat);
        Poll::Pending
    }

    fn give_back(&mut self) {
        let had = std::mem::replace(&mut self.has, Has::Nothing);
        let is_given = match had {
            Has::Nothing => false,
            Has::Turn => true,
            Has::Seat(seat) => {
                // Whoever calls holds the lock.
                let _state = self.turns.lock();
                seat.is_left.store(true, Ordering::Release);
                seat.is_called.load(Ordering::Acquire)
            }
        };
        if is_given {
            self.turns.pass_on();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Whether the calls of a program give way when they should. Clones are the same program's.
#[derive(Clone, Debug, Default)]
pub(super) struct Manners(Arc<AtomicU64>);

impl Manners {
    fn are_bad(&self) -> bool {
        self.0.load(Ordering::Relaxed) > now()
    }

    fn note(&self, held: Duration) {
        if held > LONG {
            let until = now().saturating_add(milliseconds(REMEMBERED));
            self.0.store(until, Ordering::Relaxed);
        }
    }
}

/// Milliseconds since somebody asked for the first time.
fn now() -> u64 {
    static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
    milliseconds(BEGINNING.elapsed())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Does the work of a call, counts the time for which it computes, and when that is long goes on in turn
/// with others.
pub(super) async fn compute<W: Future>(
    work: W,
    usage: &Usage,
    mut turn: Turn,
    manners: &Manners,
) -> W::Output {
    let mut work = pin!(work);
    poll_fn(|context| {
        let needs_turn = usage.cpu() > FREE || manners.are_bad();
        if needs_turn && turn.poll_take(context).is_pending() {
            return Poll::Pending;
        }
        let (polled, held) = usage.count(|| work.as_mut().poll(context));
        manners.note(held);
        turn.give_back();
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::super::computing::thread_time;
    use super::*;

    fn party(caller: Option<&str>) -> Party {
        caller.map_or(Party::Local, |id| Party::User(id.into()))
    }

    /// Somebody who wants a turn, and has been heard.
    fn want(turns: &Turns, caller: Option<&str>) -> BoxFuture<'static, Turn> {
        let mut wanting = turns.of(party(caller)).taken().boxed();
        match (&mut wanting).now_or_never() {
            Some(turn) => std::future::ready(turn).boxed(),
            None => wanting,
        }
    }

    #[test]
    fn callers_are_served_in_turn_however_many_calls_they_have() {
        let turns = Turns::new(1);
        let first = turns.of(Party::Local).taken().now_or_never();
        let mut flood: Vec<_> = (0..3).map(|_| want(&turns, Some("eve"))).collect();
        let mut ada = want(&turns, Some("ada"));
        drop(first);
        let eve = (&mut flood[0]).now_or_never();
        assert!(eve.is_some() && (&mut ada).now_or_never().is_none());
        drop(eve);
        let ada = (&mut ada).now_or_never();
        assert!(ada.is_some() && (&mut flood[1]).now_or_never().is_none());
        drop(ada);
        assert!((&mut flood[1]).now_or_never().is_some());
    }

    #[test]
    fn who_stops_waiting_keeps_no_turn() {
        let turns = Turns::new(1);
        let first = turns.of(Party::Local).taken().now_or_never();
        let (called, left, last) = (want(&turns, None), want(&turns, None), want(&turns, None));
        drop(left);
        drop(first);
        // It is called, and does not come.
        drop(called);
        assert!(last.now_or_never().is_some());
        assert_eq!(turns.lock().free, 1);
        assert!(turns.lock().waiting.is_empty() && turns.lock().order.is_empty());
    }

    #[tokio::test]
    async fn who_computes_for_long_goes_on_with_a_turn_and_who_does_not_needs_none() {
        let turns = Turns::new(1);
        let taken = turns.of(Party::User("eve".into())).taken().await;
        let busy = || {
            let before = thread_time();
            while thread_time().saturating_sub(before) < 2 * LONG {}
        };
        let (usage, manners) = (Usage::default(), Manners::default());
        let quick = compute(async { 7 }, &usage, turns.of(Party::Local), &manners);
        assert_eq!(quick.now_or_never(), Some(7));

        let slow = async {
            busy();
            tokio::task::yield_now().await;
        };
        let mut slow = Box::pin(compute(slow, &usage, turns.of(Party::Local), &manners));
        assert!((&mut slow).now_or_never().is_none());
        assert!((&mut slow).now_or_never().is_none());
        // It has not given way either, so others of its program wait from the beginning.
        let next = Usage::default();
        let mut next = Box::pin(compute(
            async { 7 },
            &next,
            turns.of(Party::Local),
            &manners,
        ));
        assert_eq!((&mut next).now_or_never(), None);
        drop(taken);
        slow.await;
        assert_eq!(next.await, 7);
    }
}
