//! Folders that a service has.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::{WasiFilesystemCtx, WasiFilesystemView};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// A folder of the machine that a service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its path for the guest.
    pub guest: String,
    /// Its path on the machine, without links in it.
    pub path: PathBuf,
    /// Whether the guest may change what is in it.
    pub write: bool,
}

/// The folders of a service, opened once for all of its calls: whatever their paths lead to later, these are
/// the ones that were granted.
#[derive(Clone, Default)]
pub struct Files {
    opened: WasiFilesystemCtx,
    /// Where they were, and what tells each from whatever is there later.
    places: Vec<(PathBuf, Identity)>,
    /// Whether the operator has said which folders it has, if only that there are none.
    pub(in crate::sandbox) is_stated: bool,
    /// Whether it has asked for folders of which the operator has said nothing.
    pub(in crate::sandbox) is_missed: Arc<AtomicBool>,
    /// The paths, for the guest, of those that it may not change.
    pub(in crate::sandbox) for_reading: Vec<String>,
}

/// The device and the number of a folder.
type Identity = (u64, u64);

/// What stands at a path, if it is a folder and no link leads there.
fn identity(path: &Path) -> Option<Identity> {
    let is_itself = fs::canonicalize(path).ok()? == path;
    let metadata = fs::metadata(path).ok()?;
    (is_itself && metadata.is_dir()).then(|| (metadata.dev(), metadata.ino()))
}

impl Files {
    /// Opens folders. Blocks.
    pub fn open(folders: &[Folder]) -> io::Result<Self> {
        let moved = |path: &Path| io::Error::other(format!("`{}` changes", path.display()));
        let mut opening = WasiCtxBuilder::new();
        let mut places = Vec::new();
        for folder in folders {
            let perms = if folder.write {
                FsPerms::ReadWrite
            } else {
                FsPerms::ReadOnly
            };
            let before = identity(&folder.path);
            opening
                .preopened_dir(&folder.path, &folder.guest, perms)
                .map_err(|cause| {
                    io::Error::other(format!("`{}`: {cause:#}", folder.path.display()))
                })?;
            // What was looked at is what was opened.
            let same = before.filter(|before| identity(&folder.path) == Some(*before));
            let place = same.ok_or_else(|| moved(&folder.path))?;
            places.push((folder.path.clone(), place));
        }
        let mut opened = Opened {
            wasi: opening.build(),
            table: ResourceTable::new(),
        };
        Ok(Self {
            opened: opened.filesystem().ctx.clone(),
            places,
            is_stated: true,
            is_missed: Arc::default(),
            for_reading: folders
                .iter()
                .filter(|folder| !folder.write)
                .map(|folder| folder.guest.clone())
                .collect(),
        })
    }

    /// Whether another folder stands where one of them was. Whatever a link leads to is none. Blocks.
    pub fn are_replaced(&self) -> bool {
        let mut places = self.places.iter();
        places.any(|(path, before)| identity(path).is_some_and(|now| now != *before))
    }

    /// Has a call find them.
    pub(in crate::sandbox) fn lend(&self, call: &mut impl WasiFilesystemView) {
        *call.filesystem().ctx = self.opened.clone();
    }
}

/// What folders are opened with. The engine's library has no other way to them.
struct Opened {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Opened {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
