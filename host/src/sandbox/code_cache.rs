//! Compiled code, kept on disk between starts. An entry is named after all that goes into it: the
//! component's bytes, the engine's version and its settings. What does not match its checksum is
//! compiled again.

use std::fs::{self, DirBuilder};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use wasmtime::component::Component;
use wasmtime::{Engine, Result};

use crate::digest::Digest;

/// A private folder of compiled components.
pub(super) struct CodeCache {
    folder: PathBuf,
    /// What the engine's version and settings contribute to the name of every entry.
    engine: Vec<u8>,
    writes: AtomicU64,
}

impl CodeCache {
    /// Opens the folder, and makes it if need be. It must belong to this user and be closed to all
    /// others: who can write into it can run code in this process.
    pub(super) fn open(folder: &Path, engine: &Engine) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let metadata = fs::metadata(folder)?;
        if metadata.mode() & 0o022 != 0 {
            return Err(io::Error::other(
                "others may write to it; take that right away with `chmod go-w`",
            ));
        }
        let mut hasher = StableHasher(Context::new(&SHA256));
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self {
            folder: folder.to_owned(),
            engine: hasher.0.finish().as_ref().to_vec(),
            writes: AtomicU64::new(0),
        })
    }

    /// The compiled component: from the folder if it is there and sound, and otherwise compiled
    /// now and put there.
    pub(super) fn component(&self, engine: &Engine, wasm: &[u8]) -> Result<Component> {
        let entry = self.folder.join(self.name(wasm));
        if let Some(component) = load(engine, &entry) {
            return Ok(component);
        }
        let code = engine.precompile_component(wasm)?;
        if let Err(cause) = self.store(&entry, &code) {
            tracing::warn!(path = %entry.display(), %cause, "compiled code could not be kept: the next start compiles again");
        } else if let Some(component) = load(engine, &entry) {
            // Mapped from the file: its pages can be reclaimed and shared.
            return Ok(component);
        }
        #[expect(
            unsafe_code,
            reason = "these bytes were made by this engine, just now, in this process"
        )]
        // SAFETY: `code` is the unmodified output of `precompile_component` of the same engine.
        unsafe {
            Component::deserialize(engine, code)
        }
    }

    fn name(&self, wasm: &[u8]) -> String {
        Digest::of(&[&self.engine, wasm]).to_string()
    }

    /// Writes both files beside their final names and renames them into place: a file that is
    /// mapped must never be written to.
    fn store(&self, entry: &Path, code: &[u8]) -> io::Result<()> {
        let write = self.writes.fetch_add(1, Ordering::Relaxed);
        let fresh = entry.with_extension(format!("{}-{write}.new", std::process::id()));
        for (path, bytes) in [
            (
                checksum_path(entry),
                Digest::of(&[code]).to_string().as_bytes(),
            ),
            (code_path(entry), code),
        ] {
            fs::write(&fresh, bytes)?;
            fs::rename(&fresh, path)?;
        }
        Ok(())
    }
}

/// Maps an entry, if its bytes are still those that were written.
fn load(engine: &Engine, entry: &Path) -> Option<Component> {
    let path = code_path(entry);
    let expected = fs::read_to_string(checksum_path(entry)).ok()?;
    let code = fs::read(&path).ok()?;
    if Digest::of(&[&code]).to_string() != expected {
        tracing::warn!(path = %path.display(), "compiled code was damaged: compiling again");
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "the bytes are the engine's own: private folder, name made of content and settings, checksum just compared"
    )]
    // SAFETY: the file was written by this class of engine into a folder that no one else may
    // write to, it is only ever replaced by renaming, and its checksum holds.
    let component = unsafe { Component::deserialize_file(engine, &path) };
    component
        .inspect_err(|cause| {
            tracing::warn!(path = %path.display(), %cause, "compiled code does not fit: compiling again");
        })
        .ok()
}

fn code_path(entry: &Path) -> PathBuf {
    entry.with_extension("code")
}

fn checksum_path(entry: &Path) -> PathBuf {
    entry.with_extension("sha256")
}

/// The standard hasher may differ from one build to the next; this one does not.
struct StableHasher(Context);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the digest is taken from the context.
    fn finish(&self) -> u64 {
        0
    }
}
