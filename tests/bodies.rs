//! What is kept of a request while it is worked on: seen from inside, without a transport.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cloister::auth::{self, Auth, Challenge, system_clock};
use cloister::catalog;
use cloister::protocol::{self, Declared, Event, Events, Incoming, Protocol, Reply, SessionLimits};
use cloister::reload::{Contents, inspect_contents};
use cloister::sandbox::{self, BucketStore, Compiler, Sandbox};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::initialize;
use crate::harness::{PATIENCE, cache, call, component, modern};

/// Of sessions, and of streams.
const BOUNDS: protocol::Bounds = protocol::Bounds { all: 4, each: 4 };

/// A server without a transport, and what must not go before it.
struct Server {
    protocol: Arc<Protocol>,
    _kept: (watch::Sender<bool>, catalog::Publisher),
}

impl Server {
    fn new() -> Self {
        let compiler = Compiler::new(&sandbox::Settings {
            calls: Some(8),
            cache: Some(cache().into()),
            ..sandbox::Settings::default()
        })
        .unwrap();
        let auth = Auth::new(auth::Settings::new("http://127.0.0.1:9"), system_clock()).unwrap();
        let wasm = std::fs::read(component("guest_asker")).unwrap();
        let asker = inspect_contents("asker", &Contents::new(wasm, None, None), &compiler);
        let (publisher, catalogs) = catalog::empty();
        publisher.publish([("asker".into(), Arc::new(asker.unwrap().service))].into());
        let (stop, closing) = watch::channel(false);
        let sandbox = Sandbox::new(
            &compiler,
            auth.clone(),
            &BucketStore::Memory,
            closing.clone(),
        )
        .unwrap();
        let parts = protocol::Parts {
            catalogs,
            auth,
            challenge: Challenge::new(None),
            sandbox,
            closing,
        };
        let settings = protocol::Settings {
            sessions: SessionLimits {
                most: BOUNDS,
                idle: PATIENCE,
            },
            streams: BOUNDS,
            state_keys: Vec::new(),
            requires_auth: false,
            narrows_lists: false,
        };
        Self {
            protocol: Arc::new(Protocol::new(parts, &settings)),
            _kept: (stop, publisher),
        }
    }

    /// Sends a message with a megabyte of nothing behind it, and tells when that is gone.
    async fn send(&self, session: Option<&str>, message: &Value) -> (Reply, Arc<AtomicBool>) {
        struct Body(Vec<u8>, Arc<AtomicBool>);
        impl AsRef<[u8]> for Body {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        impl Drop for Body {
            fn drop(&mut self) {
                self.1.store(true, Ordering::SeqCst);
            }
        }
        let is_gone = Arc::new(AtomicBool::new(false));
        let mut body = message.to_string().into_bytes();
        body.resize(1 << 20, b' ');
        let incoming = Incoming {
            body: Bytes::from_owner(Body(body, Arc::clone(&is_gone))),
            bearer: Ok(None),
            declared: Declared {
                session: session.map(str::to_owned),
                takes_streams: true,
                ..Declared::default()
            },
        };
        (self.protocol.receive(incoming).await, is_gone)
    }
}

/// The first message of a stream.
async fn first(events: &mut Events) -> Value {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await;
        let Event { data, .. } = event.unwrap().unwrap();
        if !data.is_empty() {
            return serde_json::from_slice(&data).unwrap();
        }
    }
}

fn stream(reply: Reply) -> Events {
    match reply {
        Reply::Stream(events) => events,
        Reply::Answer(answer) => panic!("{}", String::from_utf8_lossy(&answer.body)),
    }
}

#[tokio::test]
async fn what_works_for_long_keeps_nothing_of_the_body_that_asked_for_it() {
    let server = Server::new();
    let (_, listen) = modern("subscriptions/listen", json!({}));
    let (reply, is_gone) = server.send(None, &listen).await;
    let mut listening = stream(reply);
    let acknowledged = first(&mut listening).await;
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    assert!(is_gone.load(Ordering::SeqCst));

    let able = json!({ "elicitation": {} });
    let (reply, _) = server.send(None, &initialize("2025-11-25", able)).await;
    let Reply::Answer(opened) = reply else {
        panic!("a session is opened by one answer");
    };
    let session = opened.session.unwrap();
    let asking = call(1, "elicitName", json!({}));
    let (reply, is_gone) = server.send(Some(&session), &asking).await;
    let mut waiting = stream(reply);
    assert_eq!(first(&mut waiting).await["method"], "elicitation/create");
    assert!(is_gone.load(Ordering::SeqCst));
}
