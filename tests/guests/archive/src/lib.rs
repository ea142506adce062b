//! A service that works with files, asynchronously.

cloister_sdk::service!();

use futures_util::future::join_all;

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
        let opened = read(&folder()?, path).await?;
        drop(opened);
        Ok("opened".into())
    }

    async fn gather(path: String, times: u32) -> Result<u32, String> {
        let folder = folder()?;
        let opening = (0..times).map(|_| read(&folder, path.clone()));
        let opened = join_all(opening).await;
        let opened = opened.iter().filter(|it| it.is_ok()).count();
        u32::try_from(opened).map_err(|cause| cause.to_string())
    }

    async fn copy(source: String, target: String) -> Result<String, String> {
        let folder = folder()?;
        let source = read(&folder, source).await?;
        let target = write(&folder, target).await?;
        let (bytes, read) = source.read_via_stream(0);
        target.append_via_stream(bytes).await.map_err(said)?;
        read.await.map_err(said)?;
        Ok("copied".into())
    }

    async fn pour(source: String, target: String, times: u32) -> Result<String, String> {
        let folder = folder()?;
        let source = read(&folder, source).await?;
        let target = write(&folder, target).await?;
        for _ in 0..times {
            let (bytes, read) = source.read_via_stream(0);
            drop((read, target.write_via_stream(bytes, 0)));
        }
        Ok("poured".into())
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

async fn read(folder: &Descriptor, path: String) -> Result<Descriptor, String> {
    let (how, flags) = (OpenFlags::empty(), DescriptorFlags::READ);
    let opening = folder.open_at(PathFlags::SYMLINK_FOLLOW, path, how, flags);
    opening.await.map_err(said)
}

async fn write(folder: &Descriptor, path: String) -> Result<Descriptor, String> {
    let (how, flags) = (OpenFlags::CREATE, DescriptorFlags::WRITE);
    let opening = folder.open_at(PathFlags::SYMLINK_FOLLOW, path, how, flags);
    opening.await.map_err(said)
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
