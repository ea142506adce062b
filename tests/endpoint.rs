//! What is answered to those who do not know the protocol, and to those who mean harm.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use reqwest::Method;
use serde_json::json;

use crate::harness::TestHost;

async fn host() -> TestHost {
    TestHost::serving(&[("plain", "guest_plain")]).await
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

#[tokio::test]
async fn health_is_ready_once_all_is_loaded() {
    let host = host().await;
    let mut health = serde_json::Value::Null;
    // The keys may take a moment longer than the services.
    for _ in 0..1_000 {
        let reply = host
            .client
            .get(host.url_of("/health"))
            .send()
            .await
            .unwrap();
        let ready = reply.status() == 200;
        health = reply.json().await.unwrap();
        if ready {
            break;
        }
        tokio::task::yield_now().await;
    }
    // Other tests put their code there, too.
    let (components, code) = (
        health["kept"]["components"].clone(),
        health["kept"]["code"].clone(),
    );
    assert!(components.as_u64() >= Some(1), "{health}");
    assert!(code.as_u64() > components.as_u64(), "{health}");
    let open = health["open"].as_object_mut().unwrap();
    assert!(open.remove("connections").unwrap().as_u64().unwrap() >= 1);
    assert_eq!(
        health,
        json!({
            "status": "ready",
            "services": 1,
            "tools": 3,
            "prompts": 0,
            "resources": 0,
            "templates": 0,
            "open": {
                "calls": 0,
                "asking": 0,
                "queued": 0,
                "memory": 0,
                "files": 0,
                "writes": 0,
                "sessions": 0,
                "streams": 0,
            },
            "kept": { "keys": 1, "answers": 0, "components": components, "code": code },
            "buckets": "on disk",
            "keys": "loaded",
        })
    );
}

#[tokio::test]
async fn what_is_no_message_is_refused_as_json() {
    let host = host().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_arguments = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"sum","arguments":{deep}}}}}"#
    );
    let long_name = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    for (body, status, code) in [
        ("", 400, -32700),
        ("{", 400, -32700),
        ("nonsense", 400, -32700),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"} {}"#,
            400,
            -32700,
        ),
        ("[]", 400, -32600),
        ("[1", 400, -32700),
        ("5", 400, -32600),
        ("{}", 400, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, 400, -32600),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            400,
            -32600,
        ),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, 400, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            400,
            -32600,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
            400,
            -32600,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#,
            400,
            -32600,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sum","arguments":[]}}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}"#,
            200,
            -32602,
        ),
        (&*deep, 400, -32600),
        (&*deep_arguments, 400, -32700),
        (&*long_name, 200, -32601),
    ] {
        let reply = host.send_with(None, &[], body.to_owned()).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!(reply.status, status, "{shown}: {}", reply.text);
        let error = reply.json();
        assert_eq!(error["error"]["code"], code, "{shown}: {error}");
        assert!(reply.text.len() < 1_000, "{shown}");
        assert!(!reply.text.contains('\n'), "{shown}");
    }
    let reply = host.send_with(None, &[], b"\xff\xfe".to_vec()).await;
    assert_eq!(reply.json()["error"]["code"], -32700);
}

#[tokio::test]
async fn an_id_comes_back_as_it_was_sent() {
    let host = host().await;
    for id in [
        "1",
        "-7",
        "\"\"",
        "\"a\\u0041\"",
        "9007199254740993",
        "123456789012345678901234567890",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let reply = host.send_with(None, &[], body).await;
        assert_eq!(
            reply.text,
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
        );
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read() {
    let host = TestHost::with(&[], &[("limits.body", "64KiB")]).await;
    let fits = format!("{LIST}{}", " ".repeat((64 << 10) - LIST.len()));
    assert_eq!(host.send_with(None, &[], fits.clone()).await.status, 200);
    let reply = host.send_with(None, &[], format!("{fits} ")).await;
    assert_eq!(reply.status, 413);
    assert!(
        reply.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("65536")
    );
}

#[tokio::test]
async fn other_methods_paths_and_types_are_told_what_would_work() {
    let host = host().await;
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let reply = host
            .client
            .request(method.clone(), host.url())
            .header("accept", "text/event-stream")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 405, "{method}");
        assert_eq!(reply.headers()["allow"], "POST");
        assert!(reply.json::<serde_json::Value>().await.unwrap()["error"].is_object());
    }
    let reply = host
        .client
        .get(host.url_of("/nothing"))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 404);

    for (content_type, status) in [
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ] {
        let reply = host
            .client
            .post(host.url())
            .header("content-type", content_type)
            .body(LIST)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), status, "{content_type}");
    }
}

