//! A host under load for a long time: 500 connections call well and badly, and check every answer, while the
//! services they call are replaced, removed, damaged and restored, and others open sessions, streams and
//! subscriptions, are asked, and go in the middle of it. The host is the real binary, in a process
//! of its own. At the end nothing may be left of anybody.
//!
//! `just soak [seconds]`

mod cases;
mod changes;
mod crowd;
mod elsewhere;
mod events;
mod server;
mod stage;
mod tally;
mod visits;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use changes::Folder;
use crowd::{Caller, FLOOD, QUIET, USERS};
use elsewhere::Elsewhere;
use server::Server;
use stage::Stages;
use tally::Tally;
use visits::{VISITORS, Visitor, Visits};

/// How long it takes, unless it is said.
const SECONDS: u64 = 600;

/// How often the memory of the host is looked at.
const SAMPLED: Duration = Duration::from_secs(1);

/// What all connections look at.
struct Soak {
    url: String,
    stages: Stages,
    tally: Tally,
    visits: Visits,
}

fn main() -> ExitCode {
    let seconds = match std::env::args().nth(1).map(|it| it.parse()) {
        None => SECONDS,
        Some(Ok(seconds)) if seconds > 0 => seconds,
        Some(_) => {
            eprintln!("usage: soak [seconds]");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads");
    if runtime.block_on(soak(Duration::from_secs(seconds))) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether nothing was missed.
async fn soak(length: Duration) -> bool {
    let elsewhere = Elsewhere::start().await;
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::fill(root.path(), elsewhere.port());
    let server = Server::start(root.path()).await;
    let mut users = Vec::new();
    for number in 0..USERS {
        users.push(Caller::known(&server, &format!("user_{number}")).await);
    }
    let flood = Caller::known(&server, "user_flood").await;
    let soak = Arc::new(Soak {
        url: server.url().to_owned(),
        stages: Stages::default(),
        tally: Tally::default(),
        visits: Visits::default(),
    });
    let mut visitors = JoinSet::new();
    for number in 0..VISITORS {
        let caller = Caller::known(&server, &format!("user_visitor_{number}")).await;
        visitors.spawn(Visitor::new(number, caller, Arc::clone(&soak)).stay());
    }
    let log = server.log();

    println!(
        "{} connections of {} callers for {} s: {FLOOD} of one of them, who calls without a pause; and {VISITORS} visitors",
        FLOOD + QUIET,
        USERS + 1,
        length.as_secs()
    );
    let mut connections = JoinSet::new();
    for number in 0..FLOOD + QUIET {
        let caller = if number < FLOOD {
            flood.clone()
        } else {
            users[number % users.len()].clone()
        };
        connections.spawn(crowd::connection(
            number,
            caller,
            elsewhere.port(),
            Arc::clone(&soak),
        ));
    }
    let over = Instant::now() + length;
    let changing = folder.change(&soak, &log, over);
    let sampling = async {
        let mut samples = Vec::new();
        while Instant::now() < over {
            tokio::time::sleep(SAMPLED).await;
            samples.push(server.resident());
        }
        samples
    };
    let (changes, samples) = tokio::join!(changing, sampling);
    soak.tally.over.store(true, Ordering::Relaxed);
    let latencies = connections.join_all().await.concat();
    visitors.join_all().await;

    let open = server.gauges_at_rest().await;
    let stopped = server.stop().await;
    let tally = &soak.tally;
    for problem in stopped {
        tally.missed(problem);
    }
    for (what, left) in open {
        println!("{what:24} {left:>10} at the end");
        if left != 0 {
            tally.missed(format!("{left} {what} are left at the end"));
        }
    }
    changes.print();
    for missing in soak.visits.print() {
        tally.missed(missing);
    }
    log.print();
    tally.judge_log(&log, &soak.visits);
    tally.judge_memory(&samples);
    tally.print(latencies, length)
}
