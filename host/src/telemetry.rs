//! Where log lines go: standard error, as text for people or as JSON for machines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Starts logging for the whole process. A filter that cannot be read is an error, with what is
/// wrong with it; a process that logs already keeps what it has.
pub fn start(filter: &str, json: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|cause| {
        format!("`log` is no filter, such as `info` or `cloister=debug`: {cause}")
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // The second start in one process, as in tests, changes nothing.
    let _already = if json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_target(false).try_init()
    };
    Ok(())
}
