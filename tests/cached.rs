//! Compiled code on disk: what one host leaves there, whole or not, and what the next makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::Child;

use crate::commands::{cloister, start};
use crate::harness::{PATIENCE, component};

/// A folder with three services, and no compiled code yet.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mcp = folder.path().join("mcp");
    fs::create_dir(&mcp).unwrap();
    for name in ["hostile", "keeper", "plain"] {
        let wasm = component(&format!("guest_{name}"));
        fs::copy(wasm, mcp.join(format!("{name}.wasm"))).unwrap();
    }
    folder
}

fn command(folder: &Path) -> tokio::process::Command {
    let mut command = cloister(folder);
    command
        .args(["--listen", "127.0.0.1:0", "--cache-dir", "cache"])
        .env("CLOISTER_LOG", "warn");
    command
}

/// Starts a host that serves all three.
async fn serving(folder: &Path) -> Child {
    let (host, banner) = start(&mut command(folder)).await;
    for service in ["hostile: ", "keeper: ", "plain: greet, mirror, sum"] {
        assert!(banner.contains(service), "{banner}");
    }
    host
}

/// Kills it as a crash does, and gives what it has logged of compiled code.
async fn kill(mut host: Child) -> String {
    host.start_kill().unwrap();
    host.wait().await.unwrap();
    let mut log = String::new();
    let mut stderr = host.stderr.take().unwrap();
    stderr.read_to_string(&mut log).await.unwrap();
    let lines: Vec<&str> = log.lines().filter(|it| it.contains("code")).collect();
    lines.join("\n")
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(files) = fs::read_dir(folder.join("cache")) else {
        return BTreeMap::new();
    };
    files
        .filter_map(|file| {
            let file = file.unwrap();
            // One that is being written may have its final name by now.
            let bytes = fs::read(file.path()).ok()?;
            Some((file.file_name().into_string().unwrap(), bytes))
        })
        .collect()
}

fn is_code(name: &str) -> bool {
    Path::new(name).extension() == Some("code".as_ref())
}

#[tokio::test]
async fn a_host_that_is_killed_while_it_writes_leaves_nothing_that_harms_the_next() {
    for written in 1..=4 {
        let folder = folder();
        let mut host = command(folder.path()).spawn().unwrap();
        let writing = async {
            while files(folder.path()).len() < written {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, writing).await.unwrap();
        host.start_kill().unwrap();
        host.wait().await.unwrap();

        let log = kill(serving(folder.path()).await).await;
        // What is half there is not taken for damage.
        assert_eq!(log, "", "{written}");
        let files = files(folder.path());
        let code = files.keys().filter(|name| is_code(name));
        assert_eq!(code.count(), 3, "{written}: {:?}", files.keys());
    }
}

#[tokio::test]
async fn code_that_was_cut_or_changed_is_made_again() {
    let folder = folder();
    kill(serving(folder.path()).await).await;
    let cache = folder.path().join("cache");
    let mode = fs::metadata(&cache).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let whole = files(folder.path());
    assert_eq!(whole.len(), 6, "{:?}", whole.keys());

    let damages: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        },
        Vec::clear,
    ];
    for damage in damages {
        for (name, bytes) in &whole {
            if is_code(name) {
                let mut bytes = bytes.clone();
                damage(&mut bytes);
                fs::write(cache.join(name), bytes).unwrap();
            }
        }
        let log = kill(serving(folder.path()).await).await;
        let told = log.matches("compiled code was damaged: compiling again");
        assert_eq!(told.count(), 3, "{log}");
        assert_eq!(files(folder.path()), whole);
    }
    // Then it is used as it is.
    assert_eq!(kill(serving(folder.path()).await).await, "");
}
