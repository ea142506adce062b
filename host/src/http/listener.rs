//! Connections as they come: so many at once, each served by itself.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::answer;
use super::connection::{self, Patience};

/// How long is waited after the system could not give a connection, which it then could not a moment later
/// either.
const PAUSE: Duration = Duration::from_millis(100);

/// The most clients that are told at once that there is no place for them. More than that see their
/// connection closed.
const MOST_TURNED_AWAY: usize = 256;

/// How long that may take.
const TURNING_AWAY: Duration = Duration::from_secs(1);

/// The most bytes that are read of what they say.
const HEARD: usize = 64 << 10;

/// How many connections there may be, and how long one may be of no use.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// How many may be open at once.
    pub most: usize,
    /// How long a client may take to send the headers of a request.
    pub headers: Duration,
    /// How long nothing may be asked, or nothing be taken of an answer.
    pub idle: Duration,
}

/// All connections of a host.
#[derive(Clone)]
pub struct Connections {
    limits: ConnectionLimits,
    places: Arc<Semaphore>,
}

impl Connections {
    /// None yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            places: Arc::new(Semaphore::new(limits.most)),
        }
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.limits
            .most
            .saturating_sub(self.places.available_permits())
    }

    /// Serves who connects here, until the host stops and what is in progress then has ended. Dropping it
    /// ends all connections.
    pub async fn serve(
        self,
        listener: TcpListener,
        router: Router,
        mut stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let patience = Patience {
            headers: self.limits.headers,
            idle: self.limits.idle,
        };
        let (mut served, mut turned_away) = (JoinSet::new(), JoinSet::new());
        let mut is_failing = false;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_ended) = served.join_next() => continue,
                Some(_ended) = turned_away.join_next() => continue,
                // The host itself may be gone, which means the same.
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let (stream, peer): (TcpStream, SocketAddr) = match accepted {
                Ok(accepted) => {
                    is_failing = false;
                    accepted
                }
                Err(cause) if is_of_one(&cause) => continue,
                Err(cause) => {
                    // Said once, however often it is tried again.
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::error!(%cause, "no connection can be taken, and clients wait; a process may have too few open files for `limits.connections`");
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            connection::prepare(&stream, patience);
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => {
                    let (router, stop) = (router.clone(), stop.clone());
                    served.spawn(async move {
                        connection::serve(stream, peer, router, patience, stop).await;
                        drop(place);
                    });
                }
                Err(_none) if turned_away.len() < MOST_TURNED_AWAY => {
                    tracing::debug!(%peer, "there are as many connections as there may be");
                    turned_away.spawn(turn_away(stream));
                }
                Err(_none) => {}
            }
        }
        drop(listener);
        while served.join_next().await.is_some() {}
        Ok(())
    }
}

/// Whether an error is that of one client, which has gone before it was served.
fn is_of_one(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Tells a client that there is no place for it.
async fn turn_away(mut stream: TcpStream) {
    let telling = async {
        stream.write_all(answer::FULL).await?;
        stream.shutdown().await?;
        // Closed before its request has been read, a connection takes with it what was said on it.
        let mut unheard = [0; 4 << 10];
        let mut heard = 0_usize;
        while heard < HEARD {
            match stream.read(&mut unheard).await? {
                0 => break,
                count => heard = heard.saturating_add(count),
            }
        }
        io::Result::Ok(())
    };
    // Whoever does not listen is not told.
    let _unheard = tokio::time::timeout(TURNING_AWAY, telling).await;
}
