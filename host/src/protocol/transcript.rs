//! What is said on one stream, on its way to the client. It is bounded: who says something to a client
//! that reads slowly waits. Where a client may come back whose connection broke, what it may have missed
//! is kept for that (MCP 2025-11-25 and before, transports).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::sync::watch;

use super::exchange::{Event, Events};

/// The most bytes that wait to be read. A message that is larger than that waits alone.
const ROOM: usize = 128 << 10;

/// The most bytes that are kept of what was read. The newest message is kept however large it is.
const KEPT: usize = 128 << 10;

/// The same of what is said unasked, which there is room for as long as there is a session.
const KEPT_UNASKED: usize = 8 << 10;

/// What a message takes besides its bytes.
const OVERHEAD: usize = 128;

/// How much it matters that a message arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It arrives, or nobody is there: a question, a change, an answer.
    Must,
    /// It arrives at a client that is there; while none is, it may be lost: a line of the log.
    May,
    /// Where there is no room, the next one with the same token stands for it: how far something is.
    Replaced(Arc<str>),
}

/// One stream.
pub(super) struct Transcript {
    /// Whether it begins with an event that only says from where to go on.
    primes: bool,
    /// The most bytes that are kept of what was read.
    keeps: usize,
    state: watch::Sender<State>,
}

struct State {
    /// By number, with gaps where one was given up.
    entries: VecDeque<Entry>,
    /// The number that the next entry will have.
    next: u64,
    /// All before this one were given to a reader.
    taken: u64,
    /// The bytes of those that were not.
    waiting: usize,
    /// The bytes of those that were.
    kept: usize,
    /// The number of the reader. A client that comes back leaves the one before behind.
    reader: u64,
    /// Whether somebody reads, or will as soon as there is something.
    is_read: bool,
    /// Whether another reader may come when this one is gone.
    lasts: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// More may be said.
    Open,
    /// All has been said.
    Said,
    /// Nobody will read it.
    Closed,
}

struct Entry {
    number: u64,
    data: Bytes,
    weight: Weight,
}

impl Entry {
    fn size(&self) -> usize {
        size(&self.data)
    }

    fn can_be_lost(&self) -> bool {
        self.weight != Weight::Must
    }
}

fn size(data: &Bytes) -> usize {
    data.len().saturating_add(OVERHEAD)
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// It was taken in.
    Yes,
    /// There is no room for it yet.
    Waits,
    /// Nobody will read it.
    No,
}

impl Transcript {
    /// A stream that one reader reads, and nobody after that one.
    pub(super) fn once() -> Self {
        Self::new(false, false, KEPT)
    }

    /// A stream that can be read again from where a reader stopped. `primes` says whether it begins
    /// with an event that only has an id.
    pub(super) fn lasting(primes: bool) -> Self {
        Self::new(true, primes, KEPT)
    }

    /// A stream without end that one reader after another reads.
    pub(super) fn unasked() -> Self {
        Self::new(true, false, KEPT_UNASKED)
    }

    fn new(lasts: bool, primes: bool, keeps: usize) -> Self {
        Self {
            primes,
            keeps,
            state: watch::Sender::new(State {
                entries: VecDeque::new(),
                next: 0,
                taken: 0,
                waiting: 0,
                kept: 0,
                reader: 0,
                is_read: true,
                lasts,
                phase: Phase::Open,
            }),
        }
    }

    /// Says something, and waits for room if it must. False if nobody will read it.
    pub(super) async fn say(&self, data: Vec<u8>, weight: Weight) -> bool {
        let data = Bytes::from(data);
        let mut watching = self.state.subscribe();
        loop {
            match self.try_say(&data, &weight) {
                Said::Yes => return true,
                Said::No => return false,
                Said::Waits => {}
            }
            let has_room = |state: &State| {
                state.fits(&data)
                    || state.phase != Phase::Open
                    || (weight == Weight::May && !state.is_read)
            };
            // The sender lives as long as this.
            let _state = watching.wait_for(has_room).await;
        }
    }

    /// Says how far something is. It takes the room of those before it if there is no other.
    pub(super) fn replace(&self, data: Vec<u8>, token: &Arc<str>) {
        let said = self.try_say(&data.into(), &Weight::Replaced(Arc::clone(token)));
        debug_assert_ne!(said, Said::Waits);
    }

