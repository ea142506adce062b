//! A service that works with files, asynchronously.

cloister_sdk::service!();

use exports::tests::archive::archive::Guest;
use wasi::filesystem::preopens::get_directories;
use wasi::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

struct Archive;

export!(Archive);

impl Guest for Archive {
    async fn names() -> Result<Vec<String>, String> {
        names(&folder()?).await
    }

    async fn pile(times: u32) -> Result<Vec<String>, String> {
        let folder = folder()?;
        let begun: Vec<_> = (0..times).map(|_| folder.read_directory()).collect();
        let names = names(&folder).await;
        drop(begun);
        names
    }

    async fn open(path: String) -> Result<String, String> {
        let folder = folder()?;
        let opening = folder.open_at(
            PathFlags::SYMLINK_FOLLOW,
            path,
            OpenFlags::empty(),
            DescriptorFlags::READ,
        );
        opening.await.map(|_file| "opened".into()).map_err(said)
    }

    async fn make(path: String) -> Result<String, String> {
        let made = folder()?.create_directory_at(path).await;
        made.map(|()| "made".into()).map_err(said)
    }
}

fn folder() -> Result<Descriptor, String> {
    let folder = get_directories().into_iter().next();
    folder
        .map(|(folder, _path)| folder)
        .ok_or_else(|| "no folder".into())
}

async fn names(folder: &Descriptor) -> Result<Vec<String>, String> {
    let (names, end) = folder.read_directory();
    let mut names: Vec<String> = names
        .collect()
        .await
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    end.await.map_err(said)?;
    names.sort();
    Ok(names)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what errors are mapped with"
)]
fn said(code: ErrorCode) -> String {
    format!("{code:?}")
}
