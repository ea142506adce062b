//! How often the issuer is asked for callers, so that none of them asks without end on this host's account.

use std::time::Duration;

use super::SessionError;
use crate::auth::clock::Stopwatch;
use crate::auth::pace::{Pace, Paces};
use crate::auth::party::Party;
use crate::auth::principal::Principal;

/// How often the issuer is asked for callers.
pub(in crate::auth) struct Limits {
    /// What one caller may ask.
    each: Paces,
    /// What callers without a token may ask from one address. Behind a proxy all of them have its address.
    peers: Paces,
    /// What all callers without a token may ask together.
    unknown: Paces,
    /// How many of their sessions one caller may end.
    ending: Paces,
}

impl Limits {
    const EACH: Pace = Pace {
        times: 20,
        per: Duration::from_mins(1),
    };
    const PEERS: Pace = Pace {
        times: 60,
        per: Duration::from_mins(1),
    };
    const UNKNOWN: Pace = Pace {
        times: 50,
        per: Duration::from_secs(10),
    };
    const ENDING: Pace = Pace {
        times: 50,
        per: Duration::from_mins(1),
    };

    pub(in crate::auth) fn new(stopwatch: &Stopwatch) -> Self {
        Self {
            each: Paces::new(Self::EACH, stopwatch),
            peers: Paces::new(Self::PEERS, stopwatch),
            unknown: Paces::new(Self::UNKNOWN, stopwatch),
            ending: Paces::new(Self::ENDING, stopwatch),
        }
    }

    /// Counts one request of a party.
    pub(super) fn take(&self, party: &Party) -> Result<(), SessionError> {
        let taken = match party {
            Party::User(_) => self.each.take(party.digest()),
            Party::Peer(_) | Party::Local => self
                .peers
                .take(party.digest())
                .and_then(|()| self.unknown.take_any()),
        };
        taken.map_err(limited)
    }

    /// Counts one session that a caller ends, each of which is a request of its own.
    pub(super) fn end(&self, caller: &Principal) -> Result<(), SessionError> {
        let party = Party::of(Some(caller), None);
        self.ending.take(party.digest()).map_err(limited)
    }
}

/// In whole seconds, upwards: who waits for less is limited again.
fn limited(pause: Duration) -> SessionError {
    let part = u64::from(pause.subsec_nanos() > 0);
    let seconds = pause.as_secs().saturating_add(part).max(1);
    SessionError::Limited(Some(Duration::from_secs(seconds)))
}
