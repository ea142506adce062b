//! Files that come, change and go, and those that are no services.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::harness::{TestHost, component, text};

#[tokio::test]
async fn copying_replacing_and_deleting_a_file_is_all_it_takes() {
    let host = TestHost::serving(&[]).await;
    assert!(host.names().is_empty());

    fs::copy(component("guest_plain"), host.file("one.wasm")).unwrap();
    host.until(|names| names == ["greet", "mirror", "sum"])
        .await;
    let greeting = host.call(None, "greet", json!({ "name": "Ada" })).await;
    assert_eq!(text(&greeting), "hello, Ada");

    // In place, the way a careless copy does it.
    fs::copy(component("guest_faulty"), host.file("one.wasm")).unwrap();
    host.until(|names| names.contains(&"panic".to_owned()))
        .await;
    assert!(!host.names().contains(&"greet".to_owned()));

    fs::remove_file(host.file("one.wasm")).unwrap();
    host.until(<[String]>::is_empty).await;
}

#[tokio::test]
async fn a_copy_in_progress_is_waited_for() {
    let host = TestHost::serving(&[("plain", "guest_plain")]).await;
    let bytes = fs::read(component("guest_faulty")).unwrap();
    let mut file = fs::File::create(host.file("slow.wasm")).unwrap();
    for part in bytes.chunks(bytes.len() / 5 + 1) {
        file.write_all(part).unwrap();
        file.sync_all().unwrap();
        tokio::task::yield_now().await;
    }
    host.until(|names| names.contains(&"panic".to_owned()))
        .await;
    assert!(host.names().contains(&"greet".to_owned()));
}

#[tokio::test]
async fn what_is_no_service_leaves_the_others_serving() {
    let host = TestHost::serving(&[("plain", "guest_plain")]).await;
    let whole = fs::read(component("guest_faulty")).unwrap();
    let core = wat::parse_str("(module (func (export \"f\")))").unwrap();
    let unknown = wat::parse_str(
        r#"(component
            (import "acme:db/query@1.0.0" (instance (export "run" (func (result u32)))))
        )"#,
    )
    .unwrap();
    let nothing = wat::parse_str("(component)").unwrap();
    for (name, bytes) in [
        ("truncated", whole.get(..whole.len() / 2).unwrap()),
        ("header", whole.get(..8).unwrap()),
        ("core", &core),
        ("text", b"this is not WebAssembly".as_slice()),
        ("empty", b"".as_slice()),
        ("unknown", &unknown),
        ("nothing", &nothing),
    ] {
        fs::write(host.file(&format!("{name}.wasm")), bytes).unwrap();
    }
    fs::create_dir(host.file("folder.wasm")).unwrap();
    symlink("nowhere", host.file("dangling.wasm")).unwrap();
    // A good one after them shows that they have been passed by.
    host.put("late", "guest_faulty");
    host.until(|names| names.contains(&"panic".to_owned()))
        .await;
    assert!(host.names().contains(&"greet".to_owned()));
    let greeting = host.call(None, "greet", json!({ "name": "Ada" })).await;
    assert_eq!(text(&greeting), "hello, Ada");

    // A file that was broken is served as soon as it is mended.
    fs::remove_file(host.file("late.wasm")).unwrap();
    fs::write(host.file("truncated.wasm"), &whole).unwrap();
    host.until(|names| names.contains(&"panic".to_owned()))
        .await;
}

#[tokio::test]
async fn a_service_whose_file_breaks_is_served_on() {
    let host = TestHost::serving(&[("plain", "guest_plain")]).await;
    fs::write(host.file("plain.wasm"), b"\0asm broken").unwrap();
    host.put("late", "guest_faulty");
    host.until(|names| names.contains(&"panic".to_owned()))
        .await;
    let greeting = host.call(None, "greet", json!({ "name": "Ada" })).await;
    assert_eq!(text(&greeting), "hello, Ada");
}

#[tokio::test]
async fn symbolic_links_count_as_what_they_point_to() {
    let host = TestHost::serving(&[]).await;
    symlink(component("guest_plain"), host.file("linked.wasm")).unwrap();
    host.until(|names| names == ["greet", "mirror", "sum"])
        .await;

    // The link itself is turned, as deployments do.
    let fresh = host.file(".linked.new");
    symlink(component("guest_faulty"), &fresh).unwrap();
    fs::rename(fresh, host.file("linked.wasm")).unwrap();
    host.until(|names| names.contains(&"panic".to_owned()))
        .await;
}

#[tokio::test]
async fn a_folder_may_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let host = TestHost::start(folder, &[]).await;
    assert!(host.names().is_empty());

    for _ in 0..2 {
        fs::create_dir(host.file("")).unwrap();
        host.put("plain", "guest_plain");
        host.until(|names| names == ["greet", "mirror", "sum"])
            .await;
        fs::remove_dir_all(host.file("")).unwrap();
        host.until(<[String]>::is_empty).await;
    }
}
