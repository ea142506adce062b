//! The files that a call has open. Each takes a descriptor of the process, of which all calls may have a
//! part together.

use std::fs;
use std::sync::{Arc, Weak};

use wasmtime::Result;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::filesystem::Descriptor;

use crate::sandbox::budget::{Budget, Share};
use crate::sandbox::failure::NoDescriptors;

/// The files that a call has open. Streams keep them open when their descriptors are gone.
pub(in crate::sandbox) struct Opened {
    files: Vec<(Weak<fs::File>, Share)>,
    descriptors: Share,
    /// How many streams of them there may be that the guest has no handles of.
    streams: Budget,
}

impl Opened {
    pub(in crate::sandbox) fn new(descriptors: Share, handles: usize) -> Self {
        Self {
            files: Vec::new(),
            descriptors,
            streams: Budget::new(handles),
        }
    }

    /// A descriptor for one more. Those of files that are closed are given back first.
    pub(super) fn make_room(&mut self) -> Result<Share> {
        self.files.retain(|(file, _)| file.strong_count() > 0);
        self.one()
    }

    /// Notes one that was opened.
    pub(super) fn note(&mut self, opened: &Descriptor, descriptor: Share) {
        let file = Arc::downgrade(match opened {
            Descriptor::File(file) => &file.file,
            Descriptor::Dir(folder) => &folder.dir,
        });
        self.files.push((file, descriptor));
    }

    /// A descriptor for something that holds it itself.
    pub(super) fn one(&self) -> Result<Share> {
        self.descriptors.part(1).ok_or_else(|| NoDescriptors.into())
    }

    /// A place for a stream that may go on when the guest has let go of it.
    pub(super) fn stream(&self) -> Result<Share> {
        let place = self.streams.share().part(1);
        place.ok_or_else(|| ResourceTableError::Full.into())
    }
}
