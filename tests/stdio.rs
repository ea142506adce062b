//! Clients that start a process: the binary, driven line by line.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cloister::auth::system_clock;
use cloister::issuer::{DevelopmentIssuer, TokenKind, TokenRequest};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::commands::{cloister, run};
use crate::harness::{PATIENCE, cache, call, component, modern, text};

/// A client, and the host that it started.
struct Client {
    host: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

/// A folder with what the conformance suite calls, and a tool that is protected.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mcp = folder.path().join("mcp");
    fs::create_dir(&mcp).unwrap();
    for (service, name) in [
        ("conformance", "guest_conformance"),
        ("demo", "cloister_demo"),
    ] {
        fs::copy(component(name), mcp.join(format!("{service}.wasm"))).unwrap();
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/conformance");
    fs::copy(
        manifest.join("conformance.toml"),
        mcp.join("conformance.toml"),
    )
    .unwrap();
    folder
}

fn serve(folder: &TempDir, settings: &[(&str, &str)]) -> Command {
    let mut command = cloister(folder.path());
    command
        .args(["serve", "--stdio"])
        .env("CLOISTER_CACHE_DIR", cache())
        // Neither is of any matter without a port; the second would be refused with one.
        .env("PORT", "1")
        .env("CLOISTER_LISTEN", "0.0.0.0:1")
        .envs(settings.iter().copied())
        .stdin(Stdio::piped());
    command
}

impl Client {
    fn start(folder: &TempDir, settings: &[(&str, &str)]) -> Self {
        let mut command = serve(folder, settings);
        Self::of(command.stderr(Stdio::null()).spawn().unwrap())
    }

    fn of(mut host: Child) -> Self {
        Self {
            input: host.stdin.take(),
            output: BufReader::new(host.stdout.take().unwrap()).lines(),
            host,
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).await.unwrap();
    }

    async fn say(&mut self, message: Value) {
        self.write(format!("{message}\n").as_bytes()).await;
    }

    /// The next message; none when there are no more. Whatever comes must be one.
    async fn hear_any(&mut self) -> Option<Value> {
        let line = timeout(PATIENCE, self.output.next_line())
            .await
            .unwrap()
            .unwrap()?;
        let message: Value =
            serde_json::from_str(&line).unwrap_or_else(|cause| panic!("{cause}: {line}"));
        assert!(message.is_object(), "{message}");
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        Some(message)
    }

    async fn hear(&mut self) -> Value {
        self.hear_any().await.unwrap()
    }

    async fn ask(&mut self, message: Value) -> Value {
        let id = message["id"].clone();
        self.say(message).await;
        let answer = self.hear().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Opens a session, whose client can show forms.
    async fn open(&mut self, version: &str) {
        let opened = self
            .ask(json!({
                "jsonrpc": "2.0",
                "id": "open",
                "method": "initialize",
                "params": {
                    "protocolVersion": version,
                    "capabilities": { "elicitation": {} },
                    "clientInfo": { "name": "test", "version": "1" },
                },
            }))
            .await;
        assert_eq!(opened["result"]["protocolVersion"], version, "{opened}");
        self.say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await;
    }

    /// Has nothing more to say. What the host says until it ends, as it should.
    async fn end(mut self) -> Vec<Value> {
        drop(self.input.take());
        self.ended().await
    }

    async fn ended(mut self) -> Vec<Value> {
        let mut last = Vec::new();
        while let Some(message) = self.hear_any().await {
            last.push(message);
        }
        let status = timeout(PATIENCE, self.host.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0));
        last
    }
}

/// A request of revision 2026-07-28.
fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    let (_, mut body) = modern(method, params);
    body["id"] = id.into();
    body
}

fn cancelled(id: impl Into<Value>) -> Value {
    let id: Value = id.into();
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } })
}

