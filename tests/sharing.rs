//! What calls have together, and how it is shared out: places, engines, processors.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join_all, select_all};
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, TestHost, text};

/// Runs a test on the threads that a host has.
fn on_threads_of_a_host(test: impl Future<Output = ()>) {
    cloister::runtime::new().unwrap().block_on(test);
}

/// A component with so many tables, memories and core instances. An instance has one table or memory at
/// most.
fn made_of(tables: usize, memories: usize, instances: usize) -> Vec<u8> {
    let instances = [
        vec!["(core instance (instantiate $table))"; tables],
        vec!["(core instance (instantiate $memory))"; memories],
        vec!["(core instance (instantiate $nothing))"; instances],
    ];
    wat::parse_str(format!(
        r#"(component
            (core module $table (table 1 funcref))
            (core module $memory (memory 1))
            (core module $nothing)
            {}
            (core module $m (func (export "call") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func (export "call") (result u32) (canon lift (core func $i "call"))))"#,
        instances.concat().join("\n")
    ))
    .unwrap()
}

#[tokio::test]
async fn a_component_that_takes_more_than_a_slot_has_is_refused_and_others_are_served() {
    let host = TestHost::serving(&[]).await;
    for (name, tables, memories, instances) in [
        ("small", 3, 1, 10),
        // As toolchains for Python make them.
        ("python", 2, 1, 20),
        ("composed", 8, 3, 30),
        ("tables", 25, 0, 0),
        ("memories", 0, 5, 0),
        ("instances", 0, 0, 64),
    ] {
        fs::write(
            host.file(&format!("{name}.wasm")),
            made_of(tables, memories, instances),
        )
        .unwrap();
    }
    host.until(|names| names.len() == 3).await;
    assert_eq!(host.names(), ["composed_call", "python_call", "small_call"]);
    for name in host.names() {
        let result = host.call(None, &name, json!({})).await;
        assert_eq!(
            result["structuredContent"],
            json!({ "result": 7 }),
            "{name}"
        );
    }

    let compiler = cloister::sandbox::Compiler::for_inspection().unwrap();
    let refusals: Vec<String> = ["tables", "memories", "instances"]
        .into_iter()
        .map(|name| {
            let path = host.file(&format!("{name}.wasm"));
            cloister::reload::inspect(&path, &compiler).err().unwrap()
        })
        .collect();
    insta::assert_snapshot!(refusals.join("\n"));
}

#[tokio::test]
async fn calls_on_one_engine_take_no_place_on_another() {
    let host = TestHost::with(
        &[("waiter", "guest_waiter"), ("plain", "guest_plain")],
        &[("limits.calls", "2"), ("limits.concurrency", "2")],
    )
    .await;
    let long = json!({ "times": 1, "milliseconds": 60_000 });
    let ada = host.token("user_ada");
    let eve = host.token("user_eve");
    let mut waiting = Box::pin(select_all([
        Box::pin(host.call(Some(&ada), "wait", long.clone())),
        Box::pin(host.call(Some(&eve), "wait", long)),
    ]));
    tokio::select! {
        _ = &mut waiting => panic!("it waits"),
        _ = host.until_open("calls", 2) => {}
    }
    let greeted = host.call(None, "greet", json!({ "name": "Ada" })).await;
    assert_eq!(text(&greeted), "hello, Ada");

    // One more waits in the queue until one of those is given up.
    let short = json!({ "times": 1, "milliseconds": 1 });
    let bob = host.token("user_bob");
    let mut next = Box::pin(host.call(Some(&bob), "wait", short));
    for _ in 0..10 {
        tokio::select! {
            biased;
            _ = &mut next => panic!("there is no place"),
            _ = host.open("calls") => {}
        }
    }
    drop(waiting);
    assert_eq!(next.await["structuredContent"], json!({ "result": 1 }));
}

