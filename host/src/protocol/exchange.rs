//! What is said in answer to one message: the answer, and what the client is told or asked before it.
//!
//! An answer that nothing comes before is one JSON object. As soon as something is said on the way,
//! the exchange becomes a stream that ends with the answer.

use std::pin::Pin;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::reply::Answer;

/// How many messages may wait for a client that reads slowly.
const WAITING: usize = 64;

/// One message on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// By which the client can say where it stopped (2025-11-25 and before).
    pub id: Option<String>,
    /// One JSON object on one line; empty for an event that only tells its id.
    pub data: Vec<u8>,
}

/// Messages, one after another. Dropping it cancels the work behind it, unless that belongs to a
/// session.
pub type Events = BoxStream<'static, Event>;

/// What comes back for a message.
pub enum Reply {
    /// One answer, or none.
    Answer(Answer),
    /// A stream of messages.
    Stream(Events),
}

/// Where a handler says what comes before its answer.
#[derive(Clone)]
pub(super) struct Outlet(Option<mpsc::Sender<Vec<u8>>>);

impl Outlet {
    /// Whether the client can be told anything.
    pub(super) fn is_open(&self) -> bool {
        self.0.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Says what may be lost: when the client does not read, it is.
    pub(super) fn offer(&self, message: Vec<u8>) {
        if let Some(sender) = &self.0 {
            // Full or closed: the message is one that may be lost.
            let _lost = sender.try_send(message);
        }
    }

    /// Says what must arrive, and waits for room. False if nobody is there.
    pub(super) async fn say(&self, message: Vec<u8>) -> bool {
        match &self.0 {
            Some(sender) => sender.send(message).await.is_ok(),
            None => false,
        }
    }
}

/// A handler at work.
pub(super) type Work = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What an exchange says.
pub(super) enum Said {
    Message(Vec<u8>),
    /// The last.
    Answer(Answer),
}

impl Said {
    /// What goes on the stream; a request that was cancelled ends it without an answer.
    pub(super) fn message(self) -> Option<Vec<u8>> {
        match self {
            Self::Message(message) => Some(message),
            Self::Answer(answer) => Some(answer.body).filter(|body| !body.is_empty()),
        }
    }
}

/// The work on one message, with what it says on the way.
pub(super) struct Exchange {
    work: Option<Work>,
    inlet: mpsc::Receiver<Vec<u8>>,
    answer: Option<Answer>,
}

impl Exchange {
    /// Prepares the work that `begin` makes. It does nothing before it is asked for what it says.
    pub(super) fn new(takes_streams: bool, begin: impl FnOnce(Outlet) -> Work) -> Self {
        let (sender, inlet) = mpsc::channel(WAITING);
        let outlet = Outlet(takes_streams.then_some(sender));
        Self {
            work: Some(begin(outlet)),
            inlet,
            answer: None,
        }
    }

    /// What is said next; nothing after the answer.
    pub(super) async fn next(&mut self) -> Option<Said> {
        if let Some(work) = &mut self.work {
            tokio::select! {
                biased;
                Some(message) = self.inlet.recv() => return Some(Said::Message(message)),
                answer = work => {
                    self.answer = Some(answer);
                    self.work = None;
                }
            }
        }
        // What was said in the last moment comes before the answer.
        match self.inlet.try_recv() {
            Ok(message) => Some(Said::Message(message)),
            Err(_empty) => self.answer.take().map(Said::Answer),
        }
    }

    /// The reply, driven by whoever waits for it.
    pub(super) async fn reply(mut self) -> Reply {
        match self.next().await {
            Some(Said::Message(data)) => {
                let first = stream::iter([Event { id: None, data }]);
                Reply::Stream(first.chain(self.events()).boxed())
            }
            Some(Said::Answer(answer)) => Reply::Answer(answer),
            None => Reply::Answer(Answer::accepted()),
        }
    }

    /// All that is said from now on, as a stream. It may be more than its reader takes, so the work goes
    /// on beside it and ends in its own time; or at once, if the reader goes.
    pub(super) fn events(mut self) -> Events {
        self.work = self.work.map(beside);
        stream::unfold(self, |mut exchange| async move {
            let data = exchange.next().await?.message()?;
            Some((Event { id: None, data }, exchange))
        })
        .boxed()
    }
}

/// Work that goes on without being polled. Dropping it ends it.
fn beside(work: Work) -> Work {
    let mut task = JoinSet::new();
    task.spawn(work);
    Box::pin(async move {
        match task.join_next().await {
            Some(Ok(answer)) => answer,
            // It was dropped, or panicked: there is no answer.
            Some(Err(_)) | None => Answer::accepted(),
        }
    })
}
