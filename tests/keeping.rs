//! What services keep and are told, as the operator grants it: buckets, configuration.

use std::fs;
use std::path::Path;

use cloister::issuer::TokenRequest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::commands::{cloister, endpoint, start};
use crate::harness::{PATIENCE, TestHost, call, component, text};

/// A host whose service `keeper` has this manifest. `{root}` in it is the folder above the services.
async fn keeper(manifest: &str) -> TestHost {
    keeper_with(manifest, &[]).await
}

/// The same, with settings.
pub(crate) async fn keeper_with(manifest: &str, settings: &[(&'static str, &str)]) -> TestHost {
    let host = TestHost::with(&[], settings).await;
    grant(&host, "keeper", manifest);
    host.put("keeper", "guest_keeper");
    host.until(|names| !names.is_empty()).await;
    host
}

pub(crate) fn grant(host: &TestHost, service: &str, manifest: &str) {
    let root = host.folder.path().to_str().unwrap();
    let fresh = host.file(".new");
    fs::write(&fresh, manifest.replace("{root}", root)).unwrap();
    fs::rename(fresh, host.file(&format!("{service}.toml"))).unwrap();
}

/// The result of a call, or the text that it failed with.
pub(crate) async fn said(
    host: &TestHost,
    token: Option<&str>,
    tool: &str,
    arguments: Value,
) -> Value {
    let result = host.call(token, tool, arguments).await;
    if result["isError"] == true {
        json!({ "failed": text(&result) })
    } else {
        result["structuredContent"]["result"].clone()
    }
}

#[tokio::test]
async fn a_service_reads_the_configuration_that_it_is_given() {
    let host = TestHost::serving(&[]).await;
    fs::write(host.folder.path().join("key"), "s3cret\n").unwrap();
    grant(
        &host,
        "keeper",
        "[config]\nunits = \"metric\"\nkey = \"Bearer ${secret.KEY}\"\n[secrets]\nKEY = { file = \"{root}/key\" }\n",
    );
    host.put("keeper", "guest_keeper");
    host.until(|names| !names.is_empty()).await;
    for (tool, arguments, wanted) in [
        ("settings", json!({}), json!(["key", "units"])),
        ("setting", json!({ "name": "units" }), json!("metric")),
        ("setting", json!({ "name": "key" }), json!("Bearer s3cret")),
        ("setting", json!({ "name": "KEY" }), Value::Null),
        ("variable", json!({ "name": "units" }), Value::Null),
    ] {
        assert_eq!(said(&host, None, tool, arguments).await, wanted, "{tool}");
    }
}

pub(crate) fn steps(bucket: &str, steps: &[Value]) -> Value {
    json!({ "bucket": bucket, "steps": steps })
}

pub(crate) fn step(tag: &str, val: impl Into<Value>) -> Value {
    json!({ "tag": tag, "val": val.into() })
}

pub(crate) fn count() -> Value {
    json!({ "tag": "count" })
}

#[tokio::test]
async fn what_is_kept_in_a_bucket_is_there_for_those_who_share_it() {
    buckets_are_shared_by_those_who_may(&[]).await;
}

/// Who finds what in which bucket, on a host with these settings.
pub(crate) async fn buckets_are_shared_by_those_who_may(settings: &[(&'static str, &str)]) {
    let manifest = "[store]\nall = { scope = \"service\" }\nmine = { scope = \"user\" }\nours = { scope = \"organization\" }\n";
    let host = keeper_with(manifest, settings).await;
    // Another service with the same buckets, and a bucket of the same name with another scope.
    grant(
        &host,
        "other",
        &format!("{manifest}more = {{ scope = \"user\" }}\n"),
    );
    host.put("other", "guest_keeper");
    host.until(|names| names.contains(&"other_keep".to_owned()))
        .await;
    let member = |sub: &str, organization: &str| {
        let mut wanted = TokenRequest::new(sub);
        let claims = json!({ "org_id": organization, "org_role": "org:member" });
        wanted.claims.clone_from(claims.as_object().unwrap());
        host.mint(&wanted)
    };
    let (ada, bob) = (member("user_ada", "org_one"), member("user_bob", "org_one"));
    let (eve, nobody) = (member("user_eve", "org_two"), host.token("user_nobody"));

    let set = |value: &str| vec![step("set", json!(["k", value]))];
    let get = [step("get", "k"), count()];
    let written = json!(["set"]);
    let found = |value: &str| json!([value, "1"]);
    let empty = json!(["none", "0"]);
    let denied = json!({ "failed": "access denied" });
    for (who, token, tool, bucket, steps_taken, wanted) in [
        (
            "ada",
            Some(&ada),
            "keeper_keepMine",
            "mine",
            &set("a")[..],
            &written,
        ),
        (
            "ada",
            Some(&ada),
            "keeper_keepMine",
            "ours",
            &set("one"),
            &written,
        ),
        (
            "ada",
            Some(&ada),
            "keeper_keepMine",
            "all",
            &set("all"),
            &written,
        ),
        ("bob", Some(&bob), "keeper_keepMine", "mine", &get, &empty),
        (
            "bob",
            Some(&bob),
            "keeper_keepMine",
            "mine",
            &set("b"),
            &written,
        ),
        (
            "ada",
            Some(&ada),
            "keeper_keepMine",
            "mine",
            &get,
            &found("a"),
        ),
        (
            "bob",
            Some(&bob),
            "keeper_keepMine",
            "ours",
            &get,
            &found("one"),
        ),
        ("eve", Some(&eve), "keeper_keepMine", "ours", &get, &empty),
        (
            "eve",
            Some(&eve),
            "keeper_keepMine",
            "all",
            &get,
            &found("all"),
        ),
        ("anybody", None, "keeper_keep", "all", &get, &found("all")),
        // A function that is not lent the caller has none, whoever asks.
        ("ada", Some(&ada), "keeper_keep", "mine", &get, &denied),
        ("anybody", None, "keeper_keep", "mine", &get, &denied),
        (
            "nobody",
            Some(&nobody),
            "keeper_keepMine",
            "ours",
            &get,
            &denied,
        ),
        ("ada", Some(&ada), "other_keepMine", "mine", &get, &empty),
        ("ada", Some(&ada), "other_keepMine", "ours", &get, &empty),
        ("ada", Some(&ada), "other_keepMine", "all", &get, &empty),
        ("ada", Some(&ada), "other_keepMine", "more", &get, &empty),
    ] {
        let token = token.map(String::as_str);
        let outcome = said(&host, token, tool, steps(bucket, steps_taken)).await;
        assert_eq!(&outcome, wanted, "{who} {tool} {bucket} {steps_taken:?}");
    }
    // Another scope is another bucket, and coming back finds what was there.
    for (scope, wanted) in [("user", &empty), ("service", &found("all"))] {
        grant(
            &host,
            "keeper",
            &manifest.replace(
                "all = { scope = \"service\" }",
                &format!("all = {{ scope = \"{scope}\" }}"),
            ),
        );
        let until = async {
            while said(&host, Some(&ada), "keeper_keepMine", steps("all", &get)).await != *wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, until).await.unwrap();
    }
}

#[tokio::test]
async fn a_bucket_does_what_its_interface_says_and_holds_what_it_may() {
    buckets_do_what_their_interface_says(&[]).await;
}

/// What comes of each step in a bucket, and where its bounds are, on a host with these settings.
pub(crate) async fn buckets_do_what_their_interface_says(settings: &[(&'static str, &str)]) {
    let manifest = "[store]\nall = { scope = \"service\" }\nsmall = { scope = \"service\", quota = \"2KiB\" }\n";
    let host = keeper_with(manifest, settings).await;
    let key = "k".repeat(1 << 10);
    let long = "k".repeat((1 << 10) + 1);
    let many = |count: usize| json!((0..count).map(|at| at.to_string()).collect::<Vec<_>>());
    for (bucket, taken, wanted) in [
        (
            "all",
            vec![
                step("exists", "a"),
                step("set", json!(["a", "1"])),
                step("exists", "a"),
                step("increment", json!(["a", 41])),
                step("increment", json!(["b", 7])),
                step("get-many", json!(["b", "c", "a"])),
                step("delete", "a"),
                step("delete", "a"),
                step("get", "a"),
                count(),
                step("set-many", json!([["c", "1"], ["d", "2"], ["c", "3"]])),
                step("get-many", json!(["c", "d"])),
                step("delete-many", json!(["b", "c", "d", "e"])),
                count(),
            ],
            json!([
                "false",
                "set",
                "true",
                "42",
                "7",
                "7 none 42",
                "deleted",
                "deleted",
                "none",
                "1",
                "set",
                "3 2",
                "deleted",
                "0"
            ]),
        ),
        (
            "all",
            vec![
                step("sow", 1_000),
                step("set", json!(["one more", "1"])),
                count(),
                // What is deleted behind the cursor does not hide what is before it.
                step("drain", 1),
                count(),
                step("drain", 1),
            ],
            json!(["sown", "set", "1001", "1000", "1", "1"]),
        ),
        (
            "all",
            vec![
                step("sow", 1_000),
                step("set", json!(["one more", "1"])),
                step("drain", 2),
                count(),
            ],
            json!(["sown", "set", "1001", "0"]),
        ),
        (
            "all",
            vec![
                step("set", json!(["a", "one"])),
                step("increment", json!(["a", 1])),
            ],
            json!({ "failed": "the value is not a number that can be added to" }),
        ),
        (
            "all",
            vec![
                step("set", json!(["a", u64::MAX.to_string()])),
                step("increment", json!(["a", 1])),
            ],
            json!({ "failed": "the sum does not fit into a number of 64 bits" }),
        ),
        ("all", vec![step("set", json!([key, "1"]))], json!(["set"])),
        (
            "all",
            vec![step("set", json!([long, "1"]))],
            json!({ "failed": "a key has more than 1024 bytes, the most it may have; shorten it" }),
        ),
        (
            "all",
            vec![step("fill", json!(["a", 1 << 20]))],
            json!(["filled"]),
        ),
        (
            "all",
            vec![step("fill", json!(["a", (1 << 20) + 1]))],
            json!({ "failed": "a value has more than 1024 KiB, the most it may have; divide it" }),
        ),
        (
            "all",
            vec![step("sow", 1_001)],
            json!({ "failed": "a batch has more than 1000 keys or 8 MiB of values, the most it may have; divide it" }),
        ),
        (
            "all",
            vec![step("get-many", many(1_001))],
            json!({ "failed": "a batch has more than 1000 keys or 8 MiB of values, the most it may have; divide it" }),
        ),
        (
            "small",
            vec![
                step("fill", json!(["a", 2_000])),
                step("fill", json!(["b", 46])),
                step("get-many", json!(["c"])),
            ],
            json!(["filled", "filled", "none"]),
        ),
        (
            "small",
            vec![step("fill", json!(["c", 0]))],
            json!({ "failed": "the bucket is full: its keys and values may have 2048 bytes together; delete some, or have the operator raise its `quota`" }),
        ),
        // All of a batch or nothing.
        (
            "small",
            vec![
                step("delete", "b"),
                step("set-many", json!([["c", "1"], ["d", "x".repeat(100)]])),
            ],
            json!({ "failed": "the bucket is full: its keys and values may have 2048 bytes together; delete some, or have the operator raise its `quota`" }),
        ),
        (
            "small",
            vec![
                count(),
                step("fill", json!(["a", 10])),
                step("fill", json!(["c", 1_000])),
            ],
            json!(["1", "filled", "filled"]),
        ),
    ] {
        let outcome = said(&host, None, "keep", steps(bucket, &taken)).await;
        assert_eq!(outcome, wanted, "{bucket} {taken:?}");
    }
}

#[tokio::test]
async fn a_value_is_swapped_if_nobody_has_changed_it() {
    values_are_swapped_if_nobody_has_changed_them(&[]).await;
}

/// What the second draft of the interface has beyond the first, on a host with these settings.
pub(crate) async fn values_are_swapped_if_nobody_has_changed_them(
    settings: &[(&'static str, &str)],
) {
    let manifest = "[store]\nall = { scope = \"service\", quota = \"1KiB\" }\n";
    let host = keeper_with(manifest, settings).await;
    let exchange = |value: &str, meddling: Value| {
        let arguments =
            json!({ "bucket": "all", "key": "k", "value": value, "meddling": meddling });
        said(&host, None, "exchange", arguments)
    };
    let long = "x".repeat(2_000);
    for (value, meddling, wanted) in [
        ("1", json!([]), json!([])),
        ("2", json!([]), json!([])),
        ("3", json!(["4", "5"]), json!(["4", "5"])),
        // What is as it was seen was not changed.
        ("6", json!(["3"]), json!([])),
        ("7", json!([""]), json!([""])),
        (
            &long,
            json!([]),
            json!({ "failed": "the bucket is full: its keys and values may have 1024 bytes together; delete some, or have the operator raise its `quota`" }),
        ),
    ] {
        assert_eq!(exchange(value, meddling).await, wanted, "{value}");
        if value.len() == 1 {
            let found = said(&host, None, "keep", steps("all", &[step("get", "k")])).await;
            assert_eq!(found, json!([value]));
        }
    }
    let deleted = steps("all", &[step("delete", "k")]);
    assert_eq!(said(&host, None, "keep", deleted).await, json!(["deleted"]));
    assert_eq!(exchange("8", json!(["9"])).await, json!(["9"]));

    // As many as want to swap at once, one after another.
    let climb = || said(&host, None, "climb", json!({ "bucket": "all", "key": "c" }));
    let climbed = futures_util::future::join_all((0..20).map(|_| climb())).await;
    let mut climbed: Vec<u64> = climbed.iter().map(|sum| sum.as_u64().unwrap()).collect();
    climbed.sort_unstable();
    assert_eq!(climbed, (1..=20).collect::<Vec<_>>());

    let tally = |key: &str, delta: i64| {
        let arguments = json!({ "bucket": "all", "key": key, "delta": delta.to_string() });
        said(&host, None, "tally", arguments)
    };
    assert_eq!(tally("n", -7).await, json!(-7));
    assert_eq!(tally("n", 5).await, json!(-2));
    assert_eq!(tally("least", i64::MIN).await, json!(i64::MIN.to_string()));
    for (key, delta, cause) in [
        ("least", -1, "the sum does not fit into a number of 64 bits"),
        ("k", 1, "the sum does not fit into a number of 64 bits"),
        ("o", 1, "the value is not a number that can be added to"),
    ] {
        if key == "k" {
            let most = [step("set", json!(["k", i64::MAX.to_string()]))];
            said(&host, None, "keep", steps("all", &most)).await;
        }
        if key == "o" {
            said(
                &host,
                None,
                "keep",
                steps("all", &[step("set", json!(["o", "1.5"]))]),
            )
            .await;
        }
        assert_eq!(tally(key, delta).await, json!({ "failed": cause }), "{key}");
    }

    let page = |cursor: Value| {
        let arguments = json!({ "bucket": "all", "cursor": cursor });
        said(&host, None, "page", arguments)
    };
    assert_eq!(page(Value::Null).await, json!([5, null]));
    assert_eq!(page(json!("3")).await[1], Value::Null);
    for cursor in ["", "x", "-1", "18446744073709551616"] {
        assert_eq!(
            page(json!(cursor)).await,
            json!({ "failed": "the cursor is not one that a page was given with" }),
            "{cursor}"
        );
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_granted_is_refused_and_the_text_says_how_it_is_granted() {
    let host = keeper("[store]\nall = { scope = \"service\" }\n").await;
    assert_eq!(
        said(&host, None, "keep", steps("default", &[])).await["failed"],
        "no such store"
    );
    let insisted = |bucket: String| said(&host, None, "insist", json!({ "bucket": bucket }));
    assert_eq!(
        insisted("default".into()).await["failed"],
        "the tool `insist` of the service `keeper` gave no result: it ended by a fault of its own after it was refused something: the bucket \"default\" is not granted; the operator grants it in `mcp/keeper.toml`, under `[store]`: \"default\" = { scope = \"user\" }"
    );
    let odd = insisted("\u{1b}[2J\n".repeat(1_000)).await;
    let odd = odd["failed"].as_str().unwrap();
    assert!(odd.len() < 800 && !odd.contains(char::is_control), "{odd}");
}

#[tokio::test]
async fn two_hosts_do_not_share_the_folder_for_state() {
    let first = keeper("[store]\nall = { scope = \"service\" }\n").await;
    let add = steps("all", &[step("increment", json!(["n", 1]))]);
    assert_eq!(said(&first, None, "keep", add.clone()).await, json!(["1"]));
    let state = first.folder.path().join("state");
    let second = TestHost::with(&[], &[("state_dir", state.to_str().unwrap())]).await;
    grant(
        &second,
        "keeper",
        "[store]\nall = { scope = \"service\" }\n",
    );
    second.put("keeper", "guest_keeper");
    second.until(|names| !names.is_empty()).await;
    let unavailable =
        json!({ "failed": "the host's buckets cannot be used at the moment; its log says why" });
    assert_eq!(said(&second, None, "keep", add.clone()).await, unavailable);

    // When the first has ended, the second needs no restart.
    let _folder = first.end();
    let freed = async {
        loop {
            let outcome = said(&second, None, "keep", add.clone()).await;
            if outcome != unavailable {
                return outcome;
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, freed).await.unwrap();
    assert_eq!(outcome, json!(["2"]));
}

#[tokio::test]
async fn without_a_folder_for_state_buckets_last_as_long_as_the_host() {
    let host = TestHost::with(&[], &[("state_dir", "none")]).await;
    grant(&host, "keeper", "[store]\nall = { scope = \"service\" }\n");
    host.put("keeper", "guest_keeper");
    host.until(|names| !names.is_empty()).await;
    for sum in ["1", "2"] {
        let add = steps("all", &[step("increment", json!(["n", 1]))]);
        assert_eq!(said(&host, None, "keep", add).await, json!([sum]));
    }
}

/// Sends one call to a host that may be killed meanwhile.
async fn keep(client: &reqwest::Client, url: &str, steps_taken: &[Value]) -> Option<Value> {
    let message = call(1, "keep", steps("all", steps_taken));
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2025-11-25")
        .body(message.to_string());
    let answer: Value = request.send().await.ok()?.json().await.ok()?;
    assert_eq!(answer["result"]["isError"], Value::Null, "{answer}");
    assert_eq!(answer["error"], Value::Null, "{answer}");
    Some(answer["result"]["structuredContent"]["result"].clone())
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_the_host_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mcp")).unwrap();
    fs::copy(
        component("guest_keeper"),
        folder.path().join("mcp/keeper.wasm"),
    )
    .unwrap();
    fs::write(
        folder.path().join("mcp/keeper.toml"),
        "[store]\nall = { scope = \"service\" }\n",
    )
    .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut acknowledged: Vec<String> = Vec::new();
    let mut attempted = 0;
    for round in 0..4 {
        let (mut host, banner) = start(
            cloister(folder.path())
                .args(["--listen", "127.0.0.1:0"])
                // Nobody reads it, and a pipe that is full would stop the host.
                .stderr(std::process::Stdio::null()),
        )
        .await;
        let url = endpoint(&banner).to_owned();

        let mut found = Vec::new();
        for keys in acknowledged.chunks(100) {
            let values = keep(&client, &url, &[step("get-many", json!(keys))]).await;
            let values = values.unwrap()[0].as_str().unwrap().to_owned();
            found.extend(values.split(' ').map(str::to_owned));
        }
        assert_eq!(found, acknowledged, "round {round}");
        let all = keep(&client, &url, &[count(), step("get", "n")]).await;
        let number = |at: usize| -> usize {
            let text = all.as_ref().unwrap()[at].as_str().unwrap();
            text.replace("none", "0").parse().unwrap()
        };
        // Each call sets a key and adds one: both are there, or the key alone if it came to that.
        assert!((acknowledged.len()..=attempted).contains(&number(1)));
        assert!((number(1)..=attempted + 1).contains(&number(0)));

        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (client, url, tell) = (client.clone(), url.clone(), tell.clone());
                tokio::spawn(async move {
                    for at in 0.. {
                        let key = format!("{round}-{writer}-{at}");
                        let steps_taken = [
                            step("set", json!([key, key])),
                            step("increment", json!(["n", 1])),
                        ];
                        if keep(&client, &url, &steps_taken).await.is_none() {
                            return at + 1;
                        }
                        tell.send(key).unwrap();
                    }
                    0
                })
            })
            .collect();
        drop(tell);
        for _ in 0..40 {
            acknowledged.push(told.recv().await.unwrap());
        }
        host.start_kill().unwrap();
        while let Some(key) = told.recv().await {
            acknowledged.push(key);
        }
        for writer in writers {
            attempted += writer.await.unwrap();
        }
        host.wait().await.unwrap();
    }
}

/// The files of compiled code.
fn code(cache: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "code"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn compiled_code_that_was_damaged_is_compiled_again() {
    let cache = TempDir::new().unwrap();
    let settings = [("cache_dir", cache.path().to_str().unwrap())];
    let serve = || async {
        let host = TestHost::with(&[("plain", "guest_plain")], &settings).await;
        assert!(!host.names().is_empty());
    };
    serve().await;
    let [file] = &code(cache.path())[..] else {
        panic!("one component is one file")
    };
    let whole = fs::read(file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    for damaged in [
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        flipped(0),
        flipped(whole.len() / 2),
        flipped(whole.len() - 1),
    ] {
        // The old file may still be mapped.
        let fresh = file.with_extension("damaged");
        fs::write(&fresh, damaged).unwrap();
        fs::rename(&fresh, file).unwrap();
        serve().await;
        assert!(fs::read(file).unwrap() == whole, "it was not written anew");
    }
}
