//! The record of a call: one line in the log for each, whatever became of it. It holds no arguments, no
//! results and no tokens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::{Request, Text, object, present};
use super::reply::Answer;
use crate::auth::Principal;
use crate::catalog::{Catalog, Function};
use crate::digest::Digest;
use crate::sandbox::Usage;

/// Numbers calls from the start of the process.
static CALLS: AtomicU64 = AtomicU64::new(1);

/// What is known of one call. It is written when this is dropped, so a call that was cut short leaves a
/// line, too.
pub(super) struct Record(Mutex<Entry>);

struct Entry {
    number: u64,
    method: &'static str,
    trace: Option<String>,
    began: Instant,
    function: Option<Called>,
    caller: Option<String>,
    outcome: Outcome,
    usage: Usage,
    received: usize,
    sent: usize,
}

struct Called {
    service: String,
    component: Option<Digest>,
    function: String,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has not ended: whoever asked is gone.
    Unknown,
    /// Its client wants no answer any more.
    Aborted,
    /// It gave a result.
    Done,
    /// It gave an error of its own.
    Error,
    /// Its client is asked first.
    Asks,
    /// Its arguments do not fit.
    Mistaken,
    /// Its caller was turned away.
    Denied(&'static str),
    /// The sandbox ended it.
    Failed(&'static str),
    /// The request could not be served, with this code.
    Refused(i64),
}

/// The methods that are calls.
fn calls(method: &str) -> Option<&'static str> {
    let calls = [
        "tools/call",
        "prompts/get",
        "resources/read",
        "completion/complete",
    ];
    calls.into_iter().find(|call| *call == method)
}

impl Record {
    /// Begins the record of a request that came in a body of so many bytes, if it is a call.
    pub(super) fn of(request: &Request<'_>, received: usize) -> Option<Self> {
        let method = calls(&request.method)?;
        Some(Self(Mutex::new(Entry {
            number: CALLS.fetch_add(1, Ordering::Relaxed),
            method,
            trace: trace(request.params.meta),
            began: Instant::now(),
            function: None,
            caller: None,
            outcome: Outcome::Unknown,
            usage: Usage::default(),
            received,
            sent: 0,
        })))
    }

    /// What the log knows the call by.
    pub(super) fn number(&self) -> u64 {
        self.entry().number
    }

    fn entry(&self) -> MutexGuard<'_, Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who calls.
    pub(super) fn caller(&self, caller: Option<&Principal>) {
        self.entry().caller = caller.map(|caller| caller.id().to_owned());
    }

    /// Notes what is called.
    pub(super) fn function(&self, function: &Function, catalog: &Catalog) {
        self.entry().function = Some(Called {
            service: function.service.to_string(),
            component: catalog
                .service(&function.service)
                .map(|service| service.digest),
            function: function.origin.clone(),
        });
    }

    /// Where the sandbox counts what the call uses.
    pub(super) fn usage(&self) -> Usage {
        self.entry().usage.clone()
    }

    /// Notes how it ended. The first word counts: what comes after is how that is told to the client.
    pub(super) fn ended(&self, outcome: Outcome) {
        let known = &mut self.entry().outcome;
        if *known == Outcome::Unknown {
            *known = outcome;
        }
    }

    /// Notes what is sent in answer.
    pub(super) fn answered(&self, answer: &Answer) {
        self.ended(Outcome::Done);
        self.entry().sent = answer.body.len();
    }

    /// Notes that the whole body that it came in has this one answer. Whatever end of its own was noted
    /// before, its client was not told of it.
    pub(super) fn answered_with_all(&self, outcome: Outcome, answer: &Answer) {
        let mut entry = self.entry();
        entry.outcome = outcome;
        entry.sent = answer.body.len();
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let entry = self.entry();
        let (outcome, reason) = match &entry.outcome {
            Outcome::Unknown | Outcome::Aborted => ("cancelled", None),
            Outcome::Done => ("done", None),
            Outcome::Error => ("error", None),
            Outcome::Asks => ("asks", None),
            Outcome::Mistaken => ("mistaken", None),
            Outcome::Denied(reason) => ("denied", Some((*reason).to_owned())),
            Outcome::Failed(reason) => ("failed", Some((*reason).to_owned())),
            Outcome::Refused(code) => ("refused", Some(code.to_string())),
        };
        let called = entry.function.as_ref();
        let origins = entry.usage.origins();
        let (http_sent, http_received) = entry.usage.exchanged();
        tracing::info!(
            target: "cloister::calls",
            call = entry.number,
            trace = entry.trace,
            method = entry.method,
            service = called.map(|called| &*called.service),
            component = called.and_then(|called| called.component).map(|digest| digest.to_string()),
            function = called.map(|called| &*called.function),
            user = entry.caller,
            outcome,
            reason,
            wall_us = microseconds(entry.began.elapsed()),
            cpu_us = microseconds(entry.usage.cpu()),
            memory = entry.usage.memory(),
            origins = (!origins.is_empty()).then(|| origins.join(" ")),
            requests = entry.usage.requests(),
            http_sent,
            http_received,
            received = entry.received,
            sent = entry.sent,
            "call"
        );
    }
}

fn microseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The trace that a request belongs to (W3C Trace Context, `traceparent`), if it says so properly.
fn trace(meta: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        traceparent: Option<&'a RawValue>,
    }
    let meta = object::<Meta<'_>>(meta?.get()).ok()?;
    let Text(parent) = serde_json::from_str(meta.traceparent?.get()).ok()?;
    let mut parts = parent.split('-');
    let (_version, trace) = (parts.next()?, parts.next()?);
    let is_id = trace.len() == 32
        && trace
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        && trace.bytes().any(|digit| digit != b'0');
    is_id.then(|| trace.to_owned())
}
