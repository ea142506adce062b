//! The files that a call has open. Each takes a descriptor of the process, of which all calls may have a
//! part together.

use std::fs;
use std::sync::{Arc, Weak};

use wasmtime::Result;
use wasmtime_wasi::filesystem::Descriptor;

use crate::sandbox::budget::Share;
use crate::sandbox::failure::NoDescriptors;

/// The files that a call has open. Streams keep them open when their descriptors are gone.
pub(in crate::sandbox) struct Opened {
    files: Vec<Weak<fs::File>>,
    share: Share,
}

impl Opened {
    pub(in crate::sandbox) fn new(share: Share) -> Self {
        Self {
            files: Vec::new(),
            share,
        }
    }

    /// Has a descriptor for one more, which may be that of one that is closed.
    pub(super) fn make_room(&mut self) -> Result<()> {
        if self.files.len() >= self.share.taken() {
            self.files.retain(|file| file.strong_count() > 0);
        }
        if self.files.len() < self.share.taken() || self.share.take(1) {
            Ok(())
        } else {
            Err(NoDescriptors.into())
        }
    }

    /// Notes one that was opened.
    pub(super) fn note(&mut self, opened: &Descriptor) {
        self.files.push(Arc::downgrade(match opened {
            Descriptor::File(file) => &file.file,
            Descriptor::Dir(folder) => &folder.dir,
        }));
    }

    /// A descriptor for something that holds it itself.
    pub(super) fn one(&self) -> Result<Share> {
        self.share.part(1).ok_or_else(|| NoDescriptors.into())
    }
}
