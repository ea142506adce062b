//! Tools that reach out over HTTP: where they get to, where they do not, and what is told of it.

use std::fs;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::{TestHost, call, text};

/// The same tools with `wasi:http` 0.2, and with 0.3. What holds for one holds for the other.
const BOTH: [&str; 2] = ["guest_fetcher", "guest_gatherer"];

/// A server on a loopback address, which answers as the path says.
struct Server {
    port: u16,
    /// The requests that it has seen.
    seen: watch::Sender<usize>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = watch::Sender::new(0);
        let count = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, count.clone()));
            }
        });
        Self { port, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn seen(&self) -> usize {
        *self.seen.borrow()
    }
}

/// Answers the requests of one connection.
async fn answer(mut stream: TcpStream, seen: watch::Sender<usize>) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        seen.send_modify(|seen| *seen += 1);
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
            "headers" => {
                let value = "x".repeat(rest.parse().unwrap());
                whole("200 OK", &format!("x-long: {value}\r\n"), "")
            }
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
            // Says nothing before so many have asked.
            "together" => {
                let wanted: usize = rest.parse().unwrap();
                let mut seen = seen.subscribe();
                seen.wait_for(|seen| *seen >= wanted).await.unwrap();
                whole("200 OK", "", "")
            }
            // Says how much it will say, and no more.
            "stalling" => {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                let _end = stream.read_u8().await;
                return;
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

/// A host with one of the guests, and what its manifest says.
async fn fetcher(guest: &str, manifest: &str, settings: &[(&'static str, &str)]) -> TestHost {
    let host = TestHost::with(&[], settings).await;
    fs::write(host.file("fetcher.toml"), manifest).unwrap();
    host.put("fetcher", guest);
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
    for guest in BOTH {
        let server = Server::start().await;
        let other = Server::start().await;
        let (port, closed) = (server.port, other.port);
        let host = fetcher(
            guest,
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
}

#[tokio::test]
async fn a_call_that_fails_over_it_names_the_line_of_the_manifest_that_is_missing() {
    for guest in BOTH {
        let host = TestHost::serving(&[("fetcher", guest)]).await;
        let arguments = json!({ "url": "https://API.example.com:443/forecast" });
        let result = host.call(None, "insist", arguments).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(text(&result), @r#"the tool `insist` of the service `fetcher` gave no result: it ended by a fault of its own after it was refused something: it may not send requests to `https://api.example.com`; the operator grants it in `mcp/fetcher.toml`, under `[http]`: allow = ["https://api.example.com"]"#);
        }
    }
}

#[tokio::test]
async fn the_host_puts_headers_on_for_one_origin_and_no_guest_sees_or_changes_them() {
    for guest in BOTH {
        let server = Server::start().await;
        let other = Server::start().await;
        let (url, elsewhere) = (server.url(""), other.url(""));
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("key");
        fs::write(&secret, "s3cret\n").unwrap();
        let host = fetcher(
            guest,
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
}

#[tokio::test]
async fn a_redirect_is_the_guests_to_follow_and_is_checked_anew() {
    for guest in BOTH {
        let server = Server::start().await;
        let other = Server::start().await;
        let host = fetcher(guest, &allow(&[&server.url("")]), &[]).await;
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
}

#[tokio::test]
async fn what_a_call_may_exchange_has_a_limit_in_bytes_time_and_number() {
    for guest in BOTH {
        let server = Server::start().await;
        let manifest = format!("{}[limits]\nhttp = \"64KiB\"\n", allow(&[&server.url("")]));
        let host = fetcher(guest, &manifest, &[]).await;
        let reply = fetch(&host, json!({ "url": server.url("/large/60000") }))
            .await
            .unwrap();
        assert_eq!(reply["body"].as_str().unwrap().len(), 60_000);
        let too_large = match guest {
            "guest_fetcher" => "HTTP response body size exceeds limit: 65536 bytes",
            _ => "ErrorCode::HttpResponseBodySize(Some(65536))",
        };
        for path in ["/large/70000", "/endless"] {
            let told = fetch(&host, json!({ "url": server.url(path) }))
                .await
                .unwrap_err();
            assert_eq!(told, too_large, "{path}");
        }
        let manifest = format!("{}[limits]\ntimeout = \"1s\"\n", allow(&[&server.url("")]));
        let hasty = fetcher(guest, &manifest, &[]).await;
        let told = fetch(&hasty, json!({ "url": server.url("/silent") })).await;
        assert_eq!(
            told.unwrap_err(),
            "the tool `fetch` of the service `fetcher` gave no result: it was stopped after 1 s, the longest a call of it may take"
        );
        let generous = fetcher(guest, &allow(&[&server.url("")]), &[]).await;
        for (bytes, outcome) in [
            (120_000, "200"),
            (140_000, "HttpResponseHeaderSectionSize(Some(131072))"),
        ] {
            let url = server.url(&format!("/headers/{bytes}"));
            let result = generous.call(None, "fetch", json!({ "url": url })).await;
            assert!(text(&result).contains(outcome), "{bytes}");
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
}

#[tokio::test]
async fn what_one_call_asks_for_it_asks_for_at_once() {
    let server = Server::start().await;
    let host = fetcher("guest_gatherer", &allow(&[&server.url("")]), &[]).await;
    // Each answer waits for the last request.
    let arguments = json!({ "url": server.url("/together/32"), "count": 32 });
    let result = host.call(None, "flood", arguments).await;
    assert_eq!(
        result["structuredContent"],
        json!({ "answered": 32, "refused": 0 }),
        "{result}"
    );
    assert_eq!(server.seen(), 32);
}

#[tokio::test]
async fn a_guest_says_how_long_it_waits_gives_up_and_passes_on_what_it_gets() {
    let server = Server::start().await;
    let host = fetcher("guest_gatherer", &allow(&[&server.url("")]), &[]).await;
    for (path, longest, error) in [
        ("/silent", "first", "ErrorCode::HttpResponseTimeout"),
        ("/stalling", "between", "ErrorCode::ConnectionReadTimeout"),
    ] {
        let arguments = json!({ "url": server.url(path), longest: 50 });
        let result = host.call(None, "hurry", arguments).await;
        assert_eq!(text(&result), error, "{path}");
    }
    let arguments =
        json!({ "url": server.url("/silent"), "count": 100, "other": server.url("/echo") });
    let result = host.call(None, "giveUp", arguments).await;
    assert_eq!(result["structuredContent"]["status"], 200, "{result}");
    let arguments = json!({ "source": server.url("/large/60000"), "target": server.url("/sink") });
    let result = host.call(None, "relay", arguments).await;
    assert_eq!(result["structuredContent"]["status"], 204, "{result}");
    // What is passed on counts as received, and as sent.
    let manifest = format!("{}[limits]\nhttp = \"100KiB\"\n", allow(&[&server.url("")]));
    let host = fetcher("guest_gatherer", &manifest, &[]).await;
    let arguments = json!({ "source": server.url("/large/60000"), "target": server.url("/sink") });
    let result = host.call(None, "relay", arguments).await;
    assert_eq!(
        text(&result),
        "ErrorCode::HttpRequestBodySize(Some(102400))"
    );
}

#[tokio::test]
async fn what_is_made_of_requests_is_short_and_little() {
    let host = TestHost::serving(&[("gatherer", "guest_gatherer")]).await;
    for (bytes, taken) in [
        (64, json!([50, 50, 50, 50])),
        (65, json!([0, 0, 50, 50])),
        (300, json!([0, 0, 50, 50])),
        (301, json!([0, 0, 0, 50])),
        ((16 << 10) - 1, json!([0, 0, 0, 50])),
        (16 << 10, json!([0, 0, 0, 0])),
    ] {
        let arguments = json!({ "count": 50, "bytes": bytes });
        let result = host.call(None, "make", arguments).await;
        assert_eq!(
            result["structuredContent"],
            json!({ "result": taken }),
            "{bytes}: {result}"
        );
    }
    // The text of an error is passed on as far as anybody reads it.
    for (bytes, told) in [(1 << 10, 1 << 10), ((1 << 10) + 1, 0), (2 << 20, 0)] {
        let arguments = json!({ "count": 20, "bytes": bytes });
        let result = host.call(None, "complain", arguments).await;
        assert_eq!(
            result["structuredContent"],
            json!({ "result": told }),
            "{bytes}: {result}"
        );
    }
}

#[tokio::test]
async fn whoever_makes_too_many_requests_ends_alone() {
    let settings = [("limits.handles", "10000")];
    let host = TestHost::with(&[("gatherer", "guest_gatherer")], &settings).await;
    let made = host.call(None, "biteTail", json!({ "count": 1_000 })).await;
    assert_eq!(
        made["structuredContent"],
        json!({ "result": 1_000 }),
        "{made}"
    );
    for (tool, arguments) in [
        ("biteTail", json!({ "count": 1_001 })),
        ("make", json!({ "count": 1_001, "bytes": 1 })),
        ("keepHeaders", json!({ "count": 1_001 })),
    ] {
        let result = host.call(None, tool, arguments).await;
        let (_, end) = text(&result).split_once("gave no result: ").unwrap();
        assert_eq!(
            end,
            "it was stopped because it made more than 1000 requests and responses of `wasi:http` 0.3, the most that a call may",
            "{tool}"
        );
        assert_eq!(host.open("memory").await, 0, "{tool}");
    }
}

#[tokio::test]
async fn what_the_host_keeps_of_requests_is_counted() {
    for guest in BOTH {
        let settings = [("limits.calls", "16"), ("limits.total_memory", "48MiB")];
        let host = TestHost::with(&[("fetcher", guest)], &settings).await;
        let kept = host.call(None, "keepHeaders", json!({ "count": 90 })).await;
        assert_eq!(kept["structuredContent"], json!({ "result": 90 }));
        let reply = host
            .send(None, &call(1, "keepHeaders", json!({ "count": 900 })))
            .await;
        assert_eq!(reply.status, 503, "{guest}");
        assert_eq!(host.open("memory").await, 0, "{guest}");
    }
    let settings = [("limits.calls", "16"), ("limits.total_memory", "48MiB")];
    let host = TestHost::with(&[("gatherer", "guest_gatherer")], &settings).await;
    let many = json!({ "count": 900, "bytes": 1 });
    assert_eq!(host.send(None, &call(1, "make", many)).await.status, 503);
}
