//! What goes wrong on purpose: tests have the issuer fail as Clerk and networks do. Nothing on the wire
//! can switch it on.

use std::sync::{Mutex, PoisonError};

/// What is wrong at present; by default, nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// At the key set, `/.well-known/jwks.json` and `/v1/jwks`.
    pub keys: Option<KeysFault>,
    /// At the metadata of the authorization server.
    pub metadata: Option<AnswerFault>,
    /// At the token endpoint.
    pub tokens: Option<TokensFault>,
    /// At the Backend API, `/v1/…`.
    pub api: Option<AnswerFault>,
}

/// What can be wrong with an answer, whatever it should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// Status 500.
    ServerError,
    /// Status 401, as for a secret key that is wrong.
    Unauthorized,
    /// Status 429, to be tried again after so many seconds.
    Limited(u32),
    /// A page instead of JSON.
    Html,
    /// Ten million bytes.
    TooLong,
    /// Its beginning, and nothing else for as long as anybody waits.
    Drip,
    /// A redirection to the link-local address where clouds keep their secrets.
    Moved,
}

/// What can be wrong with the key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysFault {
    /// What can be wrong with any answer.
    Answer(AnswerFault),
    /// There is no key in it.
    Empty,
    /// A broken key stands before the good ones.
    BrokenNeighbour,
}

/// What can be wrong with the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokensFault {
    /// What can be wrong with any answer.
    Answer(AnswerFault),
    /// Status 204.
    Empty,
    /// An error of RFC 6749 §5.2 with this code.
    Refused(&'static str),
    /// It does what it is asked, and the answer is lost.
    Lost,
}

/// The switch.
#[derive(Default)]
pub(super) struct Switch(Mutex<Faults>);

impl Switch {
    pub(super) fn get(&self) -> Faults {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, faults: Faults) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }
}
