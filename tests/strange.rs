//! Components that this project did not make, and toolchains leave things in.

use std::fmt::Write;
use std::fs;

use serde_json::json;

use crate::harness::TestHost;

/// A module whose function adds one, lifted under the names that `exports` gives it.
fn component(exports: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            (core module $m
              (func (export "add-one") (param i32) (result i32)
                (i32.add (local.get 0) (i32.const 1)))
              (func (export "add") (param i32 i32) (result i32)
                (i32.add (local.get 0) (local.get 1)))
              (func (export "start") (param i32 i32 i32 i32)))
            (core instance $i (instantiate $m))
            (func $add-one (param "ref" u32) (result u32)
              (canon lift (core func $i "add-one")))
            {exports}
        )"#
    ))
    .unwrap()
}

async fn serving(component: Vec<u8>) -> TestHost {
    let host = TestHost::serving(&[]).await;
    fs::write(host.file("strange.wasm"), component).unwrap();
    host.until(|names| !names.is_empty()).await;
    host
}

#[tokio::test]
async fn a_bare_function_whose_parameter_is_a_keyword() {
    let host = serving(component(r#"(export "add-one" (func $add-one))"#)).await;
    assert_eq!(host.names(), ["addOne"]);
    let sum = host.call(None, "addOne", json!({ "ref": 41 })).await;
    assert_eq!(sum["structuredContent"], json!({ "result": 42 }));
}

#[tokio::test]
async fn parameters_that_are_keywords_elsewhere() {
    let host = serving(component(
        r#"(func $add (param "private" u32) (param "all" u32) (result u32)
             (canon lift (core func $i "add")))
           (export "add" (func $add))"#,
    ))
    .await;
    let sum = host
        .call(None, "add", json!({ "private": 1, "all": 2 }))
        .await;
    assert_eq!(sum["structuredContent"], json!({ "result": 3 }));
}

#[tokio::test]
async fn functions_of_one_name_have_the_words_of_their_own_interfaces() {
    let host = TestHost::serving(&[]).await;
    let text = "package acme:sums@1.0.0;
        interface one { /// In one.\n add-one: func(ref: u32) -> u32; }
        interface two { /// In two.\n /// @param ref From here.\n add-one: func(ref: u32) -> u32; }";
    fs::write(host.file("strange.wit"), text).unwrap();
    let wasm = component(
        r#"(instance $sums (export "add-one" (func $add-one)))
           (export "acme:sums/one@1.0.0" (instance $sums))
           (export "acme:sums/two@1.0.0" (instance $sums))"#,
    );
    fs::write(host.file("strange.wasm"), wasm).unwrap();
    host.until(|names| names == ["one_addOne", "two_addOne"])
        .await;
    let list = host.send_modern(None, "tools/list", json!({})).await.json();
    let tools = &list["result"]["tools"];
    assert_eq!(tools[0]["description"], "In one.");
    assert_eq!(tools[1]["description"], "In two.");
    assert_eq!(
        tools[1]["inputSchema"]["properties"]["ref"]["description"],
        "From here."
    );
}

/// Interfaces of one name in two packages cannot be told apart either.
#[tokio::test]
async fn functions_that_stay_alike_are_served_by_nobody() {
    let host = serving(component(
        r#"(instance $sums (export "add-one" (func $add-one)))
           (export "acme:sums/one@1.0.0" (instance $sums))
           (export "acme:sums/one@2.0.0" (instance $sums))
           (export "add-more" (func $add-one))"#,
    ))
    .await;
    assert_eq!(host.names(), ["addMore"]);
}

#[test]
fn components_of_other_hosts_are_refused_by_name() {
    for interface in [
        "act:tools/tool-provider@0.1.0",
        "wasmcp:mcp-v20250618/tools@0.1.0",
    ] {
        let wasm = component(&format!(
            r#"(instance $tools (export "call-tool" (func $add-one)))
               (export "{interface}" (instance $tools))
               (export "add-one" (func $add-one))"#
        ));
        let cause = crate::words::inspected(&wasm, None).err().unwrap();
        assert!(
            cause.contains("made for another host") && cause.contains(interface),
            "{cause}"
        );
    }
}

#[tokio::test]
async fn versions_and_several_interfaces_in_one_component() {
    let host = serving(component(
        r#"(instance $one (export "add-one" (func $add-one)))
           (instance $two (export "add-one" (func $add-one)) (export "add-all" (func $add-one)))
           (export "acme:sums/one@1.0.0" (instance $one))
           (export "acme:sums/two@2.1.0-rc.1" (instance $two))
           (export "inline" (instance $one))"#,
    ))
    .await;
    // Nobody could tell which of three is meant by one name, so each has that of its interface, too.
    assert_eq!(
        host.names(),
        ["addAll", "inline_addOne", "one_addOne", "two_addOne"]
    );
    for name in ["inline_addOne", "one_addOne", "two_addOne"] {
        let sum = host.call(None, name, json!({ "ref": 1 })).await;
        assert_eq!(sum["structuredContent"], json!({ "result": 2 }));
    }
    let sum = host.call(None, "addAll", json!({ "ref": 1 })).await;
    assert_eq!(sum["structuredContent"], json!({ "result": 2 }));
}

#[tokio::test]
async fn two_hundred_functions() {
    let functions = (0..200).fold(String::new(), |mut functions, number| {
        write!(functions, r#"(export "tool-x{number}" (func $add-one))"#).unwrap();
        functions
    });
    let host = serving(component(&format!(
        r#"(instance $many {functions}) (export "acme:many/tools" (instance $many))"#
    )))
    .await;
    assert_eq!(host.names().len(), 200);
    let sum = host.call(None, "toolX199", json!({ "ref": 1 })).await;
    assert_eq!(sum["structuredContent"], json!({ "result": 2 }));
}

#[tokio::test]
async fn what_toolchains_leave_behind_is_no_tool() {
    let host = serving(component(
        r#"(instance $leftover (export "run" (func $add-one)))
           (export "wasi:cli/run@0.2.6" (instance $leftover))
           (instance $init (export "init" (func $add-one)))
           (export "exports" (instance $init))
           (instance $handler (export "handle" (func $add-one)))
           (export "wasi:http/incoming-handler@0.2.6" (instance $handler))
           (export "acme:http/incoming-handler@0.1.0" (instance $handler))
           (func $init-script (param "shim" u32) (param "script" u32) (param "entry-path" u32) (param "disable-gc" u32)
             (canon lift (core func $i "start")))
           (export "init" (func $init-script))
           (export "add-one" (func $add-one))"#,
    ))
    .await;
    assert_eq!(host.names(), ["addOne"]);
}

#[tokio::test]
async fn what_belongs_to_a_resource_is_left_out_and_the_rest_is_served() {
    // The way that toolchains write it: an inner component gives the interface its own type.
    let resource = wat::parse_str(
        r#"(component
            (core module $m
              (func (export "make") (result i32) (i32.const 1))
              (func (export "plain") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (type $thing (resource (rep i32)))
            (func $make (result (own $thing)) (canon lift (core func $i "make")))
            (func $plain (result u32) (canon lift (core func $i "plain")))
            (component $interface
              (import "import-thing" (type $t (sub resource)))
              (import "import-make" (func $make (result (own $t))))
              (import "import-plain" (func $plain (result u32)))
              (export $exported "thing" (type $t))
              (export "make" (func $make) (func (result (own $exported))))
              (export "plain" (func $plain)))
            (instance $things (instantiate $interface
              (with "import-thing" (type $thing))
              (with "import-make" (func $make))
              (with "import-plain" (func $plain))))
            (export "acme:things/things@1.0.0" (instance $things))
        )"#,
    )
    .unwrap();
    let host = serving(resource).await;
    assert_eq!(host.names(), ["plain"]);
    let seven = host.call(None, "plain", json!({})).await;
    assert_eq!(seven["structuredContent"], json!({ "result": 7 }));
}

#[tokio::test]
async fn imports_of_what_is_not_there_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let compiler = cloister::sandbox::Compiler::for_inspection().unwrap();
    for (import, is_other_version) in [
        ("acme:db/query@1.0.0", false),
        ("wasi:clocks/monotonic-clock@0.4.0", true),
        ("wasi:nn/graph@0.2.0", false),
        ("cloister:mcp/auth@0.2.0", true),
    ] {
        let component = wat::parse_str(format!(
            r#"(component (import "{import}" (instance (export "now" (func (result u64))))))"#
        ))
        .unwrap();
        let path = folder.path().join("strange.wasm");
        fs::write(&path, component).unwrap();
        let Err(cause) = cloister::reload::inspect(&path, &compiler) else {
            panic!("{import} is linked");
        };
        assert!(
            cause.contains("imports what this host does not provide") && cause.contains(import),
            "{import}: {cause}"
        );
        let says_what_there_is = cause.contains("versions 0.2.x") || cause.contains("0.1.x");
        assert_eq!(says_what_there_is, is_other_version, "{import}: {cause}");
    }
}
