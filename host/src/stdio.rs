//! Standard input and output, for clients that start a process: one message on each line, and nothing
//! else (MCP 2026-07-28, stdio).
//!
//! It reads and writes lines and knows nothing of what a message means.

mod lines;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::StreamExt;
use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::protocol::{Connection, Events, Reply};
use lines::{Line, Lines};

/// How many messages may wait for a client that reads slowly.
const WAITING: usize = 64;

/// How long what is in progress may take to finish when the client has nothing more to say. Clients kill
/// a process that is still there after two seconds.
const GRACE: Duration = Duration::from_secs(1);

/// Serves one client until it has nothing more to say or nobody reads what it is told, and then says by
/// `stop` that the host may end; or until that is said to it. Lines of more than `longest` bytes are
/// not read.
pub async fn serve(
    connection: Arc<Connection>,
    input: impl AsyncBufRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    longest: usize,
    stop: watch::Sender<bool>,
) -> io::Result<()> {
    let (told, waiting) = mpsc::channel(WAITING);
    let mut writer = tokio::spawn(write(output, waiting));
    let mut stopped = stop.subscribe();
    let mut lines = Lines::new(input, longest);
    let mut work = JoinSet::new();
    let ended = loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = told.closed() => break Ok(()),
            _ = stopped.wait_for(|stop| *stop) => break Ok(()),
        };
        while work.try_join_next().is_some() {}
        let answer = match line {
            Ok(Some(Line::Whole(message))) => match connection.receive(message).await {
                Reply::Answer(answer) => answer.body.into(),
                Reply::Stream(events) => {
                    work.spawn(tell(events, told.clone()));
                    continue;
                }
            },
            Ok(Some(Line::TooLong)) => too_long(longest),
            Ok(None) => break Ok(()),
            Err(cause) => break Err(cause),
        };
        // Nothing more is read while this waits, so a client that does not read is not answered without
        // end. That nobody will ever read it shows above.
        if !answer.is_empty() && told.send(answer).await.is_err() {
            break Ok(());
        }
    };
    // Who stops the host has a grace period of its own.
    let is_stopped = *stopped.borrow();
    // Streams end by this.
    stop.send_replace(true);
    let finish = finish(work, told, &mut writer);
    if is_stopped {
        finish.await;
    } else if timeout(GRACE, finish).await.is_err() {
        tracing::info!(
            "the client has gone; what was still in progress after {} s is cut off",
            GRACE.as_secs()
        );
    }
    ended
}

/// Waits until all is done, said and read.
async fn finish(
    mut work: JoinSet<()>,
    told: mpsc::Sender<Bytes>,
    writer: &mut tokio::task::JoinHandle<()>,
) {
    while work.join_next().await.is_some() {}
    drop(told);
    // It ends by itself, however it does.
    let _ended = writer.await;
}

/// Tells the client what comes. When nobody reads any more, the stream is dropped.
async fn tell(mut events: Events, told: mpsc::Sender<Bytes>) {
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = told.closed() => return,
        };
        match event {
            None => return,
            Some(event) if event.data.is_empty() => {}
            Some(event) => {
                if told.send(event.data).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Writes messages, each whole and on a line of its own.
async fn write(mut output: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Bytes>) {
    while let Some(message) = waiting.recv().await {
        let mut lines = Vec::new();
        let mut next = Some(message);
        while let Some(message) = next {
            lines.extend_from_slice(&message);
            lines.push(b'\n');
            next = waiting.try_recv().ok();
        }
        let written = async {
            output.write_all(&lines).await?;
            output.flush().await
        };
        if let Err(cause) = written.await {
            tracing::info!(%cause, "nobody reads what is written");
            return;
        }
    }
}

fn too_long(longest: usize) -> Bytes {
    let message = format!(
        "the line has more than {longest} bytes, the limit of this server; CLOISTER_BODY raises it"
    );
    let error = json!({ "jsonrpc": "2.0", "error": { "code": -32600, "message": message } });
    error.to_string().into()
}
