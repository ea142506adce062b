//! How a message is taken in: it is read, its caller is known, and what it asks for is found and admitted
//! before anything runs. What runs then needs nothing of the message any more.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::task::JoinSet;

use super::Protocol;
use super::dispatch::{Context, Taken};
use super::exchange::{Outlet, Work};
use super::identity::{seeking, sought};
use super::message::{Body, Message, Request};
use super::meta::{self, Era};
use super::origin::{Incoming, Named, Origin, Token};
use super::record::{Outcome, Record};
use super::reply::{Answer, Error, Kind};
use super::revision::Revision;
use super::session::Running;
use crate::auth::Denied;
use crate::catalog::{Catalog, Function};

/// What a message comes to. The record of a call is held back until its answer is sent, which the rest of
/// its batch may yet prevent.
struct Step {
    next: Next,
    /// None if it is no call.
    record: Option<Arc<Record>>,
}

enum Next {
    /// It is answered.
    Answered(Answer),
    /// It is worked on.
    Works(Work),
}

impl Step {
    /// The answer to what is no call, or to more than one.
    fn answered(answer: Answer) -> Self {
        Self {
            next: Next::Answered(answer),
            record: None,
        }
    }

    async fn finish(self) -> Answer {
        let answer = match self.next {
            Next::Answered(answer) => answer,
            Next::Works(work) => work.await,
        };
        if let Some(record) = self.record {
            record.answered(&answer);
        }
        answer
    }
}

/// What is noted of a message when it is received, before anybody looks at its token: whoever cancels a
/// request may do so meanwhile, and a call that is given up then leaves its line, too.
pub(super) struct Begun {
    /// The work in its session, or why there can be none.
    running: Result<Option<Running>, Error>,
    /// None if it is no call.
    record: Option<Arc<Record>>,
}

impl Begun {
    /// That of each of the messages that came in a body of so many bytes, in their order.
    pub(super) fn each(messages: &[Message<'_>], session: &Named, received: usize) -> Vec<Self> {
        let begun = messages.iter().map(|message| match message {
            Message::Request(request) => Self {
                running: match session {
                    Named::Session(session) if !meta::is_modern(request.params.meta) => {
                        session.begin(request.id).map(Some)
                    }
                    Named::Session(_) | Named::None | Named::Unknown => Ok(None),
                },
                record: Record::of(request, received).map(Arc::new),
            },
            Message::Notification(_) | Message::Response(_) => Self {
                running: Ok(None),
                record: None,
            },
        });
        begun.collect()
    }
}

/// A message that is taken in.
struct Received<'m> {
    message: &'m Message<'m>,
    begun: Begun,
}

impl Received<'_> {
    /// The function that it is about.
    fn sought<'c>(&self, catalog: &'c Catalog) -> Option<&'c Function> {
        match self.message {
            Message::Request(request) => sought(request, catalog),
            Message::Notification(_) | Message::Response(_) => None,
        }
    }

    /// Its caller is turned away, by that answer.
    fn turned_away(self, denied: &Denied, answer: &Answer, catalog: &Catalog, origin: &Origin) {
        if let Some(record) = &self.begun.record {
            let caller = origin.token.caller().ok().flatten();
            record.caller(caller.map(|caller| &**caller));
            if let Some(function) = self.sought(catalog) {
                record.function(function, catalog);
            }
        }
        self.ended(Outcome::Denied(denied.reason.code()), answer);
    }

    /// It is answered, perhaps together with others, by that.
    fn ended(self, outcome: Outcome, answer: &Answer) {
        if let Some(record) = self.begun.record {
            record.answered_with_all(outcome, answer);
        }
    }
}

impl Protocol {
    /// Answers what came, with what its session has to do with it. `begun` is given if it was received some
    /// time before this begins, which may then never be.
    pub(super) async fn answer(
        self: &Arc<Self>,
        incoming: Incoming,
        session: Named,
        begun: Option<Vec<Begun>>,
        outlet: Outlet,
    ) -> Answer {
        let Incoming {
            body,
            bearer,
            declared,
        } = incoming;
        let parsed = Body::parse(&body);
        let messages = parsed.as_ref().map(Body::messages).unwrap_or_default();
        let begun = begun.unwrap_or_else(|| Begun::each(messages, &session, body.len()));
        let received = messages.iter().zip(begun);
        let received: Vec<Received<'_>> = received
            .map(|(message, begun)| Received { message, begun })
            .collect();
        let origin = Origin {
            token: self.verify(bearer, &declared).await,
            declared,
            session,
            outlet,
        };
        // Where there are statuses, a bad token comes before what is wrong with the message; its id is
        // told all the same.
        let step = if let Token::Bad(denied) = &origin.token
            && origin.declared.sign_in.is_none()
        {
            let id = match &parsed {
                Ok(Body::One(Message::Request(request))) => Some(request.id),
                Ok(Body::One(_) | Body::Batch(_)) => None,
                Err(refused) => refused.id(),
            };
            Step::answered(self.turned_away(denied, id, received, &origin))
        } else {
            match parsed {
                Err(refused) => Step::answered(refused.answer()),
                Ok(Body::One(_)) => match received.into_iter().next() {
                    Some(message) => self.message(message, &origin).await,
                    None => Step::answered(Answer::accepted()),
                },
                Ok(Body::Batch(_)) => self.batch(received, &origin).await,
            }
        };
        // What works now may work for long, and the body may be large.
        drop(origin);
        drop(body);
        step.finish().await
    }