    /// Says something at once, whatever waits to be read already.
    pub(super) fn put(&self, data: Vec<u8>) {
        self.state.send_if_modified(|state| {
            let is_open = state.phase == Phase::Open;
            if is_open {
                state.push(data.into(), Weight::Must);
            }
            is_open
        });
    }

    /// Waits until all that was said has been read.
    pub(super) async fn caught_up(&self) {
        let mut watching = self.state.subscribe();
        // The sender lives as long as this.
        let _state = watching.wait_for(|state| state.waiting == 0).await;
    }

    fn try_say(&self, data: &Bytes, weight: &Weight) -> Said {
        let mut said = Said::No;
        self.state.send_if_modified(|state| {
            said = state.say(data, weight, self.primes);
            said == Said::Yes
        });
        said
    }

    /// Says the last, if there is one, for which there is always room.
    pub(super) fn end(&self, last: Option<Vec<u8>>) {
        self.state.send_modify(|state| {
            if let Some(last) = last.filter(|_| state.phase == Phase::Open) {
                state.push(last.into(), Weight::Must);
            }
            if state.phase == Phase::Open {
                state.phase = Phase::Said;
            }
        });
    }

    /// No reader may come any more but the one there is.
    pub(super) fn abandon(&self) {
        self.state.send_modify(|state| {
            state.lasts = false;
            if !state.is_read {
                state.close();
            }
        });
    }

    /// Waits until nobody will read it any more.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + use<> {
        let mut watching = self.state.subscribe();
        async move {
            // If all others have dropped it, nobody will either.
            let _dropped = watching
                .wait_for(|state| state.phase == Phase::Closed)
                .await;
        }
    }

    /// Whether anybody will read it.
    pub(super) fn is_open(&self) -> bool {
        self.state.borrow().phase == Phase::Open
    }

    /// Whether anything was said.
    pub(super) fn has_begun(&self) -> bool {
        self.state.borrow().next > 0
    }

    /// Waits until something is said.
    pub(super) async fn begun(&self) {
        let mut watching = self.state.subscribe();
        // The sender lives as long as this.
        let _state = watching.wait_for(|state| state.next > 0).await;
    }

    /// Whether all has been said.
    pub(super) fn is_said(&self) -> bool {
        self.state.borrow().phase != Phase::Open
    }

    /// Whether this is the number of a message that was read, or of the first that was not. Readers go
    /// on there, or with the oldest message after it that is kept.
    pub(super) fn can_go_on(&self, from: u64) -> bool {
        let state = self.state.borrow();
        from <= state.taken && state.phase != Phase::Closed
    }

    /// Whether all that was read from this number on is kept.
    pub(super) fn is_whole(&self, from: u64) -> bool {
        let state = self.state.borrow();
        let kept = state
            .position(state.taken)
            .saturating_sub(state.position(from));
        u64::try_from(kept).is_ok_and(|kept| kept >= state.taken.saturating_sub(from))
    }

    /// Waits until there is nothing more to say to this reader: another reads, none does, or all has been
    /// said.
    pub(super) fn is_over_for(&self, reader: u64) -> impl Future<Output = ()> + use<> {
        let mut watching = self.state.subscribe();
        async move {
            let is_over = |state: &State| {
                state.reader != reader || !state.is_read || state.phase != Phase::Open
            };
            // If all others have dropped it, nobody will read it either.
            let _dropped = watching.wait_for(is_over).await;
        }
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        let state = self.state.borrow();
        state.waiting.saturating_add(state.kept)
    }

    /// What is said from a number on, as it comes, until another begins to read. `name` gives an event
    /// its id, from the number of the message after it.
    pub(super) fn read(
        self: &Arc<Self>,
        from: u64,
        name: impl Fn(u64) -> Option<String> + Send + 'static,
    ) -> Events {
        self.read_on(Some(from), name).events
    }

    /// The same, from a number on or from what nobody has read.
    pub(super) fn read_on(
        self: &Arc<Self>,
        from: Option<u64>,
        name: impl Fn(u64) -> Option<String> + Send + 'static,
    ) -> Reading {
        let (mut this, mut next) = (0, 0);
        self.state.send_modify(|state| {
            state.reader = state.reader.saturating_add(1);
            state.is_read = true;
            (this, next) = (state.reader, from.unwrap_or(state.taken));
        });
        let reader = Reader {
            watching: self.state.subscribe(),
            transcript: Arc::clone(self),
            this,
            next,
        };
        let events = stream::unfold((reader, name), |(mut reader, name)| async move {
            let (next, data) = reader.next().await?;
            let event = Event {
                id: name(next),
                data,
            };
            Some((event, (reader, name)))
        });
        Reading {
            reader: this,
            from: next,
            events: events.boxed(),
        }
    }
}

