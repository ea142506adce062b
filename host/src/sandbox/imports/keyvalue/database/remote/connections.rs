//! The connections to a server. They are few, and callers take them in turn, so that nobody who sends much
//! is in the way of others. While the server is away, nobody waits for it: it is asked again and again
//! whether it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, PushInfo, PushKind, RedisError, RedisResult,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::BucketServer;
use crate::auth::Party;
use crate::sandbox::imports::keyvalue::database::NotDone;
use crate::sandbox::turns::Turns;

/// How many there are at most. Each is busy for as long as the server takes to answer one request.
const CONNECTIONS: usize = 16;

/// How long one may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(3);

/// How often the server is asked whether it is there.
const PROBE: Duration = Duration::from_millis(500);

/// How long it is before the log tells again that the server refuses something.
const QUIET: Duration = Duration::from_secs(10);

/// Connections to one server.
pub(super) struct Connections {
    line: Arc<Line>,
    turns: Turns,
    idle: Mutex<Vec<Connection>>,
    /// When the log last told that the server refuses something.
    told: Mutex<Option<Instant>>,
    probe: JoinHandle<()>,
}

/// Where the server is, and whether it answers.
struct Line {
    server: BucketServer,
    state: watch::Sender<State>,
    /// Somebody found that it may be away.
    doubt: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was not asked yet.
    Unknown,
    There,
    Away,
}

struct Connection {
    wire: MultiplexedConnection,
    is_gone: Arc<AtomicBool>,
}

/// Why there is no answer.
pub(super) enum Failed {
    /// Nothing was asked for: there is no connection, or the server refuses.
    NotAsked,
    /// What was asked for may have been done.
    NotAnswered,
}

impl Failed {
    /// In words for a guest that wanted to read.
    pub(super) fn of_reading(self) -> NotDone {
        match self {
            Self::NotAsked | Self::NotAnswered => NotDone::Unavailable,
        }
    }

    /// In words for a guest that wanted to write.
    pub(super) fn of_writing(self) -> NotDone {
        match self {
            Self::NotAsked => NotDone::Unavailable,
            Self::NotAnswered => NotDone::Unknown,
        }
    }
}

impl Connections {
    /// None yet. The server is asked whether it is there until these are dropped.
    pub(super) fn new(server: &BucketServer) -> Self {
        let line = Arc::new(Line {
            server: server.clone(),
            state: watch::Sender::new(State::Unknown),
            doubt: Notify::new(),
        });
        Self {
            turns: Turns::new(CONNECTIONS),
            idle: Mutex::default(),
            told: Mutex::default(),
            probe: tokio::spawn(probe(Arc::clone(&line))),
            line,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        *self.line.state.borrow() == State::There
    }

    /// Asks the server for something, once.
    pub(super) async fn ask<T>(
        &self,
        party: &Party,
        work: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, Failed> {
        let _turn = self.turns.of(party.clone()).taken().await;
        let mut lent = self.lend().await?;
        match work(&mut lent.connection.wire).await {
            Ok(answer) => Ok(answer),
            Err(cause) if is_lost(&cause) => {
                lent.connection.is_gone.store(true, Ordering::Relaxed);
                self.line.doubt.notify_one();
                tracing::debug!(server = %self.line.server, %cause, "the server for buckets did not answer");
                Err(Failed::NotAnswered)
            }
            Err(cause) => {
                self.tell(&cause);
                Err(Failed::NotAsked)
            }
        }
    }

    async fn lend(&self) -> Result<Lent<'_>, Failed> {
        if *self.line.state.borrow() == State::Away {
            return Err(Failed::NotAsked);
        }
        let kept = {
            let mut idle = self.idle();
            idle.retain(|connection| !connection.is_gone.load(Ordering::Relaxed));
            idle.pop()
        };
        let connection = match kept {
            Some(connection) => connection,
            None => self.line.connect().await.map_err(|cause| {
                self.line.doubt.notify_one();
                tracing::debug!(server = %self.line.server, %cause, "no connection to the server for buckets");
                Failed::NotAsked
            })?,
        };
        Ok(Lent {
            connections: self,
            connection,
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the log what the server refuses, now and then.
    fn tell(&self, cause: &RedisError) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() > QUIET) {
            *told = Some(Instant::now());
            tracing::error!(server = %self.line.server, %cause, "the server for buckets refuses what services ask for");
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.probe.abort();
    }
}

/// A connection that somebody has. What becomes of the request when they stop waiting is no matter for
/// those who have it next: answers are told apart.
struct Lent<'a> {
    connections: &'a Connections,
    connection: Connection,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if !self.connection.is_gone.load(Ordering::Relaxed) {
            self.connections.idle().push(Connection {
                wire: self.connection.wire.clone(),
                is_gone: Arc::clone(&self.connection.is_gone),
            });
        }
    }
}

impl Line {
    async fn connect(&self) -> RedisResult<Connection> {
        let is_gone = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_gone);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    told.store(true, Ordering::Relaxed);
                }
                Ok::<(), redis::aio::SendError>(())
            });
        let client = Client::open((*self.server.info).clone())?;
        let wire = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Connection { wire, is_gone })
    }

    /// Asks the server whether it is there, on a connection that is kept for it.
    async fn ping(&self, kept: &mut Option<Connection>) -> RedisResult<()> {
        let mut connection = match kept.take() {
            Some(connection) if !connection.is_gone.load(Ordering::Relaxed) => connection,
            Some(_) | None => self.connect().await?,
        };
        redis::cmd("PING")
            .query_async::<()>(&mut connection.wire)
            .await?;
        *kept = Some(connection);
        Ok(())
    }
}

/// Keeps the state of the line true.
async fn probe(line: Arc<Line>) {
    let mut kept = None;
    loop {
        let answered = line.ping(&mut kept).await;
        let state = match &answered {
            Ok(()) => State::There,
            Err(_) => State::Away,
        };
        let before = line.state.send_replace(state);
        let server = &line.server;
        match answered {
            Ok(()) if before != State::There => {
                tracing::info!(%server, "buckets are kept on a server, which answers");
            }
            Err(cause) if before != State::Away => {
                tracing::error!(%server, %cause, "the server for buckets does not answer; until it does, no service can use its buckets");
            }
            Ok(()) | Err(_) => {}
        }
        // Whoever finds that it is away says so; whether it is back has to be asked.
        tokio::select! {
            () = tokio::time::sleep(PROBE) => {}
            () = line.doubt.notified(), if state == State::There => {}
        }
    }
}

/// Whether the connection is of no use any more, or its answer did not come.
fn is_lost(cause: &RedisError) -> bool {
    cause.kind() == ErrorKind::Io || cause.is_timeout() || cause.is_unrecoverable_error()
}
