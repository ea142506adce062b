//! Buckets on a Redis or Valkey server, a real one for each test. `just test-stores` runs these, and gets
//! the server where it may.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::commands::{cloister, endpoint, start};
use crate::harness::{PATIENCE, TestHost, call, component, text};
use crate::keeping::{
    buckets_are_shared_by_those_who_may, buckets_do_what_their_interface_says, count, keeper_with,
    said, step, steps, values_are_swapped_if_nobody_has_changed_them,
};

const MANIFEST: &str = "[store]\nall = { scope = \"service\" }\n";

/// A server on a port of its own. It ends with the test.
struct Server {
    child: Child,
    port: u16,
    folder: TempDir,
}

fn program() -> &'static str {
    let is_there = |name: &&str| {
        let path = std::env::var_os("PATH").unwrap();
        std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
    };
    let programs = ["valkey-server", "redis-server"];
    programs
        .into_iter()
        .find(is_there)
        .expect("valkey-server or redis-server, as `just test-stores` gets it")
}

/// A port that nobody has at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    async fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let child = Self::run(folder.path(), port, arguments).await;
        Self {
            child,
            port,
            folder,
        }
    }

    /// Starts it on its port, and waits until it answers.
    async fn run(folder: &Path, port: u16, arguments: &[&str]) -> Child {
        let mut child = Command::new(program())
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--dir"])
            .arg(folder)
            .args(["--port", &port.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut log = String::new();
        let ready = async {
            loop {
                let line = lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("the server ended: {log}"));
                if line.contains("Ready to accept connections") {
                    return;
                }
                log.push_str(&line);
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.unwrap();
        // What it says further is read, so that it never waits for that.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        child
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    async fn restart(&mut self) {
        self.child = Self::run(self.folder.path(), self.port, &[]).await;
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &id])
            .status();
        assert!(sent.unwrap().success());
    }

    /// What it answers to a command in one line.
    async fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let asked = format!("{command}\r\nQUIT\r\n");
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

async fn health(host: &TestHost) -> (u16, Value) {
    let reply = host
        .client
        .get(host.url_of("/health"))
        .send()
        .await
        .unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap())
}

/// Waits until the health of the host has this word about buckets.
async fn until_buckets_are(host: &TestHost, word: &str) -> (u16, Value) {
    let start = Instant::now();
    loop {
        let (status, health) = health(host).await;
        if health["buckets"] == word && (status == 200) == (word == "connected") {
            return (status, health);
        }
        assert!(start.elapsed() < PATIENCE, "{health}");
        tokio::task::yield_now().await;
    }
}

fn add(number: u64) -> Value {
    steps("all", &[step("increment", json!(["n", number]))])
}

#[tokio::test]
#[ignore = "it takes a server, which `just test-stores` gets"]
async fn buckets_on_a_server_are_the_same_buckets() {
    let server = Server::start(&[]).await;
    buckets_do_what_their_interface_says(&[("store", &server.url())]).await;
    values_are_swapped_if_nobody_has_changed_them(&[("store", &format!("{}/2", server.url()))])
        .await;
    buckets_are_shared_by_those_who_may(&[("store", &format!("{}/1", server.url()))]).await;
    // Whose they are can be read there, and nothing else is there.
    let keys = server.ask("SELECT 1\r\nKEYS *").await;
    assert!(keys.contains("\r\ncloister:{keeper/mine/user/user_ada}:values\r\n"));
    let names = keys.lines().filter(|line| line.contains('/'));
    assert!(
        names
            .clone()
            .all(|key| key.starts_with("cloister:{keeper/")),
        "{keys}"
    );
    assert!(names.count() >= 12, "{keys}");
    assert!(
        server
            .ask("KEYS *")
            .await
            .contains("cloister:{keeper/all/service/}:totals")
    );
}

#[tokio::test]
#[ignore = "it takes a server, which `just test-stores` gets"]
async fn hosts_that_share_a_server_share_its_buckets() {
    let server = Server::start(&[]).await;
    let url = server.url();
    let store = [("store", &*url)];
    let hosts = [
        keeper_with(MANIFEST, &store).await,
        keeper_with(MANIFEST, &store).await,
    ];
    let mut sums: Vec<u64> = futures_util::future::join_all((0..100).map(|at| {
        let host = &hosts[at % 2];
        async move {
            let sum = said(host, None, "keep", add(1)).await;
            sum[0]
                .as_str()
                .unwrap_or_else(|| panic!("{sum}"))
                .parse()
                .unwrap()
        }
    }))
    .await;
    sums.sort_unstable();
    assert_eq!(sums, (1..=100).collect::<Vec<_>>());

    // More callers than connections, and none is left when the hosts have gone.
    assert!(
        server
            .ask("INFO clients")
            .await
            .contains("\r\nconnected_clients:")
    );
    for host in hosts {
        host.stop().await;
    }
    let start = Instant::now();
    while !server
        .ask("INFO clients")
        .await
        .contains("\r\nconnected_clients:1\r\n")
    {
        assert!(start.elapsed() < PATIENCE);
    }
}

#[tokio::test]
#[ignore = "it takes a server, which `just test-stores` gets"]
async fn while_the_server_is_away_callers_are_told_and_when_it_is_back_nothing_is_lost() {
    let mut server = Server::start(&[]).await;
    let host = keeper_with(MANIFEST, &[("store", &server.url())]).await;
    until_buckets_are(&host, "connected").await;
    assert_eq!(said(&host, None, "keep", add(1)).await, json!(["1"]));

    server.kill().await;
    let (status, health) = until_buckets_are(&host, "away").await;
    assert_eq!(
        (status, &health["status"]),
        (503, &json!("no server for buckets"))
    );
    assert_eq!(
        said(&host, None, "keep", add(1)).await,
        json!({ "failed": "the host's buckets cannot be used at the moment; its log says why" })
    );
    // What needs no bucket goes on.
    let variable = said(&host, None, "variable", json!({ "name": "A" })).await;
    assert_eq!(variable, Value::Null);

    server.restart().await;
    until_buckets_are(&host, "connected").await;
    assert_eq!(said(&host, None, "keep", add(1)).await, json!(["2"]));

    // One that is restarted while nobody looks is found again at the first use.
    server.kill().await;
    server.restart().await;
    until_buckets_are(&host, "connected").await;
    assert_eq!(said(&host, None, "keep", add(1)).await, json!(["3"]));
}

#[tokio::test]
#[ignore = "it takes a server, which `just test-stores` gets"]
async fn a_server_that_does_not_answer_ends_no_call_by_its_deadline() {
    let server = Server::start(&[]).await;
    let host = keeper_with(MANIFEST, &[("store", &server.url())]).await;
    assert_eq!(said(&host, None, "keep", add(1)).await, json!(["1"]));
    server.signal("-STOP");
    // It is not known what came of a change that was not answered.
    assert_eq!(
        said(&host, None, "keep", add(1)).await,
        json!({ "failed": "the host's buckets did not answer; what was asked for may have been done or not, and the host's log says more" })
    );
    until_buckets_are(&host, "away").await;
    assert_eq!(
        said(&host, None, "keep", steps("all", &[count()])).await,
        json!({ "failed": "the host's buckets cannot be used at the moment; its log says why" })
    );
    server.signal("-CONT");
    until_buckets_are(&host, "connected").await;
    let sum = said(&host, None, "keep", add(1)).await;
    assert!(sum == json!(["2"]) || sum == json!(["3"]), "{sum}");
}

/// A folder with the service `keeper`, for the binary.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mcp = folder.path().join("mcp");
    std::fs::create_dir(&mcp).unwrap();
    std::fs::copy(component("guest_keeper"), mcp.join("keeper.wasm")).unwrap();
    std::fs::write(mcp.join("keeper.toml"), MANIFEST).unwrap();
    folder
}

