//! What the binary writes to its log: one line for each call, none of which anybody can forge.

use std::fs;
use std::path::Path;

use cloister::issuer::{AnswerFault, DevelopmentIssuer, Faults};
use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::commands::{Running, cloister, folder};
use crate::harness::{PATIENCE, call, component};

/// A host that runs, and its log.
struct Logged {
    running: Running,
    /// A token for somebody.
    token: String,
    client: Client,
}

impl Logged {
    async fn start(command: &mut Command) -> Self {
        let running = Running::start(command).await;
        let (_, token) = running.banner.split_once("TOKEN=").unwrap();
        Self {
            token: token.lines().next().unwrap().to_owned(),
            running,
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Sends a message, and gives the status and how long the answer is.
    async fn send(&self, headers: &[(&str, &str)], message: &Value) -> (u16, usize) {
        let mut request = self
            .client
            .post(self.running.url())
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(message.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.text().await.unwrap().len())
    }

    /// What it has written: the line of a call is written before it is answered.
    async fn log(self) -> String {
        self.running.kill().await
    }

    /// The lines of calls, of a log for machines.
    async fn calls(self) -> Vec<Value> {
        let log = self.log().await;
        log.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|it| panic!("{it}: {line}")))
            .filter(|line: &Value| line["message"] == "call")
            .collect()
    }
}

/// A folder with the services of the box, and another.
fn folder_with(service: &str) -> TempDir {
    let folder = folder();
    let file = folder.path().join(format!("mcp/{service}.wasm"));
    fs::copy(component(&format!("guest_{service}")), file).unwrap();
    folder
}

/// A host whose log is for machines.
fn for_machines(folder: &Path) -> Command {
    let mut command = cloister(folder);
    command.args(["--log-format", "json"]);
    command
}

#[tokio::test]
async fn every_call_leaves_a_line_and_no_guest_can_forge_one() {
    let folder = folder_with("hostile");
    let host = Logged::start(&mut cloister(folder.path())).await;
    for name in ["printTricks", "nothing", "no\nsuch"] {
        host.send(&[], &call(1, name, json!({}))).await;
    }
    let log = host.log().await;

    assert!(
        log.chars()
            .all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')),
        "{log:?}"
    );
    let calls: Vec<&str> = log
        .lines()
        .filter(|line| {
            let mut words = line.split_whitespace().skip(1);
            words.next() == Some("INFO") && words.next() == Some("call")
        })
        .collect();
    let field = |line: &str, name: &str| {
        line.split(' ')
            .find_map(|part| part.strip_prefix(&format!("{name}=")))
            .map(str::to_owned)
    };
    let said: Vec<_> = calls
        .iter()
        .map(|line| ["service", "outcome", "reason"].map(|name| field(line, name)))
        .collect();
    let some = |text: &str| Some(format!("\"{text}\""));
    assert_eq!(
        said,
        [
            [some("hostile"), some("failed"), some("trapped")],
            [some("hostile"), some("done"), None],
            [None, some("refused"), some("-32602")],
        ],
        "{log}"
    );
    // What it printed is there, for the operator, on the line of its own service.
    let printed = log.lines().find(|line| line.contains("]0;owned")).unwrap();
    assert!(
        printed.contains("service=hostile") && printed.contains("desrever"),
        "{printed}"
    );
}

#[tokio::test]
async fn lines_for_machines_can_be_read_whatever_a_guest_says() {
    let folder = folder_with("hostile");
    let host = Logged::start(&mut for_machines(folder.path())).await;
    host.send(&[], &call(1, "printTricks", json!({}))).await;
    let log = host.log().await;

    let is_trick = |c: char| c.is_control() || c == '\u{202e}';
    let mut details = Vec::new();
    for line in log.lines() {
        assert!(!line.contains(is_trick), "{line:?}");
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|it| panic!("{it}: {line}"));
        details.extend(entry["detail"].as_str().map(str::to_owned));
    }
    // What it printed is told as it was.
    assert_eq!(details.len(), 1, "{log}");
    assert!(
        details[0].contains("\u{1b}[2J") && details[0].contains("\u{202e}desrever\u{9b}31m"),
        "{details:?}"
    );
}

