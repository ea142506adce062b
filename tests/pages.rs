//! Lists that are longer than a page.

use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};

use crate::harness::TestHost;

/// A component with so many functions, named after its letter.
fn many(letter: char, count: usize) -> Vec<u8> {
    let mut lifted = String::new();
    for number in 0..count {
        let function = format!("${letter}{number}");
        write!(
            lifted,
            "(func {function} (canon lift (core func $i \"f\"))) (export \"{letter}{number:04}\" (func {function}))"
        )
        .unwrap();
    }
    let text = format!(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) {lifted})"
    );
    wat::parse_str(text).unwrap()
}

fn names(page: &Value) -> Vec<&str> {
    let tools = page["result"]["tools"].as_array().unwrap();
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_long_list_comes_in_pages_that_stay_good_while_it_changes() {
    let host = TestHost::serving(&[]).await;
    fs::write(host.file("m.wasm"), many('m', 700)).unwrap();
    fs::write(host.file("z.wasm"), many('z', 700)).unwrap();
    host.until(|names| names.len() == 1_400).await;

    let list = async |cursor: Value| {
        let mut params = json!({});
        if !cursor.is_null() {
            params["cursor"] = cursor;
        }
        host.send_modern(None, "tools/list", params).await.json()
    };
    let first = list(Value::Null).await;
    assert_eq!(names(&first).len(), 1_000);
    let cursor = first["result"]["nextCursor"].clone();
    let second = list(cursor.clone()).await;
    assert_eq!(second["result"].get("nextCursor"), None);
    let both = [names(&first), names(&second)].concat();
    assert_eq!(both.len(), 1_400);
    assert!(both.is_sorted());

    // What comes before the cursor, and even the tool that it names, may go.
    fs::write(host.file("a.wasm"), many('a', 10)).unwrap();
    fs::write(host.file("z.wasm"), many('z', 100)).unwrap();
    host.until(|names| names.len() == 810).await;
    assert_eq!(names(&list(cursor.clone()).await), [""; 0]);
    fs::write(host.file("z.wasm"), many('z', 700)).unwrap();
    host.until(|names| names.len() == 1_410).await;
    assert_eq!(names(&list(cursor).await), names(&second));

    for cursor in [
        json!(5),
        json!("not base64!"),
        json!("_w"),
        json!("A".repeat(5_000)),
        json!({}),
    ] {
        let error = list(cursor).await["error"].clone();
        assert_eq!(error["code"], -32602, "{error}");
    }
}