#[tokio::test]
async fn who_finds_no_place_in_time_is_told_that_and_not_how_long_a_call_may_take() {
    let host = TestHost::with(
        &[("hostile", "guest_hostile"), ("plain", "guest_plain")],
        &[("limits.calls", "1"), ("limits.timeout", "1m")],
    )
    .await;
    fs::write(host.file("plain.toml"), "[limits]\ntimeout = \"100ms\"\n").unwrap();
    host.until_catalog(|catalog| {
        catalog.tools().any(|(_, tool)| {
            tool.function.name == "greet" && tool.function.limits.timeout < Duration::from_secs(1)
        })
    })
    .await;
    let mut sleeping = Box::pin(host.call(None, "sleep", json!({})));
    tokio::select! {
        _ = &mut sleeping => panic!("it sleeps"),
        _ = host.until_open("calls", 1) => {}
    }
    let message = crate::harness::call(1, "greet", json!({ "name": "Ada" }));
    let reply = tokio::select! {
        _ = &mut sleeping => panic!("it sleeps"),
        reply = host.send(None, &message) => reply,
    };
    assert_eq!(reply.status, 503);
    insta::assert_snapshot!(
        reply.json()["error"]["message"],
        @r#""the server is busy: no place for it came free within 100 ms; try again in a moment""#
    );
}

#[tokio::test]
async fn when_the_queue_is_full_the_answer_is_busy_at_once() {
    // One place, and one who may wait for it.
    let host = TestHost::with(
        &[("hostile", "guest_hostile"), ("plain", "guest_plain")],
        &[("limits.calls", "1"), ("limits.timeout", "1m")],
    )
    .await;
    let mut sleeping = Box::pin(host.call(None, "sleep", json!({})));
    tokio::select! {
        _ = &mut sleeping => panic!("it sleeps"),
        _ = host.until_open("calls", 1) => {}
    }
    // Whoever of the two comes last is turned away, and the other waits on.
    let (ada, bob) = (host.token("user_ada"), host.token("user_bob"));
    let message = crate::harness::call(1, "greet", json!({ "name": "Ada" }));
    let both = [&ada, &bob].map(|token| Box::pin(host.send(Some(token), &message)));
    let (refused, waiting) = tokio::select! {
        _ = &mut sleeping => panic!("it sleeps"),
        (reply, _, rest) = select_all(both) => (reply, rest),
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "1");
    insta::assert_snapshot!(
        refused.json()["error"]["message"],
        @r#""the server is busy: every place for a call is taken; try again in a moment""#
    );
    assert_eq!(host.open("calls").await, 1);
    drop(sleeping);
    let served = join_all(waiting).await;
    assert_eq!(text(&served[0].json()["result"]), "hello, Ada");
}

#[tokio::test]
async fn those_who_wait_are_counted_until_they_are_served_or_give_up() {
    let host = TestHost::with(
        &[("hostile", "guest_hostile"), ("plain", "guest_plain")],
        &[
            ("limits.calls", "4"),
            ("limits.concurrency", "4"),
            ("limits.timeout", "1m"),
        ],
    )
    .await;
    let (ada, bob) = (host.token("user_ada"), host.token("user_bob"));
    let callers = || [&ada, &bob, &ada, &bob].into_iter();
    let sleeping = callers().map(|token| Box::pin(host.call(Some(token), "sleep", json!({}))));
    let mut sleeping = Box::pin(select_all(sleeping));
    tokio::select! {
        _ = &mut sleeping => panic!("they sleep"),
        _ = host.until_open("calls", 4) => {}
    }
    assert_eq!(host.open("queued").await, 0);
    let greet = json!({ "name": "Ada" });
    let mut waiting: FuturesUnordered<_> = callers()
        .map(|token| host.call(Some(token), "greet", greet.clone()))
        .collect();
    tokio::select! {
        _ = waiting.next() => panic!("there is no place"),
        _ = host.until_open("queued", 4) => {}
    }
    // Somebody turned away waits for nothing, and neither does who has given up.
    let message = crate::harness::call(1, "greet", greet);
    assert_eq!(host.send(Some(&ada), &message).await.status, 503);
    assert_eq!(host.open("queued").await, 4);
    drop(waiting);
    host.until_open("queued", 0).await;
    assert_eq!(host.open("calls").await, 4);

    let mut waiting = Box::pin(host.send(Some(&ada), &message));
    tokio::select! {
        _ = &mut waiting => panic!("there is no place"),
        _ = host.until_open("queued", 1) => {}
    }
    drop(sleeping);
    assert_eq!(text(&waiting.await.json()["result"]), "hello, Ada");
    assert_eq!(host.open("queued").await, 0);
    host.until_open("calls", 0).await;
}

