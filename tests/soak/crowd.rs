//! Those who call, each on a connection of their own, one call after another.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::Soak;
use crate::cases::{Case, Dice, Reply, Right, Token, Verdict, Who, pick};
use crate::server::{PATIENCE, Server};
use crate::stage::{Stage, Way};

/// How many connections the one has who floods.
pub(crate) const FLOOD: usize = 200;

/// How many connections all others have.
pub(crate) const QUIET: usize = 300;

/// How many the others are.
pub(crate) const USERS: usize = 60;

/// For how long the others pause between two calls, in milliseconds at most.
const PAUSE: u64 = 100;

/// One in so many calls is given up, after so many milliseconds at most.
const GIVEN_UP: u64 = 40;
const GIVEN_UP_AFTER: u64 = 40;

/// Somebody with a token.
#[derive(Clone)]
pub(crate) struct Caller {
    sub: Arc<str>,
    token: Arc<str>,
}

impl Caller {
    pub(crate) async fn known(server: &Server, sub: &str) -> Self {
        Self {
            sub: sub.into(),
            token: server.token(sub).await.into(),
        }
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

/// Calls until it is over, and gives how long good calls took, if others flood.
pub(crate) async fn connection(
    number: usize,
    caller: Caller,
    port: u16,
    soak: Arc<Soak>,
) -> Vec<Duration> {
    let client = Client::builder()
        .no_proxy()
        .http1_only()
        .build()
        .expect("a client");
    let tally = &soak.tally;
    let mut dice = Dice::new(number);
    let mut latencies = Vec::new();
    let mut who = Who {
        connection: number,
        sub: &caller.sub,
        counted: 0,
        is_flood: number < FLOOD,
        port,
    };
    while !tally.is_over() {
        if !who.is_flood {
            tokio::time::sleep(Duration::from_millis(dice.of(PAUSE))).await;
        }
        let case = pick(&mut dice, &who, &soak.stages);
        let patience = if case.counts || dice.of(GIVEN_UP) > 0 {
            PATIENCE * 2
        } else {
            Duration::from_millis(dice.of(GIVEN_UP_AFTER))
        };
        let stage = case.other.as_ref().map(|(_, stage)| stage(&soak.stages));
        let before = stage.map(Stage::now);
        let start = Instant::now();
        let answering = call(&client, &soak, &caller, &case);
        let reply = match tokio::time::timeout(patience, answering).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(why)) => {
                tally.lost(case.name, &why);
                continue;
            }
            Err(_elapsed) if patience < PATIENCE => {
                tally.given_up.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Err(_elapsed) => {
                tally.lost(case.name, "it was never answered");
                continue;
            }
        };
        let way = match (stage, before) {
            (Some(stage), Some(before)) => stage.since(before),
            _ => Way::First,
        };
        match reply.verdict(&case, way, &soak.stages) {
            Verdict::Right => {
                tally.right(case.name);
                who.counted += u64::from(case.counts);
                if let Right::Version(_) = case.right {
                    let version = &reply.body["result"]["structuredContent"]["result"];
                    soak.stages.saw(version.as_u64().unwrap_or(0));
                }
                if case.is_good && !who.is_flood {
                    latencies.push(start.elapsed());
                }
            }
            Verdict::Busy if who.is_flood || case.is_impatient => {
                tally.busy.fetch_add(1, Ordering::Relaxed);
            }
            // Who computes much waits behind those who do not.
            Verdict::Late if who.is_flood || !case.is_good => {
                tally.late.fetch_add(1, Ordering::Relaxed);
            }
            Verdict::Busy | Verdict::Late | Verdict::Wrong => {
                tally.wrong(case.name, &format!("{} {}", reply.status, reply.body));
            }
        }
    }
    latencies
}

/// Makes a call, and if it asks, calls again with the answer.
async fn call(client: &Client, soak: &Soak, caller: &Caller, case: &Case) -> Result<Reply, String> {
    let mut params = json!({ "name": case.tool, "arguments": case.arguments });
    let request = || {
        let request = client.post(&soak.url);
        match case.token {
            Token::Own => request.bearer_auth(&caller.token),
            Token::None => request,
            Token::Bad => request.bearer_auth(format!("{}x", caller.token)),
        }
    };
    let Some(answer) = case.asks else {
        let request = request().header("mcp-protocol-version", "2025-11-25");
        return send(soak, request, &params).await;
    };
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "form": {} } },
    });
    let request = || {
        request()
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", case.tool)
    };
    let first = send(soak, request(), &params).await?;
    let result = &first.body["result"];
    if result["resultType"] != "input_required" {
        return Ok(first);
    }
    params["requestState"] = result["requestState"].clone();
    params["inputResponses"] =
        json!({ "name": { "action": "accept", "content": { "name": answer } } });
    send(soak, request(), &params).await
}

async fn send(soak: &Soak, request: RequestBuilder, params: &Value) -> Result<Reply, String> {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let sent = request
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(message.to_string())
        .send();
    let cause = |cause: reqwest::Error| format!("{cause:?}");
    let response = sent.await.map_err(cause)?;
    let header = |name: &str| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let (retry_after, challenge) = (header("retry-after"), header("www-authenticate"));
    let status = response.status().as_u16();
    let text = response.text().await.map_err(cause)?;
    soak.tally.answered.fetch_add(1, Ordering::Relaxed);
    Ok(Reply {
        status,
        retry_after,
        challenge,
        // What is no JSON is not what anybody waits for.
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    })
}

/// Somebody who calls to find out whether a change has come.
pub(crate) struct Probe {
    client: Client,
    url: String,
}

impl Probe {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            client: Client::builder().no_proxy().build().expect("a client"),
            url: url.to_owned(),
        }
    }

    /// Calls until the answer is as wanted, if it is in time.
    pub(crate) async fn until(
        &self,
        soak: &Soak,
        tool: &str,
        arguments: &Value,
        wanted: impl Fn(&Value) -> bool,
    ) -> bool {
        let params = json!({ "name": tool, "arguments": arguments });
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let request = self
                .client
                .post(&self.url)
                .header("mcp-protocol-version", "2025-11-25");
            match send(soak, request, &params).await {
                Ok(reply) if wanted(&reply.body) => return true,
                Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(cause) => {
                    soak.tally.lost(tool, &cause);
                    return false;
                }
            }
        }
        false
    }
}
