//! Buckets whose disk is full, or whose file is gone: what fails is told, and goes again when the cause has
//! gone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::commands::{Running, cloister, cloister_after};
use crate::harness::{cache, call, component, text};

const UNAVAILABLE: &str = "the host's buckets cannot be used at the moment; its log says why";
const UNKNOWN: &str = "the host's buckets did not answer; what was asked for may have been done or not, and the host's log says more";

/// A host with one bucket.
struct Host {
    running: Running,
    client: reqwest::Client,
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mcp = folder.path().join("mcp");
    fs::create_dir(&mcp).unwrap();
    fs::copy(component("guest_keeper"), mcp.join("keeper.wasm")).unwrap();
    let manifest = "[store]\nall = { scope = \"service\", quota = \"1GiB\" }\n";
    fs::write(mcp.join("keeper.toml"), manifest).unwrap();
    folder
}

fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("state/buckets.redb")
}

impl Host {
    async fn start(command: &mut Command) -> Self {
        command.args(["--cache-dir", &cache()]);
        Self {
            running: Running::start(command).await,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Takes a step in the bucket, and gives its outcome or why it failed.
    async fn step(&self, step: &str, value: Value) -> Result<String, String> {
        let steps = json!([{ "tag": step, "val": value }]);
        let message = call(1, "keep", json!({ "bucket": "all", "steps": steps }));
        let request = self.client.post(self.running.url());
        let request = request
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25");
        let answer = request.body(message.to_string()).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let result = &answer["result"];
        assert!(result.is_object(), "{answer}");
        if result["isError"] == true {
            return Err(text(result).to_owned());
        }
        let outcome = &result["structuredContent"]["result"][0];
        Ok(outcome.as_str().unwrap().to_owned())
    }

    async fn fill(&self, key: &str, bytes: usize) -> Result<String, String> {
        self.step("fill", json!([key, bytes])).await
    }

    async fn has(&self, key: &str) -> bool {
        self.step("exists", json!(key)).await.unwrap() == "true"
    }

    /// Ends it at once, and gives its log.
    async fn kill(self) -> String {
        self.running.kill().await
    }
}

#[tokio::test]
async fn a_disk_that_is_full_fails_what_is_written_until_there_is_room_again() {
    let folder = folder();
    // No file may be larger than that many half KiB, which is told the way a full disk is: by an error. It is
    // a signal as well, for those who do not ignore it.
    let script = "trap '' XFSZ; ulimit -S -f 24576";
    let host = Host::start(&mut cloister_after(script, folder.path())).await;
    let mut acknowledged = Vec::new();
    let why = loop {
        let key = format!("key {}", acknowledged.len());
        match host.fill(&key, 900 << 10).await {
            Ok(_) => acknowledged.push(key),
            Err(why) => break why,
        }
        assert!(acknowledged.len() < 100, "the disk is never full");
    };
    assert!(!acknowledged.is_empty());
    assert!([UNAVAILABLE, UNKNOWN].contains(&&*why), "{why}");
    // What is there can be read all the while, and more does not fit.
    for _ in 0..3 {
        for key in &acknowledged {
            assert!(host.has(key).await, "{key}");
        }
        let why = host.fill("another", 900 << 10).await.unwrap_err();
        assert!([UNAVAILABLE, UNKNOWN].contains(&&*why), "{why}");
    }

    let process = host.running.process.id().unwrap().to_string();
    let more = ["--pid", &process, "--fsize=unlimited"];
    let more = Command::new("prlimit").args(more).status().await;
    assert!(more.unwrap().success());
    for number in 0..20 {
        let key = format!("more {number}");
        host.fill(&key, 900 << 10).await.unwrap();
        acknowledged.push(key);
    }
    let log = host.kill().await;
    assert!(log.contains("ERROR buckets cannot be used"), "{log}");

    // All of it is on disk.
    let host = Host::start(&mut cloister(folder.path())).await;
    for key in &acknowledged {
        assert!(host.has(key).await, "{key}");
    }
}

#[tokio::test]
async fn what_is_written_to_a_file_that_is_gone_is_not_acknowledged() {
    let folder = folder();
    let (file, state) = (file(&folder), folder.path().join("state"));
    let host = Host::start(&mut cloister(folder.path())).await;
    host.fill("before", 1).await.unwrap();
    let backup = folder.path().join("backup");
    let mut last = "before".to_owned();
    let ways: [fn(&Path, &Path); 2] = [
        |file, _| fs::remove_file(file).unwrap(),
        |_, state| fs::remove_dir_all(state).unwrap(),
    ];
    for (number, take_away) in ways.into_iter().enumerate() {
        take_away(&file, &state);
        assert_eq!(host.fill("lost", 1).await, Err(UNAVAILABLE.to_owned()));
        // From here on there is a new file, with what is acknowledged and nothing else.
        let key = format!("after {number}");
        host.fill(&key, 1).await.unwrap();
        assert!(host.has(&key).await && !host.has(&last).await && !host.has("lost").await);
        last = key;
    }
    let log = host.kill().await;
    let told = "was removed or replaced while it was in use";
    assert_eq!(log.matches(told).count(), 2, "{log}");

    // One that is put in its place, as from a backup, is taken up.
    fs::copy(&file, &backup).unwrap();
    let host = Host::start(&mut cloister(folder.path())).await;
    assert!(host.has(&last).await);
    host.fill("since", 1).await.unwrap();
    fs::rename(&backup, &file).unwrap();
    let replaced = host.step("exists", json!("since")).await;
    assert_eq!(replaced, Err(UNAVAILABLE.to_owned()));
    assert!(host.has(&last).await && !host.has("since").await);
    host.fill("again", 1).await.unwrap();
    host.kill().await;
    let host = Host::start(&mut cloister(folder.path())).await;
    assert!(host.has("again").await && host.has(&last).await);
}

#[tokio::test]
async fn a_folder_that_cannot_be_looked_into_loses_nothing() {
    let folder = folder();
    let (state, aside) = (folder.path().join("state"), folder.path().join("aside"));
    let host = Host::start(&mut cloister(folder.path())).await;
    host.fill("before", 1).await.unwrap();
    // A link that leads to itself fails all who follow it, whoever they are.
    fs::rename(&state, &aside).unwrap();
    symlink(&state, &state).unwrap();
    for step in ["exists", "get"] {
        let told = host.step(step, json!("before")).await;
        assert_eq!(told, Err(UNAVAILABLE.to_owned()));
    }
    assert_eq!(host.fill("never", 1).await, Err(UNAVAILABLE.to_owned()));
    fs::remove_file(&state).unwrap();
    fs::rename(&aside, &state).unwrap();
    assert!(host.has("before").await && !host.has("never").await);
    host.fill("after", 1).await.unwrap();
    let log = host.kill().await;
    let told = "cannot be used: Too many levels of symbolic links";
    assert_eq!(log.matches(told).count(), 3, "{log}");
    assert!(!log.contains("was removed or replaced"), "{log}");
}
