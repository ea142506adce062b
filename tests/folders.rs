//! The folders of the machine that services have: which, how far, and how much of the host they may take.

use std::fs;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::commands::{Running, cloister, cloister_after, endpoint, start, until_said};
use crate::harness::{PATIENCE, TestHost, call, component};
use crate::keeping::{grant, said};

#[tokio::test]
async fn a_service_has_the_folders_that_it_is_granted_and_nothing_beside_them() {
    let host = TestHost::serving(&[]).await;
    let root = host.folder.path();
    for folder in ["data/deep", "work"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("data/in.txt"), "inside").unwrap();
    fs::write(root.join("data/deep/in.txt"), "deep inside").unwrap();
    fs::write(root.join("outside.txt"), "outside").unwrap();
    for (link, target) in [
        ("data/near", "deep/in.txt"),
        ("data/far", "../outside.txt"),
        ("data/host", "/etc/passwd"),
        ("work/up", ".."),
    ] {
        std::os::unix::fs::symlink(target, root.join(link)).unwrap();
    }
    grant(
        &host,
        "keeper",
        "[files]\n\"/data\" = { path = \"{root}/data\" }\n\"/desk\" = { path = \"{root}/work\", write = true }\n",
    );
    host.put("keeper", "guest_keeper");
    host.until(|names| !names.is_empty()).await;

    let write = |path: &str| json!({ "path": path, "text": "new" });
    let mut outcomes = Vec::new();
    for (tool, arguments) in [
        ("names", json!({ "path": "/data" })),
        ("read", json!({ "path": "/data/in.txt" })),
        ("read", json!({ "path": "/data/near" })),
        ("read", json!({ "path": "/data/deep/../in.txt" })),
        ("read", json!({ "path": "/data/far" })),
        ("read", json!({ "path": "/data/host" })),
        ("read", json!({ "path": "/data/../outside.txt" })),
        ("read", json!({ "path": "/data/deep/../../outside.txt" })),
        ("read", json!({ "path": "/etc/passwd" })),
        ("write", write("/data/in.txt")),
        ("write", write("/data/new.txt")),
        ("write", write("/desk/new.txt")),
        ("write", write("/desk/../escaped.txt")),
        ("write", write("/desk/up/escaped.txt")),
        (
            "link",
            json!({ "target": "../outside.txt", "path": "/desk/link" }),
        ),
        ("read", json!({ "path": "/desk/link" })),
        (
            "link",
            json!({ "target": "/etc/passwd", "path": "/desk/absolute" }),
        ),
        ("link", json!({ "target": "in.txt", "path": "/data/link" })),
    ] {
        let outcome = said(&host, None, tool, arguments.clone()).await;
        outcomes.push(format!("{tool} {arguments} -> {outcome}"));
    }
    insta::assert_snapshot!(outcomes.join("\n"));
    assert_eq!(
        fs::read_to_string(root.join("work/new.txt")).unwrap(),
        "new"
    );
    assert_eq!(
        fs::read_to_string(root.join("data/in.txt")).unwrap(),
        "inside"
    );
    assert!(!root.join("escaped.txt").exists());
}

