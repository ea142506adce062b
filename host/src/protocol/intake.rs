//! How a message is taken in: it is read, its caller is known, and what it asks for is found and admitted
//! before anything runs. What runs then needs nothing of the message any more.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Protocol;
use super::dispatch::{Context, Taken};
use super::exchange::{Outlet, Work};
use super::identity::seeking;
use super::message::{Body, Message, Request};
use super::meta::{self, Era};
use super::origin::{Incoming, Named, Origin, Token};
use super::record::{Outcome, Record};
use super::reply::{Answer, Error, Kind};
use super::revision::Revision;
use super::session::Running;

/// What a message comes to.
enum Step {
    /// It is answered.
    Answered(Answer),
    /// It is worked on.
    Works(Work),
}

impl Step {
    async fn finish(self) -> Answer {
        match self {
            Self::Answered(answer) => answer,
            Self::Works(work) => work.await,
        }
    }
}

/// Work in a session that a request has begun, or why it cannot.
type Begun = Result<Option<Running>, Error>;

impl Protocol {
    /// Answers what came, with what its session has to do with it.
    pub(super) async fn answer(
        self: &Arc<Self>,
        incoming: Incoming,
        session: Named,
        outlet: Outlet,
    ) -> Answer {
        let Incoming {
            body,
            bearer,
            declared,
        } = incoming;
        let parsed = Body::parse(&body);
        // Whoever cancels a request may do so while its token is looked at.
        let begun = match &parsed {
            Ok(Body::One(message)) => vec![begin(message, &session)],
            Ok(Body::Batch(messages)) => messages.iter().map(|it| begin(it, &session)).collect(),
            Err(_) => Vec::new(),
        };
        let origin = Origin {
            token: self.verify(bearer, &declared).await,
            declared,
            session,
            outlet,
            received: body.len(),
        };
        // Where there are statuses, a bad token comes before what is wrong with the message; its id is
        // told all the same.
        if let Token::Bad(denied) = &origin.token
            && origin.declared.sign_in.is_none()
        {
            let denied = denied.clone();
            return match &parsed {
                Ok(Body::One(Message::Request(request))) => {
                    let denied = seeking(denied, request, &self.catalogs.snapshot());
                    Answer::unauthorized(denied, Some(request.id))
                }
                Ok(Body::One(_) | Body::Batch(_)) => Answer::unauthorized(denied, None),
                Err(refused) => Answer::unauthorized(denied, refused.id()),
            };
        }
        let step = match parsed {
            Err(refused) => Step::Answered(refused.answer()),
            Ok(Body::One(message)) => {
                let begun = begun.into_iter().next().unwrap_or(Ok(None));
                self.message(&message, begun, &origin).await
            }
            Ok(Body::Batch(messages)) => self.batch(&messages, begun, &origin).await,
        };
        // What works now may work for long, and the body may be large.
        drop(origin);
        drop(body);
        step.finish().await
    }

    async fn message(
        self: &Arc<Self>,
        message: &Message<'_>,
        begun: Begun,
        origin: &Origin,
    ) -> Step {
        match message {
            Message::Request(request) => self.request(request, begun, origin).await,
            Message::Notification(notification) => Step::Answered(self.heard(notification, origin)),
            Message::Response(response) => Step::Answered(self.answered(response, origin)),
        }
    }

    /// Several messages in one body (MCP 2025-03-26, JSON-RPC batching). All are admitted before any
    /// runs: a caller who must sign in has to do so for all of them.
    async fn batch(
        self: &Arc<Self>,
        messages: &[Message<'_>],
        begun: Vec<Begun>,
        origin: &Origin,
    ) -> Step {
        let revision = match (&origin.session, origin.declared.version()) {
            (Named::Session(session), _) => Some(session.revision),
            (Named::None | Named::Unknown, None) => Some(Revision::UNNAMED),
            (Named::None | Named::Unknown, Some(name)) => Revision::named(name),
        };
        let fits = |message: &Message<'_>| match message {
            Message::Request(request) => {
                request.method != "initialize" && !meta::is_modern(request.params.meta)
            }
            Message::Notification(notification) => !meta::is_modern(notification.params.meta),
            Message::Response(_) => true,
        };
        if !revision.is_some_and(Revision::has_batches) || !messages.iter().all(fits) {
            return Step::Answered(
                Error::invalid_request(
                    "a batch is taken in revision 2025-03-26 alone, and without `initialize` in it; send one message at a time",
                )
                .answer(None),
            );
        }
        if let Named::Unknown = origin.session {
            return Step::Answered(Error::no_session().answer(None));
        }
        let mut steps = Vec::with_capacity(messages.len());
        for (message, begun) in messages.iter().zip(begun) {
            match self.message(message, begun, origin).await {
                Step::Answered(answer) if matches!(answer.kind, Kind::Unauthorized(_)) => {
                    return Step::Answered(answer);
                }
                step @ (Step::Answered(_) | Step::Works(_)) => steps.push(step),
            }
        }
        Step::Works(Box::pin(async { Answer::batch(all(steps).await) }))
    }

