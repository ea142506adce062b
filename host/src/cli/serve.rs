//! `cloister serve`: the host, until it is told to stop.

use std::io::Write;

use tokio::runtime;

use super::{Failure, Settings, telemetry};
use crate::config::Config;
use crate::host::Host;

/// Runs the host until the process is asked to end.
pub(super) fn serve(settings: &Settings) -> Result<(), Failure> {
    let config = settings.read()?;
    telemetry::start(&config.log, config.log_json).map_err(Failure)?;
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        // A guest that computes comes back to the scheduler on every tick. With the default
        // interval, as many such guests as there are threads would keep everyone else from being
        // heard for a third of a second.
        .event_interval(1)
        .build()?;
    let done = runtime.block_on(run(config));
    // Nobody waits for a line that may never be read, nor for code that would only be kept.
    runtime.shutdown_background();
    done
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