#[tokio::test]
async fn a_result_that_says_what_it_must_not_is_a_failed_call_and_no_defect_of_the_host() {
    let folder = folder_with("hostile");
    let host = Logged::start(&mut for_machines(folder.path())).await;
    let oversized = format!("{{\"a\":{:?}}}", "x".repeat(256 << 10));
    for (priority, meta) in [(2.0, "{}"), (1.0, "[]"), (1.0, &*oversized), (1.0, "{}")] {
        let arguments = json!({ "priority": priority, "meta": meta });
        host.send(&[], &call(1, "note", arguments)).await;
    }
    let log = host.log().await;

    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["call"].is_u64())
        .collect();
    let (calls, others): (Vec<&Value>, Vec<&Value>) =
        lines.iter().partition(|line| line["message"] == "call");
    let ends: Vec<Value> = calls
        .iter()
        .map(|line| json!([line["outcome"], line["reason"]]))
        .collect();
    let invalid = json!(["failed", "invalid_result"]);
    assert_eq!(
        ends,
        [
            invalid.clone(),
            invalid.clone(),
            invalid,
            json!(["done", null])
        ],
        "{log}"
    );
    for ((line, call), rule) in others.iter().zip(&calls).zip([
        "the `priority` in its result is 2.0, and must be from 0 to 1",
        "the `meta` in its result is JSON of another kind, and must be a JSON object as text",
        "the `meta` in its result is more than 256 KiB in all, and must be at most that",
    ]) {
        assert_eq!(
            (&line["level"], &line["call"], &line["function"]),
            (&json!("WARN"), &call["call"], &call["function"]),
            "{log}"
        );
        let said = line["message"].as_str().unwrap();
        assert!(said.ends_with(rule), "{said}");
    }
    assert_eq!(others.len(), 3, "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

/// A server that answers so many requests, one on each connection, and gives what they were.
async fn server(answers: usize) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", server.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        while requests.len() < answers {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
            stream.write_all(answer).await.unwrap();
            requests.push(String::from_utf8(request).unwrap());
        }
        requests
    });
    (origin, serving)
}

#[tokio::test]
async fn the_log_says_where_a_call_has_been_and_never_what_the_host_put_on() {
    let (origin, serving) = server(2).await;
    let folder = folder_with("fetcher");
    fs::write(
        folder.path().join("mcp/fetcher.toml"),
        format!(
            "[http]\nallow = [{origin:?}]\nheaders.{origin:?} = {{ x-key = \"${{secret.KEY}}\" }}\n[secrets]\nKEY = {{ env = \"KEY\" }}\n"
        ),
    )
    .unwrap();
    let mut logs = Vec::new();
    for format in ["text", "json"] {
        let mut command = cloister(folder.path());
        command
            .args([
                "--log",
                "info,cloister=trace,reqwest=trace,hyper_util=trace",
            ])
            .args(["--log-format", format])
            .env("KEY", "s3cret");
        let host = Logged::start(&mut command).await;
        for target in [&*format!("{origin}/path?q=private"), "http://example.com/"] {
            let message = call(1, "fetch", json!({ "url": target }));
            assert_eq!(host.send(&[], &message).await.0, 200);
        }
        logs.push(host.log().await);
    }
    for request in serving.await.unwrap() {
        assert!(request.contains("\r\nx-key: s3cret\r\n"), "{request}");
    }

    let text = |log: &str| -> Vec<bool> {
        log.lines()
            .filter(|line| line.contains("method=\"tools/call\""))
            .map(|line| line.contains(&format!("origins=\"{origin}\" requests=1")))
            .collect()
    };
    assert_eq!(text(&logs[0]), [true, false], "{}", logs[0]);
    let machines: Vec<Value> = logs[1]
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message"] == "call")
        .map(|line| {
            json!([
                line["origins"],
                line["requests"],
                line["http_received"] != 0
            ])
        })
        .collect();
    assert_eq!(machines[0], json!([origin, 1, true]), "{}", logs[1]);
    assert_eq!(machines[1], json!([null, 0, false]), "{}", logs[1]);
    let missing = "in `mcp/fetcher.toml`, under `[http]`: allow = [\"http://example.com\"]";
    assert!(logs[0].contains(missing), "{}", logs[0]);
    for log in logs {
        assert!(!log.contains("s3cret") && !log.contains("private"), "{log}");
    }
}

