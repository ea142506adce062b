//! What holds for any input at all. Each target is a plain function over bytes: `just test` tries a
//! few hundred of them, `just fuzz` as many as there is time for.
//!
//! A target returns what came of its input, so that its tests can tell that it reaches anything.

pub mod bearer;
mod components;
pub mod decode;
pub mod describe;
pub mod endpoint;
mod shapes;
mod source;

/// As much stack as the host's threads have: what overflows it there must overflow it here.
const STACK: usize = 2 << 20;

/// Runs on a thread like the host's, and panics as what it runs does.
fn on_a_host_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, run)
            .expect("a thread");
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Some hundred cases, or as many as `PROPTEST_CASES` asks for. What fails is printed, not kept: it
/// belongs into a test with a name.
#[cfg(test)]
fn config() -> proptest::test_runner::Config {
    let default = proptest::test_runner::Config::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    proptest::test_runner::Config {
        cases: if asked { default.cases } else { 500 },
        failure_persistence: None,
        ..default
    }
}
