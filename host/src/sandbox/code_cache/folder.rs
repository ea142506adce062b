//! The folder of compiled code: who may write to it, and what is thrown away.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::{getegid, geteuid};

use super::KeptCode;

/// How the files of an entry end: the code, its checksum, and either of them while it is being written.
pub(super) const CODE: &str = "code";
/// See above.
pub(super) const CHECKSUM: &str = "sha256";
/// See above.
pub(super) const FRESH: &str = "new";

/// How long an entry is kept that is not used.
const UNUSED: Duration = Duration::from_hours(24 * 90);

/// After how long a file that is being written is one whose writer has died.
const ORPHANED: Duration = Duration::from_hours(1);

/// How exactly it is known when an entry was used last.
const NOTED: Duration = Duration::from_hours(24);

/// How many bytes are kept; what was not used for the longest time goes first.
const KEPT: u64 = 4 << 30;

/// The bit that keeps others from moving what is not theirs out of a folder that they may write to.
const STICKY: u32 = 0o1000;

/// Makes the folder if need be, and refuses one that others could write to.
pub(super) fn open(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let folder = fs::canonicalize(folder)?;
    let metadata = fs::metadata(&folder)?;
    if metadata.uid() != geteuid().as_raw() {
        return Err(io::Error::other(
            "it belongs to another user; use a folder of your own",
        ));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "others may write to it; take that right away with `chmod go-w`",
        ));
    }
    for above in folder.ancestors().skip(1) {
        if is_open(&fs::metadata(above)?) {
            return Err(io::Error::other(format!(
                "others may put another in its place, because they may write to `{}`; take that right away with `chmod go-w`, or use a folder elsewhere",
                above.display()
            )));
        }
    }
    Ok(())
}

/// Whether others may move what lies in a folder. Many systems give each user a group that nobody else
/// is in, and let it write.
fn is_open(folder: &Metadata) -> bool {
    let owner = folder.uid();
    let mode = folder.mode();
    let is_foreign = owner != 0 && owner != geteuid().as_raw();
    let for_all = mode & 0o002 != 0;
    let for_group = mode & 0o020 != 0 && folder.gid() != 0 && folder.gid() != getegid().as_raw();
    is_foreign || ((for_all || for_group) && mode & STICKY == 0)
}

/// Notes that an entry was used.
pub(super) fn used(code: &Path) {
    let now = SystemTime::now();
    let is_noted = fs::metadata(code)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|then| now.duration_since(then).is_ok_and(|since| since < NOTED));
    if !is_noted {
        // It only decides how long the entry is kept.
        let _kept_shorter = File::options()
            .write(true)
            .open(code)
            .and_then(|file| file.set_modified(now));
    }
}

/// Throws away what nobody needs, and gives what stays. What cannot be thrown away is in nobody's way.
pub(super) fn tidy(folder: &Path) -> KeptCode {
    tidy_to(folder, KEPT)
}

pub(super) fn tidy_to(folder: &Path, most: u64) -> KeptCode {
    let mut stays = KeptCode::default();
    let Ok(files) = fs::read_dir(folder) else {
        return stays;
    };
    let now = SystemTime::now();
    let mut entries: Vec<(Duration, u64, PathBuf)> = Vec::new();
    for file in files.flatten() {
        let path = file.path();
        let Ok(metadata) = file.metadata() else {
            continue;
        };
        let age = metadata
            .modified()
            .ok()
            .and_then(|then| now.duration_since(then).ok())
            .unwrap_or_default();
        match path.extension().and_then(|it| it.to_str()) {
            Some(FRESH) if age > ORPHANED => remove(&path),
            // What was half written when its writer died.
            Some(CHECKSUM) if age > ORPHANED && !path.with_extension(CODE).exists() => {
                remove(&path);
            }
            Some(CODE) => entries.push((age, metadata.len(), path)),
            Some(_) | None => {}
        }
    }
    entries.sort_unstable();
    let mut kept: u64 = 0;
    for (age, size, path) in entries {
        kept = kept.saturating_add(size);
        if age > UNUSED || kept > most {
            // Code that is in use is mapped, and stays with who uses it.
            remove(&path);
            remove(&path.with_extension(CHECKSUM));
        } else {
            stays.entries = stays.entries.saturating_add(1);
            stays.bytes = stays.bytes.saturating_add(size);
        }
    }
    stays
}

fn remove(path: &Path) {
    let _already_gone = fs::remove_file(path);
}
