//! Where the command `cloister token` finds the key of an issuer that runs here: a file that only
//! this user can read, gone when the issuer is.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

/// The file, for as long as the issuer runs.
pub(super) struct KeyFile(PathBuf);

impl KeyFile {
    /// Writes the key of the issuer on this port.
    pub(super) fn write(port: u16, key: &SecretString) -> io::Result<Self> {
        let path = path(port).ok_or_else(|| io::Error::other("this user has no cache folder"))?;
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        // One that was left behind by a process that was killed may belong to nobody.
        let _absent = fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(key.expose_secret().as_bytes())?;
        Ok(Self(path))
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        // A file that stays behind holds a key that opens nothing.
        let _gone = fs::remove_file(&self.0);
    }
}

/// The key of the issuer on this port, if this user runs one.
pub(super) fn read(port: u16) -> io::Result<SecretString> {
    let path = path(port).ok_or_else(|| io::Error::other("this user has no cache folder"))?;
    fs::read_to_string(path).map(SecretString::from)
}

fn path(port: u16) -> Option<PathBuf> {
    let folder = dirs::runtime_dir().or_else(dirs::cache_dir)?;
    Some(folder.join(format!("cloister/issuer-{port}.key")))
}
