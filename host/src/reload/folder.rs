//! The folder of services: which files there are, and what tells a changed one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::digest::Digest;

/// The largest component that is read. The largest that toolchains make today are interpreters of
/// under 20 MB.
const LARGEST: u64 = 256 << 20;

/// One service as it lies in the folder: the component, and what may lie beside it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    wasm: PathBuf,
    pub(super) stamp: Stamp,
}

/// What tells one state of a service's files from another, without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    wasm: FileStamp,
    sidecar: Option<FileStamp>,
    manifest: Option<FileStamp>,
}

impl Stamp {
    /// The stamp of a component that is there, and of what lies beside it.
    fn of(wasm: &Path) -> Option<Self> {
        Some(Self {
            wasm: FileStamp::at(wasm)?,
            sidecar: FileStamp::at(&wasm.with_extension(SIDECAR)),
            manifest: FileStamp::at(&wasm.with_extension(MANIFEST)),
        })
    }

    /// What lay beside the component and does not any more.
    pub(super) fn lost(&self, now: &Self) -> Option<&'static str> {
        if self.manifest.is_some() && now.manifest.is_none() {
            Some("manifest")
        } else if self.sidecar.is_some() && now.sidecar.is_none() {
            Some("WIT text")
        } else {
            None
        }
    }
}

/// The ending of the WIT text beside a component.
const SIDECAR: &str = "wit";

/// The ending of the operator's manifest beside a component.
const MANIFEST: &str = "toml";

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    length: u64,
    modified: Option<SystemTime>,
    device: u64,
    inode: u64,
}

impl FileStamp {
    fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        metadata.is_file().then(|| Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// The contents of a service's files.
pub struct Contents {
    pub(super) wasm: Vec<u8>,
    pub(super) digest: Digest,
    /// The WIT text beside it.
    pub(super) sidecar: Option<Vec<u8>>,
    /// The manifest beside it.
    pub(super) manifest: Option<Vec<u8>>,
}

impl Contents {
    /// A component, the WIT text beside it, and its manifest.
    pub fn new(wasm: Vec<u8>, sidecar: Option<Vec<u8>>, manifest: Option<Vec<u8>>) -> Self {
        Self {
            digest: Digest::of(&[&wasm]),
            wasm,
            sidecar,
            manifest,
        }
    }
}

/// The services in a folder, by name. Symbolic links count as what they point to; files whose name
/// begins with a dot are somebody's work in progress. A folder that does not exist is empty.
pub(super) fn scan(folder: &Path) -> io::Result<BTreeMap<Arc<str>, Found>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(cause) => return Err(cause),
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        // A file that vanishes between two looks is simply gone.
        found.extend(Found::at(&entry?.path()));
    }
    Ok(found)
}

fn service_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(".wasm")?;
    (!name.is_empty() && !name.starts_with('.')).then_some(name)
}

impl Found {
    /// The service whose component this is, with its name.
    pub(super) fn at(path: &Path) -> Option<(Arc<str>, Self)> {
        let found = Self {
            wasm: path.to_owned(),
            stamp: Stamp::of(path)?,
        };
        Some((Arc::from(service_name(path)?), found))
    }

    /// Reads the files, and makes sure that they are still those that were found.
    pub(super) fn read(&self) -> io::Result<Contents> {
        let wasm = read(&self.wasm)?;
        let beside = |present: bool, ending: &str| {
            present
                .then(|| read(&self.wasm.with_extension(ending)))
                .transpose()
        };
        let sidecar = beside(self.stamp.sidecar.is_some(), SIDECAR)?;
        let manifest = beside(self.stamp.manifest.is_some(), MANIFEST)?;
        if Stamp::of(&self.wasm).as_ref() != Some(&self.stamp) {
            return Err(io::Error::other("it changes while it is being read"));
        }
        Ok(Contents::new(wasm, sidecar, manifest))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(io::Error::other(format!(
            "it is larger than {} MiB, the limit for a component",
            LARGEST >> 20
        )));
    }
    Ok(bytes)
}
