//! Connections: how many there may be, how long one may be of no use, who is meant by what is asked on
//! them, and what their end means.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{PATIENCE, TestHost, modern};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// The bytes of a request.
fn request(version: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers
        .iter()
        .map(|(name, value)| [name, ": ", value, "\r\n"].concat())
        .collect();
    let length = body.len();
    format!("POST /mcp {version}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// A call that takes so long.
fn sleeping(milliseconds: u32) -> String {
    let params = json!({ "name": "sleep", "arguments": { "milliseconds": milliseconds } });
    let (headers, body) = modern("tools/call", params);
    let mut headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    headers.push(("host", "localhost"));
    request("HTTP/1.1", &headers, &body.to_string())
}

struct Socket(TcpStream);

impl Socket {
    async fn to(host: &TestHost) -> Self {
        let url: reqwest::Url = host.url().parse().unwrap();
        let address = url.socket_addrs(|| None).unwrap();
        Self(TcpStream::connect(&*address).await.unwrap())
    }

    async fn say(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// An answer with a length: its status, its headers and its body.
    async fn answer(&mut self) -> (u16, String, String) {
        let mut read = String::new();
        loop {
            if let Some((head, body)) = read.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                    return (status, head, body.to_owned());
                }
            }
            let mut chunk = [0; 4096];
            let count = tokio::time::timeout(PATIENCE, self.0.read(&mut chunk));
            let count = count.await.expect("nothing came").unwrap();
            assert!(count > 0, "it was closed after {read:?}");
            read.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        }
    }

    /// What comes until the host closes the connection.
    async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest));
        // What a host has not read when it closes makes an error of the end.
        let _reset = read.await.expect("it was not closed");
        rest
    }

    async fn ends_with(self, status: &str) -> Value {
        let rest = String::from_utf8(self.rest().await).unwrap();
        assert!(rest.starts_with(&format!("HTTP/1.1 {status} ")), "{rest}");
        let (_, body) = rest.split_once("\r\n\r\n").unwrap();
        let error: Value = serde_json::from_str(body).unwrap();
        assert_eq!(error["jsonrpc"], "2.0");
        assert!(error["error"]["message"].is_string(), "{error}");
        error
    }
}

