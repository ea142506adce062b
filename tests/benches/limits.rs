//! How exactly limits are met: by how much calls exceed the time for which they may run and compute, and
//! how long the host is busy with the largest results.

mod guest;

use std::time::{Duration, Instant};

use cloister::sandbox::{Limits, Usage};
use guest::Guest;

/// How often each is measured.
const ROUNDS: usize = 20;

const WALL: Duration = Duration::from_millis(200);
const CPU: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_mins(1);

fn main() {
    let runtime = cloister::runtime::new().expect("threads");
    runtime.block_on(async {
        // As calls are: on a thread of the runtime.
        tokio::spawn(measure()).await.expect("all end");
    });
}

async fn measure() {
    let hostile = Guest::new(&guest::component("guest_hostile"));
    let limits = |timeout, cpu| Limits {
        timeout,
        cpu,
        log: 1 << 30,
        ..Limits::default()
    };
    println!("by how much a limit is exceeded, in ms      p50      max");
    for tool in [
        "sleep",
        "spin",
        "spinInHost",
        "spinInPoll",
        "spinForRandom",
        "printForever",
        "copyForever",
    ] {
        let mut beyond = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let called = hostile.call(tool, "{}", limits(WALL, LONG), Usage::default());
            let failure = called.await.expect_err("it never ends");
            assert_eq!(failure.cause.name(), "out_of_time", "{failure:?}");
            beyond.push(start.elapsed().saturating_sub(WALL));
        }
        print("time", tool, beyond);
        if tool == "sleep" {
            continue;
        }
        let mut beyond = Vec::new();
        for _ in 0..ROUNDS {
            let usage = Usage::default();
            let called = hostile.call(tool, "{}", limits(LONG, CPU), usage.clone());
            let failure = called.await.expect_err("it never ends");
            assert_eq!(failure.cause.name(), "out_of_cpu", "{failure:?}");
            beyond.push(usage.cpu().saturating_sub(CPU));
        }
        print("computing", tool, beyond);
    }
    println!("\nhow long a call with a large result takes");
    for (tool, count) in [
        ("texts", 100_000),
        ("texts", 10_000_000),
        ("palettes", 4_000),
        ("palettes", 10_000_000),
        ("bytes", 50_000),
        ("blob", 400_000),
        ("blob", 30_000_000),
    ] {
        let mut taken = Vec::new();
        let mut ended = "done";
        for _ in 0..ROUNDS {
            let arguments = format!("{{\"count\":{count}}}");
            let limits = Limits {
                memory: 256 << 20,
                ..limits(LONG, LONG)
            };
            let start = Instant::now();
            let called = hostile.call(tool, &arguments, limits, Usage::default());
            if let Err(failure) = called.await {
                ended = failure.cause.name();
            }
            taken.push(start.elapsed());
        }
        print(ended, &format!("{tool} {count}"), taken);
    }
}

fn print(what: &str, tool: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let milliseconds = |time: &Duration| time.as_secs_f64() * 1e3;
    println!(
        "{what:18} {tool:20} {:>8.2} {:>8.2}",
        times.get(times.len() / 2).map_or(0.0, milliseconds),
        times.last().map_or(0.0, milliseconds)
    );
}
