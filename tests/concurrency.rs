//! Many callers at once, while what they call is being replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{TestHost, call};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_caller_sees_itself_while_the_service_is_replaced() {
    const USERS: usize = 200;
    const CALLS: usize = 1_000;

    let host = Arc::new(TestHost::serving(&[("demo", "cloister_demo")]).await);
    let users: Vec<(String, String)> = (0..USERS)
        .map(|user| {
            let sub = format!("user_{user}");
            let token = host.token(&sub);
            (sub, token)
        })
        .collect();

    let done = Arc::new(AtomicBool::new(false));
    let replacing = tokio::spawn({
        let (host, done) = (Arc::clone(&host), Arc::clone(&done));
        async move {
            let mut every = tokio::time::interval(Duration::from_millis(50));
            let mut replaced = 0;
            while !done.load(Ordering::Relaxed) {
                every.tick().await;
                host.put("demo", "cloister_demo");
                replaced += 1;
            }
            replaced
        }
    });

    let calls = (0..CALLS).map(|number| {
        let host = Arc::clone(&host);
        let (sub, token) = users[number % USERS].clone();
        async move {
            let message = format!("message {number}");
            let request = if number % 2 == 0 {
                call(1, "echo", json!({ "message": message }))
            } else {
                call(1, "getUserProfile", json!({}))
            };
            let reply = host.send(Some(&token), &request).await.json();
            let said = &reply["result"]["structuredContent"];
            assert_eq!(said["userId"], json!(sub), "{reply}");
            if number % 2 == 0 {
                assert_eq!(said["message"], json!(message), "{reply}");
                assert_eq!(said["userEmail"], json!(format!("{sub}@example.com")));
            } else {
                assert_eq!(said["email"], json!(format!("{sub}@example.com")));
            }
        }
    });
    join_all(calls).await;
    done.store(true, Ordering::Relaxed);
    assert!(replacing.await.unwrap() > 1);
}
