//! Who writes, and when. One thread writes for all, as long as there is something to write: what waits is
//! taken up together, and is on disk together. Of those who wait, each service and caller is served in turn,
//! so whoever writes much waits behind themselves.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::super::{BATCH_BYTES, Change, NotDone, Pending, Place};
use super::tables::Tables;
use super::{Failed, Opened, Shared};
use crate::auth::Party;

/// How many changes are on disk together.
const GROUP: usize = 64;

/// Past how many bytes nothing is added to them.
const GROUP_BYTES: usize = BATCH_BYTES / 4;

/// Whose change it is: a service's, on behalf of a caller.
type Payer = (Arc<str>, Party);

/// A change that somebody waits for.
pub(super) struct Job {
    id: Arc<[u8]>,
    quota: u64,
    change: Change,
    answer: oneshot::Sender<Answer>,
    pending: Pending,
}

type Answer = Result<i128, NotDone>;

impl Job {
    pub(super) fn new(
        place: &Place,
        change: Change,
        pending: Pending,
    ) -> (Self, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        let job = Self {
            id: place.id(),
            quota: place.quota,
            change,
            answer,
            pending,
        };
        (job, receiver)
    }

    /// It is done, or not.
    fn answer(self, answer: Answer) {
        drop(self.pending);
        // Whoever has stopped waiting meanwhile is not told.
        let _gone = self.answer.send(answer);
    }
}

/// The changes that wait.
#[derive(Default)]
pub(super) struct Queue {
    waiting: HashMap<Payer, VecDeque<Job>>,
    /// Those who have something waiting; the next to be served stands first.
    order: VecDeque<Payer>,
    /// Whether there is somebody who writes.
    is_written: bool,
}

impl Queue {
    fn push(&mut self, payer: Payer, job: Job) {
        match self.waiting.entry(payer) {
            Entry::Occupied(mut queue) => queue.get_mut().push_back(job),
            Entry::Vacant(place) => {
                self.order.push_back(place.key().clone());
                place.insert(VecDeque::from([job]));
            }
        }
    }

    /// What is written next. Whoever has stopped waiting for what was not begun wants it no more.
    fn group(&mut self) -> Vec<Job> {
        let mut group = Vec::new();
        let mut bytes = 0_usize;
        while group.len() < GROUP && bytes < GROUP_BYTES {
            let Some(payer) = self.order.pop_front() else {
                break;
            };
            let Entry::Occupied(mut queue) = self.waiting.entry(payer.clone()) else {
                continue;
            };
            let job = queue.get_mut().pop_front();
            if queue.get().is_empty() {
                queue.remove();
            } else {
                self.order.push_back(payer);
            }
            if let Some(job) = job.filter(|job| !job.answer.is_closed()) {
                bytes = bytes.saturating_add(job.change.bytes());
                group.push(job);
            }
        }
        group
    }
}

/// Has a change made, and somebody to make it.
pub(super) fn push(shared: &Arc<Shared>, payer: Payer, job: Job) {
    let mut queue = shared.queue();
    queue.push(payer, job);
    if !std::mem::replace(&mut queue.is_written, true) {
        let writer = Writer(Arc::clone(shared));
        tokio::task::spawn_blocking(move || writer.run());
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes changes, each of them or not, and all that are written at once.
    fn write(&self, opened: &Opened, group: &[Job]) -> Result<Vec<Answer>, Failed> {
        let mut transaction = opened.database.begin_write()?;
        // What guests write could be made to look like a commit that was cut short; two phases do
        // not rely on checksums, and opening after a crash takes no time.
        transaction.set_quick_repair(true);
        let mut tables = Tables::open(&transaction)?;
        let mut answers = Vec::with_capacity(group.len());
        for job in group {
            answers.push(match tables.apply(&job.id, job.quota, &job.change) {
                Ok(sum) => Ok(sum),
                Err(Failed::Guest(cause)) => Err(cause),
                Err(cause) => return Err(cause),
            });
        }
        drop(tables);
        if answers.iter().any(Result::is_ok) {
            transaction.commit()?;
            // Else nobody will find what was written just now.
            self.is_in_place(opened).map_err(|failed| {
                if let Failed::Folder { folder, cause } = failed {
                    Failed::Unconfirmed { folder, cause }
                } else {
                    failed
                }
            })?;
        }
        Ok(answers)
    }
}

/// Whoever writes.
struct Writer(Arc<Shared>);

impl Writer {
    fn run(self) {
        loop {
            let mut queue = self.0.queue();
            let group = queue.group();
            if group.is_empty() {
                // Under the lock: whoever comes now finds nobody writing.
                queue.is_written = false;
                return;
            }
            drop(queue);
            match self.0.work(|opened| self.0.write(opened, &group)) {
                Ok(answers) => {
                    for (job, answer) in group.into_iter().zip(answers) {
                        job.answer(answer);
                    }
                }
                Err(told) => {
                    for job in group {
                        job.answer(Err(told));
                    }
                }
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A writer that falls lets the next change have another. Nobody else has it then.
        if std::thread::panicking() {
            self.0.queue().is_written = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(bytes: usize) -> (Job, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        let job = Job {
            id: Arc::new([]),
            quota: 0,
            change: Change::Set(vec![("key".into(), vec![0; bytes])]),
            answer,
            pending: Pending::begin(&Arc::default()),
        };
        (job, receiver)
    }

    fn payer(service: &str, caller: &str) -> Payer {
        (service.into(), Party::User(caller.into()))
    }

    #[test]
    fn whoever_writes_much_waits_behind_themselves() {
        let mut queue = Queue::default();
        let mut kept = Vec::new();
        let mut push = |queue: &mut Queue, payer, bytes| {
            let (job, receiver) = job(bytes);
            queue.push(payer, job);
            kept.push(receiver);
        };
        for _ in 0..1_000 {
            push(&mut queue, payer("one", "eve"), 10);
        }
        for _ in 0..3 {
            push(&mut queue, payer("one", "ada"), 11);
            push(&mut queue, payer("other", "eve"), 12);
        }
        let sizes = |group: &[Job]| -> Vec<usize> {
            group.iter().map(|job| job.change.bytes() - 3).collect()
        };
        let group = queue.group();
        assert_eq!(group.len(), GROUP);
        assert_eq!(sizes(&group)[..9], [10, 11, 12, 10, 11, 12, 10, 11, 12]);
        assert!(sizes(&group)[9..].iter().all(|bytes| *bytes == 10));

        // One that writes what is large has it written with little else, and not before others.
        let mut queue = Queue::default();
        for _ in 0..4 {
            push(&mut queue, payer("one", "eve"), GROUP_BYTES);
        }
        push(&mut queue, payer("one", "ada"), 1);
        assert_eq!(sizes(&queue.group()), [GROUP_BYTES]);
        assert_eq!(sizes(&queue.group()), [1, GROUP_BYTES]);
        assert_eq!(sizes(&queue.group()), [GROUP_BYTES]);
        assert_eq!(sizes(&queue.group()), [GROUP_BYTES]);
        assert!(queue.group().is_empty() && queue.waiting.is_empty() && queue.order.is_empty());
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_begun() {
        let mut queue = Queue::default();
        let (first, kept) = job(1);
        let (second, left) = job(2);
        queue.push(payer("one", "ada"), first);
        queue.push(payer("one", "ada"), second);
        drop(left);
        assert_eq!(queue.group().len(), 1);
        drop(kept);
        assert!(queue.group().is_empty() && queue.waiting.is_empty());
    }
}