fn names(list: &Value) -> Vec<&str> {
    let tools = list["result"]["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn clients_of_every_age_list_and_call() {
    let folder = folder();
    for version in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let mut client = Client::start(&folder, &[]);
        let is_modern = version == "2026-07-28";
        if is_modern {
            let discovered = client.ask(request(0, "server/discover", json!({}))).await;
            assert_eq!(discovered["result"]["supportedVersions"][0], version);
        } else {
            client.open(version).await;
        }
        let message = |id: u64, method: &str, params: Value| {
            if is_modern {
                request(id, method, params)
            } else {
                json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
            }
        };
        let list = client.ask(message(1, "tools/list", json!({}))).await;
        assert!(names(&list).contains(&"test_simple_text"), "{list}");
        let echo = list["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .find(|tool| tool["name"] == "getUserProfile");
        // What a revision does not know is left out, so the session is found again.
        assert_eq!(
            echo.unwrap()["outputSchema"].is_object(),
            version != "2025-03-26",
            "{version}"
        );
        let params = json!({ "name": "test_simple_text", "arguments": {} });
        let result = client.ask(message(2, "tools/call", params)).await;
        assert!(text(&result["result"]).contains("simple"), "{result}");
        assert_eq!(result["result"]["resultType"].is_string(), is_modern);
        assert!(client.end().await.is_empty());
    }
}

#[tokio::test]
async fn what_is_sent_at_once_is_taken_in_order_and_an_unfinished_line_counts() {
    let folder = folder();
    let mut client = Client::start(&folder, &[]);
    let initialize = json!({
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {} },
    });
    let level = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "resources/subscribe",
        "params": { "uri": "test://watched-resource" },
    });
    client
        .write(format!("{initialize}\r\n\n{level}").as_bytes())
        .await;
    let said = client.end().await;
    assert_eq!(said[0]["result"]["protocolVersion"], "2025-11-25");
    // Only a session has subscriptions.
    assert_eq!(said[1]["result"], json!({}), "{said:?}");
}

#[tokio::test]
async fn the_person_is_asked_while_other_calls_go_on() {
    let folder = folder();
    let mut client = Client::start(&folder, &[]);
    client.open("2025-11-25").await;
    let arguments = json!({ "message": "who are you?" });
    client.say(call(1, "test_elicitation", arguments)).await;
    let question = client.hear().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");

    let mut told = call(2, "test_tool_with_progress", json!({}));
    told["params"]["_meta"] = json!({ "progressToken": "p" });
    client.say(told).await;
    for done in [0, 50, 100] {
        let progress = client.hear().await;
        assert_eq!(progress["method"], "notifications/progress", "{progress}");
        assert_eq!(progress["params"]["progressToken"], "p");
        assert_eq!(progress["params"]["progress"], done);
    }
    assert_eq!(client.hear().await["id"], 2);

    client
        .say(json!({
            "jsonrpc": "2.0",
            "id": question["id"],
            "result": {
                "action": "accept",
                "content": { "username": "ada", "email": "ada@example.com" },
            },
        }))
        .await;
    let result = client.hear().await;
    assert_eq!(result["id"], 1);
    assert!(text(&result["result"]).contains("username=ada"), "{result}");

    // The other era has its own way, on the same connection.
    let params = json!({
        "name": "test_elicitation",
        "arguments": { "message": "who are you?" },
    });
    let mut asking = request(3, "tools/call", params);
    asking["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({ "elicitation": {} });
    let asked = client.ask(asking).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    assert!(client.end().await.is_empty());
}

#[tokio::test]
async fn both_eras_are_told_what_changes_until_they_or_the_host_end_it() {
    let folder = folder();
    let mut client = Client::start(&folder, &[]);
    client.open("2025-11-25").await;
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    for id in ["one", "two"] {
        client
            .say(request(id, "subscriptions/listen", wanted.clone()))
            .await;
        let acknowledged = client.hear().await;
        assert_eq!(
            acknowledged["method"],
            "notifications/subscriptions/acknowledged"
        );
    }
    let tag = |message: &Value| {
        let tag = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        tag.as_str().map(str::to_owned)
    };
    let mcp = folder.path().join("mcp");
    let mut expected = vec![None, Some("one".to_owned()), Some("two".to_owned())];
    for service in ["plain", "another"] {
        fs::copy(component("guest_plain"), mcp.join(".new")).unwrap();
        fs::rename(mcp.join(".new"), mcp.join(format!("{service}.wasm"))).unwrap();
        let mut told = Vec::new();
        for _ in &expected {
            let message = client.hear().await;
            assert_eq!(message["method"], "notifications/tools/list_changed");
            told.push(tag(&message));
        }
        told.sort();
        assert_eq!(told, expected);
        if service == "plain" {
            client.say(cancelled("one")).await;
            expected.remove(1);
        }
    }
    // The host is told to end, and its client has not gone.
    let id = client.host.id().unwrap().to_string();
    let killed = tokio::process::Command::new("kill").arg(&id).status().await;
    assert!(killed.unwrap().success());
    insta::assert_json_snapshot!(client.ended().await);
}

#[tokio::test]
async fn a_request_can_be_cancelled_in_both_eras() {
    let folder = folder();
    let mut client = Client::start(&folder, &[]);
    client.open("2025-11-25").await;
    for is_modern in [false, true] {
        let message = |name: &str| {
            let params = json!({
                "name": name,
                "arguments": {},
                "_meta": { "progressToken": 1 },
            });
            if is_modern {
                request(7, "tools/call", params)
            } else {
                json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params })
            }
        };
        client.say(message("test_cancellation")).await;
        let progress = client.hear().await;
        assert_eq!(progress["method"], "notifications/progress", "{progress}");
        client.say(cancelled(7)).await;
        // Its id is free when it is gone, and nothing has answered under it by then.
        loop {
            client.say(message("test_simple_text")).await;
            let answer = loop {
                let message = client.hear().await;
                if message["method"] != "notifications/progress" {
                    break message;
                }
            };
            assert_eq!(answer["id"], 7);
            if answer["error"].is_null() {
                assert!(text(&answer["result"]).contains("simple"), "{answer}");
                break;
            }
        }
    }
    assert!(client.end().await.is_empty());
}