    async fn request(
        self: &Arc<Self>,
        request: &Request<'_>,
        begun: Begun,
        origin: &Origin,
    ) -> Step {
        let record = Record::of(request, origin.received).map(Arc::new);
        let id = request.id.to_owned();
        let finish = move |answer: Option<Result<Answer, Error>>, record: Option<Arc<Record>>| {
            let answer = match answer {
                Some(Ok(answer)) => answer,
                Some(Err(error)) => {
                    if let Some(record) = &record {
                        record.ended(Outcome::Refused(error.code()));
                    }
                    error.answer(Some(&id))
                }
                // Who cancels a request wants no answer to it.
                None => {
                    if let Some(record) = &record {
                        record.ended(Outcome::Aborted);
                    }
                    Answer::accepted()
                }
            };
            if let Some(record) = &record {
                record.answered(&answer);
            }
            answer
        };
        let mut running = None;
        let taking = self.take(request, begun, origin, record.as_ref(), &mut running);
        match taking.await {
            None => Step::Answered(finish(None, record)),
            Some(Err(error)) => Step::Answered(finish(Some(Err(error)), record)),
            Some(Ok(Taken::Answered(answer))) => Step::Answered(finish(Some(Ok(answer)), record)),
            Some(Ok(Taken::Works(work))) => Step::Works(Box::pin(async move {
                let answer = unless_cancelled(&mut running, work).await;
                finish(answer, record)
            })),
        }
    }

    /// Finds out who makes a request and what it asks for, and whether they may. None if it is cancelled
    /// meanwhile.
    async fn take(
        self: &Arc<Self>,
        request: &Request<'_>,
        begun: Begun,
        origin: &Origin,
        record: Option<&Arc<Record>>,
        running: &mut Option<Running>,
    ) -> Option<Result<Taken, Error>> {
        let session = match &origin.session {
            Named::Session(session) => Some(session),
            Named::None | Named::Unknown => None,
        };
        let era = match Era::of(request, &origin.declared, session) {
            Ok(era) => era,
            Err(error) => return Some(Err(error)),
        };
        let is_lost = matches!(origin.session, Named::Unknown);
        if is_lost && matches!(era, Era::Legacy(_)) && request.method != "initialize" {
            return Some(Err(Error::no_session()));
        }
        match begun {
            Ok(begun) => *running = begun.filter(|_| era.session().is_some()),
            Err(error) if era.session().is_some() => return Some(Err(error)),
            Err(_of_no_session) => {}
        }
        let taking = self.admit(request, era, origin, record);
        unless_cancelled(running, taking).await
    }

    async fn admit(
        self: &Arc<Self>,
        request: &Request<'_>,
        era: Era,
        origin: &Origin,
        record: Option<&Arc<Record>>,
    ) -> Result<Taken, Error> {
        let mut context = Context {
            catalog: self.catalogs.snapshot(),
            caller: None,
            era,
            origin,
            record,
        };
        match self.identify(request, origin).await? {
            Ok(caller) => context.caller = caller,
            Err(denied) => {
                if let Some(record) = record {
                    record.ended(Outcome::Denied(denied.reason.code()));
                }
                let denied = seeking(denied, request, &context.catalog);
                let refused = self.refuse(denied, request, &context);
                return Ok(Taken::Answered(refused));
            }
        }
        if let Some(record) = record {
            record.caller(context.caller.as_deref());
        }
        if let Some(session) = context.era.session()
            && !session.admit(context.in_header())
        {
            return Err(Error::no_session());
        }
        self.dispatch(request, context).await
    }
}

/// Notes that a request of a session is worked on.
fn begin(message: &Message<'_>, session: &Named) -> Begun {
    match (message, session) {
        (Message::Request(request), Named::Session(session))
            if !meta::is_modern(request.params.meta) =>
        {
            session.begin(request.id).map(Some)
        }
        (Message::Request(_) | Message::Notification(_) | Message::Response(_), _) => Ok(None),
    }
}

/// Works until the work is cancelled, which gives none.
async fn unless_cancelled<W: Future>(running: &mut Option<Running>, work: W) -> Option<W::Output> {
    match running {
        Some(running) => running.unless_cancelled(work).await,
        None => Some(work.await),
    }
}

/// Finishes all, each for itself, so that none waits for a turn of another's. Dropping it ends them.
async fn all(steps: Vec<Step>) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(steps.len());
    let mut works = JoinSet::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Answered(answer) => answers.push(Some(answer)),
            Step::Works(work) => {
                answers.push(None);
                works.spawn(async move { (number, work.await) });
            }
        }
    }
    while let Some(done) = works.join_next().await {
        // One that panicked has no answer.
        if let Ok((number, answer)) = done
            && let Some(place) = answers.get_mut(number)
        {
            *place = Some(answer);
        }
    }
    answers.into_iter().flatten().collect()
}
