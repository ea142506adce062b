#![doc = include_str!("../ARCHITECTURE.md")]

pub mod auth;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod digest;
pub mod host;
pub mod http;
pub mod issuer;
pub mod protocol;
pub mod reload;
pub mod runtime;
pub mod sandbox;
pub mod stdio;
pub mod telemetry;
pub mod units;
pub mod value;

/// How many cases properties are tried with.
#[cfg(test)]
mod cases {
    use proptest::test_runner::Config;

    /// Some hundred cases, or as many as `PROPTEST_CASES` asks for. What fails is printed, not kept: it
    /// belongs into a test with a name.
    pub(crate) fn config() -> Config {
        let default = Config::default();
        let asked = std::env::var_os("PROPTEST_CASES").is_some();
        Config {
            cases: if asked { default.cases } else { 500 },
            failure_persistence: None,
            ..default
        }
    }
}
