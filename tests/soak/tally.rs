//! What was counted, and whether it is as it has to be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::server::Log;
use crate::visits::Visits;

/// How many kinds of misses are told, and by how many of their first characters those are told apart.
const KINDS: usize = 30;
const KIND: usize = 40;

/// How much more memory the host may have in the last quarter than in the third: noise, but no leak that
/// matters within a day.
const GROWTH: f64 = 0.05;
const GROWTH_KIB: f64 = 16.0 * 1024.0;

/// How many samples it takes to judge that: before, places and connections are taken for the first time.
const SAMPLES: usize = 120;

/// What became of calls.
#[derive(Default)]
pub(crate) struct Tally {
    /// Whether nobody is to call any more.
    pub(crate) over: AtomicBool,
    /// Requests that were answered.
    pub(crate) answered: AtomicU64,
    /// Requests that were given up before they were.
    pub(crate) given_up: AtomicU64,
    /// Calls of the one who floods that were turned away.
    pub(crate) busy: AtomicU64,
    /// Calls of the one who floods, and those that compute, whose time was up.
    pub(crate) late: AtomicU64,
    /// Calls that were never answered.
    lost: AtomicU64,
    /// Calls that were answered wrongly.
    wrong: AtomicU64,
    missed: AtomicU64,
    /// The first miss of each kind, and how many there were.
    told: Mutex<BTreeMap<String, (String, u64)>>,
    /// Calls that were answered rightly, by what was called.
    right: Mutex<BTreeMap<&'static str, u64>>,
}

impl Tally {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn right(&self, case: &'static str) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        *right.entry(case).or_default() += 1;
    }

    pub(crate) fn wrong(&self, case: &str, what: &str) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
        self.missed(format!("{case}: {what}"));
    }

    pub(crate) fn lost(&self, case: &str, why: &str) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.missed(format!("{case} was lost: {why}"));
    }

    /// Notes what is not as it has to be.
    pub(crate) fn missed(&self, what: String) {
        self.missed.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let kind: String = what.chars().take(KIND).collect();
        if told.len() < KINDS || told.contains_key(&kind) {
            told.entry(kind).or_insert((what, 0)).1 += 1;
        }
    }

    /// Each call has one line in the log, whoever made it and however it ended. Of those that were given up,
    /// some had not arrived.
    pub(crate) fn judge_log(&self, log: &Log, visits: &Visits) {
        let noted = log.noted();
        for problem in &noted.problems {
            self.missed(problem.clone());
        }
        let lines: u64 = noted.calls.values().sum();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let answered = count(&self.answered) + count(&visits.calls);
        let most = answered + count(&self.given_up) + count(&visits.cut_calls);
        if lines < answered || lines > most {
            self.missed(format!(
                "{lines} calls are in the log, and {answered} to {most} were made"
            ));
        }
    }

    /// Compares the memory of the host in the last quarter with that in the third.
    pub(crate) fn judge_memory(&self, samples: &[u64]) {
        let quarter = |from: usize| {
            let range = samples.len() * from / 4..samples.len() * (from + 1) / 4;
            let mut some = samples[range].to_vec();
            some.sort_unstable();
            some.get(some.len() / 2).copied().unwrap_or(0)
        };
        let quarters = [0, 1, 2, 3].map(quarter);
        let mebibytes = quarters.map(|it| (it >> 10).to_string());
        let most = samples.iter().max().copied().unwrap_or(0) >> 10;
        println!(
            "\nresident memory of the host, median of each quarter: {} MiB; {most} MiB at most",
            mebibytes.join(", ")
        );
        if samples.len() < SAMPLES {
            println!("in less than {SAMPLES} s the memory is not judged");
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "it is a few GiB")]
        let [third, last] = [quarters[2] as f64, quarters[3] as f64];
        let allowed = third + (third * GROWTH).max(GROWTH_KIB);
        if last > allowed || last == 0.0 {
            self.missed(format!(
                "the memory of the host has grown from {third} to {last} KiB in the last half"
            ));
        }
    }

    /// Prints all figures. True if nothing was missed.
    pub(crate) fn print(&self, mut latencies: Vec<Duration>, length: Duration) -> bool {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        println!("\nanswered as it has to be");
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        for (case, count) in &*right {
            println!("{case:34} {count:>10}");
        }
        latencies.sort_unstable();
        let at = |share: usize| {
            let index = latencies.len().saturating_sub(1) * share / 1_000;
            latencies
                .get(index)
                .map_or(0.0, |it| it.as_secs_f64() * 1e3)
        };
        println!(
            "\ngood calls of those who do not flood: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            at(500),
            at(990),
            at(1_000)
        );
        let answered = count(&self.answered);
        println!(
            "{answered} answers ({} a second), {} calls turned away as busy, {} out of time, {} given up by their callers",
            answered / length.as_secs().max(1),
            count(&self.busy),
            count(&self.late),
            count(&self.given_up)
        );
        println!(
            "wrong answers: {}, lost calls: {}",
            count(&self.wrong),
            count(&self.lost)
        );
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = count(&self.missed);
        if missed == 0 && answered > 0 {
            println!("nothing was missed");
            return true;
        }
        println!("\n{missed} misses, the first of each kind");
        for (what, times) in told.values() {
            let what: String = what.chars().take(500).collect();
            println!("{times:>7}  {what}");
        }
        false
    }
}