/// A call, and what its line has to say.
struct Called<'a> {
    method: &'a str,
    params: Value,
    /// The value of `traceparent`.
    parent: &'a str,
    authorization: Option<&'a str>,
    /// The service, the function, whether the user is named, the outcome and the reason.
    line: (
        Option<&'a str>,
        Option<&'a str>,
        bool,
        &'a str,
        Option<&'a str>,
    ),
}

const PROFILE: &str = "cloister:demo/demo@0.1.0#get-user-profile";
const ECHO: &str = "cloister:demo/demo@0.1.0#echo";
const REVIEW: &str = "example:library/library@0.1.0#review";
const TITLES: &str = "example:library/library@0.1.0#titles";
const LOANS: &str = "example:library/library@0.1.0#loans";
const COMPLETION: &str = "example:library/library@0.1.0#complete-title";

#[tokio::test]
async fn the_line_of_a_call_says_all_that_is_to_be_known_of_it() {
    let folder = folder_with("library");
    let host = Logged::start(&mut for_machines(folder.path())).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let bearer = format!("Bearer {}", host.token);
    let changed = format!("{bearer}x");
    let profile = || json!({ "name": "getUserProfile", "arguments": {} });
    let told = |method, params, authorization, line| Called {
        method,
        params,
        parent: "",
        authorization,
        line,
    };
    let (tool, prompt, resource) = ("tools/call", "prompts/get", "resources/read");
    let book = json!({ "book": "Emma", "stars": "5" });
    let review = json!({ "name": "review", "arguments": book });
    let good = Some(&*bearer);
    let calls = [
        Called {
            parent: &parent,
            ..told(
                tool,
                profile(),
                good,
                (Some("demo"), Some(PROFILE), true, "done", None),
            )
        },
        told(
            tool,
            json!({ "name": "echo", "arguments": { "message": 5 } }),
            good,
            (Some("demo"), Some(ECHO), true, "mistaken", None),
        ),
        told(
            prompt,
            review.clone(),
            None,
            (Some("library"), Some(REVIEW), false, "error", None),
        ),
        told(
            resource,
            json!({ "uri": "library://titles" }),
            None,
            (Some("library"), Some(TITLES), false, "done", None),
        ),
        told(
            resource,
            json!({ "uri": "library://\u{1b}[2J\ncall" }),
            None,
            (None, None, false, "refused", Some("-32002")),
        ),
        told(
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "review" }, "argument": { "name": "book", "value": "E" } }),
            None,
            (Some("library"), Some(COMPLETION), false, "done", None),
        ),
        // Those who are turned away: for want of a token, for a token that is none, for what it says.
        Called {
            parent: "00-0-1-\n2",
            ..told(
                tool,
                profile(),
                None,
                (
                    Some("demo"),
                    Some(PROFILE),
                    false,
                    "denied",
                    Some("missing"),
                ),
            )
        },
        told(
            resource,
            json!({ "uri": "library://loans" }),
            Some("Basic YTpi"),
            (
                Some("library"),
                Some(LOANS),
                false,
                "denied",
                Some("scheme"),
            ),
        ),
        Called {
            parent: &parent,
            ..told(
                tool,
                profile(),
                Some(&changed),
                (
                    Some("demo"),
                    Some(PROFILE),
                    false,
                    "denied",
                    Some("signature"),
                ),
            )
        },
        told(
            prompt,
            review,
            Some("Bearer nonsense"),
            (
                Some("library"),
                Some(REVIEW),
                false,
                "denied",
                Some("malformed"),
            ),
        ),
        told(
            resource,
            json!({ "uri": "library://titles" }),
            Some("Bearer a b"),
            (
                Some("library"),
                Some(TITLES),
                false,
                "denied",
                Some("header_shape"),
            ),
        ),
        told(
            tool,
            json!({ "name": "no\u{1b}[2J\nsuch" }),
            Some(&changed),
            (None, None, false, "denied", Some("signature")),
        ),
        Called {
            params: json!({ "name": "getUserProfile", "_meta": { "authorization": { "token": "nonsense" } } }),
            ..told(
                tool,
                Value::Null,
                None,
                (
                    Some("demo"),
                    Some(PROFILE),
                    false,
                    "denied",
                    Some("malformed"),
                ),
            )
        },
    ];
    let mut exchanged = Vec::new();
    for it in &calls {
        let mut params = it.params.clone();
        params["_meta"]["traceparent"] = json!(it.parent);
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": it.method, "params": params });
        let mut headers = vec![("mcp-protocol-version", "2025-11-25")];
        headers.extend(it.authorization.map(|it| ("authorization", it)));
        let (_, sent) = host.send(&headers, &message).await;
        exchanged.push((message.to_string().len(), sent));
    }
    let token = host.token.clone();
    let lines = host.calls().await;

    let digest = |name: &str| {
        let bytes = fs::read(folder.path().join(format!("mcp/{name}.wasm"))).unwrap();
        cloister::digest::Digest::of(&[&bytes]).to_string()
    };
    let user = lines[0]["user"].as_str().unwrap();
    assert!(user.starts_with("user_"), "{user}");
    assert_eq!(lines.len(), calls.len());
    let mut numbers = Vec::new();
    for ((line, it), (received, sent)) in lines.iter().zip(&calls).zip(exchanged) {
        let (service, function, is_known, outcome, reason) = it.line;
        let expected = json!({
            "method": it.method,
            "service": service,
            "component": service.map(digest),
            "function": function,
            "user": is_known.then_some(user),
            "trace": (it.parent == parent).then_some(trace),
            "outcome": outcome,
            "reason": reason,
            "received": received,
            "sent": sent,
            "requests": 0,
            "origins": null,
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&line[field], value, "`{field}` of {line}");
        }
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
        let ran = outcome == "done" || outcome == "error";
        assert_eq!(line["cpu_us"].as_u64().unwrap() > 0, ran, "{line}");
        assert_eq!(line["memory"].as_u64().unwrap() > 0, ran, "{line}");
        let [wall, cpu] = ["wall_us", "cpu_us"].map(|field| line[field].as_u64().unwrap());
        assert!(wall >= cpu, "{line}");
        let text = line.to_string();
        assert!(
            !text.contains(&token) && !text.contains("nonsense"),
            "{text}"
        );
        numbers.push(line["call"].as_u64().unwrap());
    }
    numbers.dedup();
    assert_eq!(numbers.len(), lines.len());
}

