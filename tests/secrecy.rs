//! The binary at its loudest, with every way to sign in, go on and fail: no token and no secret is in what it
//! prints, in what it answers to others than their owners, or in what services see.

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;

use cloister::digest::Digest;
use cloister::issuer::{DevelopmentIssuer, TokenRequest, User};
use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::commands::cloister;
use crate::harness::{PATIENCE, TestHost, cache, call, component};

mod visit;

use visit::Visit;

/// The services of the box, one that tells and prints all that it knows, and one that tells a caller's
/// secret, each with its manifest.
const SERVICES: [(&str, &str, &str); 4] = [
    ("auth", "cloister_auth", "sessions = true\n"),
    ("demo", "cloister_demo", "active_session = true\n"),
    (
        "prying",
        "guest_prying",
        "sessions = true\n[http]\nallow = [\"https://api.example.com\"]\n\
         headers.\"https://api.example.com\" = { x-key = \"${secret.KEY}\" }\n\
         [secrets]\nKEY = { file = \"operator\" }\n",
    ),
    (
        "faulty",
        "guest_faulty",
        "[secrets]\nKEY = { user = \"key\" }\n",
    ),
];

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mcp = folder.path().join("mcp");
    fs::create_dir(&mcp).unwrap();
    fs::write(folder.path().join("operator"), "0perat0r-s3cret").unwrap();
    for (service, name, manifest) in SERVICES {
        fs::copy(component(name), mcp.join(format!("{service}.wasm"))).unwrap();
        fs::write(mcp.join(format!("{service}.toml")), manifest).unwrap();
    }
    folder
}

/// The host in that folder, at its loudest. What it serves is compiled before, since a compiler at its
/// loudest takes minutes.
async fn loudest(folder: &TempDir) -> Command {
    let services = SERVICES.map(|(service, name, _)| (service, name));
    TestHost::serving(&services).await.stop().await;
    let mut command = cloister(folder.path());
    command.args(["serve", "--log", "trace", "--cache-dir", &cache()]);
    command
}