#[tokio::test]
async fn nothing_runs_under_an_id_that_is_in_use() {
    let folder = folder();
    let mut client = Client::start(&folder, &[]);
    client.open("2025-11-25").await;
    let working = json!({ "name": "test_cancellation", "_meta": { "progressToken": 1 } });
    client.say(request(7, "tools/call", working)).await;
    client.hear().await;
    for _ in 0..50 {
        let params = json!({ "name": "test_trigger_tool_change" });
        client.say(request(7, "tools/call", params)).await;
    }
    client.say(request(8, "tools/list", json!({}))).await;
    let mut refused = 0;
    loop {
        let message = client.hear().await;
        if message["id"] == 8 {
            break;
        }
        assert_ne!(message["method"], "notifications/tools/list_changed");
        if !message["error"].is_null() {
            assert_eq!(message["id"], 7);
            assert_eq!(message["error"]["code"], -32600, "{message}");
            refused += 1;
        }
    }
    assert_eq!(refused, 50);
    client.say(cancelled(7)).await;
}

#[tokio::test]
async fn a_call_leaves_its_line_whatever_comes_in_the_next() {
    let folder = folder();
    let mut host = serve(&folder, &[("CLOISTER_LOG_FORMAT", "json")])
        .spawn()
        .unwrap();
    let mut log = BufReader::new(host.stderr.take().unwrap()).lines();
    let mut client = Client::of(host);
    client.open("2025-03-26").await;
    // All are cancelled as soon as they are there, most of them before anything was done.
    let mut messages = Vec::new();
    let working = json!({ "name": "test_cancellation", "arguments": {} });
    for id in 0..50 {
        messages.push(if id % 2 == 0 {
            call(id, "test_cancellation", json!({}))
        } else {
            request(id, "tools/call", working.clone())
        });
        messages.push(cancelled(id));
    }
    let of = |id| call(id, "test_cancellation", json!({}));
    messages.push(json!([of(100), of(101), of(102)]));
    messages.extend([100, 101, 102].map(cancelled));
    // The second is refused, for its id is in use.
    messages.extend([of(200), of(200), cancelled(200)]);
    let mut lines = String::new();
    for message in messages {
        lines += &message.to_string();
        lines.push('\n');
    }
    client.write(lines.as_bytes()).await;
    let refused = client.hear().await;
    assert_eq!(refused["error"]["code"], -32600, "{refused}");

    let mut expected = vec![("cancelled", None); 50 + 3 + 1];
    expected.push(("refused", Some("-32600")));
    let mut ends: Vec<Value> = Vec::new();
    while ends.len() < expected.len() {
        let line = timeout(PATIENCE, log.next_line()).await.unwrap();
        // What is told to the user stands before it.
        let line: Option<Value> = serde_json::from_str(&line.unwrap().unwrap()).ok();
        ends.extend(line.filter(|line| line["message"] == "call"));
    }
    ends.sort_by_key(|line| line["call"].as_u64());
    let ends: Vec<_> = ends
        .iter()
        .map(|line| (line["outcome"].as_str().unwrap(), line["reason"].as_str()))
        .collect();
    assert_eq!(ends, expected);
}

