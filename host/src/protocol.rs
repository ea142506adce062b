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
mod dispatch;
mod exchange;
mod identity;
mod intake;
mod json;
mod lifecycle;
mod listen;
mod listing;
mod logging;
mod message;
mod meta;
mod notice;
mod origin;
mod peer;
mod places;
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

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::watch;

pub use connection::Connection;
pub use exchange::{Event, Events, Reply};
pub use origin::{Declared, Headers, Incoming};
pub use places::Bounds;
pub use reply::{Answer, Kind};
pub use revision::Revision;
pub use session::SessionLimits;

use crate::auth::{Auth, Bearer, Challenge, Denied, Party, Principal, Via};
use crate::catalog::Catalogs;
use crate::sandbox::{self, BucketState, KeptCode, Sandbox};
use changes::Changes;
use exchange::Exchange;
use listing::Listings;
use origin::{Named, Token};
use places::Places;
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
    /// For streams of what changes.
    streams: Places,
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
    pub streams: Bounds,
    /// The secrets that seal what clients keep for this host. Replicas share them; none makes one that
    /// is good until the host stops.
    pub state_keys: Vec<SecretString>,
    /// Whether nothing at all is served to callers without a token.
    pub requires_auth: bool,
    /// Whether lists show a caller only what they may use.
    pub narrows_lists: bool,
}

/// What the server has open at this moment, and what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// What calls have.
    pub sandbox: sandbox::Load,
    /// Sessions of older clients.
    pub sessions: usize,
    /// Streams of what changes.
    pub streams: usize,
    /// Whether the buckets of services can be used.
    pub buckets: BucketState,
    /// The compiled code that is kept between starts, if it is.
    pub code: Option<KeptCode>,
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
            streams: Places::new(settings.streams),
            requires_auth: settings.requires_auth,
            narrows_lists: settings.narrows_lists,
            closing: parts.closing,
        }
    }

    /// What is open at this moment.
    pub fn load(&self) -> Load {
        Load {
            sandbox: self.sandbox.load(),
            sessions: self.sessions.count(),
            streams: self.streams.taken(),
            buckets: self.sandbox.buckets(),
            code: self.sandbox.code(),
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
            Box::pin(async move { server.answer(incoming, of, None, outlet).await })
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
        bearer: Result<Option<Bearer>, Denied>,
        last_event: Option<&str>,
    ) -> Reply {
        let (session, caller) = match self.owned(declared, bearer).await {
            Ok(owned) => owned,
            Err(refused) => return Reply::Answer(refused),
        };
        let after = last_event.and_then(session::unasked_after);
        let resumed = match (last_event, after) {
            (Some(last_event), None) => session.resume(last_event),
            (_, after) => {
                let party = Party::of(caller.as_deref(), declared.peer);
                match self.unasked(&session, &party, after) {
                    Ok(events) => events,
                    Err(busy) => return Reply::Answer(busy.answer(None)),
                }
            }
        };
        match resumed {
            Some(events) => Reply::Stream(events),
            None => Reply::Answer(
                Error::invalid_request(
                    "the stream of the event in `Last-Event-ID` is not kept any more; send the request again, or open a stream without it",
                )
                .answer(None),
            ),
        }
    }

    /// Ends a session at its client's wish.
    pub async fn end_session(
        &self,
        declared: &Declared,
        bearer: Result<Option<Bearer>, Denied>,
    ) -> Answer {
        match self.owned(declared, bearer).await {
            Ok((session, _)) => {
                self.sessions.close(&session);
                Answer::accepted()
            }
            Err(refused) => refused,
        }
    }

    /// The session that was named, if it is there and the caller's; and the caller.
    async fn owned(
        &self,
        declared: &Declared,
        bearer: Result<Option<Bearer>, Denied>,
    ) -> Result<(Arc<Session>, Option<Arc<Principal>>), Answer> {
        let named = self.named(declared);
        // Where nobody is served without a token, nobody learns more without one.
        if matches!(named, Named::None) && !self.requires_auth {
            return Err(Error::needs_session().answer(None));
        }
        let caller = match self.verify(bearer, declared).await {
            Token::Bad(denied) => return Err(Answer::unauthorized(denied, None)),
            Token::None if self.requires_auth => {
                let denied = Denied::missing(Via::Header);
                return Err(Answer::unauthorized(denied, None));
            }
            Token::None => None,
            Token::Good(_, caller) => Some(caller),
        };
        notice::check_version(declared.version())?;
        match named {
            Named::Session(session) if session.admit(caller.as_deref()) => Ok((session, caller)),
            Named::Session(_) | Named::Unknown => Err(Error::no_session().answer(None)),
            Named::None => Err(Error::needs_session().answer(None)),
        }
    }

    fn named(&self, declared: &Declared) -> Named {
        let version = declared.version().and_then(Revision::named);
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
}
