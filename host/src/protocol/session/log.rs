//! What was said on one stream of a session, kept while it may be needed again: a client whose
//! connection broke comes back and reads on where it stopped (MCP 2025-11-25, transports).

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use tokio::sync::watch;

use crate::protocol::exchange::{Event, Events};

/// The most bytes that are kept of one stream. What is older is forgotten first.
const KEPT: usize = 256 << 10;

/// One stream.
pub(super) struct Log {
    number: u64,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    events: VecDeque<Vec<u8>>,
    /// The number of the first event that is kept.
    first: u64,
    bytes: usize,
    ended: bool,
    /// The number of the reader. A client that comes back leaves the one before behind.
    reader: u64,
}

impl State {
    /// The number that the next event will have.
    fn end(&self) -> u64 {
        self.first
            .saturating_add(u64::try_from(self.events.len()).unwrap_or(u64::MAX))
    }

    fn event(&self, number: u64) -> Option<&Vec<u8>> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.events.get(index)
    }
}

impl Log {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            state: watch::Sender::default(),
        }
    }

    /// Takes an event in.
    pub(super) fn push(&self, data: Vec<u8>) {
        self.state.send_modify(|state| {
            state.bytes = state.bytes.saturating_add(data.len());
            state.events.push_back(data);
            while state.bytes > KEPT && state.events.len() > 1 {
                let forgotten = state.events.pop_front().unwrap_or_default();
                state.bytes = state.bytes.saturating_sub(forgotten.len());
                state.first = state.first.saturating_add(1);
            }
        });
    }

    /// Nothing comes any more.
    pub(super) fn end(&self) {
        self.state.send_modify(|state| state.ended = true);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.borrow().ended
    }

    /// Whether everything from this event on is still there.
    pub(super) fn has(&self, from: u64) -> bool {
        let state = self.state.borrow();
        (state.first..=state.end()).contains(&from)
    }

    /// By which a session finds it.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How many bytes are kept.
    pub(super) fn size(&self) -> usize {
        self.state.borrow().bytes
    }

    /// The events from a number on, as they come, until another begins to read.
    pub(super) fn read(self: Arc<Self>, from: u64) -> Events {
        let mut number = 0;
        self.state.send_modify(|state| {
            state.reader = state.reader.saturating_add(1);
            number = state.reader;
        });
        let reader = Reader {
            receiver: self.state.subscribe(),
            log: self,
            number,
            next: from,
        };
        stream::unfold(reader, |mut reader| async move {
            let event = reader.next().await?;
            Some((event, reader))
        })
        .boxed()
    }
}

struct Reader {
    log: Arc<Log>,
    receiver: watch::Receiver<State>,
    number: u64,
    next: u64,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        let (wanted, this) = (self.next, self.number);
        let state = self
            .receiver
            .wait_for(|state| {
                state.ended
                    || state.reader != this
                    || state.event(wanted.max(state.first)).is_some()
            })
            .await
            .ok()?;
        if state.reader != this {
            return None;
        }
        // A reader that is slower than what is kept goes on with the oldest there is.
        let number = wanted.max(state.first);
        let data = state.event(number).cloned()?;
        drop(state);
        self.next = number.saturating_add(1);
        Some(Event {
            id: Some(id(self.log.number, self.next)),
            data,
        })
    }
}

/// An event's id names its stream and the event that comes after it.
pub(super) fn id(stream: u64, next: u64) -> String {
    format!("{stream}-{next}")
}

/// The stream, and the event to go on with.
pub(super) fn parse_id(id: &str) -> Option<(u64, u64)> {
    let (stream, next) = id.split_once('-')?;
    Some((stream.parse().ok()?, next.parse().ok()?))
}
