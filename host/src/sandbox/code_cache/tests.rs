use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn cache() -> (TempDir, CodeCache, Engine) {
    let home = tempfile::tempdir().unwrap();
    let engine = Engine::default();
    let cache = CodeCache::open(&home.path().join("code"), &engine, &Kept::default()).unwrap();
    (home, cache, engine)
}

fn files(cache: &CodeCache) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(&cache.folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn is_file(code: &Code) -> bool {
    matches!(code, Code::File(_))
}

#[test]
fn whatever_is_left_of_an_entry_is_never_trusted_and_is_made_again() {
    let (_home, cache, engine) = cache();
    assert!(is_file(&cache.code(&engine, COMPONENT).unwrap()));
    let entry = cache.folder.join(cache.name(COMPONENT));
    let (code, checksum) = (entry.with_extension(CODE), entry.with_extension(CHECKSUM));
    let whole = (fs::read(&code).unwrap(), fs::read(&checksum).unwrap());
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let left = [
        // Killed between the two, before either, and with a disk that lost what was written last.
        (None, Some(whole.1.clone())),
        (Some(whole.0.clone()), None),
        (Some(half(&whole.0)), Some(whole.1.clone())),
        (Some(Vec::new()), Some(Vec::new())),
        // Damaged.
        (Some(flipped(&whole.0)), Some(whole.1.clone())),
        (Some(whole.0.clone()), Some(flipped(&whole.1))),
        (Some(whole.0.clone()), Some(half(&whole.1))),
        (Some(whole.0.clone()), Some(vec![0xff; 64])),
    ];
    for (number, (left_code, left_checksum)) in left.into_iter().enumerate() {
        for (path, bytes) in [(&code, left_code), (&checksum, left_checksum)] {
            fs::remove_file(path).unwrap();
            if let Some(bytes) = bytes {
                fs::write(path, bytes).unwrap();
            }
        }
        assert!(sound(&entry).is_none(), "{number}");
        let made = cache.code(&engine, COMPONENT).unwrap();
        assert!(is_file(&made) && made.load(&engine).is_ok(), "{number}");
        assert_eq!(fs::read(&code).unwrap(), whole.0, "{number}");
    }
    assert_eq!(files(&cache).len(), 2);
}

#[test]
fn how_much_is_kept_is_known() {
    let home = tempfile::tempdir().unwrap();
    let (engine, kept) = (Engine::default(), Kept::default());
    let open = || CodeCache::open(&home.path().join("code"), &engine, &kept).unwrap();
    let cache = open();
    assert_eq!(kept.seen(), KeptCode::default());
    cache.code(&engine, COMPONENT).unwrap();
    let code = cache
        .folder
        .join(cache.name(COMPONENT))
        .with_extension(CODE);
    let bytes = fs::metadata(&code).unwrap().len();
    let one = KeptCode { entries: 1, bytes };
    assert_eq!(kept.seen(), one);
    // From the cache, and after the next start.
    cache.code(&engine, COMPONENT).unwrap();
    let other = wat::parse_str("(component (core module))").unwrap();
    cache.code(&engine, &other).unwrap();
    assert_eq!(kept.seen().entries, 2);
    fs::remove_file(cache.folder.join(cache.name(&other)).with_extension(CODE)).unwrap();
    open();
    assert_eq!(kept.seen(), one);
}

#[test]
fn what_is_put_there_is_counted_at_once_and_what_others_did_at_the_next_look() {
    let (_home, cache, _engine) = cache();
    let store = |number: u64, size: usize| {
        let entry = cache.folder.join(format!("entry{number}"));
        cache.store(&entry, &vec![1; size]).unwrap();
    };
    // Some are put there while the folder is looked through.
    let all = TIDIED * 4;
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in (writer..all).step_by(4) {
                    store(number, 100);
                }
            });
        }
    });
    let kept = |entries, bytes| KeptCode { entries, bytes };
    assert_eq!(cache.kept.seen(), kept(all, all * 100));
    // What takes the place of another is counted for it.
    store(0, 30);
    assert_eq!(cache.kept.seen(), kept(all, all * 100 - 70));

    fs::remove_file(cache.folder.join("entry1.code")).unwrap();
    assert_eq!(cache.kept.seen().entries, all);
    for _ in 0..TIDIED {
        store(0, 30);
    }
    assert_eq!(cache.kept.seen(), kept(all - 1, all * 100 - 170));
}

#[test]
fn what_a_killed_writer_left_and_what_nobody_uses_is_thrown_away() {
    let (_home, cache, _engine) = cache();
    let make = |name: &str, size: usize, days: u64| {
        let path = cache.folder.join(name);
        fs::write(&path, vec![0; size]).unwrap();
        let then = SystemTime::now() - Duration::from_hours(24 * days);
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(then).unwrap();
    };
    for (name, size, days) in [
        ("a.1-0.new", 1, 1),
        ("b.2-0.new", 1, 0),
        ("alone.sha256", 1, 1),
        ("old.code", 1, 91),
        ("old.sha256", 1, 91),
        ("large.code", 60, 3),
        ("large.sha256", 1, 3),
        ("last.code", 50, 2),
        ("last.sha256", 1, 2),
        ("mine.txt", 1, 1_000),
    ] {
        make(name, size, days);
    }
    let stays = folder::tidy_to(&cache.folder, 100);
    assert_eq!(
        files(&cache),
        ["b.2-0.new", "last.code", "last.sha256", "mine.txt"]
    );
    assert_eq!((stays.entries, stays.bytes), (1, 50));
    // What is used is young again.
    make("last.code", 50, 89);
    folder::used(&cache.folder.join("last.code"));
    make("other.code", 60, 1);
    folder::tidy_to(&cache.folder, 100);
    assert_eq!(
        files(&cache),
        ["b.2-0.new", "last.code", "last.sha256", "mine.txt"]
    );
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let (outer, inner) = (home.path().join("outer"), home.path().join("outer/code"));
    let refusal = || folder::open(&inner).map_err(|cause| cause.to_string());
    assert_eq!(refusal(), Ok(()));
    set(&inner, 0o770);
    assert!(refusal().unwrap_err().contains("others may write to it"));
    set(&inner, 0o700);
    set(&outer, 0o777);
    assert!(refusal().unwrap_err().contains("in its place"));
    // As in `/tmp`, where nobody moves what is not theirs.
    set(&outer, 0o1777);
    assert_eq!(refusal(), Ok(()));
}
