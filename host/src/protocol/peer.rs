//! The client of one call, as the guest can use it: what it is told goes to the stream of the request,
//! and questions go wherever its era has them answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::Protocol;
use super::changes::Changes;
use super::dispatch::Context;
use super::exchange::Outlet;
use super::json::{map, notification};
use super::logging;
use super::message::{Request, object, present};
use super::meta::Era;
use super::questions::{self, Asked};
use super::reply::Error;
use super::revision::Revision;
use super::session::Session;
use super::state::{State, digest_of};
use crate::catalog::Catalog;
use crate::sandbox::client::{
    Announcement, Answer, Capability, Client, Level, NotAsked, Question, Unanswered,
};

/// How long a client of an older revision may take to answer a question.
const PATIENCE: Duration = Duration::from_mins(10);

/// The client of one call.
pub(super) struct Peer {
    outlet: Outlet,
    revision: Revision,
    capabilities: Capability,
    level: Option<Level>,
    progress: Option<Progress>,
    way: Way,
    changes: Arc<Changes>,
    catalog: Arc<Catalog>,
    /// The service whose function is called.
    service: Arc<str>,
    /// Becomes true when the host is about to stop.
    closing: watch::Receiver<bool>,
}

/// Where to the client wants to be told how far its request is.
struct Progress {
    /// A string or an integer, as the client wrote it.
    token: Box<RawValue>,
    /// The same, by which one update stands for those before it.
    replaces: Arc<str>,
    last: Mutex<f64>,
}

/// The params of `notifications/progress`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    progress_token: &'a RawValue,
    progress: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// How questions are answered.
enum Way {
    /// On the open stream, while the call waits.
    Session(Arc<Session>),
    /// By the same request, once more.
    Rounds(Box<Rounds>),
    /// Not at all.
    Nowhere,
}

/// The questions of a call that is repeated until all are answered.
struct Rounds {
    /// What the client brought back.
    known: State,
    /// Whether it brought back anything.
    returns: bool,
    responses: Map<String, Value>,
    /// What this run leaves behind.
    left: Mutex<Left>,
}

/// What a run leaves behind that ends with open questions.
#[derive(Default)]
pub(super) struct Left {
    pub(super) state: State,
    /// The open questions, by key, as MCP has them.
    pub(super) requests: Map<String, Value>,
}

impl Peer {
    /// The client of a request.
    pub(super) fn of(
        request: &Request<'_>,
        context: &Context<'_>,
        known: Option<State>,
        server: &Protocol,
        service: &Arc<str>,
    ) -> Result<Self, Error> {
        let outlet = &context.origin.outlet;
        let (capabilities, level, way) = match &context.era {
            Era::Modern(envelope) => {
                let responses = responses(request)?;
                let rounds = Rounds {
                    returns: known.is_some(),
                    known: known.unwrap_or_default(),
                    responses,
                    left: Mutex::default(),
                };
                (
                    envelope.capabilities,
                    envelope.level,
                    Way::Rounds(Box::new(rounds)),
                )
            }
            Era::Legacy(legacy) => match &legacy.session {
                // Without a stream there is no way to ask.
                Some(session) if outlet.is_open() => (
                    session.capabilities,
                    Some(session.level()),
                    Way::Session(Arc::clone(session)),
                ),
                Some(_) | None => (Capability::empty(), None, Way::Nowhere),
            },
        };
        Ok(Self {
            outlet: outlet.clone(),
            revision: context.era.revision(),
            capabilities,
            level,
            progress: progress(request),
            way,
            changes: Arc::clone(&server.changes),
            catalog: Arc::clone(&context.catalog),
            service: Arc::clone(service),
            closing: server.closing.clone(),
        })
    }

    /// Whether the client was asked something, or brought back what it was asked before.
    pub(super) fn has_asked(&self) -> bool {
        match &self.way {
            Way::Rounds(rounds) => {
                let left = rounds.left.lock().unwrap_or_else(PoisonError::into_inner);
                rounds.returns || !left.state.answers.is_empty()
            }
            Way::Session(_) | Way::Nowhere => false,
        }
    }

    /// What the run has left behind, for a client that answers by calling again.
    pub(super) fn left(&self) -> Option<Left> {
        match &self.way {
            Way::Rounds(rounds) => Some(std::mem::take(
                &mut *rounds.left.lock().unwrap_or_else(PoisonError::into_inner),
            )),
            Way::Session(_) | Way::Nowhere => None,
        }
    }
}

/// `inputResponses`, by key.
fn responses(request: &Request<'_>) -> Result<Map<String, Value>, Error> {
    match request.params.input_responses {
        None => Ok(Map::new()),
        Some(responses) => serde_json::from_str(responses.get())
            .map_err(|_other| Error::invalid_params("`inputResponses` must be an object")),
    }
}

/// The token in `_meta` (MCP 2025-03-26 and later, progress).
fn progress(request: &Request<'_>) -> Option<Progress> {
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(
            borrow,
            rename = "progressToken",
            default,
            deserialize_with = "present"
        )]
        token: Option<&'a RawValue>,
    }
    let meta = object::<Meta<'_>>(request.params.meta?.get()).ok()?;
    let token = super::message::readable_id(meta.token?).ok()?;
    Some(Progress {
        token: token.to_owned(),
        replaces: token.get().into(),
        last: Mutex::new(f64::NEG_INFINITY),
    })
}

impl Client for Peer {
    fn capabilities(&self) -> Capability {
        self.capabilities
    }

    fn cancelled(&self) -> bool {
        *self.closing.borrow()
    }