#[test]
fn who_computes_much_goes_on_behind_their_own_calls_and_not_before_those_of_others() {
    on_threads_of_a_host(async {
        let host = TestHost::with(
            &[("hostile", "guest_hostile"), ("plain", "guest_plain")],
            &[("limits.cpu", "300ms"), ("limits.timeout", "1m")],
        )
        .await;
        let eve = host.token("user_eve");
        let bob = host.token("user_bob");
        let spin = async |token: &str, who: &'static str| {
            let result = host.call(Some(token), "spin", json!({})).await;
            assert!(text(&result).contains("computed for 300 ms"), "{result}");
            who
        };
        let mut flood: FuturesUnordered<_> = (0..16).map(|_| spin(&eve, "eve")).collect();
        tokio::select! {
            _ = flood.next() => panic!("it computes"),
            _ = host.until_open("calls", 16) => {}
        }
        // He comes last, wants as much as each of them, and is done first.
        let bobs = spin(&bob, "bob");
        let quick = async {
            for _ in 0..20 {
                let greeted = host.call(None, "greet", json!({ "name": "Ada" })).await;
                assert_eq!(text(&greeted), "hello, Ada");
            }
        };
        tokio::select! {
            biased;
            first = flood.next() => panic!("{first:?} was first"),
            (bob, ()) = futures_util::future::join(bobs, quick) => assert_eq!(bob, "bob"),
        }
        let others: Vec<&str> = flood.collect().await;
        assert_eq!(others.len(), 16);
    });
}

#[tokio::test]
async fn what_is_set_aside_for_calls_is_what_the_machine_has() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mcp")).unwrap();
    let output = crate::commands::run(
        crate::commands::cloister(folder.path())
            .env("PORT", "0")
            .env("CLOISTER_CALLS", "1000")
            .env("CLOISTER_TOTAL_MEMORY", "1GiB"),
    )
    .await;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    insta::assert_snapshot!(
        said.lines().last().unwrap(),
        @"error: 1000 calls at once need 1250 MiB of memory, and there are 1024 MiB for them: lower `limits.calls`, or raise `limits.total_memory` if this machine has more to give"
    );
}

#[tokio::test]
async fn components_with_asynchronous_functions_are_served_unless_the_operator_says_no() {
    let host = TestHost::with(&[], &[("async", "false")]).await;
    host.put("waiter", "guest_waiter");
    host.put("plain", "guest_plain");
    host.until(|names| !names.is_empty()).await;
    assert_eq!(host.names(), ["greet", "mirror", "sum"]);
}

/// What a thousand callers at once do to the counts.
#[test]
fn whatever_becomes_of_calls_nothing_of_them_is_left() {
    on_threads_of_a_host(async {
        let host = TestHost::with(
            &[("hostile", "guest_hostile"), ("waiter", "guest_waiter")],
            &[
                ("limits.cpu", "20ms"),
                ("limits.timeout", "1s"),
                ("limits.calls", "16"),
            ],
        )
        .await;
        let host = Arc::new(host);
        let callers = (0..200_u32).map(|number| {
            let host = Arc::clone(&host);
            async move {
                let token = host.token(&format!("user_{}", number % 20));
                let (tool, arguments) = match number % 6 {
                    0 => ("hostile_spin", json!({})),
                    1 => ("panic", json!({ "message": "no" })),
                    2 => ("hostile_nothing", json!({})),
                    3 => ("wait", json!({ "times": 10, "milliseconds": 5 })),
                    4 => ("sleep", json!({})),
                    _ => ("palettes", json!({ "count": 1_000_000 })),
                };
                let message = crate::harness::call(1, tool, arguments);
                let patience = Duration::from_millis(u64::from(number % 50) * 40);
                // Some are given up.
                let sent = tokio::time::timeout(patience, host.send(Some(&token), &message));
                if let Ok(reply) = sent.await {
                    let _reply: Value = reply.json();
                }
            }
        });
        join_all(callers).await;
        tokio::time::timeout(PATIENCE, async {
            for what in ["calls", "queued", "memory"] {
                host.until_open(what, 0).await;
            }
        })
        .await
        .unwrap();
        let nothing = host.call(None, "hostile_nothing", json!({})).await;
        assert_eq!(nothing["isError"], Value::Null);
    });
}