#[tokio::test]
async fn a_folder_is_the_one_that_was_granted_whatever_stands_in_its_place() {
    let host = TestHost::serving(&[]).await;
    let root = host.folder.path();
    let inside = |name: &str| root.join(name);
    for (folder, text) in [("data", "granted"), ("outside", "outside")] {
        fs::create_dir(inside(folder)).unwrap();
        fs::write(inside(folder).join("in"), text).unwrap();
    }
    grant(
        &host,
        "keeper",
        "[files]\n\"/data\" = { path = \"{root}/data\" }\n",
    );
    host.put("keeper", "guest_keeper");
    host.until(|names| !names.is_empty()).await;
    let read = || said(&host, None, "read", json!({ "path": "/data/in" }));
    assert_eq!(read().await, "granted");

    // A link in its place leads nowhere, neither at once nor when the host has looked through its folders.
    fs::rename(inside("data"), inside("was")).unwrap();
    std::os::unix::fs::symlink("outside", inside("data")).unwrap();
    assert_eq!(read().await, "granted");
    host.put("demo", "cloister_demo");
    host.until(|names| names.contains(&"echo".to_owned())).await;
    assert_eq!(read().await, "granted");

    // What is gone is gone for the calls, and the host is well.
    fs::remove_dir_all(inside("was")).unwrap();
    assert!(
        read().await["failed"]
            .as_str()
            .unwrap()
            .starts_with("not read")
    );

    // A folder that is made anew is granted once the host has found it.
    fs::remove_file(inside("data")).unwrap();
    fs::create_dir(inside("data")).unwrap();
    fs::write(inside("data/in"), "anew").unwrap();
    let found = async {
        while read().await != "anew" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap();
}

/// A folder `data` of so many files, for a host whose services are told of it.
fn fill(data: &Path, files: u32) -> Vec<String> {
    fs::create_dir_all(data).unwrap();
    let names = (0..files).map(|at| format!("{at:05}"));
    names
        .inspect(|name| fs::write(data.join(name), name).unwrap())
        .collect()
}

#[tokio::test]
async fn a_folder_of_any_size_is_listed_in_whole() {
    let host = TestHost::serving(&[]).await;
    let names = fill(&host.folder.path().join("data"), 3_000);
    for (service, guest) in [("keeper", "guest_keeper"), ("archive", "guest_archive")] {
        grant(
            &host,
            service,
            "[files]\n\"/data\" = { path = \"{root}/data\" }\n",
        );
        host.put(service, guest);
    }
    // Both have a tool of this name.
    host.until(|names| names.contains(&"archive_names".to_owned()))
        .await;
    let of_02 = said(&host, None, "keeper_names", json!({ "path": "/data" })).await;
    assert_eq!(of_02, json!(names));
    let of_03 = said(&host, None, "archive_names", json!({})).await;
    assert_eq!(of_03, json!(names));
}

#[tokio::test]
async fn listings_that_nobody_reads_hold_up_nothing() {
    let host = TestHost::serving(&[]).await;
    let names = fill(&host.folder.path().join("data"), 200);
    grant(
        &host,
        "archive",
        "[files]\n\"/data\" = { path = \"{root}/data\" }\n[limits]\nhandles = 10000\n",
    );
    host.put("archive", "guest_archive");
    host.until(|names| !names.is_empty()).await;
    // More than the host has threads for what blocks.
    let piled = said(&host, None, "pile", json!({ "times": 1_000 })).await;
    assert_eq!(piled, json!(names));
    host.stop().await;
}

#[tokio::test]
async fn files_are_streams_and_streams_that_nobody_holds_have_an_end() {
    let host = TestHost::serving(&[]).await;
    let data = host.folder.path().join("data");
    fill(&data, 1);
    let large = "0123456789".repeat(30_000);
    fs::write(data.join("large"), &large).unwrap();
    grant(
        &host,
        "archive",
        "[files]\n\"/data\" = { path = \"{root}/data\", write = true }\n[limits]\nhandles = 100\n",
    );
    host.put("archive", "guest_archive");
    host.until(|names| !names.is_empty()).await;
    let between = |source: &str| json!({ "source": source, "target": "copy" });
    for source in ["large", "00000", "large"] {
        let copied = said(&host, None, "copy", between(source)).await;
        assert_eq!(copied, "copied", "{source}");
    }
    let copy = fs::read_to_string(data.join("copy")).unwrap();
    assert_eq!(copy, format!("{large}00000{large}"));
    let missing = said(&host, None, "copy", between("missing")).await;
    assert_eq!(missing, json!({ "failed": "ErrorCode::NoEntry" }));

    let pour = |times: u32| json!({ "source": "large", "target": "poured", "times": times });
    assert_eq!(said(&host, None, "pour", pour(40)).await, "poured");
    let too_many = said(&host, None, "pour", pour(60)).await;
    let too_many = too_many["failed"].as_str().unwrap();
    assert!(
        too_many.ends_with("it needed more than 100 handles at once, its limit"),
        "{too_many}"
    );
    for gauge in ["files", "memory"] {
        assert_eq!(host.open(gauge).await, 0, "{gauge}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_not_opened() {
    let host = TestHost::serving(&[]).await;
    let data = host.folder.path().join("data");
    fill(&data, 1);
    // Nobody ever writes to it, so to open it would take for ever.
    mkfifo(&data.join("pipe"), Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("pipe", data.join("link")).unwrap();
    for (service, guest) in [("keeper", "guest_keeper"), ("archive", "guest_archive")] {
        grant(
            &host,
            service,
            "[files]\n\"/data\" = { path = \"{root}/data\", write = true }\n",
        );
        host.put(service, guest);
    }
    host.until(|names| names.len() > 10).await;
    let mut outcomes = Vec::new();
    for name in ["pipe", "link", "00000"] {
        for (tool, path) in [("read", format!("/data/{name}")), ("open", name.to_owned())] {
            let outcome = said(&host, None, tool, json!({ "path": path })).await;
            outcomes.push(format!("{tool} {name} -> {outcome}"));
        }
    }
    insta::assert_snapshot!(outcomes.join("\n"), @r#"
    read pipe -> {"failed":"not read: Not supported (os error 58)"}
    open pipe -> {"failed":"ErrorCode::Unsupported"}
    read link -> {"failed":"not read: Not supported (os error 58)"}
    open link -> {"failed":"ErrorCode::Unsupported"}
    read 00000 -> "00000"
    open 00000 -> "opened"
    "#);
}

#[tokio::test]
async fn calls_have_a_part_of_the_files_that_the_host_may_open() {
    let folder = tempfile::tempdir().unwrap();
    let (mcp, data) = (folder.path().join("mcp"), folder.path().join("data"));
    fs::create_dir(&mcp).unwrap();
    fill(&data, 1);
    for guest in ["hostile", "archive"] {
        let built = component(&format!("guest_{guest}"));
        fs::copy(built, mcp.join(format!("{guest}.wasm"))).unwrap();
        let manifest = format!("[files]\n\"/data\" = {{ path = {data:?} }}\n");
        fs::write(mcp.join(format!("{guest}.toml")), manifest).unwrap();
    }
    let host = Running::start(&mut cloister_after("ulimit -n 400", folder.path())).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let open = async |tool: &str, arguments: Value| {
        let call = call(1, tool, arguments);
        let request = client.post(host.url());
        let request = request.header("content-type", "application/json");
        let reply = request.body(call.to_string()).send().await.unwrap();
        let status = reply.status().as_u16();
        (status, reply.json::<Value>().await.unwrap())
    };
    let one_by_one = |count: u32| json!({ "path": "/data/00000", "count": count });
    let at_once = |count: u32| json!({ "path": "00000", "times": count });
    let opened = json!("{\"result\":100}");
    for (tool, some, too_many) in [
        ("files", one_by_one(100), one_by_one(101)),
        ("gather", at_once(100), at_once(101)),
    ] {
        let (_, answer) = open(tool, some.clone()).await;
        assert_eq!(answer["result"]["content"][0]["text"], opened, "{answer}");
        let (status, refused) = open(tool, too_many).await;
        assert_eq!(
            refused["error"]["message"],
            "the server can open no more files for it at this moment; try again later"
        );
        assert_eq!(status, 503);
        // What the call had is closed with it.
        let (_, answer) = open(tool, some).await;
        assert_eq!(answer["result"]["content"][0]["text"], opened, "{answer}");
    }
}

#[tokio::test]
async fn the_log_names_the_line_of_a_folder_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (mcp, data) = (folder.path().join("mcp"), folder.path().join("data"));
    fs::create_dir(&mcp).unwrap();
    fill(&data, 1);
    for guest in ["keeper", "archive", "hostile"] {
        let built = component(&format!("guest_{guest}"));
        fs::copy(built, mcp.join(format!("{guest}.wasm"))).unwrap();
    }
    let read_only = format!("[files]\n\"/data\" = {{ path = {data:?} }}\n");
    fs::write(mcp.join("archive.toml"), read_only).unwrap();
    let (mut host, banner) = start(cloister(folder.path()).args(["--listen", "127.0.0.1:0"])).await;
    let mut lines = BufReader::new(host.stderr.take().unwrap()).lines();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (tool, arguments, line) in [
        (
            "keeper_names",
            json!({ "path": "/data" }),
            "it asks for folders and is granted none; the operator grants them in `mcp/keeper.toml`, under `[files]`: \"/data\" = { path = \"…\" }",
        ),
        (
            "make",
            json!({ "path": "new" }),
            "`/data` may be read only; the operator has it written to in `mcp/archive.toml`, under `[files]`, with `write = true`",
        ),
        (
            "sockets",
            json!({ "count": 1 }),
            "no service has sockets of its own; it may send requests over `wasi:http`, to the origins that the operator grants in `mcp/hostile.toml`, under `[http]`",
        ),
    ] {
        let request = client.post(endpoint(&banner));
        let request = request.header("content-type", "application/json");
        let reply = request.body(call(1, tool, arguments).to_string());
        assert_eq!(reply.send().await.unwrap().status(), 200, "{tool}");
        until_said(&mut lines, line).await;
    }
}
