//! Those who stay for a while: with sessions and their streams, with subscriptions, and in calls that ask
//! them something. They go as they like: politely, in the middle of something, or without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::Soak;
use crate::cases::Dice;
use crate::crowd::Caller;
use crate::events::Events;
use crate::server::PATIENCE;

/// How many there are, each somebody else.
pub(crate) const VISITORS: usize = 24;

/// For how long one pauses between two visits, and listens for one more message, in milliseconds at most.
const PAUSE: u64 = 100;
const LISTENS: u64 = 1_500;

/// After how many milliseconds at most a request is cut off in its middle.
const CUT_AFTER: u64 = 20;

/// The revisions that have sessions. All but the first ask on their streams.
const REVISIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// What came of visits.
#[derive(Default)]
pub(crate) struct Visits {
    sessions: AtomicU64,
    streams: AtomicU64,
    subscriptions: AtomicU64,
    changes: AtomicU64,
    resumed: AtomicU64,
    answered: AtomicU64,
    abandoned: AtomicU64,
    cut_off: AtomicU64,
    /// Calls that reached the host, each of which leaves a line in its log.
    pub(crate) calls: AtomicU64,
    /// Calls that may have.
    pub(crate) cut_calls: AtomicU64,
}

impl Visits {
    /// Prints the figures, and says what did not happen that should have.
    pub(crate) fn print(&self) -> Vec<String> {
        let mut missing = Vec::new();
        println!();
        for (what, counter) in [
            ("sessions opened", &self.sessions),
            ("streams of sessions opened", &self.streams),
            ("subscriptions opened", &self.subscriptions),
            ("changes told on them", &self.changes),
            ("streams read on elsewhere", &self.resumed),
            ("questions answered", &self.answered),
            ("questions abandoned", &self.abandoned),
            ("requests cut off", &self.cut_off),
        ] {
            let count = counter.load(Ordering::Relaxed);
            println!("{what:34} {count:>10}");
            if count == 0 {
                missing.push(format!("there were no {what}"));
            }
        }
        missing
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A visit comes to its end, or to something that should not be.
type Ended = Result<(), String>;

/// One who comes again and again.
pub(crate) struct Visitor {
    caller: Caller,
    client: Client,
    soak: Arc<Soak>,
    dice: Dice,
}

impl Visitor {
    pub(crate) fn new(number: usize, caller: Caller, soak: Arc<Soak>) -> Self {
        Self {
            caller,
            client: Client::builder()
                .no_proxy()
                .http1_only()
                .build()
                .expect("a client"),
            soak,
            dice: Dice::new(1_000 + number),
        }
    }

    /// Visits until it is over.
    pub(crate) async fn stay(mut self) {
        let soak = Arc::clone(&self.soak);
        while !soak.tally.is_over() {
            tokio::time::sleep(Duration::from_millis(self.dice.of(PAUSE))).await;
            let (name, visit) = match self.dice.of(10) {
                0..3 => (
                    "a session that listens",
                    timeout(PATIENCE, self.listens()).await,
                ),
                3..5 => ("a subscription", timeout(PATIENCE, self.subscribes()).await),
                5..8 => ("a call that asks", timeout(PATIENCE, self.is_asked()).await),
                8 => (
                    "a call that tells much",
                    timeout(PATIENCE, self.is_told()).await,
                ),
                _ => ("a visit cut off", timeout(PATIENCE, self.cuts_off()).await),
            };
            match visit {
                Ok(Ok(())) => soak.tally.right(name),
                Ok(Err(wrong)) => soak.tally.wrong(name, &wrong),
                Err(_elapsed) => soak.tally.lost(name, "it never came to its end"),
            }
        }
    }

    /// A session is told of what changes, on one stream and then perhaps on another.
    async fn listens(&mut self) -> Ended {
        let session = self.open(&REVISIONS).await?;
        let mut events = session.listen(None).await?;
        let few = self.dice.of(3);
        self.hear(&mut events, few).await?;
        match self.dice.of(5) {
            0 => {
                // The connection breaks, and another goes on after the last event.
                let last = events.last.clone();
                drop(events);
                events = session.listen(last.as_deref()).await?;
                count(&self.soak.visits.resumed);
                self.hear(&mut events, 1).await?;
            }
            1 => {
                // A newer one takes over.
                let newer = session.listen(None).await?;
                all_of(&events.rest().await?, is_change)?;
                events = newer;
            }
            2 => {
                session.end().await?;
                return all_of(&events.rest().await?, is_change);
            }
            // Nobody says goodbye: the session ends when it has not been used for a while.
            3 => return Ok(()),
            _ => {}
        }
        drop(events);
        session.end().await
    }

    /// A subscription of 2026-07-28, until its client goes.
    async fn subscribes(&mut self) -> Ended {
        let params = json!({
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
            "notifications": { "toolsListChanged": true },
        });
        let request = self.message("subscriptions/listen", &params);
        let request = request
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "subscriptions/listen");
        let mut events = Events::of(sent(request).await?).await?;
        count(&self.soak.visits.subscriptions);
        let first = events.next().await?.ok_or("it ended at once")?;
        if first["method"] != "notifications/subscriptions/acknowledged" {
            return Err(format!("it was not acknowledged: {first}"));
        }
        let few = self.dice.of(4);
        self.hear(&mut events, few).await
    }

    /// Hears of so many changes, if they come.
    async fn hear(&mut self, events: &mut Events, few: u64) -> Ended {
        for _ in 0..few {
            let patience = Duration::from_millis(self.dice.of(LISTENS));
            let Ok(next) = timeout(patience, events.next()).await else {
                continue;
            };
            let change = next?.ok_or("the stream ended")?;
            all_of(&[change], is_change)?;
            count(&self.soak.visits.changes);
        }
        Ok(())
    }

    /// A call asks for a name while its stream is open.
    async fn is_asked(&mut self) -> Ended {
        let session = self.open(&REVISIONS[1..]).await?;
        let mut events = session.call("elicitName", json!({})).await?;
        let visits = &self.soak.visits;
        let question = events.next().await?.ok_or("it was not asked")?;
        if question["method"] != "elicitation/create" {
            return Err(format!("this is no question: {question}"));
        }
        let named = json!({ "action": "accept", "content": { "name": "Ada" } });
        match self.dice.of(6) {
            0 | 1 => {
                session.answer(&question, named).await?;
                is_greeting(&events.rest().await?)?;
                count(&visits.answered);
            }
            2 => {
                session
                    .answer(&question, json!({ "action": "decline" }))
                    .await?;
                let ended = events.rest().await?;
                let [only] = &*ended else {
                    return Err(format!("declined, and told {ended:?}"));
                };
                if only["result"]["isError"] != true {
                    return Err(format!("declined, and told {only}"));
                }
                count(&visits.answered);
            }
            3 => {
                // The connection breaks, and the answer comes on another.
                let last = events.last.clone().ok_or("a question without an id")?;
                drop(events);
                let mut events = session.listen(Some(&last)).await?;
                count(&visits.resumed);
                session.answer(&question, named).await?;
                is_greeting(&events.rest().await?)?;
                count(&visits.answered);
            }
            4 => {
                session.cancel().await?;
                let ended = events.rest().await?;
                if !ended.is_empty() {
                    return Err(format!("cancelled, and told {ended:?}"));
                }
                count(&visits.abandoned);
            }
            _ => {
                drop(events);
                count(&visits.abandoned);
            }
        }
        session.end().await
    }

    /// A call tells much before its result, of which not all is read where it was asked for.
    async fn is_told(&mut self) -> Ended {
        let session = self.open(&REVISIONS).await?;
        let arguments = json!({ "lines": 50, "letters": 1_000 });
        let mut events = session.call("tellAll", arguments).await?;
        for _ in 0..self.dice.of(10) {
            events.next().await?.ok_or("it ended early")?;
        }
        let rest = match (self.dice.of(3), events.last.clone()) {
            (0, Some(last)) => {
                drop(events);
                let mut events = session.listen(Some(&last)).await?;
                count(&self.soak.visits.resumed);
                events.rest().await?
            }
            // Nobody reads the rest.
            (1, _) => return session.end().await,
            _ => events.rest().await?,
        };
        let result = rest.last().ok_or("it has no result")?;
        let text = result["result"]["content"][0]["text"].as_str();
        if text.map(str::len) != Some(1_000) {
            return Err(format!("told {result}"));
        }
        session.end().await
    }

    /// A request is given up before its answer has come, whatever it was.
    async fn cuts_off(&mut self) -> Ended {
        let session = self.open(&REVISIONS[1..]).await?;
        let patience = Duration::from_millis(self.dice.of(CUT_AFTER));
        let request = match self.dice.of(4) {
            0 => self.initialize(session.revision),
            1 => session
                .request(Method::GET)
                .header("accept", "text/event-stream"),
            2 => session.request(Method::DELETE),
            _ => {
                count(&self.soak.visits.cut_calls);
                let params = json!({ "name": "elicitName", "arguments": {} });
                session.headed(self.message("tools/call", &params))
            }
        };
        // Even if its answer has begun, nobody reads on.
        let _answer = timeout(patience, request.send()).await;
        count(&self.soak.visits.cut_off);
        match sent(session.request(Method::DELETE))
            .await?
            .status()
            .as_u16()
        {
            204 | 404 => Ok(()),
            other => Err(format!("{other} for the end of a session")),
        }
    }

    /// A message of this caller.
    fn message(&self, method: &str, params: &Value) -> RequestBuilder {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.post(&message)
    }

    fn post(&self, message: &Value) -> RequestBuilder {
        self.client
            .post(&self.soak.url)
            .bearer_auth(self.caller.token())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(message.to_string())
    }

    fn initialize(&self, revision: &str) -> RequestBuilder {
        let params = json!({
            "protocolVersion": revision,
            "capabilities": { "elicitation": {} },
            "clientInfo": { "name": "soak", "version": "1" },
        });
        self.message("initialize", &params)
    }

    /// Opens a session of one of these revisions.
    async fn open(&mut self, revisions: &[&'static str]) -> Result<Session, String> {
        let side = self.dice.of(revisions.len() as u64);
        let revision = revisions[usize::try_from(side).unwrap_or(0)];
        let opened = sent(self.initialize(revision)).await?;
        let status = opened.status();
        let id = opened.headers().get("mcp-session-id").cloned();
        let text = opened.text().await.unwrap_or_default();
        let id = id.and_then(|id| id.to_str().ok().map(str::to_owned));
        let Some(id) = id.filter(|_| status == 200) else {
            return Err(format!("{status} {text}"));
        };
        count(&self.soak.visits.sessions);
        Ok(Session {
            id,
            revision,
            client: self.client.clone(),
            caller: self.caller.clone(),
            soak: Arc::clone(&self.soak),
        })
    }
}

/// A session of an older revision.
struct Session {
    id: String,
    revision: &'static str,
    client: Client,
    caller: Caller,
    soak: Arc<Soak>,
}

impl Session {
    fn headed(&self, request: RequestBuilder) -> RequestBuilder {
        request
            .header("mcp-protocol-version", self.revision)
            .header("mcp-session-id", &self.id)
    }

    fn request(&self, method: Method) -> RequestBuilder {
        let request = self.client.request(method, &self.soak.url);
        self.headed(request.bearer_auth(self.caller.token()))
    }

    fn post(&self, message: &Value) -> RequestBuilder {
        self.request(Method::POST)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(message.to_string())
    }

    /// Opens its stream, or goes on with one after an event.
    async fn listen(&self, after: Option<&str>) -> Result<Events, String> {
        let mut request = self
            .request(Method::GET)
            .header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let events = Events::of(sent(request).await?).await?;
        count(&self.soak.visits.streams);
        Ok(events)
    }

    /// Calls a tool.
    async fn call(&self, tool: &str, arguments: Value) -> Result<Events, String> {
        let params = json!({ "name": tool, "arguments": arguments });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let response = sent(self.post(&call)).await?;
        count(&self.soak.visits.calls);
        Events::of(response).await
    }

    async fn answer(&self, question: &Value, result: Value) -> Ended {
        let id = &question["id"];
        self.tell(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
            .await
    }

    /// Says that the call is not wanted any more.
    async fn cancel(&self) -> Ended {
        let method = "notifications/cancelled";
        self.tell(&json!({ "jsonrpc": "2.0", "method": method, "params": { "requestId": 1 } }))
            .await
    }

    /// Says what wants no answer.
    async fn tell(&self, message: &Value) -> Ended {
        match sent(self.post(message)).await?.status().as_u16() {
            202 => Ok(()),
            other => Err(format!("{other} for {message}")),
        }
    }

    async fn end(&self) -> Ended {
        match sent(self.request(Method::DELETE)).await?.status().as_u16() {
            204 => Ok(()),
            other => Err(format!("{other} for the end of a session")),
        }
    }
}

async fn sent(request: RequestBuilder) -> Result<Response, String> {
    request.send().await.map_err(|cause| format!("{cause:?}"))
}

fn all_of(messages: &[Value], is_right: fn(&Value) -> bool) -> Ended {
    match messages.iter().find(|message| !is_right(message)) {
        Some(wrong) => Err(format!("it was told {wrong}")),
        None => Ok(()),
    }
}

/// Whether a message says that a list has changed.
fn is_change(message: &Value) -> bool {
    let method = message["method"].as_str().unwrap_or_default();
    method.starts_with("notifications/") && method.ends_with("/list_changed")
}

fn is_greeting(messages: &[Value]) -> Ended {
    match messages {
        [only] if only["result"]["structuredContent"] == json!({ "result": "hello, Ada" }) => {
            Ok(())
        }
        other => Err(format!("answered, and told {other:?}")),
    }
}
