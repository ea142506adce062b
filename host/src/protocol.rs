//! MCP: from the bytes of one message to what is said in answer.
//!
//! Each message says in which way it speaks: requests that carry their own metadata are of
//! revision 2026-07-28, all others of the revisions that open with `initialize`. This module knows
//! no HTTP; it says what kind of answer it gives, and [`crate::http`] finds the status for it.

mod abilities;
mod blocks;
mod changes;
mod completion;
mod connection;
mod exchange;
mod identity;
mod json;
mod lifecycle;
mod listen;
mod listing;
mod logging;
mod message;
mod meta;
mod peer;
mod prompts;
mod questions;
mod record;
mod reply;
mod resources;
mod revision;
mod run;
mod session;
mod state;
mod tools;
mod transcript;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable, join_all};
use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};

pub use connection::Connection;
pub use exchange::{Event, Events, Reply};
pub use reply::{Answer, Kind};
pub use revision::Revision;
pub use session::SessionLimits;

use crate::auth::{Auth, Bearer, Challenge, Credentials, Party, Presented, Principal, Via};
use crate::catalog::Catalogs;
use crate::sandbox::Sandbox;
use changes::Changes;
use exchange::{Exchange, Outlet};
use listing::Listings;
use message::{Body, Message, Notification, Request, Response};
use meta::Era;
use record::{Outcome, Record};
use reply::Error;
use session::{Session, Sessions};
use state::Seals;
use transcript::Transcript;

/// The server, as MCP sees it.
pub struct Protocol {
    catalogs: Catalogs,
    auth: Auth,
    challenge: Challenge,
    sandbox: Sandbox,
    listings: Listings,
    changes: Arc<Changes>,
    sessions: Sessions,
    seals: Seals,
    /// Places for streams of what changes.
    streams: Semaphore,
    most_streams: usize,
    requires_auth: bool,
    narrows_lists: bool,
    closing: watch::Receiver<bool>,
}

/// What the server is made of.
pub struct Parts {
    /// What is served.
    pub catalogs: Catalogs,
    /// Who is calling.
    pub auth: Auth,
    /// What callers are told who are turned away.
    pub challenge: Challenge,
    /// Where calls run.
    pub sandbox: Sandbox,
    /// Becomes true when the host stops: streams end then.
    pub closing: watch::Receiver<bool>,
}

/// How much the server keeps for its clients.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many sessions there may be, and for how long.
    pub sessions: SessionLimits,
    /// How many streams of what changes may be open at once.
    pub streams: usize,
    /// The secrets that seal what clients keep for this host. Replicas share them; none makes one that
    /// is good until the host stops.
    pub state_keys: Vec<SecretString>,
    /// Whether nothing at all is served to callers without a token.
    pub requires_auth: bool,
    /// Whether lists show a caller only what they may use.
    pub narrows_lists: bool,
}

/// One message, as a transport received it.
pub struct Incoming {
    /// The message.
    pub body: Bytes,
    /// The token that the transport found, if it did.
    pub bearer: Option<Bearer>,
    /// What the transport knows besides.
    pub declared: Declared,
}

/// What a transport knows of a message besides its bytes.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The headers that repeat what is in the message, if the transport has headers.
    pub headers: Option<Headers>,
    /// The id of a session.
    pub session: Option<String>,
    /// The address at the other end of the connection, if it comes from a network.
    pub peer: Option<IpAddr>,
    /// Whether the client takes more than one message in answer.
    pub takes_streams: bool,
}

/// Headers that repeat what is in the message (MCP 2026-07-28, transports).
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// The header `MCP-Protocol-Version`.
    pub version: Option<String>,
    /// The header `Mcp-Method`.
    pub method: Option<String>,
    /// The header `Mcp-Name`, as sent.
    pub name: Option<String>,
    /// The headers `Mcp-Param-…` as sent, by what comes after that, in lower case.
    pub params: Vec<(String, String)>,
}

/// What the server has open at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Calls that have a sandbox.
    pub calls: usize,
    /// The bytes of memory that they have.
    pub memory: usize,
    /// Sessions of older clients.
    pub sessions: usize,
    /// Streams of what changes.
    pub streams: usize,
}