/// What one reader reads.
pub(super) struct Reading {
    /// Which reader it is.
    pub(super) reader: u64,
    /// The number that it begins with.
    pub(super) from: u64,
    pub(super) events: Events,
}

impl State {
    /// Whether a message need not wait.
    fn fits(&self, data: &Bytes) -> bool {
        self.waiting == 0 || self.waiting.saturating_add(size(data)) <= ROOM
    }

    fn say(&mut self, data: &Bytes, weight: &Weight, primes: bool) -> Said {
        if self.phase != Phase::Open {
            return Said::No;
        }
        if let Weight::Replaced(_) = weight {
            while !self.fits(data) && self.lose(|entry| entry.weight == *weight) {}
        }
        // Nobody can be waited for where nobody reads, so what may be lost makes room.
        while !self.is_read && !self.fits(data) && self.lose(Entry::can_be_lost) {}
        let can_wait = match weight {
            Weight::Must => true,
            Weight::May => self.is_read,
            Weight::Replaced(_) => false,
        };
        if can_wait && !self.fits(data) {
            return Said::Waits;
        }
        if primes && self.next == 0 {
            self.push(Bytes::new(), Weight::Must);
        }
        self.push(data.clone(), weight.clone());
        Said::Yes
    }

    fn push(&mut self, data: Bytes, weight: Weight) {
        let number = self.next;
        self.next = number.saturating_add(1);
        self.waiting = self.waiting.saturating_add(size(&data));
        self.entries.push_back(Entry {
            number,
            data,
            weight,
        });
    }

    /// Gives up the oldest of those that nobody has read and that are as wanted. False if there is none.
    fn lose(&mut self, is_it: impl Fn(&Entry) -> bool) -> bool {
        let unread = self.position(self.taken);
        let found = self
            .entries
            .iter()
            .skip(unread)
            .position(is_it)
            .and_then(|position| self.entries.remove(unread.saturating_add(position)));
        if let Some(lost) = &found {
            self.waiting = self.waiting.saturating_sub(lost.size());
        }
        found.is_some()
    }

    /// Where the first message stands that has this number or a later one.
    fn position(&self, number: u64) -> usize {
        self.entries.partition_point(|entry| entry.number < number)
    }

    /// Gives a message to the reader: the first from this number on that there is.
    fn take(&mut self, from: u64, keeps: usize) -> Option<(u64, Bytes)> {
        let position = self.position(from);
        let entry = self.entries.get(position)?;
        let (next, data, size) = (
            entry.number.saturating_add(1),
            entry.data.clone(),
            entry.size(),
        );
        if entry.number >= self.taken {
            self.taken = next;
            self.waiting = self.waiting.saturating_sub(size);
            if self.lasts {
                self.kept = self.kept.saturating_add(size);
                self.forget(keeps);
            } else {
                self.entries.remove(position);
            }
        }
        Some((next, data))
    }

    /// Forgets what was read and is more than is kept: what may be lost, and then the oldest. Who read
    /// the newest may not have received it yet.
    fn forget(&mut self, keeps: usize) {
        while self.kept > keeps {
            let read = self.position(self.taken);
            if read <= 1 {
                return;
            }
            let lost = self
                .entries
                .iter()
                .take(read.saturating_sub(1))
                .position(Entry::can_be_lost)
                .unwrap_or_default();
            if let Some(forgotten) = self.entries.remove(lost) {
                self.kept = self.kept.saturating_sub(forgotten.size());
            }
        }
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.entries.clear();
        (self.waiting, self.kept) = (0, 0);
    }
}

struct Reader {
    transcript: Arc<Transcript>,
    watching: watch::Receiver<State>,
    this: u64,
    next: u64,
}