#[tokio::test]
async fn one_request_too_many_is_refused_until_another_ends() {
    let folder = folder();
    let mut client = Client::start(&folder, &[]);
    let listen = |id: u64| request(id, "subscriptions/listen", json!({}));
    for id in 0..256 {
        client.say(listen(id)).await;
        let acknowledged = client.hear().await;
        assert!(acknowledged["error"].is_null(), "{acknowledged}");
    }
    let refused = client.ask(listen(256)).await;
    insta::assert_json_snapshot!(refused["error"]);
    client.say(cancelled(7)).await;
    loop {
        client.say(listen(256)).await;
        if client.hear().await["error"].is_null() {
            break;
        }
    }
    // Each is answered, and its end is told.
    assert_eq!(client.end().await.len(), 2 * 256);
}

#[tokio::test]
async fn a_client_that_has_gone_is_not_waited_for() {
    let folder = folder();
    // It has nothing more to say.
    let mut client = Client::start(&folder, &[]);
    let params = json!({ "name": "test_cancellation", "_meta": { "progressToken": 1 } });
    client.say(request(1, "tools/call", params)).await;
    client.hear().await;
    let rest = client.end().await;
    // To its end, the call would have had an answer.
    assert!(
        rest.iter()
            .all(|message| message["method"] == "notifications/progress"),
        "{rest:?}"
    );

    // It does not listen any more.
    let mut client = Client::start(&folder, &[]);
    client.open("2025-11-25").await;
    let Client {
        mut host,
        input,
        output,
    } = client;
    drop(output);
    let mut input = input.unwrap();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    input
        .write_all(format!("{ping}\n").as_bytes())
        .await
        .unwrap();
    let status = timeout(PATIENCE, host.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn what_is_in_progress_when_the_host_is_told_to_end_is_finished_or_answered() {
    let folder = folder();
    for name in ["hostile", "waiter"] {
        let path = folder.path().join(format!("mcp/{name}.wasm"));
        fs::copy(component(&format!("guest_{name}")), path).unwrap();
    }
    let mut client = Client::start(&folder, &[("CLOISTER_GRACE", "1s")]);
    client.open("2025-11-25").await;
    let wait = json!({ "times": 1, "milliseconds": 300 });
    client.say(call(1, "wait", wait)).await;
    client.say(call(2, "sleep", json!({}))).await;
    let ping = json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" });
    client.ask(ping).await;
    let id = client.host.id().unwrap().to_string();
    let killed = tokio::process::Command::new("kill").arg(&id).status().await;
    assert!(killed.unwrap().success());
    let said = client.ended().await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(
        said[0]["result"]["structuredContent"],
        json!({ "result": 1 })
    );
    assert_eq!(said[1]["id"], 2);
    assert_eq!(said[1]["result"]["isError"], true, "{said:?}");
    assert_eq!(
        text(&said[1]["result"]),
        "the tool `sleep` of the service `hostile` gave no result: it was stopped with the server, which is going away; try again in a moment"
    );
}

#[tokio::test]
async fn the_token_is_in_the_environment() {
    let issuer = DevelopmentIssuer::start(system_clock()).await.unwrap();
    let mint = |wanted: &TokenRequest| issuer.mint(wanted).unwrap().expose_secret().to_owned();
    let good = mint(&TokenRequest {
        ttl: Duration::from_hours(1),
        ..TokenRequest::new("user_ada")
    });
    let folder = folder();
    fs::write(
        folder.path().join("mcp/demo.toml"),
        "[tools.echo]\nscopes = [\"talk\"]\n",
    )
    .unwrap();
    let unable = mint(&TokenRequest {
        ttl: Duration::from_hours(1),
        kind: TokenKind::OAuth {
            client_id: "client".to_owned(),
            scopes: vec!["listen".to_owned()],
            resources: Vec::new(),
        },
        ..TokenRequest::new("user_ada")
    });
    let clerk = ("CLERK_ISSUER", issuer.issuer());
    let shown = |answer: &Value| match answer.get("error") {
        Some(error) => error.clone(),
        None => json!({
            "isError": answer["result"]["isError"],
            "content": answer["result"]["content"],
            "auth": answer["result"]["_meta"]["cloister/auth"],
        }),
    };
    let mut answers = Vec::new();
    for (settings, tool) in [
        (vec![clerk], "getUserProfile"),
        (vec![clerk], "test_simple_text"),
        (vec![clerk, ("CLOISTER_TOKEN", "rubbish")], "getUserProfile"),
        (vec![clerk, ("CLOISTER_TOKEN", &good)], "getUserProfile"),
        (vec![clerk, ("CLOISTER_TOKEN", &unable)], "echo"),
        (vec![], "getUserProfile"),
        // Nobody has a token of an issuer that is not there yet.
        (vec![("CLOISTER_TOKEN", "development")], "getUserProfile"),
        (vec![("CLOISTER_TOKEN", &good)], "getUserProfile"),
    ] {
        let mut client = Client::start(&folder, &settings);
        let params = json!({ "name": tool, "arguments": {} });
        let answer = client.ask(request(1, "tools/call", params)).await;
        answers.push(shown(&answer));
        assert!(client.end().await.is_empty());
    }
    // What is no call has no result that could say so.
    let mut client = Client::start(&folder, &[clerk, ("CLOISTER_TOKEN", "rubbish")]);
    let answer = client.ask(request(1, "prompts/list", json!({}))).await;
    answers.push(shown(&answer));
    assert!(client.end().await.is_empty());
    // One that comes with a call goes the way that it goes over HTTP.
    let mut client = Client::start(&folder, &[clerk]);
    for token in ["rubbish", &good] {
        let params = json!({
            "name": "getUserProfile",
            "arguments": {},
            "_meta": { "authorization": { "token": token } },
        });
        let answer = client.ask(request(1, "tools/call", params)).await;
        answers.push(shown(&answer));
    }
    insta::assert_json_snapshot!(answers);
}

#[tokio::test]
async fn rubbish_is_answered_and_what_follows_is_served() {
    let folder = folder();
    let mut client = Client::start(&folder, &[("CLOISTER_BODY", "1KiB")]);
    let mut answers = Vec::new();
    let deep = "[".repeat(1_000);
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
        "m".repeat(100_000)
    );
    for line in [
        "Content-Length: 20",
        "{",
        "\u{feff}{}",
        "7",
        "[]",
        "{}",
        &deep,
        &long,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"nonsense"}"#,
    ] {
        client.write(format!("{line}\n").as_bytes()).await;
        answers.push(client.hear().await);
    }
    client.write(b"\xff\xfe\n").await;
    answers.push(client.hear().await);
    // To these there is nothing to say.
    client.write(b"\n \t\r\n").await;
    client
        .say(json!({ "jsonrpc": "2.0", "id": 1, "result": {} }))
        .await;
    client.say(cancelled(99)).await;
    client
        .say(json!({ "jsonrpc": "2.0", "method": "notifications/nonsense" }))
        .await;
    client
        .ask(json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" }))
        .await;
    assert!(client.end().await.is_empty());
    insta::assert_json_snapshot!(answers);
}

#[tokio::test]
async fn it_is_one_or_the_other() {
    let folder = folder();
    let output = run(cloister(folder.path()).args(["--stdio", "--listen", "127.0.0.1:0"])).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn a_token_for_a_call_comes_from_the_command_line() {
    let folder = folder();
    let mut host = cloister(folder.path())
        .args(["serve", "--stdio"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stderr.take().unwrap()).lines();
    let reading = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some(issuer) = line.strip_prefix("cloister token --issuer ") {
                return issuer.to_owned();
            }
        }
    };
    let issuer = timeout(PATIENCE, reading).await.unwrap();
    let output = run(cloister(folder.path()).args(["token", "--issuer", &issuer])).await;
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).unwrap();

    let mut client = Client::of(host);
    let params = json!({
        "name": "getUserProfile",
        "arguments": {},
        "_meta": { "authorization": { "token": token.trim() } },
    });
    let answer = client.ask(request(1, "tools/call", params)).await;
    let user = &answer["result"]["structuredContent"];
    assert_eq!(user["email"], "ada@example.test", "{answer}");
    assert!(client.end().await.is_empty());
}