#[tokio::test]
async fn what_a_client_accepts_is_read_generously() {
    let host = host().await;
    for (accept, status, content_type) in [
        (None, 200, "application/json"),
        (Some("*/*"), 200, "application/json"),
        (Some("application/json"), 200, "application/json"),
        (
            Some("text/event-stream, application/json;q=0.5"),
            200,
            "application/json",
        ),
        (Some("text/event-stream"), 200, "text/event-stream"),
        (Some("text/html"), 406, "application/json"),
    ] {
        let mut request = host
            .client
            .post(host.url())
            .header("content-type", "application/json")
            .body(LIST);
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), status, "{accept:?}");
        assert_eq!(reply.headers()["content-type"], content_type, "{accept:?}");
        if content_type == "text/event-stream" {
            assert_eq!(reply.headers()["cache-control"], "no-cache");
            assert_eq!(reply.headers()["x-accel-buffering"], "no");
            let text = reply.text().await.unwrap();
            assert!(text.starts_with("event: message\ndata: {"), "{text}");
            assert!(text.ends_with("}\n\n"));
        }
    }
}

#[tokio::test]
async fn pages_and_proxies_that_do_not_belong_here_are_refused() {
    let host = host().await;
    for (name, value, status) in [
        ("host", "evil.example", 403),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("x-forwarded-for", "203.0.113.7", 403),
        ("forwarded", "for=203.0.113.7", 403),
        ("host", "localhost", 200),
        ("origin", "http://localhost:6274", 200),
    ] {
        for method in [Method::GET, Method::DELETE] {
            let request = host.client.request(method, host.url());
            let reply = request.header(name, value).send().await.unwrap();
            // Whoever may come in is told that there is nothing for them.
            let expected = if status == 200 { 405 } else { status };
            assert_eq!(reply.status(), expected, "{name}: {value}");
        }
        let reply = host.send_with(None, &[(name, value)], LIST).await;
        assert_eq!(reply.status, status, "{name}: {value}");
        if status == 403 {
            assert!(reply.json()["error"]["message"].is_string());
            assert!(reply.json().get("id").is_none());
        } else if name == "origin" {
            assert_eq!(reply.header("access-control-allow-origin"), value);
        }
    }
}

#[tokio::test]
async fn a_browser_that_asks_first_is_told() {
    let host = host().await;
    let reply = host
        .client
        .request(Method::OPTIONS, host.url())
        .header("origin", "http://localhost:6274")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization, mcp-param-city, x-other",
        )
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 204);
    let methods = &reply.headers()["access-control-allow-methods"];
    assert_eq!(methods, "POST, GET, DELETE, OPTIONS");
    let allowed = reply.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("mcp-param-city"));
    assert!(!allowed.contains("x-other"));
}

#[tokio::test]
async fn headers_without_number_are_refused_and_serve_nobody_badly() {
    let host = host().await;
    for (count, status) in [(80, 200), (5_000, 431)] {
        let mut request = host.client.post(host.url()).body(LIST);
        for number in 0..count {
            request = request.header(format!("mcp-param-{number}"), "x");
        }
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), status, "{count}");
    }
    assert_eq!(host.send_with(None, &[], LIST).await.status, 200);
}

#[tokio::test]
async fn connections_that_stall_keep_nobody_waiting() {
    let host = host().await;
    let url: reqwest::Url = host.url().parse().unwrap();
    let address = url.socket_addrs(|| None).unwrap();
    let beginnings = [
        "",
        "POST /mcp HT",
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-le",
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"jsonrpc\"",
    ];
    let stalled: Vec<_> = beginnings
        .iter()
        .cycle()
        .zip(0..100)
        .map(|(beginning, number)| {
            let mut socket = TcpStream::connect(&*address).unwrap();
            socket.write_all(beginning.as_bytes()).unwrap();
            if number % 8 < 4 {
                socket.shutdown(Shutdown::Write).unwrap();
            }
            socket
        })
        .collect();
    assert_eq!(host.send_with(None, &[], LIST).await.status, 200);
    drop(stalled);
}
