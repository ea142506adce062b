//! What wants no answer: notifications, and the answers of clients to what they were asked.

use super::Protocol;
use super::message::{Notification, Response};
use super::meta;
use super::origin::{Named, Origin, Token};
use super::reply::{Answer, Error};
use super::revision::Revision;
use crate::auth::{Denied, Via};

impl Protocol {
    /// Takes a notification in. Those that say nothing to this server are heard all the same.
    pub(super) fn heard(&self, notification: &Notification<'_>, origin: &Origin) -> Answer {
        // Those of 2026-07-28 belong to no session (MCP 2026-07-28, transports).
        let is_modern = meta::is_modern(notification.params.meta);
        let session = match self.session_of(origin, is_modern) {
            Ok(session) => session,
            Err(refused) => return refused,
        };
        if let Some(session) = session
            && notification.method == "notifications/cancelled"
            && let Some(request) = notification.params.request_id
        {
            session.cancel(request);
        }
        Answer::accepted()
    }

    /// Takes in what a client answers to a question of this server.
    pub(super) fn answered(&self, response: &Response<'_>, origin: &Origin) -> Answer {
        match self.session_of(origin, false) {
            Ok(Some(session)) => {
                session.answered(response);
                Answer::accepted()
            }
            Ok(None) => {
                Error::invalid_request("it is an answer, and without a session nothing was asked")
                    .answer(None)
            }
            Err(refused) => refused,
        }
    }

    /// The session that a message belongs to which wants no answer, if it names one; what belongs to
    /// none is nobody's, and where nobody is served it is not heard.
    fn session_of<'o>(
        &self,
        origin: &'o Origin,
        is_modern: bool,
    ) -> Result<Option<&'o super::session::Session>, Answer> {
        if let Token::Bad(denied) = &origin.token {
            return Err(Answer::unauthorized(denied.clone(), None));
        }
        let caller = origin.token.caller().ok().flatten();
        if caller.is_none() && self.requires_auth {
            return Err(Answer::unauthorized(Denied::missing(Via::Header), None));
        }
        if is_modern {
            return Ok(None);
        }
        check_version(origin.declared.version())?;
        match &origin.session {
            Named::Session(session) if session.admit(caller.map(|caller| &**caller)) => {
                Ok(Some(session))
            }
            Named::Session(_) | Named::Unknown => Err(Error::no_session().answer(None)),
            Named::None => Ok(None),
        }
    }
}

/// Refuses what names a revision that is not served (MCP 2025-11-25, transports).
pub(super) fn check_version(version: Option<&str>) -> Result<(), Answer> {
    match version {
        Some(name) if Revision::named(name).is_none() => {
            Err(Error::unsupported_version(name).answer(None))
        }
        Some(_) | None => Ok(()),
    }
}
