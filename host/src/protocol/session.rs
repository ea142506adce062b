//! The sessions of the revisions that open with `initialize` (MCP 2025-11-25 and before, transports):
//! everything that outlives one request of such a client, and nothing else does.
//!
//! A session is found by its id, which proves nothing: what is done in it is done for the caller whose
//! token comes with the request, and a session that was opened by one caller serves no other.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore, oneshot};
use tokio::task::JoinSet;

use super::changes::Listener;
use super::exchange::{Event, Events, Exchange, First, Reply, while_read};
use super::message::Response;
use super::places::{Bounds, Full, Place, Places};
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::transcript::{Reading, Transcript};
use crate::auth::{Party, Principal};
use crate::sandbox::client::{Capability, Level};

/// The most streams of one session that can be read again.
const MOST_STREAMS_KEPT: usize = 8;

/// How long a stream that has ended can be read again: a client whose connection broke in the last
/// moment comes back within seconds.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// The most bytes of streams that have ended, over all sessions. What is beyond that is not kept.
const KEPT: usize = 64 << 20;

/// The most requests of one session that are worked on at once.
const MOST_RUNNING: usize = 256;

/// The most resources that one session or subscription can watch.
pub(super) const MOST_SUBSCRIPTIONS: usize = 1_000;

/// The most bytes that their addresses may have, all together.
pub(super) const MOST_WATCHED: usize = 64 << 10;

/// The longest id of a session that is looked up.
const LONGEST_ID: usize = 64;

/// How often sessions are looked through for those that nobody uses any more, at least.
const SWEEP: Duration = Duration::from_mins(1);

/// The least time from one such look to the next.
const SWEEP_FULL: Duration = Duration::from_millis(100);

/// How many sessions there may be, and how long one is kept that nobody uses.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// The most sessions; a client that comes after is told to try again.
    pub most: Bounds,
    /// How long a session is kept without a request or an open stream.
    pub idle: Duration,
}

/// All sessions.
pub(super) struct Sessions {
    limits: SessionLimits,
    places: Places,
    open: Arc<Mutex<Open>>,
    /// Ends those that nobody uses.
    _sweeping: JoinSet<()>,
    /// Room for streams that have ended.
    room: Arc<Semaphore>,
}

struct Open {
    sessions: HashMap<Arc<str>, Arc<Session>>,
    swept: Instant,
}

impl Open {
    /// Takes out what nobody has used for so long, if the last look is so long ago. It has yet to be ended,
    /// which is for when nobody waits for this any more.
    fn take_idle(&mut self, pause: Duration, idle: Duration) -> Option<Vec<Arc<Session>>> {
        let now = Instant::now();
        if now.saturating_duration_since(self.swept) < pause {
            return None;
        }
        self.swept = now;
        let unused = self
            .sessions
            .extract_if(|_, session| session.is_idle(now, idle));
        Some(unused.map(|(_, session)| session).collect())
    }
}

/// Ends what nobody has used for so long, if the last look is so long ago.
fn end_idle(open: &Mutex<Open>, pause: Duration, idle: Duration) -> bool {
    let unused = lock(open).take_idle(pause, idle);
    for session in unused.iter().flatten() {
        session.end();
    }
    unused.is_some()
}

/// One client that opened with `initialize`.
pub(super) struct Session {
    pub(super) id: Arc<str>,
    pub(super) revision: Revision,
    /// What the client declared that it can be asked for.
    pub(super) capabilities: Capability,
    /// The caller whose session it is, from the first request that came with a token.
    owner: OnceLock<String>,
    state: Mutex<State>,
    next_request: AtomicU64,
    next_stream: AtomicU64,
    room: Arc<Semaphore>,
    /// What is said unasked, to one stream after another.
    pub(super) unasked: Arc<Transcript>,
    /// What is said there, by one at a time. It stays from one stream to the next, so that what changes
    /// between them is told by the next.
    pub(super) listener: AsyncMutex<Listener>,
    /// Whether the client has missed something that is not known any more.
    pub(super) has_missed: AtomicBool,
}

/// Resources that are watched, each with the caller for whom.
pub(super) type Watched = BTreeMap<String, Option<Arc<Principal>>>;

struct State {
    /// It is not found any more, and nothing begins in it.
    ended: bool,
    /// Its own, until it ends.
    place: Option<Place>,
    used: Instant,
    streams: usize,
    /// That of the stream for what is said unasked, while there is one.
    stream_place: Weak<Place>,
    level: Level,
    subscriptions: Watched,
    pending: HashMap<u64, oneshot::Sender<Result<Value, Value>>>,
    /// How to stop the work on each request, by its id, as the client wrote it.
    running: HashMap<Box<str>, Arc<Notify>>,
    /// The streams that can be read again, by number.
    streams_kept: BTreeMap<u64, Arc<Transcript>>,
}