/// One message, with all that is known of where it came from.
struct Origin<'a> {
    declared: &'a Declared,
    bearer: Option<Bearer>,
    session: Named,
    outlet: &'a Outlet,
    /// The bytes of the body.
    received: usize,
}

/// The session that a transport named.
#[derive(Clone)]
enum Named {
    None,
    /// It is not there.
    Unknown,
    Session(Arc<Session>),
}

/// What a handler knows of its request besides the params.
struct Context<'a> {
    era: &'a Era,
    caller: Option<Arc<Principal>>,
    declared: &'a Declared,
    outlet: &'a Outlet,
    record: Option<&'a Record>,
}

impl Context<'_> {
    /// Whose share of the host is used.
    fn party(&self) -> Party {
        Party::of(self.caller.as_deref(), self.declared.peer)
    }
}

impl Protocol {
    /// Puts the parts together.
    pub fn new(parts: Parts, settings: &Settings) -> Self {
        Self {
            changes: Arc::new(Changes::new(parts.catalogs.clone())),
            catalogs: parts.catalogs,
            auth: parts.auth,
            challenge: parts.challenge,
            sandbox: parts.sandbox,
            listings: Listings::default(),
            sessions: Sessions::new(settings.sessions),
            seals: Seals::new(&settings.state_keys),
            streams: Semaphore::new(settings.streams),
            most_streams: settings.streams,
            requires_auth: settings.requires_auth,
            narrows_lists: settings.narrows_lists,
            closing: parts.closing,
        }
    }

    /// What is open at this moment.
    pub fn load(&self) -> Load {
        Load {
            calls: self.sandbox.running(),
            memory: self.sandbox.memory(),
            sessions: self.sessions.count(),
            streams: self
                .most_streams
                .saturating_sub(self.streams.available_permits()),
        }
    }

    /// Answers one message. Dropping the future, or the stream that it gives, cancels what was started,
    /// unless the message belongs to a session.
    pub async fn receive(self: &Arc<Self>, incoming: Incoming) -> Reply {
        let session = self.named(&incoming.declared);
        let server = Arc::clone(self);
        let of = session.clone();
        let transcript = incoming.declared.takes_streams.then(|| match &session {
            Named::Session(session) => session.transcript(),
            Named::None | Named::Unknown => Transcript::once(),
        });
        let exchange = Exchange::new(transcript, |outlet| {
            Box::pin(async move { server.answer(incoming, of, outlet).await })
        });
        match session {
            Named::Session(session) => session.reply(exchange).await,
            Named::None | Named::Unknown => exchange.reply().await,
        }
    }

    /// Opens the stream of a session for what is said unasked, or reads on where another stream of it
    /// broke off after the event of that id (MCP 2025-11-25 and before, transports).
    pub async fn open_stream(
        self: &Arc<Self>,
        declared: &Declared,
        bearer: Option<Bearer>,
        last_event: Option<&str>,
    ) -> Reply {
        let session = match self.owned(declared, bearer).await {
            Ok(session) => session,
            Err(refused) => return Reply::Answer(refused),
        };
        match last_event {
            None => Reply::Stream(self.unasked(&session)),
            Some(last_event) => match session.resume(last_event) {
                Some(events) => Reply::Stream(events),
                None => Reply::Answer(
                    Error::invalid_request(
                        "the stream of the event in `Last-Event-ID` is not kept any more; send the request again, or open a stream without it",
                    )
                    .answer(None),
                ),
            },
        }
    }

    /// Ends a session at its client's wish.
    pub async fn end_session(&self, declared: &Declared, bearer: Option<Bearer>) -> Answer {
        match self.owned(declared, bearer).await {
            Ok(session) => {
                self.sessions.close(&session);
                Answer::accepted()
            }
            Err(refused) => refused,
        }
    }

    /// The session that was named, if it is there and the caller's.
    async fn owned(
        &self,
        declared: &Declared,
        bearer: Option<Bearer>,
    ) -> Result<Arc<Session>, Answer> {
        match self.named(declared) {
            Named::Session(session) => {
                self.check_owner(&session, bearer).await?;
                Ok(session)
            }
            Named::Unknown => Err(Error::no_session().answer(None)),
            Named::None => Err(Error::needs_session().answer(None)),
        }
    }

