//! A client at the other end of a connection of its own, such as a process that started this one
//! (MCP 2026-07-28, stdio): its messages come one after another, and what one of them opens is there for
//! those after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future;
use futures_util::stream::{self, AbortHandle, Abortable, StreamExt};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::exchange::{Event, Events, Exchange, Reply, while_read};
use super::intake::Begun;
use super::json::{map, notification};
use super::message::{Body, Message, Notification, Request};
use super::meta;
use super::record::{Outcome, Record};
use super::reply::{Answer, Error};
use super::session::{InUse, Session};
use super::transcript::Transcript;
use super::{Declared, Incoming, Named, Protocol};
use crate::auth::{Bearer, Party};

/// The most requests of one connection that are worked on at once.
const MOST_RUNNING: usize = 256;

/// One client, for as long as it is connected.
pub struct Connection {
    server: Arc<Protocol>,
    /// The token of every request.
    bearer: Option<Bearer>,
    /// What to do for another token, for a caller who is turned away.
    sign_in: Arc<str>,
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    opened: Option<Opened>,
    /// By the id of the request, as the client wrote it.
    running: HashMap<Box<str>, AbortHandle>,
}

/// The session that `initialize` opened.
struct Opened {
    session: Arc<Session>,
    /// It stays as long as the connection does.
    _in_use: InUse,
    /// Whether its client is told what it did not ask for.
    is_told: bool,
}

impl Protocol {
    /// Takes in a client that has a connection of its own. `bearer` is the token of all that it sends,
    /// and `sign_in` says to its user how to give it another.
    pub fn connect(
        self: &Arc<Self>,
        bearer: Option<Bearer>,
        sign_in: impl Into<Arc<str>>,
    ) -> Arc<Connection> {
        Arc::new(Connection {
            server: Arc::clone(self),
            bearer,
            sign_in: sign_in.into(),
            places: Arc::new(Semaphore::new(MOST_RUNNING)),
            state: Mutex::default(),
        })
    }
}

impl Connection {
    /// Takes one message in, which must be done in the order in which they came. An answer is to be sent
    /// before the next is taken in, unless it is empty; the streams are for whoever reads them, and
    /// dropping one cancels its request.
    pub async fn receive(self: &Arc<Self>, body: Bytes) -> Reply {
        // It is read once more where it is worked on, which borrows from it.
        let parsed = match Body::parse(&body) {
            Ok(parsed) => parsed,
            Err(refused) => return Reply::Answer(refused.answer()),
        };
        match &parsed {
            Body::One(Message::Notification(notification)) => self.heard(notification),
            Body::One(Message::Response(response)) => {
                if let Some(session) = self.session() {
                    session.answered(response);
                }
                Reply::Answer(Answer::accepted())
            }
            Body::One(Message::Request(request)) if opens_session(request) => {
                let reply = self.exchange(&parsed, &body).reply().await;
                if let Reply::Answer(answer) = &reply {
                    self.open(answer.session.as_deref());
                }
                reply
            }
            Body::One(Message::Request(request)) => {
                let is_listen = request.method == "subscriptions/listen";
                self.begin(&parsed, &body, Some(request.id), is_listen)
                    .unwrap_or_else(|error| refused(error, Some(request.id), &parsed, &body))
            }
            Body::Batch(_) => self
                .begin(&parsed, &body, None, false)
                .unwrap_or_else(|error| refused(error, None, &parsed, &body)),
        }
    }