/// No lock here is held across anything that can panic or wait; a poisoned one is good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// None yet. It is made within a runtime, where those that nobody uses are ended until it is dropped.
    pub(super) fn new(limits: SessionLimits) -> Self {
        let open = Arc::new(Mutex::new(Open {
            sessions: HashMap::new(),
            swept: Instant::now(),
        }));
        let mut sweeping = JoinSet::new();
        sweeping.spawn(sweep(Arc::clone(&open), limits.idle));
        Self {
            limits,
            places: Places::new(limits.most),
            open,
            _sweeping: sweeping,
            room: Arc::new(Semaphore::new(KEPT)),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        lock(&self.open).sessions.len()
    }

    /// Opens a session.
    pub(super) fn open(
        &self,
        revision: Revision,
        capabilities: Capability,
        caller: Option<&Principal>,
        party: &Party,
        listener: Listener,
    ) -> Result<Arc<Session>, Error> {
        let mut bytes = [0; 24];
        rand::fill(&mut bytes)
            .map_err(|_no_random| Error::internal("no id could be drawn for a session"))?;
        let id: Arc<str> = URL_SAFE_NO_PAD.encode(bytes).into();
        let place = match self.places.take(party) {
            Ok(place) => place,
            // What nobody uses makes room, and nothing else does.
            Err(full) if end_idle(&self.open, SWEEP_FULL, self.limits.idle) => {
                self.places.take(party).map_err(|_still| {
                    tracing::warn!(sessions = self.count(), "a session was refused");
                    Error::busy_sessions(full)
                })?
            }
            Err(full) => return Err(Error::busy_sessions(full)),
        };
        let session = Arc::new(Session {
            id: Arc::clone(&id),
            revision,
            capabilities,
            owner: OnceLock::new(),
            state: Mutex::new(State {
                ended: false,
                place: Some(place),
                used: Instant::now(),
                streams: 0,
                stream_place: Weak::new(),
                level: Level::Info,
                subscriptions: Watched::new(),
                pending: HashMap::new(),
                running: HashMap::new(),
                streams_kept: BTreeMap::new(),
            }),
            next_request: AtomicU64::new(1),
            next_stream: AtomicU64::new(1),
            room: Arc::clone(&self.room),
            unasked: Arc::new(Transcript::unasked()),
            listener: AsyncMutex::new(listener),
            has_missed: AtomicBool::new(false),
        });
        if let Some(caller) = caller {
            session.admit(Some(caller));
        }
        lock(&self.open).sessions.insert(id, Arc::clone(&session));
        Ok(session)
    }

    /// Finds a session, and notes that it is in use.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Session>> {
        if id.len() > LONGEST_ID {
            return None;
        }
        let now = Instant::now();
        let mut open = lock(&self.open);
        let session = open.sessions.get(id)?;
        if !session.is_idle(now, self.limits.idle) {
            lock(&session.state).used = now;
            return Some(Arc::clone(session));
        }
        let unused = open.sessions.remove(id);
        drop(open);
        if let Some(session) = unused {
            session.end();
        }
        None
    }

    /// Ends a session and all that runs in it.
    pub(super) fn close(&self, session: &Session) {
        lock(&self.open).sessions.remove(&session.id);
        session.end();
    }
}

/// Looks for sessions that nobody uses, again and again.
async fn sweep(open: Arc<Mutex<Open>>, idle: Duration) {
    let pause = (idle / 2).clamp(SWEEP_FULL, SWEEP);
    loop {
        tokio::time::sleep(pause).await;
        end_idle(&open, Duration::ZERO, idle);
    }
}

impl Session {
    fn is_idle(&self, now: Instant, idle: Duration) -> bool {
        let state = lock(&self.state);
        state.streams == 0
            && state.running.is_empty()
            && now.saturating_duration_since(state.used) >= idle
    }

    fn end(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        state.place = None;
        for stop in state.running.values() {
            stop.notify_one();
        }
        state.pending.clear();
        for (_, transcript) in std::mem::take(&mut state.streams_kept) {
            transcript.abandon();
        }
        drop(state);
        self.unasked.end(None);
        self.unasked.abandon();
    }

    /// Whether a request in this session may come from this caller. The first caller with a token
    /// makes the session theirs.
    pub(super) fn admit(&self, caller: Option<&Principal>) -> bool {
        match caller {
            Some(caller) => self.owner.get_or_init(|| caller.id().to_owned()) == caller.id(),
            None => self.owner.get().is_none(),
        }
    }

