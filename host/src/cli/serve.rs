//! `cloister serve`: the host, until it is told to stop.

use std::io::Write;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Failure, Settings, telemetry};
use crate::config::Config;
use crate::host::Host;
use crate::runtime;

/// Runs the host until the process is asked to end.
pub(super) fn serve(settings: &Settings) -> Result<(), Failure> {
    let config = settings.read()?;
    telemetry::start(&config.log, config.log_json).map_err(Failure)?;
    raise_open_files();
    let runtime = runtime::new()?;
    let done = runtime.block_on(run(config));
    // Nobody waits for a line that may never be read, nor for code that would only be kept.
    runtime.shutdown_background();
    done
}

/// Lets this process open as many files and connections as it may. Each client has one, and each service.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| soft));
    if let Err(cause) = raised {
        tracing::warn!(%cause, "the number of open files could not be raised");
    }
}

async fn run(config: Config) -> Result<(), Failure> {
    let is_for_people = config.listen.is_some();
    let host = Host::start(config).await?;
    let banner = host.banner().await;
    // Not being read is no reason not to serve.
    let _closed = if is_for_people {
        writeln!(std::io::stdout(), "{banner}")
    } else {
        writeln!(std::io::stderr(), "{banner}")
    };
    host.run(stopped()).await;
    Ok(())
}

/// Resolves when the process is asked to end: Ctrl-C, or the signal that service managers send.
async fn stopped() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler the signal ends the process by itself.
            std::future::pending::<()>().await;
        }
    };
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_no_handler) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
    tracing::info!("stopping: no new requests are taken, those in progress are finished");
}