    /// Turns away what came with a token that is refused. It is looked at no further than the log has to tell.
    fn turned_away(
        &self,
        denied: &Denied,
        id: Option<&RawValue>,
        received: Vec<Received<'_>>,
        origin: &Origin,
    ) -> Answer {
        let catalog = self.catalogs.snapshot();
        let function = match &*received {
            [only] => only.sought(&catalog),
            _ => None,
        };
        let answer = Answer::unauthorized(seeking(denied.clone(), function), id);
        for message in received {
            message.turned_away(denied, &answer, &catalog, origin);
        }
        answer
    }

    async fn message(self: &Arc<Self>, received: Received<'_>, origin: &Origin) -> Step {
        match received.message {
            Message::Request(request) => self.request(request, received.begun, origin).await,
            Message::Notification(notification) => Step::answered(self.heard(notification, origin)),
            Message::Response(response) => Step::answered(self.answered(response, origin)),
        }
    }

    /// Several messages in one body (MCP 2025-03-26, JSON-RPC batching). All are admitted before any
    /// runs: a caller who must sign in has to do so for all of them.
    async fn batch(self: &Arc<Self>, received: Vec<Received<'_>>, origin: &Origin) -> Step {
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
        let refused = if !revision.is_some_and(Revision::has_batches)
            || !received.iter().all(|it| fits(it.message))
        {
            Some(Error::invalid_request(
                "a batch is taken in revision 2025-03-26 alone, and without `initialize` in it; send one message at a time",
            ))
        } else if let Named::Unknown = origin.session {
            Some(Error::no_session())
        } else {
            None
        };
        if let Some(error) = refused {
            let outcome = Outcome::Refused(error.code());
            let answer = error.answer(None);
            for message in received {
                message.ended(outcome.clone(), &answer);
            }
            return Step::answered(answer);
        }
        let mut steps: Vec<Step> = Vec::with_capacity(received.len());
        let mut received = received.into_iter();
        while let Some(message) = received.next() {
            let step = self.message(message, origin).await;
            match step.next {
                Next::Answered(
                    answer @ Answer {
                        kind: Kind::Unauthorized(_),
                        ..
                    },
                ) => {
                    if let Kind::Unauthorized(denied) = &answer.kind {
                        let outcome = Outcome::Denied(denied.reason.code());
                        let held = steps.into_iter().filter_map(|step| step.record);
                        for record in held.chain(step.record) {
                            record.answered_with_all(outcome.clone(), &answer);
                        }
                        let catalog = self.catalogs.snapshot();
                        for message in received {
                            message.turned_away(denied, &answer, &catalog, origin);
                        }
                    }
                    return Step::answered(answer);
                }
                next @ (Next::Answered(_) | Next::Works(_)) => steps.push(Step { next, ..step }),
            }
        }
        Step {
            next: Next::Works(Box::pin(async { Answer::batch(all(steps).await) })),
            record: None,
        }
    }

    async fn request(
        self: &Arc<Self>,
        request: &Request<'_>,
        begun: Begun,
        origin: &Origin,
    ) -> Step {
        let Begun {
            running: begun,
            record,
        } = begun;
        let mut running = None;
        let taking = self.take(request, begun, origin, record.as_ref(), &mut running);
        let taken = taking.await;
        let id = request.id.to_owned();
        let noted = record.clone();
        let answer = move |done: Option<Result<Answer, Error>>| {
            let (outcome, answer) = match done {
                Some(Ok(answer)) => return answer,
                Some(Err(error)) => (Outcome::Refused(error.code()), error.answer(Some(&id))),
                // Who cancels a request wants no answer to it.
                None => (Outcome::Aborted, Answer::accepted()),
            };
            if let Some(record) = noted {
                record.ended(outcome);
            }
            answer
        };
        let next = match taken {
            None => Next::Answered(answer(None)),
            Some(Err(error)) => Next::Answered(answer(Some(Err(error)))),
            Some(Ok(Taken::Answered(done))) => Next::Answered(done),
            Some(Ok(Taken::Works(work))) => Next::Works(Box::pin(async move {
                answer(unless_cancelled(&mut running, work).await)
            })),
        };
        Step { next, record }
    }

    /// Finds out who makes a request and what it asks for, and whether they may. None if it is cancelled
    /// meanwhile.
    async fn take(
        self: &Arc<Self>,
        request: &Request<'_>,
        begun: Result<Option<Running>, Error>,
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
                let function = sought(request, &context.catalog);
                let refused = self.denied(denied, function, request, &context);
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
        if let Next::Answered(_) = step.next {
            answers.push(Some(step.finish().await));
        } else {
            answers.push(None);
            works.spawn(async move { (number, step.finish().await) });
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