    /// The least level of log messages that the client wants.
    pub(super) fn level(&self) -> Level {
        lock(&self.state).level
    }

    pub(super) fn set_level(&self, level: Level) {
        lock(&self.state).level = level;
    }

    /// Watches a resource, for the caller who may read it. False if that is one too many.
    pub(super) fn subscribe(&self, uri: &str, caller: Option<Arc<Principal>>) -> bool {
        let subscriptions = &mut lock(&self.state).subscriptions;
        if let Some(of) = subscriptions.get_mut(uri) {
            *of = caller;
            return true;
        }
        let bytes: usize = subscriptions.keys().map(String::len).sum();
        let fits = subscriptions.len() < MOST_SUBSCRIPTIONS
            && bytes.saturating_add(uri.len()) <= MOST_WATCHED;
        if fits {
            subscriptions.insert(uri.to_owned(), caller);
        }
        fits
    }

    pub(super) fn unsubscribe(&self, uri: &str) {
        lock(&self.state).subscriptions.remove(uri);
    }

    /// What it watches.
    pub(super) fn subscriptions(&self) -> Watched {
        lock(&self.state).subscriptions.clone()
    }

    /// Makes a question to the client: its id, and where the answer will come.
    pub(super) fn question(&self) -> (u64, oneshot::Receiver<Result<Value, Value>>) {
        let (sender, receiver) = oneshot::channel();
        let id = self.next_request.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        if !state.ended {
            state.pending.insert(id, sender);
        }
        (id, receiver)
    }

    /// Nobody waits for that answer any more.
    pub(super) fn forget(&self, question: u64) {
        lock(&self.state).pending.remove(&question);
    }

    /// Takes an answer in. One that nobody waits for is dropped.
    pub(super) fn answered(&self, response: &Response<'_>) {
        let Ok(id) = response.id.get().parse::<u64>() else {
            return;
        };
        let Some(waiting) = lock(&self.state).pending.remove(&id) else {
            return;
        };
        // These were read as JSON before.
        let value = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_default();
        let outcome = response.outcome.map(value).map_err(value);
        // The call may have ended meanwhile.
        let _ended = waiting.send(outcome);
    }

    /// Ends the work on a request, if there is any. Its id is free again when that has ended.
    pub(super) fn cancel(&self, request: &RawValue) {
        if let Some(stop) = lock(&self.state).running.get(request.get()) {
            stop.notify_one();
        }
    }