/// What the binary answers with this store, and all that it says.
async fn answered(configure: impl FnOnce(&mut Command)) -> (String, String) {
    let folder = folder();
    let mut command = cloister(folder.path());
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--log",
        "info,cloister=trace,redis=trace",
    ]);
    configure(&mut command);
    let (mut host, banner) = start(&mut command).await;
    let url = endpoint(&banner);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let told = step("set", json!(["k3y", "va1ue"]));
    let message = call(1, "keep", steps("all", &[told, step("get", "k3y")]));
    let answer: Value = client
        .post(url)
        .header("content-type", "application/json")
        .body(message.to_string())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    host.start_kill().unwrap();
    let mut log = String::new();
    let mut stderr = host.stderr.take().unwrap();
    stderr.read_to_string(&mut log).await.unwrap();
    (text(&answer["result"]).to_owned(), format!("{banner}{log}"))
}

#[tokio::test]
#[ignore = "it takes a server, which `just test-stores` gets"]
async fn what_it_takes_to_sign_in_at_the_server_is_in_no_log() {
    let server = Server::start(&["--requirepass", "s3cret pass"]).await;
    let at = format!("127.0.0.1:{}", server.port);
    let url = format!("redis://:s3cret%20pass@{at}");
    let (answer, log) = answered(|command| {
        command.env("CLOISTER_STORE", &url);
    })
    .await;
    assert!(answer.contains("va1ue"), "{answer}\n{log}");
    assert!(log.contains(&format!("server=redis://{at}")), "{log}");
    let (refused, refusal) = answered(|command| {
        command.env("CLOISTER_STORE", url.replace("%20", "%21"));
    })
    .await;
    assert_eq!(
        refused,
        "the host's buckets cannot be used at the moment; its log says why"
    );
    assert!(refusal.contains("WRONGPASS"), "{refusal}");
    for log in [log, refusal] {
        assert!(
            !log.contains("s3cret") && !log.contains("k3y") && !log.contains("va1ue"),
            "{log}"
        );
    }
}

#[tokio::test]
#[ignore = "it takes a server, which `just test-stores` gets"]
async fn a_server_with_tls_is_used_if_its_certificate_is_good() {
    let keys = tempfile::tempdir().unwrap();
    let path = |name: &str| keys.path().join(name).to_str().unwrap().to_owned();
    for name in ["server", "other"] {
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ])
            .args([
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
            ])
            .args(["-addext", "basicConstraints=critical,CA:false"])
            .args([
                "-keyout",
                &path(&format!("{name}.key")),
                "-out",
                &path(&format!("{name}.pem")),
            ])
            .output();
        let made = made.await.unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let port = free_port().to_string();
    let _server = Server::start(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &path("server.pem"),
        "--tls-key-file",
        &path("server.key"),
        "--tls-auth-clients",
        "no",
    ])
    .await;
    for (trusted, is_good) in [("server", true), ("other", false)] {
        let (answer, log) = answered(|command| {
            command
                .args(["--store", &format!("rediss://localhost:{port}")])
                .env("SSL_CERT_FILE", path(&format!("{trusted}.pem")));
        })
        .await;
        assert_eq!(
            answer.contains("va1ue"),
            is_good,
            "{trusted}: {answer}\n{log}"
        );
    }
}
