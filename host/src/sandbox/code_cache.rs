//! Compiled code, kept on disk between starts. An entry is named after all that goes into it: the
//! component's bytes, the engine's version and its settings. What does not match its checksum is
//! compiled again.

mod folder;
#[cfg(test)]
mod tests;

use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use wasmtime::component::Component;
use wasmtime::{Engine, Result};

use self::folder::{CHECKSUM, CODE, FRESH};
use crate::digest::Digest;

/// After how many writes the folder is looked through.
const TIDIED: u64 = 16;

/// A private folder of compiled components.
pub(super) struct CodeCache {
    folder: PathBuf,
    /// What the engine's version and settings contribute to the name of every entry.
    engine: Vec<u8>,
    writes: AtomicU64,
    /// Held by whoever changes what is counted: what is put there while the folder is looked through would
    /// be counted twice, or not at all.
    changes: Mutex<()>,
    kept: Kept,
}

/// How much compiled code is kept between starts, as of when this host last looked through the folder, and
/// with what it has put there since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptCode {
    /// How many components.
    pub entries: u64,
    /// How many bytes of code.
    pub bytes: u64,
}

/// What is known to be in the folder. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<KeptCode>>);

impl Kept {
    pub(super) fn seen(&self) -> KeptCode {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, KeptCode> {
        lock(&self.0)
    }
}

/// Nothing panics while one of these is held; a poisoned one is good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compiled code that is sound.
pub(super) enum Code {
    /// In a file of the cache, whose checksum has just been compared.
    File(PathBuf),
    /// Made by the engine, just now, in this process.
    Bytes(Vec<u8>),
}

impl Code {
    /// Makes a component of it. Code of a file is mapped: its pages can be reclaimed and shared.
    pub(super) fn load(&self, engine: &Engine) -> Result<Component> {
        match self {
            #[expect(
                unsafe_code,
                reason = "the bytes are the engine's own: private folder, name made of content and settings, checksum just compared"
            )]
            // SAFETY: the file was written by this class of engine into a folder that no one else may
            // write to, it is only ever replaced by renaming, and its checksum holds.
            Self::File(path) => unsafe { Component::deserialize_file(engine, path) },
            #[expect(
                unsafe_code,
                reason = "these bytes were made by this class of engine, just now, in this process"
            )]
            // SAFETY: they are the unmodified output of `precompile_component`.
            Self::Bytes(code) => unsafe { Component::deserialize(engine, code) },
        }
    }
}

impl CodeCache {
    /// Opens the folder, and makes it if need be. It must belong to this user and be closed to all
    /// others, and so must the way to it: who can write into it can run code in this process.
    pub(super) fn open(folder: &Path, engine: &Engine, kept: &Kept) -> io::Result<Self> {
        folder::open(folder)?;
        let mut hasher = StableHasher(Context::new(&SHA256));
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Self {
            folder: folder.to_owned(),
            engine: hasher.0.finish().as_ref().to_vec(),
            writes: AtomicU64::new(1),
            changes: Mutex::default(),
            kept: kept.clone(),
        };
        cache.tidy();
        Ok(cache)
    }

    /// Throws away what nobody needs, and counts what stays.
    fn tidy(&self) {
        let _changes = lock(&self.changes);
        let stays = folder::tidy(&self.folder);
        *self.kept.lock() = stays;
    }

    /// The code of a component: from the folder if it is there and sound, and otherwise compiled now
    /// and put there.
    pub(super) fn code(&self, engine: &Engine, wasm: &[u8]) -> Result<Code> {
        let entry = self.folder.join(self.name(wasm));
        if let Some(code) = sound(&entry) {
            return Ok(code);
        }
        let code = engine.precompile_component(wasm)?;
        if let Err(cause) = self.store(&entry, &code) {
            tracing::warn!(path = %entry.display(), %cause, "compiled code could not be kept: the next start compiles again");
            return Ok(Code::Bytes(code));
        }
        Ok(sound(&entry).unwrap_or(Code::Bytes(code)))
    }

    fn name(&self, wasm: &[u8]) -> String {
        Digest::of(&[&self.engine, wasm]).to_string()
    }

    /// Writes both files beside their final names and renames them into place: a file that is
    /// mapped must never be written to.
    fn store(&self, entry: &Path, code: &[u8]) -> io::Result<()> {
        let write = self.writes.fetch_add(1, Ordering::Relaxed);
        if write.is_multiple_of(TIDIED) {
            self.tidy();
        }
        let fresh = entry.with_extension(format!("{}-{write}.{FRESH}", std::process::id()));
        let checksum = Digest::of(&[code]).to_string();
        let stored = fs::write(&fresh, checksum)
            .and_then(|()| fs::rename(&fresh, entry.with_extension(CHECKSUM)))
            .and_then(|()| fs::write(&fresh, code))
            .and_then(|()| self.put(&fresh, &entry.with_extension(CODE)));
        if stored.is_err() {
            // It may be that the disk is full.
            let _not_there = fs::remove_file(&fresh);
        }
        stored
    }

    /// Renames code into its place, and counts it instead of what was there.
    fn put(&self, fresh: &Path, place: &Path) -> io::Result<()> {
        let _changes = lock(&self.changes);
        let size = fs::metadata(fresh)?.len();
        let replaced = fs::metadata(place).map(|before| before.len()).ok();
        fs::rename(fresh, place)?;
        let mut kept = self.kept.lock();
        let others = kept.bytes.saturating_sub(replaced.unwrap_or_default());
        kept.bytes = others.saturating_add(size);
        if replaced.is_none() {
            kept.entries = kept.entries.saturating_add(1);
        }
        Ok(())
    }
}

/// An entry, if its bytes are still those that were written.
fn sound(entry: &Path) -> Option<Code> {
    let path = entry.with_extension(CODE);
    let code = fs::read(&path).ok()?;
    // Half of an entry is one that was not finished, or is being made.
    let expected = fs::read(entry.with_extension(CHECKSUM)).ok()?;
    if Digest::of(&[&code]).to_string().as_bytes() != expected {
        tracing::warn!(path = %path.display(), "compiled code was damaged: compiling again");
        return None;
    }
    folder::used(&path);
    Some(Code::File(path))
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
