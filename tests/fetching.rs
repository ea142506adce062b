//! Tools that reach out over HTTP: where they get to, where they do not, and what is told of it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{TestHost, text};

/// A server on a loopback address, which answers as the path says.
struct Server {
    port: u16,
    /// The requests that it has seen.
    seen: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&count)));
            }
        });
        Self { port, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// Answers the requests of one connection.
async fn answer(mut stream: TcpStream, seen: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        seen.fetch_add(1, Ordering::SeqCst);
        let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
        let path = text.split(' ').nth(1).unwrap();
        let (kind, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let whole = |status: &str, headers: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}",
                body.len()
            )
        };
        let reply = match kind {
            // What came, as the body.
            "echo" => whole("200 OK", "x-server: loopback\r\n", &text),
            "redirect" => whole("302 Found", &format!("location: http://{rest}/\r\n"), ""),
            "large" => whole("200 OK", "", &"x".repeat(rest.parse().unwrap())),
            // Takes a body, however long.
            "sink" => {
                let mut body = [0; 4096];
                loop {
                    match stream.read(&mut body).await {
                        Ok(0) | Err(_) => return,
                        Ok(read) if body[..read].ends_with(b"0\r\n\r\n") => break,
                        Ok(_) => {}
                    }
                }
                whole("204 No Content", "", "")
            }
            // Never says a word.
            "silent" => {
                let _end = stream.read_u8().await;
                return;
            }
            // Never ends.
            "endless" => {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
                let mut going = stream.write_all(head.as_bytes()).await;
                while going.is_ok() {
                    going = stream.write_all(chunk.as_bytes()).await;
                }
                return;
            }
            other => panic!("{other}"),
        };
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A host with the fetcher, and what its manifest says.
async fn fetcher(manifest: &str, settings: &[(&'static str, &str)]) -> TestHost {
    let host = TestHost::with(&[], settings).await;
    fs::write(host.file("fetcher.toml"), manifest).unwrap();
    host.put("fetcher", "guest_fetcher");
    host.until(|names| !names.is_empty()).await;
    host
}

fn allow(origins: &[&str]) -> String {
    format!("[http]\nallow = {origins:?}\n")
}

async fn fetch(host: &TestHost, arguments: Value) -> Result<Value, String> {
    let result = host.call(None, "fetch", arguments).await;
    if result["isError"] == true {
        Err(text(&result).to_owned())
    } else {
        Ok(result["structuredContent"].clone())
    }
}

#[tokio::test]
async fn a_service_reaches_what_its_manifest_allows_and_nothing_else() {
    let server = Server::start().await;
    let other = Server::start().await;
    let (port, closed) = (server.port, other.port);
    let host = fetcher(
        &allow(&[
            &format!("http://127.0.0.1:{port}"),
            &format!("http://localhost:{port}"),
            &format!("http://*.example.invalid:{port}"),
        ]),
        &[],
    )
    .await;

    // However the address is spelled, it is the one that is allowed.
    for authority in [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "LOCALHOST",
        "@localhost",
        "localhost.",
    ] {
        let url = format!("http://{authority}:{port}/echo");
        let reply = fetch(&host, json!({ "url": url })).await.unwrap();
        assert_eq!(reply["status"], 200, "{url}: {reply}");
    }
    let reached = server.seen();
    assert_eq!(reached, 8);

    let denied = "HttpRequestDenied";
    let invalid = "HttpRequestUriInvalid";
    for (url, error) in [
        (format!("https://127.0.0.1:{port}/echo"), denied),
        (format!("http://127.0.0.1:{closed}/echo"), denied),
        ("http://127.0.0.1/echo".to_owned(), denied),
        (format!("http://127.0.0.2:{port}/echo"), denied),
        (format!("http://[::1]:{port}/echo"), denied),
        (format!("http://[::ffff:127.0.0.1]:{port}/echo"), denied),
        (format!("http://[::127.0.0.1]:{port}/echo"), denied),
        (format!("http://0.0.0.0:{port}/echo"), denied),
        (format!("http://0:{port}/echo"), denied),
        ("http://169.254.169.254/latest".to_owned(), denied),
        ("http://2852039166/latest".to_owned(), denied),
        (format!("http://localhost:{closed}/echo"), denied),
        (format!("http://example.invalid:{port}/echo"), denied),
        (format!("http://.example.invalid:{port}/echo"), denied),
        (format!("http://anexample.invalid:{port}/echo"), denied),
        (format!("http://a.example.invalid:{closed}/echo"), denied),
        (format!("http://localhost.evil.invalid:{port}/echo"), denied),
        (format!("http://evil-localhost:{port}/echo"), denied),
        (
            format!("http://127.0.0.1:{port}@127.0.0.1:{closed}/echo"),
            invalid,
        ),
        (format!("http://user@127.0.0.1:{port}/echo"), invalid),
        ("ftp://127.0.0.1/echo".to_owned(), "HttpProtocolError"),
        (
            format!("http://127.0.0.1:{port}\\@evil.invalid/echo"),
            "no authority",
        ),
    ] {
        let told = fetch(&host, json!({ "url": url })).await.unwrap_err();
        assert!(told.contains(error), "{url}: {told}");
    }
    for method in ["TRACE", "CONNECT", "track"] {
        let told = fetch(
            &host,
            json!({ "url": server.url("/echo"), "method": method }),
        )
        .await;
        assert!(told.unwrap_err().contains("MethodInvalid"), "{method}");
    }
    assert_eq!((server.seen(), other.seen()), (reached, 0));
}

#[tokio::test]
async fn a_call_that_fails_over_it_names_the_line_of_the_manifest_that_is_missing() {
    let host = TestHost::serving(&[("fetcher", "guest_fetcher")]).await;
    let result = host
        .call(
            None,
            "insist",
            json!({ "url": "https://API.example.com:443/forecast" }),
        )
        .await;
    insta::assert_snapshot!(text(&result), @r#"the tool `insist` of the service `fetcher` gave no result: it ended by a fault of its own after it was refused something: it may not send requests to `https://api.example.com`; `[http] allow = ["https://api.example.com"]` in `mcp/fetcher.toml` would grant it"#);
}

#[tokio::test]
async fn the_host_puts_headers_on_for_one_origin_and_no_guest_sees_or_changes_them() {
    let server = Server::start().await;
    let other = Server::start().await;
    let (url, elsewhere) = (server.url(""), other.url(""));
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("key");
    fs::write(&secret, "s3cret\n").unwrap();
    let host = fetcher(
        &format!(
            "{}headers.{url:?} = {{ Authorization = \"Bearer ${{secret.KEY}}\" }}\n[secrets]\nKEY = {{ file = {secret:?} }}\n",
            allow(&[&url, &elsewhere])
        ),
        &[],
    )
    .await;
    let own = json!([
        { "name": "authorization", "value": "Basic mine" },
        { "name": "te", "value": "trailers" },
        { "name": "x-mine", "value": "1" },
    ]);
    for (server, authorization) in [(&server, "Bearer s3cret"), (&other, "Basic mine")] {
        let arguments = json!({ "url": server.url("/echo"), "headers": own });
        let reply = fetch(&host, arguments).await.unwrap();
        let sent: Vec<&str> = reply["body"].as_str().unwrap().split("\r\n").collect();
        let mut sent: Vec<&str> = sent
            .iter()
            .copied()
            .filter(|line| !line.is_empty())
            .collect();
        sent.sort_unstable();
        assert_eq!(
            sent,
            [
                "GET /echo HTTP/1.1",
                "accept: */*",
                &format!("authorization: {authorization}"),
                &format!("host: 127.0.0.1:{}", server.port),
                "user-agent: cloister/0.1.0",
                "x-mine: 1",
            ]
        );
        assert_eq!(
            reply["headers"],
            json!([{ "name": "content-length", "value": reply["body"].as_str().unwrap().len().to_string() }, { "name": "x-server", "value": "loopback" }])
        );
    }
    // What belongs to the transport is not the guest's either.
    for name in [
        "host",
        "connection",
        "transfer-encoding",
        "proxy-authorization",
    ] {
        let headers = json!([{ "name": name, "value": "x" }]);
        let told = fetch(
            &host,
            json!({ "url": server.url("/echo"), "headers": headers }),
        )
        .await;
        assert!(told.unwrap_err().contains("Forbidden"), "{name}");
    }
}

#[tokio::test]
async fn a_redirect_is_the_guests_to_follow_and_is_checked_anew() {
    let server = Server::start().await;
    let other = Server::start().await;
    let host = fetcher(&allow(&[&server.url("")]), &[]).await;
    let path = format!("/redirect/127.0.0.1:{}", other.port);
    let reply = fetch(&host, json!({ "url": server.url(&path) }))
        .await
        .unwrap();
    assert_eq!(reply["status"], 302);
    let location = reply["headers"][1]["value"].as_str().unwrap();
    assert_eq!(location, other.url("/"));
    let told = fetch(&host, json!({ "url": location })).await.unwrap_err();
    assert!(told.contains("HttpRequestDenied"), "{told}");
    assert_eq!(other.seen(), 0);
}

#[tokio::test]
async fn what_a_call_may_exchange_has_a_limit_in_bytes_time_and_number() {
    let server = Server::start().await;
    let manifest = format!(
        "{}[limits]\nhttp = \"64KiB\"\ntimeout = \"1s\"\n",
        allow(&[&server.url("")])
    );
    let host = fetcher(&manifest, &[]).await;
    let reply = fetch(&host, json!({ "url": server.url("/large/60000") }))
        .await
        .unwrap();
    assert_eq!(reply["body"].as_str().unwrap().len(), 60_000);
    for (path, error) in [
        (
            "/large/70000",
            "HTTP response body size exceeds limit: 65536 bytes",
        ),
        (
            "/endless",
            "HTTP response body size exceeds limit: 65536 bytes",
        ),
        (
            "/silent",
            "the tool `fetch` of the service `fetcher` gave no result: it was stopped after 1 s, the longest a call of it may take",
        ),
    ] {
        let told = fetch(&host, json!({ "url": server.url(path) }))
            .await
            .unwrap_err();
        assert_eq!(told, error, "{path}");
    }
    for (bytes, outcome) in [
        (60_000, "204"),
        (70_000, "HttpRequestBodySize(Some(65536))"),
        (1_u64 << 40, "HttpRequestBodySize(Some(65536))"),
    ] {
        let arguments = json!({ "url": server.url("/sink"), "bytes": bytes.to_string() });
        let result = host.call(None, "upload", arguments).await;
        assert!(text(&result).contains(outcome), "{bytes}: {result}");
    }

    let before = server.seen();
    let arguments = json!({ "url": server.url("/echo"), "count": 900 });
    let result = host.call(None, "flood", arguments).await;
    assert_eq!(
        result["structuredContent"],
        json!({ "answered": 32, "refused": 868 })
    );
    assert_eq!(server.seen(), before + 32);
}