/// A host that runs, and all that it prints.
struct Running {
    child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl Running {
    /// Starts it; gives the endpoint and the issuer that it names.
    async fn start(command: &mut Command) -> (Self, String, String) {
        let mut child = command.spawn().unwrap();
        let (ready, mut named) = tokio::sync::watch::channel(String::new());
        let lines = BufReader::new(child.stdout.take().unwrap());
        let stdout = tokio::spawn(async move {
            let mut lines = lines.lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                ready.send_modify(|text| {
                    text.push_str(&line);
                    text.push('\n');
                });
            }
            ready.borrow().clone()
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = tokio::spawn(async move {
            let mut text = String::new();
            stderr.read_to_string(&mut text).await.unwrap();
            text
        });
        let whole = named.wait_for(|text| text.contains("services "));
        let banner = tokio::time::timeout(PATIENCE, whole).await.unwrap();
        let banner = banner.unwrap().clone();
        let after = |name: &str| {
            let line = banner
                .lines()
                .find_map(|line| line.trim().strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        let running = Self {
            child,
            stdout,
            stderr,
        };
        (running, after("endpoint"), after("issuer"))
    }

    /// What it printed, on standard output and standard error.
    async fn end(mut self) -> (String, String) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
        (self.stdout.await.unwrap(), self.stderr.await.unwrap())
    }
}

#[tokio::test]
async fn a_host_that_trusts_an_issuer_keeps_every_secret_at_its_loudest() {
    let issuer = DevelopmentIssuer::start(cloister::auth::system_clock());
    let issuer = issuer.await.unwrap();
    let client = issuer.client();
    let secret = client.secret.unwrap().expose_secret().to_owned();
    let key = issuer.secret_key().expose_secret().to_owned();
    let folder = folder();
    let mut command = loudest(&folder).await;
    command
        .args(["--listen", "127.0.0.1:0", "--log-format", "text"])
        .env("CLERK_ISSUER", issuer.issuer())
        .env("CLERK_API_URL", issuer.issuer())
        .env("CLERK_SECRET_KEY", &key)
        .env("CLERK_OAUTH_CLIENT_ID", &client.id)
        .env("CLERK_OAUTH_CLIENT_SECRET", &secret)
        .env("CLERK_OPAQUE_TOKENS", "oauth,api_keys")
        .env(
            "CLOISTER_STATE_KEYS",
            "s3cret-that-seals-what-clients-keep-for-us",
        );
    let (running, endpoint, named) = Running::start(&mut command).await;
    assert_eq!(named, issuer.issuer());
    let mut visit = Visit::new(endpoint, named, key, (client.id, Some(secret)));
    visit.secret("state key", "s3cret-that-seals-what-clients-keep-for-us");
    visit.go().await;

    // The same token in the header and in `_meta` is verified once.
    let (twice, _) = visit.minted("twice", json!({ "sub": User::ADA.id })).await;
    let mut message = call(1, "getUserProfile", json!({}));
    message["params"]["_meta"] = json!({ "authorization": { "token": twice } });
    let request = visit.message(Some(&twice), &message);
    visit.ask("the same token twice", request, &[]).await;
    let fingerprint = Digest::of(&[twice.as_bytes()]).prefix(8);
    let (stdout, stderr) = running.end().await;
    visit.check(&stdout, &stderr);
    let verified = |line: &&str| line.contains("token accepted") && line.contains(&fingerprint);
    assert_eq!(stderr.lines().filter(verified).count(), 1);
    assert!(stderr.contains("TRACE") && stderr.contains("token refused"));
}

#[tokio::test]
async fn a_host_with_an_issuer_of_its_own_keeps_every_secret_at_its_loudest() {
    let folder = folder();
    let mut command = loudest(&folder).await;
    command
        .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
        .env("CLERK_OAUTH_CLIENT_ID", "client_development_public")
        .env("CLERK_OPAQUE_TOKENS", "oauth,api_keys");
    let (running, endpoint, issuer) = Running::start(&mut command).await;
    let (_, port) = issuer.rsplit_once(':').unwrap();
    let key = folder
        .path()
        .join(format!(".cache/cloister/issuer-{port}.key"));
    let key = fs::read_to_string(key).unwrap();
    let client = ("client_development_public".to_owned(), None);
    let mut visit = Visit::new(endpoint, issuer, key, client);
    visit.go().await;
    let (stdout, stderr) = running.end().await;
    let token = stdout.lines().find_map(|line| line.strip_prefix("TOKEN="));
    visit.secret("token of the banner", token.unwrap());
    visit.check(&stdout, &stderr);
    assert!(
        stderr
            .lines()
            .any(|line| line.contains(r#""level":"TRACE""#))
    );
}

#[tokio::test]
async fn a_host_for_one_client_keeps_its_token_to_itself() {
    let issuer = DevelopmentIssuer::start(cloister::auth::system_clock());
    let issuer = issuer.await.unwrap();
    let token = issuer.mint(&TokenRequest::default()).unwrap();
    let folder = folder();
    let mut command = loudest(&folder).await;
    command
        .arg("--stdio")
        .env("CLERK_ISSUER", issuer.issuer())
        .env("CLOISTER_TOKEN", token.expose_secret())
        .stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let other = issuer.mint(&TokenRequest::new(User::GRACE.id)).unwrap();
    let mut own = call(2, "everything", json!({}));
    own["params"]["_meta"] = json!({ "authorization": { "token": other.expose_secret() } });
    let mut lines = String::new();
    for message in [call(1, "everything", json!({})), own] {
        writeln!(lines, "{message}").unwrap();
    }
    stdin.write_all(lines.as_bytes()).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    let printed = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(
        printed[0].contains("Ada") && printed[1].contains("token accepted"),
        "{printed:?}"
    );
    for segment in [&token, &other]
        .iter()
        .flat_map(|token| token.expose_secret().split('.'))
    {
        assert!(!printed.concat().contains(segment), "{segment}");
    }
}
