//! What `cloister inspect` says that a component may ask for, and what its manifest does not grant.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::commands::{cloister, folder, run, utf8};
use crate::harness::component;

/// What is printed of a service in the folder from what it may ask for on; its standard error if it fails.
async fn told(folder: &TempDir, service: &str) -> String {
    let file = format!("mcp/{service}.wasm");
    let output = run(cloister(folder.path()).args(["inspect", &file])).await;
    if !output.status.success() {
        return utf8(&output.stderr).to_owned();
    }
    let (_, told) = utf8(&output.stdout)
        .split_once("\nmay ask for:\n")
        .expect("what it may ask for");
    let (told, _notes) = told.split_once("\nto mend:\n").unwrap_or((told, ""));
    format!("{service} may ask for:\n{told}")
}

/// Puts guests into the folder, by the names of their services.
fn put(folder: &Path, guests: &[&str]) {
    for guest in guests {
        let file = folder.join(format!("mcp/{guest}.wasm"));
        fs::copy(component(&format!("guest_{guest}")), file).unwrap();
    }
}

/// Puts a component into the folder that imports this, and has a function of its own.
fn put_importing(folder: &Path, service: &str, imports: &str) {
    let wasm = wat::parse_str(format!(
        r#"(component
            {imports}
            (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m))
            (func (export "keep") (param "v" u32) (result u32) (canon lift (core func $i "f"))))"#,
    ));
    fs::write(folder.join(format!("mcp/{service}.wasm")), wasm.unwrap()).unwrap();
}

#[tokio::test]
async fn what_a_component_may_ask_for_is_told_with_the_line_that_would_grant_it() {
    let folder = folder();
    let guests = [
        "archive", "asker", "faulty", "fetcher", "gatherer", "hostile", "keeper", "plain",
    ];
    put(folder.path(), &guests);
    let mut all = Vec::new();
    for service in ["auth"].iter().chain(&guests) {
        all.push(told(&folder, service).await);
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[tokio::test]
async fn what_the_manifest_grants_is_told_by_name_and_what_nothing_asks_for_apart() {
    let folder = folder();
    put(folder.path(), &["keeper", "fetcher", "faulty"]);
    let mcp = folder.path().join("mcp");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("key"), "s3cret-1").unwrap();
    let manifest = r#"
        sessions = true
        [http]
        allow = ["https://api.example.com:443", "http://*.example.com:8080", "http://10.1.2.3"]
        headers."https://api.example.com" = { authorization = "${secret.KEY}" }
        [env]
        UNITS = "s3cret-2"
        KEY = "${secret.KEY}"
        [secrets]
        KEY = { file = "key" }
        KEY_OF_OLD = { file = "key" }
        TOKEN = { user = "s3cret-3" }
        [config]
        "the \u001b[31m units" = "s3cret-4"
        [files]
        "/data" = { path = "data", write = true }
        "/more/data" = { path = "data" }
        [store]
        default = { scope = "user" }
        common = { scope = "service", quota = "1MiB" }
    "#;
    for service in ["keeper", "fetcher", "faulty"] {
        fs::write(mcp.join(format!("{service}.toml")), manifest).unwrap();
    }
    let told_of = [
        told(&folder, "keeper").await,
        told(&folder, "fetcher").await,
        told(&folder, "faulty").await,
    ]
    .join("\n");
    assert!(!told_of.contains("s3cret"), "{told_of}");
    insta::assert_snapshot!(told_of);

    // What an operator grants none of on purpose is not missing.
    fs::write(mcp.join("keeper.toml"), "[files]\n[config]\n[store]\n").unwrap();
    insta::assert_snapshot!(told(&folder, "keeper").await);
}

/// `wasi:sockets` 0.3, as far as it takes to make a socket.
const SOCKETS: &str = r#"(import "wasi:sockets/types@0.3.0" (instance
    (export "tcp-socket" (type $socket (sub resource)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type $family (eq $families)))
    (type $causes (variant
        (case "access-denied") (case "not-supported") (case "invalid-argument") (case "out-of-memory")
        (case "timeout") (case "invalid-state") (case "address-not-bindable") (case "address-in-use")
        (case "remote-unreachable") (case "connection-refused") (case "connection-broken")
        (case "connection-reset") (case "connection-aborted") (case "datagram-too-large")
        (case "other" (option string))))
    (export "error-code" (type $cause (eq $causes)))
    (export "[static]tcp-socket.create"
        (func (param "address-family" $family) (result (result (own $socket) (error $cause)))))))"#;

/// What `cloister:mcp/session` tells every service.
const INFO: &str = r#"(import "cloister:mcp/session@0.1.0" (instance
    (type $fields (record
        (field "name" string) (field "issuer" string) (field "refresh-available" bool)
        (field "sessions-available" bool) (field "resource" (option string))))
    (export "provider" (type $provider (eq $fields)))
    (export "info" (func (result $provider)))))"#;

#[tokio::test]
async fn every_version_asks_for_the_same_and_what_every_service_has_for_nothing() {
    let folder = folder();
    let environment = |version, function| {
        format!(
            r#"(import "wasi:cli/environment@{version}" (instance
                (export "{function}" (func (result (list {}))))))"#,
            if function == "get-environment" {
                "(tuple string string)"
            } else {
                "string"
            }
        )
    };
    let types = r#"(import "wasi:filesystem/types@0.2.3" (instance
        (export "descriptor" (type (sub resource)))))"#;
    let asking = [
        ("without", String::new()),
        ("types", types.to_owned()),
        ("arguments", environment("0.2.0", "get-arguments")),
        ("oldest", environment("0.2.0", "get-environment")),
        ("latest", environment("0.3.0", "get-environment")),
        ("sockets", SOCKETS.to_owned()),
        ("info", INFO.to_owned()),
        ("unknown", environment("0.4.0", "get-environment")),
    ];
    let mut all = Vec::new();
    for (service, imports) in &asking {
        put_importing(folder.path(), service, imports);
        all.push(told(&folder, service).await);
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[tokio::test]
async fn a_manifest_can_be_begun_with_what_a_component_may_ask_for() {
    let folder = folder();
    put(folder.path(), &["keeper", "fetcher", "faulty", "prying"]);
    let mcp = folder.path().join("mcp");
    fs::create_dir(folder.path().join("data")).unwrap();
    let mut all = Vec::new();
    for service in ["keeper", "fetcher", "faulty", "prying"] {
        let manifest = mcp.join(format!("{service}.toml"));
        let file = format!("mcp/{service}.wasm");
        let mut command = cloister(folder.path());
        let output = run(command.args(["inspect", "--stub", &file])).await;
        let stub = utf8(&output.stdout);
        // As it is printed it grants nothing, and there is nothing else to say.
        fs::write(&manifest, stub).unwrap();
        let mut command = cloister(folder.path());
        let again = run(command.args(["inspect", "--stub", &file])).await;
        assert_eq!(utf8(&again.stdout), stub);
        assert!(told(&folder, service).await.contains("not granted"));

        // Each of its lines grants what it is for.
        let (said, lines) = stub.split_once('\n').unwrap();
        assert!(said.starts_with("# It may ask for"), "{said}");
        let granting: Vec<&str> = lines
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line))
            .filter(|line| !line.starts_with("nothing restricts"))
            .collect();
        fs::write(&manifest, granting.join("\n").replace('…', "data")).unwrap();
        let granted = told(&folder, service).await;
        assert!(!granted.contains("not granted"), "{granted}");
        assert!(!granted.contains("never asked for"), "{granted}");
        all.push(granted);
    }
    insta::assert_snapshot!(all.join("\n"));
}
