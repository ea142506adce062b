//! The command line: what can be typed, and where each command is carried out.

mod inspect;
mod serve;
mod token;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Flag, Given};
use crate::telemetry;

/// Serves WebAssembly components as MCP tools.
///
/// Every component in the folder `mcp/` is a service, and its functions are tools. Without a
/// configured issuer a development issuer starts, for this machine only.
#[derive(Parser)]
#[command(name = "cloister", version, args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the folder of services; this is also what happens without a command
    Serve(Settings),
    /// Shows what clients will see of a component, what it may ask for, and what is missing
    Inspect(inspect::Inspected),
    /// Prints a token of the development issuer of a host that runs on this machine
    Token(token::Wanted),
}

/// Each setting can also be made in the environment, in `.env`, or in `cloister.toml`.
#[expect(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "these comments are printed as they are"
)]
#[derive(Args)]
struct Settings {
    /// Serves the program that started this one, over standard input and output, and listens nowhere,
    /// whatever PORT and CLOISTER_LISTEN say [environment: CLOISTER_TOKEN for the token of its requests]
    #[arg(long, conflicts_with = "listen")]
    stdio: bool,
    /// Where to listen [environment: CLOISTER_LISTEN; PORT for the port alone] [default: localhost:3000]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The folder of services [environment: CLOISTER_MCP_DIR] [default: mcp]
    #[arg(long, value_name = "FOLDER")]
    mcp_dir: Option<String>,
    /// The file of settings [environment: CLOISTER_CONFIG] [default: cloister.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where compiled code is kept between starts; `none` keeps none [environment: CLOISTER_CACHE_DIR]
    #[arg(long, value_name = "FOLDER")]
    cache_dir: Option<String>,
    /// Where what services keep in buckets lies; `none` keeps it in memory [environment: CLOISTER_STATE_DIR] [default: state]
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<String>,
    /// A Redis or Valkey server for buckets, such as redis://localhost:6379/1, in place of that folder;
    /// a URL with a password belongs into the environment [environment: CLOISTER_STORE]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Refuses to start without a configured issuer [environment: CLOISTER_PRODUCTION]
    #[arg(long)]
    production: bool,
    /// The URL that callers type, such as https://tools.example.com/mcp [environment: CLOISTER_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Which log lines are written, such as `info` or `cloister=debug` [environment: CLOISTER_LOG] [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// How log lines are written, `text` or `json` [environment: CLOISTER_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// The longest time a call may take [environment: CLOISTER_TIMEOUT] [default: 10s]
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// The memory a call may use [environment: CLOISTER_MEMORY] [default: 64MiB]
    #[arg(long, value_name = "BYTES")]
    memory: Option<String>,
    /// The largest result of a call [environment: CLOISTER_OUTPUT] [default: 4MiB]
    #[arg(long, value_name = "BYTES")]
    output: Option<String>,
    /// How many calls may run at once [environment: CLOISTER_CALLS] [default: 1000]
    #[arg(long, value_name = "NUMBER")]
    calls: Option<String>,
    /// The largest body of a request [environment: CLOISTER_BODY] [default: 4MiB]
    #[arg(long, value_name = "BYTES")]
    body: Option<String>,
}

impl Settings {
    fn flags(&self) -> Vec<Flag> {
        let production = self.production.then(|| "true".to_owned());
        let stdio = self.stdio.then(|| "true".to_owned());
        [
            ("stdio", "--stdio", &stdio),
            ("listen", "--listen", &self.listen),
            ("mcp_dir", "--mcp-dir", &self.mcp_dir),
            ("cache_dir", "--cache-dir", &self.cache_dir),
            ("state_dir", "--state-dir", &self.state_dir),
            ("store", "--store", &self.store),
            ("production", "--production", &production),
            ("public_url", "--public-url", &self.public_url),
            ("log", "--log", &self.log),
            ("log_format", "--log-format", &self.log_format),
            ("limits.timeout", "--timeout", &self.timeout),
            ("limits.memory", "--memory", &self.memory),
            ("limits.output", "--output", &self.output),
            ("limits.calls", "--calls", &self.calls),
            ("limits.body", "--body", &self.body),
        ]
        .into_iter()
        .filter_map(|(key, flag, text)| text.clone().map(|text| Flag { key, flag, text }))
        .collect()
    }

    fn read(&self) -> Result<Config, Failure> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
            .collect();
        let file = self
            .config
            .clone()
            .or_else(|| environment.get("CLOISTER_CONFIG").map(PathBuf::from));
        let given = Given::collect(
            &self.flags(),
            &environment,
            Path::new(".env"),
            file.as_deref(),
        );
        Config::read(&given).map_err(|mistakes| {
            let mut text = "the settings cannot be used".to_owned();
            for mistake in mistakes {
                text.push_str("\n  ");
                text.push_str(&mistake.to_string());
            }
            Failure(text)
        })
    }
}

/// Why a command failed, for the person who typed it.
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(cause: E) -> Self {
        Self(cause.to_string())
    }
}

/// Does what the command line says. The exit code is 0 for success, 1 for failure, 2 for a command
/// line that means nothing.
pub fn main() -> ExitCode {
    let line = Line::parse();
    let done = match line.command {
        None => serve::serve(&line.settings),
        Some(Command::Serve(settings)) => serve::serve(&settings),
        Some(Command::Inspect(inspected)) => inspect::print(&inspected),
        Some(Command::Token(wanted)) => token::print(&wanted),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(text)) => {
            // There is nobody left to tell if standard error is closed.
            let _closed = writeln!(std::io::stderr(), "error: {text}");
            ExitCode::FAILURE
        }
    }
}