    async fn check_owner(&self, session: &Session, bearer: Option<Bearer>) -> Result<(), Answer> {
        let credentials = Credentials {
            header: bearer,
            meta: Presented::Absent,
        };
        match self.identify(&credentials).await {
            Ok(caller) if session.admit(caller.as_deref()) => Ok(()),
            Ok(_another) => Err(Error::no_session().answer(None)),
            Err(denied) => Err(Answer::unauthorized(denied)),
        }
    }

    fn named(&self, declared: &Declared) -> Named {
        let version = declared
            .headers
            .as_ref()
            .and_then(|headers| headers.version.as_deref())
            .and_then(Revision::named);
        match &declared.session {
            // Requests of that revision belong to no session, whatever they say.
            Some(_) if version.is_some_and(Revision::is_modern) => Named::None,
            Some(id) => self
                .sessions
                .find(id)
                .map_or(Named::Unknown, Named::Session),
            None => Named::None,
        }
    }

    async fn answer(&self, incoming: Incoming, session: Named, outlet: Outlet) -> Answer {
        let origin = Origin {
            declared: &incoming.declared,
            bearer: incoming.bearer,
            session,
            outlet: &outlet,
            received: incoming.body.len(),
        };
        match Body::parse(&incoming.body) {
            Err(refused) => refused.answer(),
            Ok(Body::One(message)) => self.message(&message, &origin).await,
            Ok(Body::Batch(messages)) => self.batch(messages, &origin).await,
        }
    }

    async fn message(&self, message: &Message<'_>, origin: &Origin<'_>) -> Answer {
        match message {
            Message::Request(request) => {
                let record = Record::of(request, origin.received);
                let answer = match self.reply(request, origin, record.as_ref()).await {
                    Ok(answer) => answer,
                    Err(error) => {
                        if let Some(record) = &record {
                            record.ended(Outcome::Refused(error.code()));
                        }
                        error.answer(Some(request.id))
                    }
                };
                if let Some(record) = &record {
                    record.answered(&answer);
                }
                answer
            }
            Message::Notification(notification) => self.heard(notification, origin).await,
            Message::Response(response) => self.answered(response, origin).await,
        }
    }

