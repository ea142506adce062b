//! The host: the real binary, in a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the host may take for what it does in a blink when nobody else is there.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What the host is told. Half of the places are more than the caller who floods leaves to the others, and
/// all of those fit into the queue.
const SETTINGS: [(&str, &str); 7] = [
    ("CLOISTER_CALLS", "256"),
    ("CLOISTER_TIMEOUT", "30s"),
    ("CLOISTER_GRACE", "5s"),
    // Clients that think about their next request for longer than this have lost their session.
    ("CLOISTER_SESSION_IDLE", "20s"),
    ("CLOISTER_LOG_FORMAT", "json"),
    // The lines of a guest that printed are of no use to anybody.
    ("CLOISTER_LOG", "info"),
    ("RUST_BACKTRACE", "0"),
];

/// A running host.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    url: String,
    binary: PathBuf,
    log: Arc<Log>,
    reading: JoinHandle<()>,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts the binary beside this one in a folder.
    pub(crate) async fn start(folder: &Path) -> Self {
        let binary = std::env::current_exe()
            .expect("a path")
            .with_file_name("cloister");
        assert!(
            binary.exists(),
            "{} is missing: `just soak` builds it",
            binary.display()
        );
        let mut child = command(&binary, folder)
            .args(["--listen", "127.0.0.1:0"])
            .envs(SETTINGS)
            .spawn()
            .expect("the host starts");
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().expect("a pipe");
        let reading = tokio::spawn(read(stderr, Arc::clone(&log)));
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let url = tokio::time::timeout(PATIENCE, endpoint(&mut stdout))
            .await
            .expect("the host starts in time");
        Self {
            child,
            folder: folder.to_owned(),
            url,
            binary,
            log,
            reading,
            _stdout: stdout,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn log(&self) -> Arc<Log> {
        Arc::clone(&self.log)
    }

    /// A token for a user, as an operator makes one.
    pub(crate) async fn token(&self, sub: &str) -> String {
        let arguments = ["token", "--ttl", "8h", "--url", &self.url, "--sub", sub];
        let output = command(&self.binary, &self.folder)
            .args(arguments)
            .output()
            .await
            .expect("the command runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let token = String::from_utf8(output.stdout).expect("a token is text");
        token.trim().to_owned()
    }

    /// How many KiB of memory the process has that are its own or mapped, and present.
    pub(crate) fn resident(&self) -> u64 {
        let process = self.child.id().expect("the host runs");
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it has a state");
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok())
            .expect("a number")
    }

    /// What is open when nobody calls any more, as the host says it.
    pub(crate) async fn gauges_at_rest(&self) -> Vec<(String, u64)> {
        let client = Client::builder().no_proxy().build().expect("a client");
        let url = self.url.replace("/mcp", "/health");
        let start = Instant::now();
        loop {
            let reply = client.get(&url).send().await.expect("the host answers");
            let health: Value = reply.json().await.expect("JSON");
            let open = health["open"].as_object().expect("gauges");
            let gauges: Vec<(String, u64)> = open
                .iter()
                .map(|(what, count)| {
                    let count = count.as_u64().unwrap_or(u64::MAX);
                    // One of the connections is that of whoever asks.
                    let own = u64::from(what == "connections");
                    (what.clone(), count.saturating_sub(own))
                })
                .collect();
            if gauges.iter().all(|(_, count)| *count == 0) || start.elapsed() > PATIENCE {
                return gauges;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it as an operator does, and says what was wrong with that.
    pub(crate) async fn stop(mut self) -> Vec<String> {
        let mut problems = Vec::new();
        let process = self.child.id().expect("the host runs").to_string();
        let told = Command::new("kill").args(["-TERM", &process]).status();
        if !told.await.is_ok_and(|it| it.success()) {
            problems.push("the host was gone before it was told to stop".to_owned());
        }
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => {}
            ended => problems.push(format!("the host did not stop as it should: {ended:?}")),
        }
        // All of the log was written before it ended.
        if tokio::time::timeout(PATIENCE, self.reading).await.is_err() {
            problems.push("the log of the host has no end".to_owned());
        }
        problems
    }
}

fn command(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Reads the banner to its end, and says where the host is.
async fn endpoint(stdout: &mut BufReader<ChildStdout>) -> String {
    let mut url = None;
    let mut line = String::new();
    while stdout.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        if let Some(endpoint) = line.trim().strip_prefix("endpoint") {
            url = Some(endpoint.trim().to_owned());
        }
        if line.contains("\"method\":\"tools/call\"") {
            return url.expect("the banner says where the host is");
        }
        line.clear();
    }
    panic!("the host did not start");
}

/// What the log of the host says.
#[derive(Default)]
pub(crate) struct Log {
    noted: Mutex<Noted>,
    /// How many lines have told of a file that does not load.
    refused: watch::Sender<u64>,
}

#[derive(Default)]
pub(crate) struct Noted {
    lines: u64,
    /// Calls, by outcome and reason.
    pub(crate) calls: BTreeMap<String, u64>,
    /// Files that do not load, by service.
    refused: BTreeMap<String, u64>,
    /// What should not be there.
    pub(crate) problems: Vec<String>,
}

impl Log {
    pub(crate) fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often a file of a service was refused.
    pub(crate) fn refused(&self, service: &str) -> u64 {
        self.noted().refused.get(service).copied().unwrap_or(0)
    }

    /// Waits until a file of a service has been refused more often than that, if it is in time.
    pub(crate) async fn until_refused(&self, service: &str, more_than: u64) -> bool {
        let mut lines = self.refused.subscribe();
        let refused = lines.wait_for(|_| self.refused(service) > more_than);
        tokio::time::timeout(PATIENCE, refused).await.is_ok()
    }

    fn note(&self, line: &str) {
        let mut noted = self.noted();
        noted.lines += 1;
        let entry: Value = match serde_json::from_str(line) {
            Ok(entry) if !line.contains(char::is_control) => entry,
            _ => {
                noted.problems.push(format!("a line of the log: {line:?}"));
                return;
            }
        };
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        if text("target") == "cloister::calls" {
            let kind = match text("reason") {
                "" => text("outcome").to_owned(),
                reason => format!("{} ({reason})", text("outcome")),
            };
            *noted.calls.entry(kind).or_default() += 1;
        } else if text("level") == "ERROR" {
            if text("message").ends_with("the version before it is served on") {
                *noted.refused.entry(text("service").to_owned()).or_default() += 1;
                drop(noted);
                self.refused.send_modify(|lines| *lines += 1);
            } else {
                noted.problems.push(format!("an error in the log: {line}"));
            }
        }
    }

    pub(crate) fn print(&self) {
        let noted = self.noted();
        println!(
            "\n{} lines of the log; calls, as it tells them",
            noted.lines
        );
        for (kind, count) in &noted.calls {
            println!("{kind:34} {count:>10}");
        }
    }
}

async fn read(stderr: ChildStderr, log: Arc<Log>) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        log.note(&String::from_utf8_lossy(&line));
    }
}
