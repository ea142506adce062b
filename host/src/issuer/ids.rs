//! Names that nobody can guess, from one random seed: once it is drawn, making a name cannot fail.

use std::fmt::Write;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::{hmac, rand};

/// Makes names.
pub(super) struct Ids {
    seed: hmac::Key,
    count: AtomicU64,
}

impl Ids {
    pub(super) fn random() -> io::Result<Self> {
        let mut seed = [0; 32];
        rand::fill(&mut seed)
            .map_err(|_unspecified| io::Error::other("the system gives no random numbers"))?;
        Ok(Self {
            seed: hmac::Key::new(hmac::HMAC_SHA256, &seed),
            count: AtomicU64::new(0),
        })
    }

    /// 32 hexadecimal digits, never the same twice.
    pub(super) fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let tag = hmac::sign(&self.seed, &count.to_le_bytes());
        let mut name = String::with_capacity(32);
        for byte in tag.as_ref().iter().take(16) {
            // Writing to a `String` does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}