    /// Several messages in one body (MCP 2025-03-26, JSON-RPC batching).
    async fn batch(&self, messages: Vec<Message<'_>>, origin: &Origin<'_>) -> Answer {
        let named = origin
            .declared
            .headers
            .as_ref()
            .and_then(|headers| headers.version.as_deref());
        let revision = match (&origin.session, named.map(Revision::named)) {
            (Named::Session(session), _) => Some(session.revision),
            (Named::None | Named::Unknown, None) => Some(Revision::UNNAMED),
            (Named::None | Named::Unknown, Some(revision)) => revision,
        };
        let fits = |message: &Message<'_>| match message {
            Message::Request(request) => {
                request.method != "initialize" && !meta::is_modern(request.params.meta)
            }
            Message::Notification(_) | Message::Response(_) => true,
        };
        if !revision.is_some_and(Revision::has_batches) || !messages.iter().all(fits) {
            return Error::invalid_request(
                "a batch is taken in revision 2025-03-26 alone, and without `initialize` in it; send one message at a time",
            )
            .answer(None);
        }
        if let Named::Unknown = origin.session {
            return Error::no_session().answer(None);
        }
        let answers = messages.iter().map(|message| self.message(message, origin));
        Answer::batch(join_all(answers).await)
    }

    async fn reply(
        &self,
        request: &Request<'_>,
        origin: &Origin<'_>,
        record: Option<&Record>,
    ) -> Result<Answer, Error> {
        let session = match &origin.session {
            Named::Session(session) => Some(session),
            Named::None | Named::Unknown => None,
        };
        let era = Era::of(request, origin.declared, session)?;
        let is_lost = matches!(origin.session, Named::Unknown);
        if is_lost && matches!(era, Era::Legacy(_)) && request.method != "initialize" {
            return Err(Error::no_session());
        }
        let credentials = identity::credentials(request, origin.bearer.clone())?;
        let caller = match self.identify(&credentials).await {
            Ok(caller) => caller,
            Err(denied) => {
                if let Some(record) = record {
                    record.ended(Outcome::Denied(denied.reason.code()));
                }
                return Ok(self.refuse(denied, request, &era));
            }
        };
        if let Some(record) = record {
            record.caller(caller.as_deref());
        }
        let context = Context {
            era: &era,
            caller,
            declared: origin.declared,
            outlet: origin.outlet,
            record,
        };
        let Some(session) = era.session() else {
            return self.dispatch(request, context).await;
        };
        // A token that only calls carry says nothing of the session's other requests.
        let caller = context.caller.as_deref();
        if !session.admit(caller.filter(|caller| caller.via() == Via::Header)) {
            return Err(Error::no_session());
        }
        let (handle, registration) = AbortHandle::new_pair();
        let _running = session.running(request.id, handle)?;
        Abortable::new(self.dispatch(request, context), registration)
            .await
            .unwrap_or_else(|_aborted| {
                // Who cancels a request wants no answer to it.
                if let Some(record) = record {
                    record.ended(Outcome::Aborted);
                }
                Ok(Answer::accepted())
            })
    }

    async fn dispatch(&self, request: &Request<'_>, context: Context<'_>) -> Result<Answer, Error> {
        let era = context.era;
        match (&*request.method, era) {
            ("tools/list", _) => self.list_tools(request, &context),
            ("tools/call", _) => self.call_tool(request, context).await,
            ("prompts/list", _) => self.list_prompts(request, &context),
            ("prompts/get", _) => self.get_prompt(request, context).await,
            ("resources/list", _) => self.list_resources(request, &context),
            ("resources/templates/list", _) => self.list_templates(request, &context),
            ("resources/read", _) => self.read_resource(request, context).await,
            ("completion/complete", _) => self.complete(request, context).await,
            ("server/discover", _) => Ok(lifecycle::discover(request)),
            ("subscriptions/listen", Era::Modern(_)) => self.listen(request, context.outlet).await,
            ("initialize", Era::Legacy(_)) => self.initialize(request, &context),
            ("ping", Era::Legacy(_)) => Ok(Answer::result(request.id, &serde_json::Map::new())),
            ("logging/setLevel", Era::Legacy(_)) => logging::set_level(request, era),
            ("resources/subscribe", Era::Legacy(legacy)) => {
                Self::subscribe(request, legacy.session.as_ref(), true)
            }
            ("resources/unsubscribe", Era::Legacy(legacy)) => {
                Self::subscribe(request, legacy.session.as_ref(), false)
            }
            (other, _) => Err(era.no_such_method(other)),
        }
    }

    /// Takes a notification in. Those that say nothing to this server are heard all the same.
    /// What does not belong to a session is nobody's, and where nobody is served it is not heard.
    async fn check_open(&self, bearer: Option<Bearer>) -> Result<(), Answer> {
        if !self.requires_auth {
            return Ok(());
        }
        let credentials = Credentials {
            header: bearer,
            meta: Presented::Absent,
        };
        let known = self.identify(&credentials).await;
        known.map(drop).map_err(Answer::unauthorized)
    }

    async fn heard(&self, notification: &Notification<'_>, origin: &Origin<'_>) -> Answer {
        let Named::Session(session) = &origin.session else {
            if let Err(refused) = self.check_open(origin.bearer.clone()).await {
                return refused;
            }
            return match origin.session {
                Named::Unknown if !meta::is_modern(notification.params.meta) => {
                    Error::no_session().answer(None)
                }
                Named::Unknown | Named::None | Named::Session(_) => Answer::accepted(),
            };
        };
        if let Err(refused) = self.check_owner(session, origin.bearer.clone()).await {
            return refused;
        }
        if notification.method == "notifications/cancelled"
            && let Some(request) = notification.params.request_id
        {
            session.cancel(request);
        }
        Answer::accepted()
    }

    /// Takes in what a client answers to a question of this server.
    async fn answered(&self, response: &Response<'_>, origin: &Origin<'_>) -> Answer {
        if let Err(refused) = self.check_open(origin.bearer.clone()).await {
            return refused;
        }
        match &origin.session {
            Named::Session(session) => {
                if let Err(refused) = self.check_owner(session, origin.bearer.clone()).await {
                    return refused;
                }
                session.answered(response);
                Answer::accepted()
            }
            Named::Unknown => Error::no_session().answer(None),
            Named::None => {
                Error::invalid_request("it is an answer, and without a session nothing was asked")
                    .answer(None)
            }
        }
    }
}
