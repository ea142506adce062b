//! A service whose functions are asynchronous.

cloister_sdk::service!();

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::task::Poll;

use cloister::mcp::auth::AuthUser;
use exports::tests::waiter::waiter::Guest;
use wasi::clocks::monotonic_clock::wait_for;

struct Waiter;

export!(Waiter);

impl Guest for Waiter {
    async fn wait(times: u32, milliseconds: u32) -> Result<u32, String> {
        if times > 1_000 {
            return Err("at most 1000 times".into());
        }
        let mut waits: Vec<Pin<Box<dyn Future<Output = ()>>>> = (0..times)
            .map(|_| Box::pin(wait_for(u64::from(milliseconds) * 1_000_000)) as _)
            .collect();
        poll_fn(|context| {
            waits.retain_mut(|wait| wait.as_mut().poll(context).is_pending());
            if waits.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        Ok(times)
    }

    async fn whoami(user: &AuthUser) -> String {
        wait_for(1_000_000).await;
        user.get().id
    }

    async fn spin() {
        loop {
            black_box(());
        }
    }

    fn nothing() -> u32 {
        0
    }
}
