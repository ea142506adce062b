//! A client that sees every byte: sessions of the older revisions, and streams of every revision.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, TestHost, call, modern};

/// A client that opened with `initialize`.
pub(crate) struct Session<'h> {
    pub(crate) host: &'h TestHost,
    pub(crate) version: &'static str,
    pub(crate) token: Option<String>,
    /// None if it is served without a session.
    pub(crate) id: Option<String>,
}

impl<'h> Session<'h> {
    /// Opens a session without a token.
    pub(crate) async fn open(
        host: &'h TestHost,
        version: &'static str,
        capabilities: Value,
    ) -> Self {
        Self::of(host, version, capabilities, None).await
    }

    /// Opens a session with a token.
    pub(crate) async fn of(
        host: &'h TestHost,
        version: &'static str,
        capabilities: Value,
        token: Option<String>,
    ) -> Self {
        let mut session = Self {
            host,
            version,
            token,
            id: None,
        };
        let opened = session.post(&initialize(version, capabilities)).await;
        assert_eq!(opened.status(), 200);
        let id = opened.headers().get("mcp-session-id").cloned();
        let answer: Value = opened.json().await.unwrap();
        assert_eq!(answer["result"]["protocolVersion"], version);
        session.id = id.map(|id| id.to_str().unwrap().to_owned());
        session
    }

    /// The same session in the hands of another caller.
    pub(crate) fn with(&self, token: Option<String>) -> Self {
        Self {
            token,
            id: self.id.clone(),
            ..*self
        }
    }

    /// A request with the headers of the session.
    pub(crate) fn request(&self, method: Method) -> RequestBuilder {
        let mut request = self
            .host
            .client
            .request(method, self.host.url())
            .header("mcp-protocol-version", self.version);
        if let Some(id) = &self.id {
            request = request.header("mcp-session-id", id);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request
    }

    /// Sends a message.
    pub(crate) async fn post(&self, message: &Value) -> Response {
        self.request(Method::POST)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(message.to_string())
            .send()
            .await
            .unwrap()
    }

    /// Sends a request, and gives the answer, in whichever form it comes.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": "ask", "method": method, "params": params });
        let response = self.post(&request).await;
        if response.headers()["content-type"] == "application/json" {
            return response.json().await.unwrap();
        }
        Stream::of(response).rest().await.pop().unwrap()
    }

    /// Calls a tool, and gives the stream of what it says.
    pub(crate) async fn call(&self, id: u64, name: &str, arguments: Value) -> Stream {
        Stream::of(self.post(&call(id, name, arguments)).await)
    }

    /// Opens the stream for what is said unasked, or goes on with one after an event.
    pub(crate) async fn listen(&self, after: Option<&str>) -> Stream {
        let mut request = self
            .request(Method::GET)
            .header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        Stream::of(request.send().await.unwrap())
    }

    /// Says that a request is not wanted any more.
    pub(crate) async fn cancel(&self, request: Value) {
        let params = json!({ "requestId": request });
        let message =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
        assert_eq!(self.post(&message).await.status(), 202);
    }

    /// Answers a question of the host.
    pub(crate) async fn answer(&self, question: &Value, outcome: &str, value: Value) -> Response {
        let id = &question["id"];
        self.post(&json!({ "jsonrpc": "2.0", "id": id, outcome: value }))
            .await
    }
}

/// The message that opens a session.
pub(crate) fn initialize(version: &str, capabilities: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": version,
            "capabilities": capabilities,
            "clientInfo": { "name": "test", "version": "1" },
        },
    })
}

/// A stream of events.
pub(crate) struct Stream {
    response: Response,
    unread: String,
}

/// One event.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<String>,
    pub(crate) data: String,
}

impl Stream {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        Self {
            response,
            unread: String::new(),
        }
    }

    /// The stream that a request of 2026-07-28 is answered with.
    pub(crate) async fn modern(host: &TestHost, id: Value, method: &str, params: Value) -> Self {
        let (headers, mut body) = modern(method, params);
        body["id"] = id;
        let mut request = host
            .client
            .post(host.url())
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        Self::of(request.body(body.to_string()).send().await.unwrap())
    }

    /// The next event; none at the end.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some((text, rest)) = self.unread.split_once("\n\n") {
                let fields: Vec<(&str, &str)> = text
                    .lines()
                    .filter_map(|line| line.split_once(": "))
                    .collect();
                let field = |name| {
                    let found = fields.iter().find(|(field, _)| *field == name);
                    found.map(|(_, value)| (*value).to_owned())
                };
                let event = field("data").map(|data| Event {
                    id: field("id"),
                    retry: field("retry"),
                    data,
                });
                let read = self.unread.len() - rest.len();
                self.unread.drain(..read);
                match event {
                    Some(event) => return Some(event),
                    // A comment, which only shows that somebody is there.
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("nothing came").unwrap()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            let event = self.event().await.expect("the stream goes on");
            if !event.data.is_empty() {
                return serde_json::from_str(&event.data).unwrap();
            }
        }
    }

    /// All messages to the end.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(event) = self.event().await {
            if !event.data.is_empty() {
                messages.push(serde_json::from_str(&event.data).unwrap());
            }
        }
        messages
    }

    /// That no more messages come for a while that is long beside what a change takes.
    pub(crate) async fn is_silent(&mut self) {
        let silence = tokio::time::timeout(Duration::from_millis(150), self.message()).await;
        assert!(silence.is_err(), "{silence:?}");
    }
}