    /// Begins the work on a request, or on a batch of them.
    fn begin(
        self: &Arc<Self>,
        parsed: &Body<'_>,
        body: &Bytes,
        id: Option<&RawValue>,
        is_listen: bool,
    ) -> Result<Reply, Error> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(Error::invalid_request(&format!(
                "{MOST_RUNNING} requests of this connection are in progress, which is as many as may be; wait for an answer"
            )));
        };
        let Some(id) = id else {
            let exchange = self.exchange(parsed, body);
            return Ok(Reply::Stream(while_read(exchange.events(), place)));
        };
        let (handle, registration) = AbortHandle::new_pair();
        // Nothing begins under an id that is in use.
        let Some(running) = self.running(id, handle, place) else {
            return Err(Error::invalid_request(
                "another request of this `id` is in progress",
            ));
        };
        let exchange = self.exchange(parsed, body);
        let events = if is_listen {
            self.torn_down(exchange.events(), id)
        } else {
            exchange.events()
        };
        let events = Abortable::new(events, registration);
        Ok(Reply::Stream(while_read(events.boxed(), running)))
    }

    /// The work on what was received. It does nothing before it is asked for what it says, so what comes
    /// in the next line finds it begun, whether it was or not.
    fn exchange(&self, parsed: &Body<'_>, body: &Bytes) -> Exchange {
        let server = Arc::clone(&self.server);
        let named = self.session().map_or(Named::None, Named::Session);
        let begun = Begun::each(parsed.messages(), &named, body.len());
        let incoming = Incoming {
            body: body.clone(),
            bearer: Ok(self.bearer.clone()),
            declared: Declared {
                takes_streams: true,
                sign_in: Some(Arc::clone(&self.sign_in)),
                ..Declared::default()
            },
        };
        Exchange::new(Some(Transcript::once()), |outlet| {
            Box::pin(async move { server.answer(incoming, named, Some(begun), outlet).await })
        })
    }

    /// The stream of a subscription, with what is said when it ends because the host stops. One page of
    /// the specification says that the request is then answered (MCP 2026-07-28, subscriptions), another
    /// that its cancellation must be told (cancellation). The answer comes first: who has it takes no
    /// notice of the cancellation of what is over, and who waits for that sees it, too.
    fn torn_down(&self, events: Events, id: &RawValue) -> Events {
        let closing = self.server.closing.clone();
        let params = map([
            ("requestId", Some(serde_json::json!(id))),
            ("reason", Some("this server stops".into())),
        ]);
        let notice = Event {
            id: None,
            data: notification("notifications/cancelled", Some(&params)).into(),
        };
        events
            .chain(
                stream::once(future::lazy(move |_| closing.borrow().then_some(notice)))
                    .filter_map(future::ready),
            )
            .boxed()
    }

    /// Takes a notification in. Nobody is answered who sends one.
    fn heard(self: &Arc<Self>, heard: &Notification<'_>) -> Reply {
        match &*heard.method {
            "notifications/cancelled" => {
                if let Some(request) = heard.params.request_id {
                    self.cancel(request);
                }
            }
            "notifications/initialized" => {
                if let Some(opened) = &mut self.state().opened
                    && !std::mem::replace(&mut opened.is_told, true)
                {
                    // Nobody is answered who sends a notification.
                    let unasked = self.server.unasked(&opened.session, &Party::Local, None);
                    if let Ok(Some(events)) = unasked {
                        return Reply::Stream(events);
                    }
                }
            }
            _ => {}
        }
        Reply::Answer(Answer::accepted())
    }

    fn cancel(&self, request: &RawValue) {
        // Its place is free when the work has ended.
        if let Some(running) = self.state().running.get(request.get()) {
            running.abort();
        }
        // Requests that came in a batch are known to the session alone.
        if let Some(session) = self.session() {
            session.cancel(request);
        }
    }

    /// Goes on with the session of this id. A client that opens another has no use for the one before.
    fn open(&self, id: Option<&str>) {
        let Some(session) = id.and_then(|id| self.server.sessions.find(id)) else {
            return;
        };
        let opened = Opened {
            _in_use: InUse::of(&session),
            session,
            is_told: false,
        };
        let before = self.state().opened.replace(opened);
        if let Some(before) = before {
            self.server.sessions.close(&before.session);
        }
    }

    fn session(&self) -> Option<Arc<Session>> {
        let state = self.state();
        state
            .opened
            .as_ref()
            .map(|opened| Arc::clone(&opened.session))
    }

    /// Notes that a request is worked on. None if there is work on another one of the same id.
    fn running(
        self: &Arc<Self>,
        request: &RawValue,
        work: AbortHandle,
        place: OwnedSemaphorePermit,
    ) -> Option<Running> {
        let running = &mut self.state().running;
        if running.contains_key(request.get()) {
            return None;
        }
        let request: Box<str> = request.get().into();
        running.insert(request.clone(), work);
        Some(Running {
            connection: Arc::clone(self),
            request,
            _place: place,
        })
    }

    /// No lock here is held across anything that can panic or wait; a poisoned one is good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a message that nobody works on. The calls in it leave their lines all the same.
fn refused(error: Error, id: Option<&RawValue>, parsed: &Body<'_>, body: &Bytes) -> Reply {
    let outcome = Outcome::Refused(error.code());
    let answer = error.answer(id);
    for message in parsed.messages() {
        if let Message::Request(request) = message
            && let Some(record) = Record::of(request, body.len())
        {
            record.answered_with_all(outcome.clone(), &answer);
        }
    }
    Reply::Answer(answer)
}

/// Whether what comes after a request relies on what it does.
fn opens_session(request: &Request<'_>) -> bool {
    request.method == "initialize" && !meta::is_modern(request.params.meta)
}

/// Work on one request of a connection.
struct Running {
    connection: Arc<Connection>,
    request: Box<str>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.connection.state().running.remove(&self.request);
    }
}
