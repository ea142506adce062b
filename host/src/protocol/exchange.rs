//! What is said in answer to one message: the answer, and what the client is told or asked before it.
//!
//! An answer that nothing comes before is one JSON object. As soon as something is said on the way,
//! the exchange becomes a stream that ends with the answer.

use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::task::JoinSet;

use super::reply::Answer;
use super::transcript::{Transcript, Weight};

/// One message on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// By which the client can say where it stopped (2025-11-25 and before).
    pub id: Option<String>,
    /// One JSON object on one line; empty for an event that only tells its id.
    pub data: Bytes,
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
pub(super) struct Outlet(Option<Arc<Transcript>>);

impl Outlet {
    /// Whether the client can be told anything.
    pub(super) fn is_open(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|transcript| transcript.is_open())
    }

    /// Says what must arrive, and waits for room. False if nobody is there.
    pub(super) async fn say(&self, message: Vec<u8>) -> bool {
        self.put(message, Weight::Must).await
    }

    /// Says what a client that is there receives, and waits for room. While its connection is broken,
    /// the message may be lost.
    pub(super) async fn mention(&self, message: Vec<u8>) {
        let _nobody = self.put(message, Weight::May).await;
    }

    /// Says what stands for all that was said with this token before, if there is no room for it else.
    pub(super) fn replace(&self, message: Vec<u8>, token: &Arc<str>) {
        if let Some(transcript) = &self.0 {
            transcript.replace(message, token);
        }
    }

    async fn put(&self, message: Vec<u8>, weight: Weight) -> bool {
        match &self.0 {
            Some(transcript) => transcript.say(message, weight).await,
            None => false,
        }
    }
}

/// A handler at work.
pub(super) type Work = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The work on one message, with what it says on the way.
pub(super) struct Exchange {
    work: Work,
    /// None if the client takes nothing but an answer.
    transcript: Option<Arc<Transcript>>,
}

/// What an exchange comes to first.
pub(super) enum First {
    /// An answer, and nothing before it.
    Answer(Answer),
    /// A stream, because something was said.
    Stream(Streaming),
}

/// An exchange that has become a stream.
pub(super) struct Streaming {
    work: Work,
    pub(super) transcript: Arc<Transcript>,
}

impl Exchange {
    /// Prepares the work that `begin` makes. It does nothing before it is asked for what it says.
    pub(super) fn new(transcript: Option<Transcript>, begin: impl FnOnce(Outlet) -> Work) -> Self {
        let transcript = transcript.map(Arc::new);
        Self {
            work: begin(Outlet(transcript.clone())),
            transcript,
        }
    }

    /// Works until there is something to say.
    pub(super) async fn first(mut self) -> First {
        let Some(transcript) = self.transcript else {
            return First::Answer(self.work.await);
        };
        let answer = tokio::select! {
            biased;
            () = transcript.begun() => None,
            answer = &mut self.work => Some(answer),
        };
        let work = match answer {
            Some(answer) if !transcript.has_begun() => return First::Answer(answer),
            Some(answer) => Box::pin(future::ready(answer)),
            None => self.work,
        };
        First::Stream(Streaming { work, transcript })
    }

    /// The reply, driven by whoever waits for it.
    pub(super) async fn reply(self) -> Reply {
        match self.first().await {
            First::Answer(answer) => Reply::Answer(answer),
            First::Stream(streaming) => Reply::Stream(streaming.events()),
        }
    }

    /// All that is said, as a stream, whatever there is of it.
    pub(super) fn events(self) -> Events {
        Streaming {
            work: self.work,
            transcript: self
                .transcript
                .unwrap_or_else(|| Arc::new(Transcript::once())),
        }
        .events()
    }
}

impl Streaming {
    /// Works to the end, and says the answer. A request that was cancelled has none.
    pub(super) async fn run(self) {
        let ends = End(&self.transcript);
        let answer = self.work.await;
        ends.with(answer);
    }

    /// The stream. It may be more than its reader takes, so the work goes on beside it and ends in its own
    /// time; or at once, if the reader goes.
    fn events(self) -> Events {
        let events = self.transcript.read(0, |_| None);
        let mut work = JoinSet::new();
        work.spawn(self.run());
        while_read(events, work)
    }
}

/// Ends a transcript when the work that fills it ends, however it does.
struct End<'a>(&'a Transcript);

impl End<'_> {
    fn with(self, answer: Answer) {
        self.0
            .end(Some(answer.body).filter(|body| !body.is_empty()));
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end(None);
    }
}

/// The same events, with what is to be kept until they have been read.
pub(super) fn while_read<K: Send + 'static>(events: Events, kept: K) -> Events {
    stream::unfold((events, kept), |(mut events, kept)| async move {
        let event = events.next().await?;
        Some((event, (events, kept)))
    })
    .boxed()
}
