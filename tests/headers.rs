//! What a request of revision 2026-07-28 must carry, and what is said when it does not, in the order in
//! which it is looked at.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestHost, modern};

const META: &str = "io.modelcontextprotocol/";

/// The WIT of the plain service, with arguments that are repeated in headers.
const WIT: &str = "package acme:plain@1.2.3;
interface shapes {
  record point { x: s32, y: s32, label: option<string> }
  mirror: func(at: point) -> result<point, string>;
  /// @header start Start
  sum: func(terms: list<s32>, start: option<s32>) -> s64;
}
world plain {
  export shapes;
  /// @header name X-Name
  export greet: func(name: string) -> string;
}";

async fn host() -> TestHost {
    let host = TestHost::serving(&[("asker", "guest_asker")]).await;
    fs::write(host.file("plain.wit"), WIT).unwrap();
    host.put("plain", "guest_plain");
    host.put("demo", "cloister_demo");
    host.until(|names| {
        ["echo", "sum"]
            .iter()
            .all(|name| names.iter().any(|it| it == name))
    })
    .await;
    host
}

/// A request that is right, to be spoilt.
struct Sent {
    headers: Vec<(&'static str, String)>,
    body: Value,
}

impl Sent {
    fn new(method: &str, params: Value) -> Self {
        let (headers, body) = modern(method, params);
        Self { headers, body }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    fn meta(mut self, key: &str, value: Value) -> Self {
        self.body["params"]["_meta"][format!("{META}{key}")] = value;
        self
    }

    fn member(mut self, key: &str, value: Value) -> Self {
        self.body[key] = value;
        self
    }
}

#[tokio::test]
async fn every_mistake_has_its_code_and_its_status() {
    let host = host().await;
    let list = || Sent::new("tools/list", json!({}));
    let call = |name: &str, arguments: Value| {
        Sent::new(
            "tools/call",
            json!({ "name": name, "arguments": arguments }),
        )
    };
    let version = "mcp-protocol-version";
    let cases = [
        (list(), 200, 0),
        // 1: who speaks from where
        (list().with("host", "evil.example"), 403, -32600),
        (list().with("origin", "https://evil.example"), 403, -32600),
        (list().with("accept", "text/html"), 406, -32600),
        (list().with("content-type", "text/plain"), 415, -32600),
        // 4: a token that is none
        (list().with("authorization", "Bearer x"), 401, 0),
        // 5, 6: a message
        (list().member("jsonrpc", json!("2")), 400, -32600),
        (list().member("id", Value::Null), 400, -32600),
        (list().member("id", json!(1.5)), 400, -32600),
        (list().member("method", json!(5)), 400, -32600),
        (list().member("params", json!([])), 400, -32600),
        // 7: what it says of its client
        (list().meta("protocolVersion", json!(5)), 400, -32602),
        (list().meta("clientCapabilities", json!([])), 400, -32602),
        (list().meta("clientCapabilities", Value::Null), 400, -32602),
        (
            list().meta("protocolVersion", json!(5)).without(version),
            400,
            -32602,
        ),
        (list().meta("logLevel", json!("loud")), 400, -32602),
        // 8: headers agree with the body
        (list().without(version), 400, -32020),
        (list().with(version, "2025-11-25"), 400, -32020),
        (list().meta("protocolVersion", json!("v9")), 400, -32020),
        // 9: versions that are not served so
        (
            list()
                .meta("protocolVersion", json!("v9"))
                .with(version, "v9"),
            400,
            -32022,
        ),
        (
            list()
                .meta("protocolVersion", json!("2025-11-25"))
                .with(version, "2025-11-25"),
            400,
            -32022,
        ),
        // 10: headers for whoever stands between
        (list().without("mcp-method"), 400, -32020),
        (list().with("mcp-method", "Tools/list"), 400, -32020),
        (call("sum", json!({})).without("mcp-name"), 400, -32020),
        (
            call("sum", json!({})).with("mcp-name", "greet"),
            400,
            -32020,
        ),
        (
            Sent::new("resources/read", json!({ "uri": "a://b" })).with("mcp-name", "a://c"),
            400,
            -32020,
        ),
        // 11: methods
        (
            Sent::new("initialize", json!({ "protocolVersion": "2025-11-25" })),
            404,
            -32601,
        ),
        (Sent::new("ping", json!({})), 404, -32601),
        (
            Sent::new("logging/setLevel", json!({ "level": "info" })),
            404,
            -32601,
        ),
        (
            Sent::new("resources/subscribe", json!({ "uri": "a://b" })).without("mcp-name"),
            404,
            -32601,
        ),
        (Sent::new("resources/unsubscribe", json!({})), 404, -32601),
        (Sent::new("tasks/list", json!({})), 404, -32601),
        // 13: what the client must be able to do
        (call("elicitName", json!({})), 400, -32021),
        // 14: mirrored arguments
        (call("greet", json!({ "name": "Ada" })), 400, -32020),
        // 15: params
        (call("nothing", json!({})), 200, -32602),
        (Sent::new("tools/call", json!({})), 200, -32602),
        (Sent::new("tools/call", json!({ "name": 5 })), 200, -32602),
        (call("greet", json!([])), 200, -32602),
        (
            Sent::new(
                "tools/call",
                json!({ "name": "greet", "requestState": "x" }),
            ),
            200,
            0,
        ),
        (
            Sent::new(
                "tools/call",
                json!({ "name": "sum", "arguments": { "terms": [] }, "requestState": "x" }),
            ),
            200,
            -32602,
        ),
        (
            Sent::new("prompts/get", json!({ "name": "nothing" })),
            200,
            -32602,
        ),
        (
            Sent::new("resources/read", json!({ "uri": "a://b" })),
            200,
            -32602,
        ),
        (
            Sent::new("tools/list", json!({ "cursor": "?" })),
            200,
            -32602,
        ),
        // 16: the tool itself
        (call("greet", json!({})), 200, 0),
    ];
    for (number, (sent, status, code)) in cases.into_iter().enumerate() {
        let mut request = host.client.post(host.url());
        if !sent.headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &sent.headers {
            request = request.header(*name, value);
        }
        let reply = request.body(sent.body.to_string()).send().await.unwrap();
        let got = reply.status();
        if status == 401 {
            // Clients take that for what it is, whatever the body says.
            assert_eq!(got, 401, "{number}");
            assert!(reply.headers().contains_key("www-authenticate"));
            continue;
        }
        let answer: Value = reply.json().await.unwrap();
        let shown = format!("{number}: {} {answer}", sent.body);
        assert_eq!(got, status, "{shown}");
        assert_eq!(
            answer["error"]["code"].as_i64().unwrap_or(0),
            code,
            "{shown}"
        );
        assert_eq!(answer["jsonrpc"], "2.0", "{shown}");
        let id = &sent.body["id"];
        if (id.is_i64() || id.is_string()) && ![403, 406, 415].contains(&status) {
            assert_eq!(answer["id"], *id, "{shown}");
        } else {
            assert!(answer.get("id").is_none(), "{shown}");
        }
        match code {
            -32021 => {
                let required = json!({ "elicitation": { "form": {} } });
                assert_eq!(answer["error"]["data"]["requiredCapabilities"], required);
            }
            -32022 => assert_eq!(answer["error"]["data"]["supported"][0], "2026-07-28"),
            -32602 if sent.body["params"]["uri"].is_string() => {
                assert_eq!(answer["error"]["data"]["uri"], sent.body["params"]["uri"]);
            }
            _ => {}
        }
    }
    // 2: this revision knows POST alone, whatever session is named.
    for method in [Method::GET, Method::DELETE] {
        let request = host.client.request(method, host.url());
        let request = request.header(version, "2026-07-28");
        let reply = request.header("mcp-session-id", "x").send().await.unwrap();
        assert_eq!(reply.status(), 405);
        assert_eq!(reply.headers()["allow"], "POST");
        assert!(reply.json::<Value>().await.unwrap()["error"].is_object());
    }
}

#[tokio::test]
async fn arguments_that_headers_repeat_agree_with_them() {
    let host = host().await;
    let sum = |start: Value| ("sum", json!({ "terms": [], "start": start }));
    let greet = |name: &str| ("greet", json!({ "name": name }));
    for ((tool, arguments), headers, fits) in [
        (sum(json!(42)), &[("start", "42")][..], true),
        (sum(json!(42)), &[("start", "42.0")], true),
        (sum(json!(42.0)), &[("start", "42")], true),
        (sum(json!(-42)), &[("start", "=?base64?LTQy?=")], true),
        (sum(json!(42)), &[("start", "42"), ("other", "1")], true),
        (sum(json!(42)), &[("start", "43")], false),
        (sum(json!(42)), &[("start", "42.5")], false),
        (sum(json!(42)), &[("start", "42.")], false),
        (sum(json!(42)), &[("start", "")], false),
        (sum(json!(42)), &[], false),
        // One that is not there, or null, has no header.
        (sum(Value::Null), &[], true),
        (sum(Value::Null), &[("start", "null")], false),
        (("sum", json!({ "terms": [] })), &[], true),
        (("sum", json!({ "terms": [] })), &[("start", "0")], false),
        (greet("Ada"), &[("x-name", "Ada")], true),
        (greet("Ada"), &[("x-name", " Ada\t")], true),
        (greet("Ada"), &[("x-name", "ada")], false),
        (greet("Ada"), &[], false),
        (greet(""), &[("x-name", "")], true),
        (
            greet(" padded "),
            &[("x-name", "=?base64?IHBhZGRlZCA=?=")],
            true,
        ),
        (
            greet("Hello, 世界"),
            &[("x-name", "=?base64?SGVsbG8sIOS4lueVjA==?=")],
            true,
        ),
        (
            greet("=?base64?literal?="),
            &[("x-name", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=")],
            true,
        ),
        // Without both of its ends it is what it says.
        (
            greet("=?base64?SGVsbG8="),
            &[("x-name", "=?base64?SGVsbG8=")],
            true,
        ),
        (greet("SGVsbG8="), &[("x-name", "SGVsbG8=")], true),
        (greet("Hello"), &[("x-name", "=?base64?SGVsbG8?=")], false),
        (
            greet("Hello"),
            &[("x-name", "=?base64?SGVs!!!bG8=?=")],
            false,
        ),
        (greet("Hello"), &[("x-name", "=?base64?//8=?=")], false),
    ] {
        let sent = Sent::new(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        );
        let names: Vec<_> = headers
            .iter()
            .map(|(name, value)| (format!("Mcp-Param-{name}"), *value))
            .collect();
        let headers: Vec<(&str, &str)> = sent
            .headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .chain(names.iter().map(|(name, value)| (&**name, *value)))
            .collect();
        let reply = host.send_with(None, &headers, sent.body.to_string()).await;
        let answer = reply.json();
        let shown = format!("{arguments} {names:?} {answer}");
        if fits {
            assert_eq!(reply.status, 200, "{shown}");
            assert!(answer["result"]["structuredContent"].is_object(), "{shown}");
        } else {
            assert_eq!(reply.status, 400, "{shown}");
            assert_eq!(answer["error"]["code"], -32020, "{shown}");
        }
    }
    // Nobody else has to send them.
    let old = host
        .call(None, "mirror", json!({ "at": { "x": 1, "y": 2 } }))
        .await;
    assert!(old["structuredContent"].is_object());
}

#[tokio::test]
async fn what_is_said_twice_is_refused() {
    let host = host().await;
    let token = host.token("user_ada");
    let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
    let able = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
    let once = format!(r#"{{"authorization":{{"token":"{token}"}},"x":1,"x":2,{version},{able}}}"#);
    let authorized = once.replacen('{', r#"{"authorization":{"token":"x"},"#, 1);
    let (headers, _) = modern("tools/call", json!({ "name": "echo" }));
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    for (params, status, code) in [
        (format!(r#""name":"echo","_meta":{once}"#), 200, 0),
        (
            format!(r#""name":"echo","name":"echo","_meta":{once}"#),
            400,
            -32600,
        ),
        (
            format!(r#""name":"echo","_meta":{once},"_meta":{once}"#),
            400,
            -32600,
        ),
        (
            format!(r#""name":"echo","_meta":{authorized}"#),
            400,
            -32602,
        ),
        (
            format!(r#""name":"echo","_meta":{{{version},{version},{able}}}"#),
            400,
            -32602,
        ),
        (
            format!(r#""name":"echo","_meta":{{{version},{able},{able}}}"#),
            400,
            -32602,
        ),
    ] {
        let arguments = r#""arguments":{"message":"hi"}"#;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params},{arguments}}}}}"#
        );
        let reply = host.send_with(None, &headers, body).await;
        let answer = reply.json();
        assert_eq!(reply.status, status, "{answer}");
        assert_eq!(
            answer["error"]["code"].as_i64().unwrap_or(0),
            code,
            "{answer}"
        );
        assert!(!reply.text.contains(&token));
    }
    for twice in [
        "mcp-name",
        "mcp-method",
        "mcp-protocol-version",
        "mcp-session-id",
        "mcp-param-a",
    ] {
        let headers = [(twice, "a"), (twice, "a")];
        let reply = host.send_with(None, &headers, "{}").await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["error"]["code"]),
            (400, &json!(-32020))
        );
    }
}