    fn progress(&self, done: f64, total: Option<f64>, message: Option<String>) {
        let Some(progress) = self.progress.as_ref().filter(|_| self.outlet.is_open()) else {
            return;
        };
        {
            let mut last = progress.last.lock().unwrap_or_else(PoisonError::into_inner);
            if done <= *last {
                return;
            }
            *last = done;
        }
        let params = Told {
            progress_token: &progress.token,
            progress: number(done),
            total: total.map(number),
            message,
        };
        let message = notification("notifications/progress", Some(&params));
        self.outlet.replace(message, &progress.replaces);
    }

    fn log(&self, level: Level, data: String, logger: Option<String>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(least) = self.level.filter(|_| self.outlet.is_open()) else {
                return;
            };
            if let Some(message) = logging::message(least, level, logger.as_deref(), &data) {
                self.outlet.mention(message).await;
            }
        })
    }

    fn ask(
        &self,
        questions: Vec<(String, Question)>,
    ) -> BoxFuture<'_, Result<Vec<Result<Answer, Unanswered>>, NotAsked>> {
        Box::pin(async move {
            let needed = questions
                .iter()
                .map(|(_, question)| questions::needs(question))
                .fold(Capability::empty(), |all, one| all | one);
            let missing = needed & (needed ^ self.capabilities);
            if missing != Capability::empty() {
                return Err(NotAsked::Unable(missing));
            }
            match &self.way {
                Way::Nowhere => Err(NotAsked::Unable(needed)),
                Way::Session(session) => {
                    let answers = questions
                        .iter()
                        .map(|(_, question)| self.ask_now(session, question));
                    Ok(join_all(answers).await)
                }
                Way::Rounds(rounds) => rounds.ask(&questions),
            }
        })
    }

    fn announce(&self, announcement: Announcement) {
        if let Announcement::Updated(uri) = &announcement {
            let is_its_own = self
                .catalog
                .resource(uri)
                .is_ok_and(|read| read.resource.function.service == self.service);
            if !is_its_own {
                return;
            }
        }
        self.changes.announce(announcement);
    }
}

/// A number without a fraction that it does not have.
fn number(value: f64) -> Value {
    let text = value.to_string();
    text.parse::<i64>()
        .map_or_else(|_fraction| json!(value), Value::from)
}

impl Peer {
    /// Asks on the open stream, and waits.
    async fn ask_now(&self, session: &Session, question: &Question) -> Result<Answer, Unanswered> {
        let Asked { method, params } =
            questions::ask(question, self.revision).map_err(Unanswered::Invalid)?;
        let (id, answer) = session.question();
        let asked = Forget { session, id };
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answered = async {
            if self.outlet.say(request.to_string().into_bytes()).await {
                answer.await.ok()
            } else {
                None
            }
        };
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Some(Ok(result))) => questions::answer(question, &result),
            Ok(Some(Err(error))) => Err(questions::refused(&error)),
            // Nobody will answer any more, and mostly this call ends over that, too.
            Ok(None) => Err(Unanswered::Late),
            Err(_elapsed) => {
                drop(asked);
                let params = map([
                    ("requestId", Some(id.into())),
                    ("reason", Some("nobody answered in time".into())),
                ]);
                // A client that does not read is not waited for.
                let message = notification("notifications/cancelled", Some(&params));
                self.outlet
                    .replace(message, &format!("question {id}").into());
                Err(Unanswered::Late)
            }
        }
    }
}

/// Stops waiting for an answer, however the call ends.
struct Forget<'a> {
    session: &'a Session,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.session.forget(self.id);
    }
}

impl Rounds {
    /// Answers what was answered before; if anything is open, the run ends here.
    fn ask(
        &self,
        questions: &[(String, Question)],
    ) -> Result<Vec<Result<Answer, Unanswered>>, NotAsked> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answers = Vec::with_capacity(questions.len());
        let mut open: BTreeMap<&str, (Asked, String)> = BTreeMap::new();
        for (key, question) in questions {
            let asked = match questions::ask(question, Revision::V2026July) {
                Ok(asked) => asked,
                Err(problem) => {
                    answers.push(Err(Unanswered::Invalid(problem)));
                    continue;
                }
            };
            let digest = digest_of(asked.method, &asked.params);
            let result = self.result(key, &digest);
            match result.map(|result| (questions::answer(question, result), result)) {
                // What is no answer is asked for again.
                None | Some((Err(Unanswered::Invalid(_)), _)) => {
                    open.insert(key, (asked, digest));
                }
                Some((answer, result)) => {
                    left.state
                        .answers
                        .insert(key.clone(), (digest, result.clone()));
                    answers.push(answer);
                }
            }
        }
        if open.is_empty() {
            return Ok(answers);
        }
        for (key, (asked, digest)) in open {
            left.requests.insert(
                key.to_owned(),
                json!({ "method": asked.method, "params": asked.params }),
            );
            left.state.asked.insert(key.to_owned(), digest);
        }
        Err(NotAsked::Later)
    }

    /// The answer to a question, if it was given to this very question.
    fn result(&self, key: &str, digest: &str) -> Option<&Value> {
        if let Some((of, result)) = self.known.answers.get(key) {
            return (of == digest).then_some(result);
        }
        let result = self.responses.get(key)?;
        let was_asked = match self.known.asked.get(key) {
            Some(of) => of == digest,
            // A client may answer what it expects to be asked; one that comes back may not.
            None => !self.returns,
        };
        was_asked.then_some(result)
    }
}
