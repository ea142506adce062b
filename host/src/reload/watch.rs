//! Events from the file system: hints that it is worth looking, never more.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// A watch over one folder, which may not exist yet, or may be replaced by another of its name.
pub(super) struct Watch {
    folder: PathBuf,
    changed: Arc<Notify>,
    /// The device and inode of the folder, and its watcher if it can be watched.
    watched: Option<((u64, u64), Option<RecommendedWatcher>)>,
}

impl Watch {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            changed: Arc::new(Notify::new()),
            watched: None,
        }
    }

    /// Waits for a change. Changes that come while nobody waits count as one.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Watches the folder that is there now. What cannot be watched is found by looking from time
    /// to time, so a failure costs seconds and nothing else.
    pub(super) fn ensure(&mut self) {
        let present = fs::metadata(&self.folder)
            .ok()
            .map(|metadata| (metadata.dev(), metadata.ino()));
        if self.watched.as_ref().map(|(id, _)| *id) == present {
            return;
        }
        self.watched = None;
        let Some(id) = present else { return };
        let changed = Arc::clone(&self.changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change; the host itself reads.
            let only_read = event.is_ok_and(|event| {
                matches!(event.kind, EventKind::Access(access)
                    if access != AccessKind::Close(AccessMode::Write))
            });
            if !only_read {
                changed.notify_one();
            }
        })
        .and_then(|mut watcher| {
            watcher.watch(&self.folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        let watcher = watcher
            .inspect_err(|cause| {
                tracing::warn!(folder = %self.folder.display(), %cause, "the folder cannot be watched; it is looked through every few seconds instead");
            })
            .ok();
        self.watched = Some((id, watcher));
    }
}
