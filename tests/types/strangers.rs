//! Components with types that cannot cross: the functions that have them are left out, and their
//! neighbours are served.

use serde_json::json;

use crate::harness::TestHost;

/// The start of a component: core functions that take and give numbers.
const CORE: &str = r#"
    (core module $m
      (memory (export "memory") 1)
      (func (export "double") (param i32) (result i32)
        (i32.mul (local.get 0) (i32.const 2)))
      (func (export "drop") (param i32))
      (func (export "drop-two") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "double") (param "v" u32) (result u32)
      (canon lift (core func $i "double")))
"#;

/// A host that serves a component made of [`CORE`] and more.
async fn serving(more: &str) -> TestHost {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mcp")).unwrap();
    let wasm = wat::parse_str(format!("(component {CORE} {more})")).unwrap();
    std::fs::write(folder.path().join("mcp/odd.wasm"), wasm).unwrap();
    TestHost::start(folder, &[]).await
}

async fn only_the_neighbour_is_served(more: &str) {
    let host = serving(more).await;
    assert_eq!(host.names(), ["double"], "{more}");
    let doubled = host.call(None, "double", json!({ "v": 21 })).await;
    assert_eq!(doubled["structuredContent"], json!({ "result": 42 }));
}

#[tokio::test]
async fn a_function_with_a_stream_is_left_out() {
    only_the_neighbour_is_served(
        r#"(type $s (stream u8))
           (func (export "read") (param "v" $s) (canon lift (core func $i "drop")))"#,
    )
    .await;
}

#[tokio::test]
async fn a_function_with_a_future_is_left_out() {
    only_the_neighbour_is_served(
        r#"(type $f (future u8))
           (func (export "wait") (param "v" $f) (canon lift (core func $i "drop")))"#,
    )
    .await;
}

#[tokio::test]
async fn a_function_with_an_error_context_is_left_out() {
    only_the_neighbour_is_served(
        r#"(func (export "explain") (param "v" error-context) (canon lift (core func $i "drop")))"#,
    )
    .await;
}

#[tokio::test]
async fn a_function_with_a_resource_of_the_host_is_left_out() {
    only_the_neighbour_is_served(
        r#"(import "wasi:io/error@0.2.0" (instance $io (export "error" (type (sub resource)))))
           (alias export $io "error" (type $error))
           (func (export "borrow") (param "v" (borrow $error)) (canon lift (core func $i "drop")))
           (func (export "own") (param "v" (own $error)) (canon lift (core func $i "drop")))
           (type $own (own $error))
           (type $option (option $own))
           (func (export "option") (param "v" $option) (canon lift (core func $i "drop-two")))"#,
    )
    .await;
}

#[tokio::test]
async fn a_resource_of_its_own_is_left_out() {
    only_the_neighbour_is_served(
        r#"(type $rep (resource (rep i32)))
           (func $make (param "v" u32) (result (own $rep)) (canon lift (core func $i "double")))
           (func $use (param "self" (borrow $rep)) (canon lift (core func $i "drop")))
           (component $things
             (import "rep" (type $rep (sub resource)))
             (import "make" (func $make (param "v" u32) (result (own $rep))))
             (import "use" (func $use (param "self" (borrow $rep))))
             (export $thing "thing" (type $rep))
             (export "[constructor]thing" (func $make)
               (func (param "v" u32) (result (own $thing))))
             (export "[method]thing.use" (func $use) (func (param "self" (borrow $thing))))
             (export "make" (func $make) (func (param "v" u32) (result (own $thing))))
             (export "use" (func $use) (func (param "self" (borrow $thing)))))
           (instance $things (instantiate $things
             (with "rep" (type $rep)) (with "make" (func $make)) (with "use" (func $use))))
           (export "acme:odd/things@1.0.0" (instance $things))"#,
    )
    .await;
}