impl Reader {
    /// A message, and the number of the one after it.
    async fn next(&mut self) -> Option<(u64, Bytes)> {
        let (this, from) = (self.this, self.next);
        loop {
            let is_over = {
                let there_is = |state: &State| {
                    state.reader != this
                        || state.phase != Phase::Open
                        || state.position(from) < state.entries.len()
                };
                let state = self.watching.wait_for(there_is).await.ok()?;
                state.reader != this || state.position(from) >= state.entries.len()
            };
            if is_over {
                return None;
            }
            let mut taken = None;
            self.transcript.state.send_if_modified(|state| {
                if state.reader == this {
                    taken = state.take(from, self.transcript.keeps);
                }
                taken.is_some()
            });
            if let Some((next, _)) = taken {
                self.next = next;
                return taken;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.transcript.state.send_if_modified(|state| {
            let was_the_one = state.reader == self.this;
            if was_the_one {
                state.is_read = false;
                if !state.lasts {
                    state.close();
                }
            }
            was_the_one
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn of(bytes: usize) -> Vec<u8> {
        vec![b'x'; bytes]
    }

    fn read(transcript: &Arc<Transcript>, from: u64) -> Events {
        transcript.read(from, |next| Some(next.to_string()))
    }

    /// Says something that there must be room for.
    fn say(transcript: &Transcript, data: Vec<u8>, weight: Weight) {
        assert_eq!(transcript.say(data, weight).now_or_never(), Some(true));
    }

    /// The next event, which must be there: its id, and how long it is.
    fn next(events: &mut Events) -> (String, usize) {
        let event = events.next().now_or_never().expect("an event").unwrap();
        (event.id.unwrap(), event.data.len())
    }

    #[test]
    fn what_nobody_has_read_is_not_forgotten() {
        let transcript = Arc::new(Transcript::lasting(false));
        let mut reader = read(&transcript, 0);
        // The first waits alone, however large, and the second waits for it to be read.
        say(&transcript, of(300 << 10), Weight::Must);
        let second = transcript.say(of(300 << 10), Weight::Must);
        let mut second = std::pin::pin!(second);
        assert_eq!(second.as_mut().now_or_never(), None);
        assert_eq!(next(&mut reader), ("1".into(), 300 << 10));
        assert_eq!(second.now_or_never(), Some(true));
        assert_eq!(next(&mut reader), ("2".into(), 300 << 10));

        for _ in 0..3 {
            say(&transcript, of(10), Weight::May);
        }
        transcript.end(Some(of(1 << 20)));
        for number in 3..6 {
            assert_eq!(next(&mut reader), (number.to_string(), 10));
        }
        assert_eq!(next(&mut reader), ("6".into(), 1 << 20));
        assert_eq!(reader.next().now_or_never(), Some(None));
        // The newest is there for who comes back, whatever else is not.
        drop(reader);
        let mut reader = read(&transcript, 2);
        assert_eq!(next(&mut reader), ("6".into(), 1 << 20));
    }

    #[test]
    fn while_nobody_reads_lines_of_the_log_make_room_and_questions_wait() {
        let transcript = Arc::new(Transcript::lasting(true));
        let mut reader = read(&transcript, 0);
        say(&transcript, of(1), Weight::May);
        assert_eq!(next(&mut reader), ("1".into(), 0));
        assert_eq!(next(&mut reader), ("2".into(), 1));
        drop(reader);

        say(&transcript, of(2), Weight::Must);
        for number in 3..1_000 {
            say(&transcript, of(number), Weight::May);
        }
        assert!(transcript.size() <= ROOM + KEPT);
        say(&transcript, of(1_000), Weight::Must);
        let question = transcript.say(of(ROOM), Weight::Must);
        let mut question = std::pin::pin!(question);
        assert_eq!(question.as_mut().now_or_never(), None);
        // It goes on with what there is: of those questions all, of the lines none.
        let mut reader = read(&transcript, 2);
        assert_eq!(next(&mut reader), ("3".into(), 2));
        assert_eq!(next(&mut reader).1, 1_000);
        assert_eq!(question.now_or_never(), Some(true));
        assert_eq!(next(&mut reader).1, ROOM);
        transcript.end(None);
        assert_eq!(reader.next().now_or_never(), Some(None));
    }

    #[test]
    fn the_last_of_each_token_arrives() {
        let transcript = Arc::new(Transcript::once());
        let (one, other) = ("1".into(), "\"1\"".into());
        for done in 1..1_000 {
            transcript.replace(of(2 * done), &one);
            transcript.replace(of(2 * done + 1), &other);
        }
        assert!(transcript.size() <= ROOM + 2_000 + OVERHEAD);
        transcript.end(None);
        let lengths: Vec<usize> = read(&transcript, 0)
            .map(|event| event.data.len())
            .collect()
            .now_or_never()
            .unwrap();
        assert!(lengths.is_sorted(), "{lengths:?}");
        assert!(lengths.ends_with(&[1_998, 1_999]), "{lengths:?}");
    }

    #[test]
    fn what_nobody_will_read_is_not_said() {
        let transcript = Arc::new(Transcript::once());
        say(&transcript, of(1), Weight::Must);
        let reader = read(&transcript, 0);
        let filled = transcript.say(of(ROOM), Weight::Must);
        let mut filled = std::pin::pin!(filled);
        assert_eq!(filled.as_mut().now_or_never(), None);
        drop(reader);
        assert_eq!(filled.now_or_never(), Some(false));
        assert!(!transcript.is_open());
        assert_eq!(transcript.size(), 0);

        let transcript = Arc::new(Transcript::lasting(false));
        let (first, closed) = (read(&transcript, 0), transcript.closed());
        let mut closed = std::pin::pin!(closed);
        drop(first);
        say(&transcript, of(1), Weight::Must);
        assert_eq!(closed.as_mut().now_or_never(), None);
        transcript.abandon();
        assert_eq!(closed.now_or_never(), Some(()));
        assert!(!transcript.can_go_on(0));
    }

    #[test]
    fn what_is_said_unasked_goes_on_where_it_was_read_and_what_is_forgotten_is_known() {
        let transcript = Arc::new(Transcript::unasked());
        let first = transcript.read_on(None, |_| None);
        assert_eq!((first.from, transcript.is_whole(0)), (0, true));
        let over = transcript.is_over_for(first.reader);
        let mut over = std::pin::pin!(over);
        let mut events = first.events;
        for number in 0..3 {
            transcript.put(of(number));
        }
        assert_eq!(transcript.caught_up().now_or_never(), None);
        let _read = events.next().now_or_never().unwrap().unwrap();
        assert_eq!(over.as_mut().now_or_never(), None);
        // One that takes over has what the one before has not read; one that says where it stopped has that.
        let second = transcript.read_on(None, |_| None);
        assert_eq!(over.now_or_never(), Some(()));
        assert_eq!(events.next().now_or_never(), Some(None));
        assert_eq!(second.from, 1);
        let lengths = async |reading: Reading| {
            let events = reading.events.take(2);
            let lengths: Vec<usize> = events.map(|event| event.data.len()).collect().await;
            lengths
        };
        assert_eq!(lengths(second).now_or_never().unwrap(), [1, 2]);
        assert_eq!(transcript.caught_up().now_or_never(), Some(()));
        let third = transcript.read_on(Some(0), |_| None);
        assert_eq!(lengths(third).now_or_never().unwrap(), [0, 1]);
        assert!(transcript.is_whole(0) && transcript.is_whole(3));

        let mut reading = transcript.read_on(None, |_| None);
        for _ in 0..100 {
            transcript.put(of(100));
            let _read = reading.events.next().now_or_never().unwrap().unwrap();
        }
        assert!(transcript.size() <= KEPT_UNASKED);
        assert!(!transcript.is_whole(0) && transcript.is_whole(103));
        transcript.end(None);
        assert_eq!(reading.events.next().now_or_never(), Some(None));
    }

    #[test]
    fn a_later_reader_takes_over() {
        let transcript = Arc::new(Transcript::lasting(false));
        let mut earlier = read(&transcript, 0);
        say(&transcript, of(1), Weight::Must);
        assert_eq!(next(&mut earlier).1, 1);
        for forged in [2, u64::MAX] {
            assert!(!transcript.can_go_on(forged));
        }
        let mut later = read(&transcript, 0);
        assert_eq!(earlier.next().now_or_never(), Some(None));
        drop(earlier);
        assert_eq!(next(&mut later).1, 1);
        say(&transcript, of(2), Weight::Must);
        assert_eq!(next(&mut later).1, 2);
    }
}