#[tokio::test]
async fn each_call_of_a_batch_leaves_its_line_whatever_becomes_of_all() {
    let folder = folder_with("library");
    let host = Logged::start(&mut for_machines(folder.path())).await;
    let of = |name: &str| call(1, name, json!({}));
    let completion = json!({
        "jsonrpc": "2.0",
        "method": "completion/complete",
        "params": { "ref": { "type": "ref/prompt", "name": "review" }, "argument": { "name": "tone", "value": "" } },
    });
    // Some are answered at once, and one is ready to run, when it shows that a token is wanted.
    let mut batch = json!([
        completion,
        of("noSuchTool"),
        of("getAuthInfo"),
        of("echo"),
        of("noSuchTool"),
        of("echo")
    ]);
    for (index, message) in batch.as_array_mut().unwrap().iter_mut().enumerate() {
        message["id"] = json!(index);
    }
    let good = format!("Bearer {}", host.token);
    let bad = format!("{good}x");
    let [oldest, newer] = ["2025-03-26", "2025-11-25"].map(|it| ("mcp-protocol-version", it));
    let mut sent = Vec::new();
    for (headers, status) in [
        // Whoever must sign in for one of them has to for all of them.
        (vec![oldest], 401),
        (vec![oldest, ("authorization", &*bad)], 401),
        (vec![newer], 400),
        (vec![oldest, ("mcp-session-id", "none")], 404),
        (vec![oldest, ("authorization", &*good)], 200),
    ] {
        let (told, bytes) = host.send(&headers, &batch).await;
        assert_eq!(told, status, "{headers:?}");
        sent.push(bytes);
    }
    let mut lines = host.calls().await;
    // Those that run end when they do.
    lines.sort_by_key(|line| line["call"].as_u64());
    let ends: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!([
                line["service"],
                line["outcome"],
                line["reason"],
                line["sent"]
            ])
        })
        .collect();
    assert_eq!(ends.len(), 30, "{ends:?}");
    let services = [None, None, Some("auth"), Some("demo"), None, Some("demo")];
    for (round, reason) in ["missing", "signature"].into_iter().enumerate() {
        let denied = services.map(|service| json!([service, "denied", reason, sent[round]]));
        assert_eq!(ends[6 * round..][..6], denied);
    }
    for round in [2, 3] {
        let refused = json!([null, "refused", "-32600", sent[round]]);
        assert!(
            ends[6 * round..][..6].iter().all(|it| *it == refused),
            "{ends:?}"
        );
    }
    // When all are served, each has an end of its own.
    let own: Vec<Value> = ends[24..]
        .iter()
        .map(|it| json!([it[0], it[1], it[2]]))
        .collect();
    assert_eq!(
        json!(own),
        json!([
            [null, "done", null],
            [null, "refused", "-32602"],
            ["auth", "done", null],
            ["demo", "mistaken", null],
            [null, "refused", "-32602"],
            ["demo", "mistaken", null],
        ])
    );
    let told = ends[24..].iter().map(|it| it[3].as_u64().unwrap());
    // With commas between them and brackets around.
    assert_eq!(told.sum::<u64>() + 7, u64::try_from(sent[4]).unwrap());
}

