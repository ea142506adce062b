//! What changes while clients listen: the lists of what is served, and resources that a service says
//! have changed.
//!
//! The catalog counts the changes of its lists. A service may say that a list of its own making has
//! changed, which is counted beside that. A listener compares counts, so nothing that happens while it
//! is busy is lost, and a thousand changes are one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::catalog::{Catalogs, Lists};
use crate::sandbox::client::Announcement;

/// How many updates of resources may wait for a listener; one that falls behind more than that takes
/// all that it watches for changed.
const WAITING: usize = 256;

/// The least time between two tellings of one listener.
const PAUSE: Duration = Duration::from_millis(50);

/// The end that changes are told to.
pub(super) struct Changes {
    catalogs: Catalogs,
    announced: watch::Sender<Lists>,
    updated: broadcast::Sender<Arc<str>>,
}

impl Changes {
    pub(super) fn new(catalogs: Catalogs) -> Self {
        Self {
            catalogs,
            announced: watch::Sender::default(),
            updated: broadcast::Sender::new(WAITING),
        }
    }

    /// How often each list has changed.
    fn lists(&self) -> Lists {
        let served = self.catalogs.snapshot().changed();
        let announced = *self.announced.borrow();
        Lists {
            tools: served.tools.wrapping_add(announced.tools),
            prompts: served.prompts.wrapping_add(announced.prompts),
            resources: served.resources.wrapping_add(announced.resources),
        }
    }

    /// Takes in what a guest says has changed.
    pub(super) fn announce(&self, announcement: Announcement) {
        let count = |of: fn(&mut Lists) -> &mut u64| {
            self.announced.send_modify(|lists| {
                let count = of(lists);
                *count = count.wrapping_add(1);
            });
        };
        match announcement {
            Announcement::Tools => count(|lists| &mut lists.tools),
            Announcement::Prompts => count(|lists| &mut lists.prompts),
            Announcement::Resources => count(|lists| &mut lists.resources),
            Announcement::Updated(uri) => {
                // Nobody may be listening.
                let _nobody = self.updated.send(uri.into());
            }
        }
    }

    /// A listener that is told of what changes from now on.
    pub(super) fn listen(self: &Arc<Self>) -> Listener {
        Listener {
            served: self.catalogs.changes(),
            announced: self.announced.subscribe(),
            updates: self.updated.subscribe(),
            changes: Arc::clone(self),
            told: self.lists(),
            updated: Updated::default(),
            last: None,
        }
    }
}

/// One that is told of changes. What happens while nobody asks it is told when somebody does.
pub(super) struct Listener {
    changes: Arc<Changes>,
    served: watch::Receiver<u64>,
    announced: watch::Receiver<Lists>,
    updates: broadcast::Receiver<Arc<str>>,
    told: Lists,
    /// What was taken in and not told yet.
    updated: Updated,
    last: Option<Instant>,
}

/// What has changed since the last time.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
    pub(super) updated: Updated,
}

/// The resources that have changed.
#[derive(Debug)]
pub(super) enum Updated {
    These(BTreeSet<Arc<str>>),
    /// Which ones, was told faster than it could be taken in.
    Any,
}

impl Default for Updated {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Updated {
    /// Whether this one has changed.
    pub(super) fn has(&self, uri: &str) -> bool {
        match self {
            Self::These(uris) => uris.contains(uri),
            Self::Any => true,
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::These(uris) if uris.is_empty())
    }

    /// Takes one in. False if there is none, and none can come.
    fn take(&mut self, received: Result<Arc<str>, TryRecvError>) -> bool {
        match (received, &mut *self) {
            (Ok(uri), Self::These(uris)) => {
                uris.insert(uri);
            }
            (Ok(_), Self::Any) => {}
            (Err(TryRecvError::Lagged(_)), _) => *self = Self::Any,
            (Err(TryRecvError::Empty | TryRecvError::Closed), _) => return false,
        }
        true
    }
}

impl Listener {
    /// Takes everything for changed: it is not known any more what was told.
    pub(super) fn forget(&mut self) {
        self.told = Lists {
            tools: self.told.tools.wrapping_sub(1),
            prompts: self.told.prompts.wrapping_sub(1),
            resources: self.told.resources.wrapping_sub(1),
        };
        self.updated = Updated::Any;
    }

    /// Waits for the next change. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Changed {
        loop {
            if self.updated.is_empty() && self.changes.lists() == self.told {
                // The senders live as long as the listener, which holds them or the catalog's reader; if
                // the catalog's writer is gone, what it served last stays.
                tokio::select! {
                    Ok(()) = self.served.changed() => {}
                    Ok(()) = self.announced.changed() => {}
                    received = self.updates.recv() => {
                        self.updated.take(received.map_err(|error| match error {
                            RecvError::Lagged(missed) => TryRecvError::Lagged(missed),
                            RecvError::Closed => TryRecvError::Closed,
                        }));
                    }
                }
            }
            if let Some(last) = self.last {
                // Whoever changes something again and again is told of together.
                tokio::time::sleep_until(last + PAUSE).await;
            }
            while self.updated.take(self.updates.try_recv()) {}
            let now = self.changes.lists();
            let changed = Changed {
                tools: now.tools != self.told.tools,
                prompts: now.prompts != self.told.prompts,
                resources: now.resources != self.told.resources,
                updated: std::mem::take(&mut self.updated),
            };
            self.told = now;
            if changed.tools || changed.prompts || changed.resources || !changed.updated.is_empty()
            {
                self.last = Some(Instant::now());
                return changed;
            }
        }
    }
}
