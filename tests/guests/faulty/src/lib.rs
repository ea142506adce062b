//! A service that misbehaves in every way that the tests need.

cloister_sdk::service!();

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cloister::mcp::auth::AuthUser;
use exports::tests::faulty::faulty::Guest;

struct Faulty;

export!(Faulty);

static CALLS: AtomicU32 = AtomicU32::new(0);

impl Guest for Faulty {
    fn refuse(why: String) -> Result<String, String> {
        Err(why)
    }

    fn panic(message: String) {
        panic!("{message}");
    }

    fn spin() {
        loop {
            black_box(());
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a guest has nobody else to wait for"
    )]
    fn sleep(milliseconds: u32) -> u32 {
        std::thread::sleep(Duration::from_millis(milliseconds.into()));
        milliseconds
    }

    fn allocate() -> u64 {
        let mut blocks = Vec::new();
        loop {
            blocks.push(black_box(vec![1_u8; 1 << 20]));
            black_box(&blocks);
        }
    }

    #[expect(unconditional_recursion, reason = "that is the fault")]
    fn recurse(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        Self::recurse(black_box(depth + 1)) + frame.iter().sum::<u64>()
    }

    fn flood(bytes: u32) -> String {
        "x".repeat(bytes as usize)
    }

    fn exit(code: u8) {
        std::process::exit(code.into());
    }

    fn chatter(lines: u32) -> u32 {
        for line in 0..lines {
            eprintln!("line {line}: the quick brown fox jumps over the lazy dog");
        }
        lines
    }

    fn whoami(user: Option<&AuthUser>) -> Option<String> {
        user.map(|user| user.get().id)
    }

    fn tell_secret(user: &AuthUser, name: String) -> Result<String, String> {
        user.secret(&name).map_err(|none| format!("{none:?}"))
    }

    fn count() -> u32 {
        CALLS.fetch_add(1, Ordering::Relaxed) + 1
    }
}