#[tokio::test]
async fn a_call_that_is_given_up_while_its_token_is_looked_at_leaves_its_line() {
    let issuer = DevelopmentIssuer::start(cloister::auth::system_clock());
    let issuer = issuer.await.unwrap();
    // It is asked about the token, and never says all of what it knows.
    issuer.fail(Faults {
        api: Some(AnswerFault::Drip),
        ..Faults::default()
    });
    let folder = folder();
    let mut command = for_machines(folder.path());
    command
        .args(["--listen", "127.0.0.1:0"])
        .env("CLERK_ISSUER", issuer.issuer())
        .env("CLERK_API_URL", issuer.issuer())
        .env("CLERK_SECRET_KEY", issuer.secret_key().expose_secret())
        .env("CLERK_OPAQUE_TOKENS", "api_keys");
    let mut host = command.spawn().unwrap();
    let mut banner = BufReader::new(host.stdout.take().unwrap()).lines();
    let reading = async {
        loop {
            let line = banner.next_line().await.unwrap().unwrap();
            if let Some(endpoint) = line.trim().strip_prefix("endpoint") {
                return endpoint.trim().parse().unwrap();
            }
        }
    };
    let url: reqwest::Url = tokio::time::timeout(PATIENCE, reading).await.unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let asked = client
        .post(url.clone())
        .header("content-type", "application/json")
        .bearer_auth("ak_nobody")
        .body(call(1, "getUserProfile", json!({})).to_string())
        .send();
    let looked_at = async {
        let health = url.join("/health").unwrap();
        loop {
            let reply = client.get(health.clone()).send().await.unwrap();
            let health: Value = reply.json().await.unwrap();
            if health["kept"]["answers"] == 1 {
                return;
            }
        }
    };
    tokio::select! {
        answer = asked => panic!("it is not known whose it is: {answer:?}"),
        looked_at = tokio::time::timeout(PATIENCE, looked_at) => looked_at.unwrap(),
    }
    let mut lines = BufReader::new(host.stderr.take().unwrap()).lines();
    let line = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "call" {
                return line;
            }
        }
    };
    let line = tokio::time::timeout(PATIENCE, line).await.unwrap();
    assert_eq!(line["outcome"], "cancelled", "{line}");
    assert_eq!(line["user"], Value::Null, "{line}");
}
