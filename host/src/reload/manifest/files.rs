//! `[files]`: the folders of the machine that a service has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Wrong;
use crate::sandbox::{Files, Folder};

/// A folder, by its path for the guest.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenFolder {
    /// Its path on the machine, relative to the working directory of the host.
    path: PathBuf,
    /// Whether the guest may change what is in it.
    #[serde(default)]
    write: bool,
}

/// The folders, if they are there and none of them leads to what is the host's `own`.
pub(super) fn granted(
    given: &BTreeMap<String, GivenFolder>,
    own: &[PathBuf],
) -> Result<Files, Wrong> {
    let folders = given
        .iter()
        .map(|(guest, folder)| {
            granted_one(guest, folder, own).map_err(|cause| Wrong::new(&["files", guest], cause))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Files::open(&folders).map_err(|cause| Wrong::new(&["files"], cause.to_string()))
}

/// The folders as people are told of them.
pub(super) fn told(given: &BTreeMap<String, GivenFolder>) -> Vec<String> {
    let folders = given.iter().map(|(guest, folder)| {
        let how = if folder.write { "writing" } else { "reading" };
        format!("{guest:?} for {how}")
    });
    folders.collect()
}

fn granted_one(guest: &str, given: &GivenFolder, own: &[PathBuf]) -> Result<Folder, String> {
    if !is_guest_path(guest) {
        return Err(
            "the path for the guest must be absolute, without `.`, `..` or a slash at its end, such as `/data`".into(),
        );
    }
    let shown = given.path.display();
    // What a link leads to now is what is granted: who changes the link later grants nothing.
    let path = fs::canonicalize(&given.path).map_err(|cause| {
        format!("`{shown}` cannot be used: {cause}; make the folder, or mend the path")
    })?;
    if !path.is_dir() {
        return Err(format!("`{shown}` is no folder"));
    }
    for own in own.iter().filter_map(|own| really(own)) {
        if path.starts_with(&own) || own.starts_with(&path) {
            return Err(format!(
                "`{shown}` would give it `{}`, which is the host's own; grant another folder",
                own.display()
            ));
        }
    }
    Ok(Folder {
        guest: guest.to_owned(),
        path,
        write: given.write,
    })
}

/// Where a path leads to, even if the end of it is not there yet.
fn really(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    absolute.ancestors().find_map(|there| {
        let rest = absolute.strip_prefix(there).ok()?;
        Some(fs::canonicalize(there).ok()?.join(rest))
    })
}

/// Whether a path is absolute, and written in the one way in which it can be: then two that differ are two
/// folders.
fn is_guest_path(path: &str) -> bool {
    let is_name = |part| !matches!(part, "" | "." | "..") && !path.contains(char::is_control);
    path == "/"
        || path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_granted_if_it_is_there_and_not_the_hosts_own() {
        let root = tempfile::tempdir().unwrap();
        let inside = |name: &str| root.path().join(name);
        for folder in ["data", "mcp", "home/state"] {
            fs::create_dir_all(inside(folder)).unwrap();
        }
        fs::write(inside("file"), "").unwrap();
        std::os::unix::fs::symlink("mcp", inside("link")).unwrap();
        let own = [inside("mcp"), inside("home/state"), inside("later/state")];
        fs::create_dir(inside("later")).unwrap();
        let try_one = |guest: &str, path: &str| {
            let given = GivenFolder {
                path: inside(path),
                write: false,
            };
            granted(&BTreeMap::from([(guest.to_owned(), given)]), &own)
        };
        assert!(try_one("/data", "data").is_ok());
        assert!(try_one("/", "data").is_ok());
        for (guest, path, cause) in [
            ("data", "data", "must be absolute"),
            ("/data/", "data", "must be absolute"),
            ("/../data", "data", "must be absolute"),
            ("/data//in", "data", "must be absolute"),
            ("", "data", "must be absolute"),
            ("/data", "missing", "cannot be used"),
            ("/data", "file", "is no folder"),
            ("/data", "mcp", "the host's own"),
            ("/data", "link", "the host's own"),
            ("/data", "home", "the host's own"),
            ("/data", "later", "the host's own"),
            ("/data", ".", "the host's own"),
        ] {
            let refused = try_one(guest, path).err().unwrap().placed("");
            assert!(refused.contains(cause), "{guest} {path}: {refused}");
        }
    }
}