    /// Notes that a request is worked on, until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>, request: &RawValue) -> Result<Running, Error> {
        let mut state = lock(&self.state);
        if state.ended {
            return Err(Error::no_session());
        }
        if state.running.len() >= MOST_RUNNING || state.running.contains_key(request.get()) {
            return Err(Error::invalid_request(
                "another request of this `id` is in progress, or too many of this session are",
            ));
        }
        let request: Box<str> = request.get().into();
        let stop = Arc::new(Notify::new());
        state.running.insert(request.clone(), Arc::clone(&stop));
        Ok(Running {
            session: Arc::clone(self),
            request,
            stop,
        })
    }

    /// What an exchange of this session says goes into: a stream that can be read again.
    pub(super) fn transcript(&self) -> Transcript {
        Transcript::lasting(self.revision.polls())
    }

    /// The reply of an exchange that goes on when the client's connection breaks: only a notification
    /// or the end of the session cancels it.
    pub(super) async fn reply(self: Arc<Self>, exchange: Exchange) -> Reply {
        let (sender, receiver) = oneshot::channel();
        let session = self;
        // It ends by itself: every call has a deadline.
        tokio::spawn(async move {
            match exchange.first().await {
                First::Answer(answer) => {
                    let _disconnected = sender.send(Reply::Answer(answer));
                }
                First::Stream(streaming) => {
                    let transcript = Arc::clone(&streaming.transcript);
                    let number = session.open_stream(&transcript);
                    let stream = session.read(&transcript, number, 0);
                    let _disconnected = sender.send(Reply::Stream(stream));
                    streaming.run().await;
                    session.keep(transcript, number).await;
                }
            }
        });
        // A request that was cancelled has no answer.
        receiver
            .await
            .unwrap_or_else(|_cancelled| Reply::Answer(Answer::accepted()))
    }

    /// Reads on where a broken connection stopped; none if that is not there any more.
    pub(super) fn resume(self: &Arc<Self>, last_event: &str) -> Option<Events> {
        let (number, from) = parse_id(last_event)?;
        let transcript = lock(&self.state)
            .streams_kept
            .get(&number)
            .map(Arc::clone)?;
        transcript
            .can_go_on(from)
            .then(|| self.read(&transcript, number, from))
    }

    /// Gives a stream its number, and makes room for it among those that can be read again.
    fn open_stream(&self, transcript: &Arc<Transcript>) -> u64 {
        let number = self.next_stream.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        if state.ended {
            transcript.abandon();
            return number;
        }
        while state.streams_kept.len() >= MOST_STREAMS_KEPT {
            let said = state.streams_kept.iter().find(|(_, it)| it.is_said());
            let oldest = said
                .or_else(|| state.streams_kept.iter().next())
                .map(|(number, _)| *number);
            let Some(forgotten) = oldest.and_then(|oldest| state.streams_kept.remove(&oldest))
            else {
                break;
            };
            forgotten.abandon();
        }
        state.streams_kept.insert(number, Arc::clone(transcript));
        number
    }

    /// Keeps a stream that has ended for a while, if there is room for it.
    async fn keep(&self, transcript: Arc<Transcript>, number: u64) {
        let size = u32::try_from(transcript.size()).ok();
        let closed = transcript.closed();
        drop(transcript);
        if let Some(_room) = size.and_then(|size| self.room.try_acquire_many(size).ok()) {
            // The room is free as soon as nobody can come back for what is in it.
            let _closed = tokio::time::timeout(KEPT_FOR, closed).await;
        }
        if let Some(forgotten) = lock(&self.state).streams_kept.remove(&number) {
            forgotten.abandon();
        }
    }

    fn read(self: &Arc<Self>, transcript: &Arc<Transcript>, number: u64, from: u64) -> Events {
        let events = transcript.read(from, move |next| Some(id(number, next)));
        while_read(events, InUse::of(self))
    }

    /// The place of the stream for what is said unasked.
    pub(super) fn stream_place(
        &self,
        take: impl FnOnce() -> Result<Place, Full>,
    ) -> Result<Arc<Place>, Full> {
        let held = &mut lock(&self.state).stream_place;
        if let Some(place) = held.upgrade() {
            return Ok(place);
        }
        let place = Arc::new(take()?);
        *held = Arc::downgrade(&place);
        Ok(place)
    }

    /// Opens the stream for what is said unasked, after an event or after what was read last. It takes over
    /// from the one before. None if there is no such event.
    pub(super) fn read_unasked(self: &Arc<Self>, after: Option<u64>) -> Option<Reading> {
        if let Some(after) = after {
            if !self.unasked.can_go_on(after) {
                return None;
            }
            if !self.unasked.is_whole(after) {
                self.has_missed.store(true, Ordering::Release);
            }
        }
        let mut reading = self.unasked.read_on(after, |next| Some(id(UNASKED, next)));
        if self.revision.polls() {
            let first = Event {
                id: Some(id(UNASKED, reading.from)),
                data: Bytes::new(),
            };
            reading.events = stream::iter([first]).chain(reading.events).boxed();
        }
        Some(reading)
    }
}

/// The number of the stream for what is said unasked.
const UNASKED: u64 = 0;

/// Whether an event is one of what is said unasked; and if so, the number of the one after it.
pub(super) fn unasked_after(last_event: &str) -> Option<u64> {
    let (stream, next) = parse_id(last_event)?;
    (stream == UNASKED).then_some(next)
}

/// An event's id names its stream and the event that comes after it.
fn id(stream: u64, next: u64) -> String {
    format!("{stream}-{next}")
}

/// The stream, and the event to go on with.
fn parse_id(id: &str) -> Option<(u64, u64)> {
    let (stream, next) = id.split_once('-')?;
    Some((stream.parse().ok()?, next.parse().ok()?))
}

/// Work on one request of a session.
pub(super) struct Running {
    session: Arc<Session>,
    request: Box<str>,
    /// It remembers that it was told to stop.
    stop: Arc<Notify>,
}

impl Running {
    /// Works until the request is cancelled, which gives none.
    pub(super) async fn unless_cancelled<W: Future>(&self, work: W) -> Option<W::Output> {
        tokio::select! {
            biased;
            () = self.stop.notified() => None,
            output = work => Some(output),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = lock(&self.session.state);
        state.running.remove(&self.request);
        // Whoever waited for it has been using the session.
        state.used = Instant::now();
    }
}

/// A stream that keeps its session from being taken for unused.
pub(super) struct InUse(Arc<Session>);

impl InUse {
    pub(super) fn of(session: &Arc<Session>) -> Self {
        let mut state = lock(&session.state);
        state.streams = state.streams.saturating_add(1);
        drop(state);
        Self(Arc::clone(session))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.streams = state.streams.saturating_sub(1);
        state.used = Instant::now();
    }
}