async fn plain(settings: &[(&'static str, &str)]) -> TestHost {
    TestHost::with(&[("plain", "guest_plain")], settings).await
}

#[tokio::test]
async fn a_connection_that_is_of_no_use_is_closed() {
    let host = plain(&[
        ("limits.header_timeout", "200ms"),
        ("limits.body_timeout", "200ms"),
        ("limits.idle_timeout", "300ms"),
    ])
    .await;
    let whole = request("HTTP/1.1", &[("host", "localhost")], LIST);
    // Nothing is said at all, or only how HTTP/2 begins, or that again and again.
    let silent = Socket::to(&host).await;
    assert_eq!(silent.rest().await, b"");
    let mut preface = Socket::to(&host).await;
    preface.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    preface.rest().await;
    // Headers that do not end, one byte at a time.
    let mut slow = Socket::to(&host).await;
    let trickling = async {
        let (mut read, mut write) = slow.0.split();
        let mut rest = Vec::new();
        tokio::select! {
            // The host's patience is with the whole of them.
            _reset = read.read_to_end(&mut rest) => {}
            () = async {
                for byte in whole.bytes().take(30).cycle() {
                    if write.write_all(&[byte]).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            } => {}
        }
        rest
    };
    let told = tokio::time::timeout(PATIENCE, trickling).await.unwrap();
    assert!(told.starts_with(b"HTTP/1.1 408 "), "{told:?}");
    let mut half = Socket::to(&host).await;
    half.say(&whole[..40]).await;
    half.ends_with("408").await;
    // A body that does not end.
    let mut body = Socket::to(&host).await;
    body.say(&whole[..whole.len() - 1]).await;
    let error = body.ends_with("408").await;
    assert_eq!(error["error"]["code"], -32600);
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("200 ms")
    );
    // Another request that does not come.
    let mut idle = Socket::to(&host).await;
    idle.say(&whole).await;
    assert_eq!(idle.answer().await.0, 200);
    idle.say(&whole).await;
    assert_eq!(idle.answer().await.0, 200);
    assert_eq!(idle.rest().await, b"");
    // All of them have left their places; who asks has one.
    host.until_open("connections", 1).await;

    // What is worked on is of use, however long it takes.
    let host = TestHost::with(
        &[("faulty", "guest_faulty")],
        &[
            ("limits.header_timeout", "50ms"),
            ("limits.idle_timeout", "50ms"),
        ],
    )
    .await;
    let mut long = Socket::to(&host).await;
    long.say(&sleeping(400)).await;
    assert_eq!(long.answer().await.0, 200);
    assert_eq!(long.rest().await, b"");
}

#[tokio::test]
async fn who_finds_no_place_is_told_at_once_and_nobody_else_loses_theirs() {
    let host = plain(&[("limits.connections", "2")]).await;
    let whole = request("HTTP/1.1", &[("host", "localhost")], LIST);
    let (mut one, mut other) = (Socket::to(&host).await, Socket::to(&host).await);
    for socket in [&mut one, &mut other] {
        socket.say(&whole).await;
        assert_eq!(socket.answer().await.0, 200);
    }
    let mut third = Socket::to(&host).await;
    third.say(&whole).await;
    let (status, head, body) = third.answer().await;
    assert_eq!(status, 503);
    assert!(head.contains("retry-after: 1"), "{head}");
    let error: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(error["error"]["code"], 503);
    assert_eq!(third.rest().await, b"");
    for socket in [&mut one, &mut other] {
        socket.say(&whole).await;
        assert_eq!(socket.answer().await.0, 200);
    }
    drop(one);
    let next = async {
        loop {
            let mut next = Socket::to(&host).await;
            next.say(&whole).await;
            if next.answer().await.0 == 200 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.unwrap();
}

#[tokio::test]
async fn who_is_meant_is_asked_in_every_version_of_http() {
    let host = plain(&[]).await;
    let whole = |line: &str, hosts: &[&str]| {
        let headers: Vec<(&str, &str)> = hosts.iter().map(|host| ("host", *host)).collect();
        let written = request("HTTP/1.1", &headers, LIST);
        written.replacen("POST /mcp HTTP/1.1", line, 1)
    };
    for (line, hosts, status) in [
        ("POST /mcp HTTP/1.1", &["localhost"][..], 200),
        ("POST /mcp HTTP/1.1", &["evil.example"], 403),
        ("POST /mcp HTTP/1.1", &[], 400),
        ("POST /mcp HTTP/1.1", &["localhost", "evil.example"], 400),
        ("POST /mcp HTTP/1.0", &["localhost"], 200),
        ("POST /mcp HTTP/1.0", &["evil.example"], 403),
        ("POST /mcp HTTP/1.0", &[], 400),
        ("POST http://localhost/mcp HTTP/1.1", &["localhost"], 200),
        ("POST http://evil.example/mcp HTTP/1.1", &["localhost"], 403),
        ("POST http://localhost/mcp HTTP/1.1", &["evil.example"], 403),
        ("POST http://evil.example/mcp HTTP/1.0", &[], 403),
    ] {
        let mut socket = Socket::to(&host).await;
        socket.say(&whole(line, hosts)).await;
        let (got, _, body) = socket.answer().await;
        assert_eq!(got, status, "{line} {hosts:?}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["jsonrpc"], "2.0");
        assert_eq!(answer["error"].is_object(), status != 200, "{answer}");
    }
    let url: reqwest::Url = host.url().parse().unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .resolve("evil.example", address)
        .build()
        .unwrap();
    for (name, status) in [("localhost", 200), ("evil.example", 403)] {
        let mut url = url.clone();
        url.set_host(Some(name)).unwrap();
        let request = client.post(url).header("content-type", "application/json");
        let reply = request.body(LIST).send().await.unwrap();
        assert_eq!(reply.version(), reqwest::Version::HTTP_2);
        assert_eq!(reply.status(), status, "{name}");
        let answer: Value = reply.json().await.unwrap();
        assert_eq!(answer["error"].is_object(), status != 200, "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_goes_is_noticed_whatever_it_said_before() {
    let host = TestHost::serving(&[("faulty", "guest_faulty")]).await;
    let another = request("HTTP/1.1", &[("host", "localhost")], LIST);
    // Whole requests that wait for this one, the beginning of one, and more than anybody reads.
    for after in [
        String::new(),
        another.clone(),
        another[..20].to_owned(),
        another.repeat(2_000),
    ] {
        let mut socket = Socket::to(&host).await;
        socket.say(&sleeping(60_000)).await;
        host.until_open("calls", 1).await;
        // Who does not read takes what there is room for.
        let said = tokio::time::timeout(
            Duration::from_millis(50),
            socket.0.write_all(after.as_bytes()),
        );
        let _as_much_as_fits = said.await;
        drop(socket);
        let took = host.until_open("calls", 0).await;
        assert!(
            took < Duration::from_millis(100),
            "{took:?} {}",
            after.len()
        );
    }
}
