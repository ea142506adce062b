//! Many callers at once, while what they call is being replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

    let replaced = Arc::new(AtomicUsize::new(0));
    let replacing = tokio::spawn({
        let (host, replaced) = (Arc::clone(&host), Arc::clone(&replaced));
        async move {
            let mut every = tokio::time::interval(Duration::from_millis(50));
            loop {
                every.tick().await;
                host.put("demo", "cloister_demo");
                replaced.fetch_add(1, Ordering::Relaxed);
            }
        }
    });

    // On a fast machine a thousand calls are over before the second swap.
    while replaced.load(Ordering::Relaxed) < 5 {
        join_all((0..CALLS).map(|number| checked(&host, &users[number % USERS], number))).await;
    }
    replacing.abort();
}

/// One call, whose answer must be its caller's own.
async fn checked(host: &TestHost, (sub, token): &(String, String), number: usize) {
    let message = format!("message {number}");
    let is_echo = number.is_multiple_of(2);
    let request = if is_echo {
        call(1, "echo", json!({ "message": message }))
    } else {
        call(1, "getUserProfile", json!({}))
    };
    let reply = host.send(Some(token), &request).await.json();
    let said = &reply["result"]["structuredContent"];
    let email = json!(format!("{sub}@example.com"));
    assert_eq!(said["userId"], json!(sub), "{reply}");
    if is_echo {
        assert_eq!(said["message"], json!(message), "{reply}");
        assert_eq!(said["userEmail"], email, "{reply}");
    } else {
        assert_eq!(said["email"], email, "{reply}");
    }
}
