//! The binary: its banner, its flags, and what it says when it cannot start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::harness::{PATIENCE, component, text};

/// The command, in a folder of its own and without settings from outside.
pub(crate) fn cloister(folder: &Path) -> Command {
    in_folder(Command::new(binary()), folder)
}

/// The command, started by a shell that has run this before.
pub(crate) fn cloister_after(script: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{script}; exec \"$0\" \"$@\"")])
        .arg(binary());
    in_folder(command, folder)
}

fn in_folder(mut command: Command, folder: &Path) -> Command {
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The binary beside this test.
fn binary() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("cloister");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build` first",
        path.display()
    );
    path
}

pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mcp")).unwrap();
    for name in ["auth", "demo"] {
        fs::copy(
            component(&format!("cloister_{name}")),
            folder.path().join(format!("mcp/{name}.wasm")),
        )
        .unwrap();
    }
    folder
}

/// Starts the host and reads its banner to the end.
pub(crate) async fn start(command: &mut Command) -> (Child, String) {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut banner = String::new();
    let reading = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            banner.push_str(&line);
            banner.push('\n');
            if line.contains("\"method\":\"tools/call\"") {
                return;
            }
        }
        let mut error = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut error).await.unwrap();
        panic!("the host ended: {banner}\n{error}");
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    (child, banner)
}

/// A host that runs, and whose log is read all the while: it waits for whoever does not read it.
pub(crate) struct Running {
    pub(crate) process: Child,
    pub(crate) banner: String,
    log: JoinHandle<String>,
}

impl Running {
    pub(crate) async fn start(command: &mut Command) -> Self {
        let (mut process, banner) = start(command.args(["--listen", "127.0.0.1:0"])).await;
        let mut stderr = process.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut log = String::new();
            stderr.read_to_string(&mut log).await.unwrap();
            log
        });
        Self {
            process,
            banner,
            log,
        }
    }

    pub(crate) fn url(&self) -> &str {
        endpoint(&self.banner)
    }

    /// Ends it at once, and gives its log.
    pub(crate) async fn kill(mut self) -> String {
        self.process.kill().await.unwrap();
        tokio::time::timeout(PATIENCE, self.log)
            .await
            .unwrap()
            .unwrap()
    }
}

/// Where a host is called that has this banner.
pub(crate) fn endpoint(banner: &str) -> &str {
    let mut lines = banner.lines();
    let endpoint = lines.find_map(|line| line.trim().strip_prefix("endpoint"));
    endpoint.unwrap().trim()
}

pub(crate) async fn run(command: &mut Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output())
        .await
        .unwrap()
        .unwrap()
}

pub(crate) fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn the_banner_holds_a_call_that_works_when_pasted() {
    let folder = folder();
    let (_host, banner) = start(cloister(folder.path()).env("PORT", "0")).await;
    assert!(
        banner.contains(
            "auth: getAuthInfo, listSessions, refreshToken, revokeOtherSessions, revokeSession"
        ),
        "{banner}"
    );
    assert!(banner.contains("demo: echo, getUserProfile"), "{banner}");

    let pasted = banner.split_once("TOKEN=").unwrap().1;
    let output = run(Command::new("sh")
        .arg("-c")
        .arg(format!("TOKEN={pasted}"))
        .env("no_proxy", "*"))
    .await;
    let reply: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|cause| panic!("{cause}: {output:?}\n{banner}"));
    assert!(
        text(&reply["result"]).contains(r#""message":"hello""#),
        "{reply}"
    );
}

#[tokio::test]
async fn a_token_for_anybody_comes_from_the_command_line() {
    let folder = folder();
    let (_host, banner) = start(cloister(folder.path()).args(["--listen", "127.0.0.1:0"])).await;
    let url = endpoint(&banner);
    let output = run(cloister(folder.path()).args([
        "token", "--sub", "user_1", "--email", "a@b.c", "--ttl", "60s", "--url", url,
    ]))
    .await;
    assert!(output.status.success(), "{}", utf8(&output.stderr));
    let token = utf8(&output.stdout).trim();

    let reply: Value = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(url)
        .bearer_auth(token)
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2025-11-25")
        .body(crate::harness::call(1, "getUserProfile", serde_json::json!({})).to_string())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        reply["result"]["structuredContent"],
        serde_json::json!({ "userId": "user_1", "email": "a@b.c", "emailVerified": true })
    );
}

#[tokio::test]
async fn what_a_tool_demands_is_shown_and_can_be_had_in_development() {
    let folder = folder();
    let mcp = folder.path().join("mcp");
    fs::copy(component("guest_plain"), mcp.join("plain.wasm")).unwrap();
    fs::write(
        mcp.join("plain.toml"),
        "[tools.greet]\nscopes = [\"a\", \"b\"]\npermissions = [\"org:c:d\"]\nroles = [\"org:e\", \"org:f\"]\n",
    )
    .unwrap();
    let output = run(cloister(folder.path()).args(["inspect", "mcp/plain.wasm"])).await;
    let shown = utf8(&output.stdout);
    assert!(
        shown.contains(
            "callers: those who sign in and have the scopes `a` and `b`; the permission `org:c:d`; one of the roles `org:e` or `org:f`\n"
        ),
        "{shown}"
    );

    let (_host, banner) = start(cloister(folder.path()).args(["--listen", "127.0.0.1:0"])).await;
    let url = endpoint(&banner);
    for (granted, status) in [
        ("--scope b --scope a --permission org:c:d --role org:f", 200),
        ("--scope b --scope a --role org:f", 403),
        ("--permission org:c:d --role org:f", 403),
    ] {
        let output = run(cloister(folder.path())
            .args(["token", "--url", url])
            .args(granted.split(' ')))
        .await;
        assert!(output.status.success(), "{}", utf8(&output.stderr));
        let call = crate::harness::call(1, "greet", serde_json::json!({ "name": "Ada" }));
        let reply = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(url)
            .bearer_auth(utf8(&output.stdout).trim())
            .header("content-type", "application/json")
            .body(call.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), status, "{granted}");
    }
}

#[tokio::test]
async fn settings_come_from_dotenv_and_a_file_and_flags_beat_them() {
    let folder = folder();
    fs::rename(folder.path().join("mcp"), folder.path().join("tools")).unwrap();
    fs::create_dir(folder.path().join("wrong")).unwrap();
    fs::write(folder.path().join(".env"), "PORT=0\nCLOISTER_LOG=warn\n").unwrap();
    fs::write(
        folder.path().join("mine.toml"),
        "mcp_dir = \"wrong\"\nlisten = \"127.0.0.1:1\"\n[limits]\ncalls = 10\n",
    )
    .unwrap();
    let (_host, banner) = start(cloister(folder.path()).args([
        "--config",
        "mine.toml",
        "--mcp-dir",
        "tools",
        "--listen",
        "127.0.0.1:0",
    ]))
    .await;
    assert!(banner.contains("demo: echo, getUserProfile"), "{banner}");
}

#[tokio::test]
async fn all_mistakes_are_reported_at_once_each_with_its_place() {
    let folder = folder();
    fs::write(
        folder.path().join("cloister.toml"),
        "listen = \"nowhere\"\nmcp_dri = \"x\"\n\n[limits]\ntime_out = \"1s\"\nmemory = \"lots\"\n\n[clerk]\nissuer = \"https://one.example.com\"\n",
    )
    .unwrap();
    fs::write(folder.path().join(".env"), "CLOISTER_LOGS=debug\n").unwrap();
    let output = run(cloister(folder.path())
        .env("CLERK_FRONTEND_API", "two.example.com")
        .args(["--timeout", "soon"]))
    .await;
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(utf8(&output.stderr));
}

#[tokio::test]
async fn the_development_issuer_serves_this_machine_only() {
    let folder = folder();
    for arguments in [
        ["--listen", "0.0.0.0:0"].as_slice(),
        &["--production"],
        &["--listen", "[::]:0"],
    ] {
        let output = run(cloister(folder.path()).args(arguments)).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let error = utf8(&output.stderr);
        assert!(
            error.contains("CLERK_PUBLISHABLE_KEY"),
            "{arguments:?}: {error}"
        );
    }
}

#[tokio::test]
async fn what_is_in_progress_when_the_host_stops_is_answered() {
    let folder = folder();
    fs::copy(
        component("guest_hostile"),
        folder.path().join("mcp/hostile.wasm"),
    )
    .unwrap();
    let (mut host, banner) = start(
        cloister(folder.path())
            .args(["--listen", "127.0.0.1:0"])
            .env("CLOISTER_GRACE", "100ms"),
    )
    .await;
    let url = endpoint(&banner);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = client
        .post(url)
        .header("content-type", "application/json")
        .body(crate::harness::call(1, "sleep", serde_json::json!({})).to_string())
        .send();
    let call = tokio::spawn(call);
    let health = url.replace("/mcp", "/health");
    loop {
        let health: Value = client
            .get(&health)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        if health["open"]["calls"] == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let signal = Command::new("kill")
        .args(["-TERM", &host.id().unwrap().to_string()])
        .status();
    assert!(signal.await.unwrap().success());

    let answer: Value = call.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(
        text(&answer["result"]),
        "the tool `sleep` of the service `hostile` gave no result: it was stopped with the server, which is going away; try again in a moment"
    );
    let ended = tokio::time::timeout(PATIENCE, host.wait()).await.unwrap();
    assert!(ended.unwrap().success());
}

#[tokio::test]
async fn a_host_that_stops_takes_nothing_new_and_finishes_what_it_has() {
    let folder = folder();
    fs::copy(
        component("guest_waiter"),
        folder.path().join("mcp/waiter.wasm"),
    )
    .unwrap();
    let (mut host, banner) = start(
        cloister(folder.path())
            .args(["--listen", "127.0.0.1:0"])
            // It is not waited out.
            .env("CLOISTER_GRACE", "10m"),
    )
    .await;
    let url: reqwest::Url = endpoint(&banner).parse().unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let arguments = serde_json::json!({ "times": 1, "milliseconds": 1_000 });
    let call = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(url.clone())
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2025-11-25")
        .body(crate::harness::call(1, "wait", arguments).to_string())
        .send();
    let mut call = tokio::spawn(call);
    let health = reqwest::Client::builder().no_proxy().build().unwrap();
    let health_url = url.join("/health").unwrap();
    loop {
        let open = health.get(health_url.clone()).send().await.unwrap();
        let open: Value = open.json().await.unwrap();
        if open["open"]["calls"] == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(health);
    let signal = Command::new("kill")
        .args(["-TERM", &host.id().unwrap().to_string()])
        .status();
    assert!(signal.await.unwrap().success());
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(!call.is_finished(), "it takes connections to its end");
        tokio::task::yield_now().await;
    }
    let answer: Value = (&mut call).await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(
        answer["result"]["structuredContent"],
        serde_json::json!({ "result": 1 })
    );
    let ended = tokio::time::timeout(PATIENCE, host.wait()).await.unwrap();
    assert!(ended.unwrap().success());
}

#[tokio::test]
async fn help_explains_every_flag() {
    let folder = folder();
    let output = run(cloister(folder.path()).arg("--help")).await;
    insta::assert_snapshot!(utf8(&output.stdout));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(cloister(folder.path()).args(["--listen", &address])).await;
    assert_eq!(output.status.code(), Some(1));
    let error = utf8(&output.stderr);
    assert!(
        error.contains(&format!("cannot listen on {address}")),
        "{error}"
    );
}

#[tokio::test]
async fn inspect_tells_what_a_component_offers() {
    let folder = folder();
    let library = folder.path().join("library.wasm");
    fs::copy(component("guest_library"), &library).unwrap();
    let output = run(cloister(folder.path()).arg("inspect").arg(&library)).await;
    assert!(output.status.success(), "{}", utf8(&output.stderr));
    let (first, rest) = utf8(&output.stdout).split_once('\n').unwrap();
    assert!(first.starts_with("service `library`, sha256 "), "{first}");
    insta::assert_snapshot!(rest);
}

/// A component with a function that cannot be served, and the text beside it, which has mistakes.
fn imperfect(folder: &Path) {
    let wasm = wat::parse_str(
        r#"(component
            (core module $m
              (func (export "f") (param i32) (result i32) (local.get 0))
              (func (export "g") (param i32)))
            (core instance $i (instantiate $m))
            (type $s (stream u8))
            (func (export "read") (param "v" $s) (canon lift (core func $i "g")))
            (func (export "keep") (param "v" u32) (result u32) (canon lift (core func $i "f"))))"#,
    );
    fs::write(folder.join("mcp/odd.wasm"), wasm.unwrap()).unwrap();
    let text = "package a:b; world w {
        /// Keeps.\n /// @colour red\n /// @default v x\n /// @pattern v ^a\n /// @param w More.
        export keep: func(v: u32) -> u32;
        /// @scope a b\n /// @role c\n /// Goes.
        export gone: func();
    }";
    fs::write(folder.join("mcp/odd.wit"), text).unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_service_is_in_the_log_and_told_by_inspect() {
    let folder = folder();
    imperfect(folder.path());
    let output = run(cloister(folder.path()).args(["inspect", "mcp/odd.wasm"])).await;
    let (_, notes) = utf8(&output.stdout).split_once("to mend:\n").unwrap();
    insta::assert_snapshot!(notes);

    // The same in the log, and which names two services want: once, though more is put there later.
    for service in ["alpha", "beta"] {
        let path = folder.path().join(format!("mcp/{service}.wasm"));
        fs::copy(component("guest_plain"), path).unwrap();
    }
    let mut command = cloister(folder.path());
    let (mut host, banner) = start(command.args(["--listen", "127.0.0.1:0"])).await;
    assert!(
        banner.contains("alpha: alpha_greet, alpha_mirror, alpha_sum"),
        "{banner}"
    );
    let library = folder.path().join("mcp/library.wasm");
    fs::copy(component("guest_library"), &library).unwrap();
    let mut log = String::new();
    let mut lines = BufReader::new(host.stderr.take().unwrap()).lines();
    let reading = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            log.push_str(&line);
            log.push('\n');
            if line.contains("serving service=library") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    for note in notes
        .lines()
        .filter(|note| !note.contains("has no description"))
    {
        assert!(log.contains(note.trim()), "{note}\n{log}");
    }
    let withdrawn = "several functions want to be the tool `greet`, so none is; they are called `alpha_greet`, `beta_greet`";
    assert_eq!(log.matches(withdrawn).count(), 1, "{log}");
}

#[tokio::test]
async fn a_manifest_can_be_begun_with_what_the_tags_say() {
    let folder = folder();
    fs::copy(
        component("guest_plain"),
        folder.path().join("mcp/plain.wasm"),
    )
    .unwrap();
    let text = include_str!("guests/plain/wit/plain.wit")
        .replace(
            "  /// Mirrors",
            "  /// @scope math:read\n  /// @scope math:add\n  /// Mirrors",
        )
        .replace(
            "  /// Greets",
            "  /// @permission org:a:b\n  /// @role org:c\n  /// Greets",
        );
    fs::write(folder.path().join("mcp/plain.wit"), text).unwrap();
    let output = run(cloister(folder.path()).args(["inspect", "--stub", "mcp/plain.wasm"])).await;
    let stub = utf8(&output.stdout).to_owned();
    insta::assert_snapshot!(stub, @r#"
    # It may ask for what stands in comments, and is not granted it.
    # [env]
    # NAME = "value"

    [tools.mirror]
    scopes = ["math:read", "math:add"]

    [tools.greet]
    permissions = ["org:a:b"]
    roles = ["org:c"]
    "#);

    // With it, what is stripped from the component restricts as before.
    fs::remove_file(folder.path().join("mcp/plain.wit")).unwrap();
    fs::write(folder.path().join("mcp/plain.toml"), &stub).unwrap();
    let output = run(cloister(folder.path()).args(["inspect", "--stub", "mcp/plain.wasm"])).await;
    assert_eq!(utf8(&output.stdout), stub);
    let demo = run(cloister(folder.path()).args(["inspect", "--stub", "mcp/demo.wasm"])).await;
    let demo = utf8(&demo.stdout);
    assert!(
        demo.ends_with("\n# nothing restricts the functions of `demo`\n"),
        "{demo}"
    );
}

/// Reads what the host says until it has said this.
pub(crate) async fn until_said(
    lines: &mut tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
    what: &str,
) -> String {
    let mut log = String::new();
    let reading = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            log.push_str(&line);
            log.push('\n');
            if line.contains(what) {
                return;
            }
        }
        panic!("it ended, and did not say `{what}`: {log}");
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    log
}

#[tokio::test]
async fn the_log_names_the_line_that_is_missing_in_a_manifest() {
    let folder = folder();
    let mcp = folder.path().join("mcp");
    for (service, guest) in [("keeper", "guest_keeper"), ("faulty", "guest_faulty")] {
        fs::copy(component(guest), mcp.join(format!("{service}.wasm"))).unwrap();
    }
    let (mut host, banner) = start(cloister(folder.path()).args(["--listen", "127.0.0.1:0"])).await;
    let url = endpoint(&banner);
    let token = run(cloister(folder.path()).args(["token", "--sub", "user_1", "--url", url])).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut lines = BufReader::new(host.stderr.take().unwrap()).lines();
    for (tool, arguments, line) in [
        (
            "setting",
            serde_json::json!({ "name": "units" }),
            "it is given no configuration; the operator gives it values in `mcp/keeper.toml`, under `[config]`: name = \"value\"",
        ),
        (
            "keep",
            serde_json::json!({ "bucket": "all", "steps": [] }),
            "in `mcp/keeper.toml`, under `[store]`: \"all\" = { scope = \"user\" }",
        ),
        (
            "tellSecret",
            serde_json::json!({ "name": "WEATHER" }),
            "in `mcp/faulty.toml`, under `[secrets]`: \"WEATHER\" = { user = \"its name in their private metadata\" }",
        ),
    ] {
        let request = client.post(url).header("content-type", "application/json");
        let request = request.bearer_auth(utf8(&token.stdout).trim());
        let call = crate::harness::call(1, tool, arguments);
        let reply = request.body(call.to_string()).send().await.unwrap();
        assert_eq!(reply.status(), 200, "{tool}");
        until_said(&mut lines, line).await;
    }
    // Who is granted none on purpose is not told of it.
    fs::write(mcp.join("keeper.toml"), "[config]\n").unwrap();
    until_said(&mut lines, "serving service=keeper").await;
    let call = crate::harness::call(1, "setting", serde_json::json!({ "name": "units" }));
    let request = client.post(url).header("content-type", "application/json");
    let reply = request.body(call.to_string()).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let log = until_said(&mut lines, "#setting").await;
    assert!(!log.contains("[config]"), "{log}");
}

#[tokio::test]
async fn a_manifest_that_is_gone_or_broken_opens_nothing() {
    let folder = folder();
    let mcp = folder.path().join("mcp");
    fs::copy(component("guest_plain"), mcp.join("plain.wasm")).unwrap();
    let manifest = mcp.join("plain.toml");
    let put = |text: &str| {
        fs::write(mcp.join(".new"), text).unwrap();
        fs::rename(mcp.join(".new"), &manifest).unwrap();
    };
    let restricted = "[tools.greet]\nscopes = [\"a\"]\n";
    put(restricted);
    let (mut host, banner) = start(cloister(folder.path()).args(["--listen", "127.0.0.1:0"])).await;
    let url = endpoint(&banner);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let greeted = || async {
        let call = crate::harness::call(1, "greet", serde_json::json!({ "name": "Ada" }));
        let request = client.post(url).header("content-type", "application/json");
        request
            .body(call.to_string())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let mut lines = BufReader::new(host.stderr.take().unwrap()).lines();
    assert_eq!(greeted().await, 401);

    fs::remove_file(&manifest).unwrap();
    until_said(
        &mut lines,
        "its manifest is gone, which said who may call `greet`; put it back, or write another that says who may; the version before it is served on",
    )
    .await;
    assert_eq!(greeted().await, 401);
    for (broken, cause) in [
        (
            "[tools.greet]\nscopes = [\"b\"",
            "its manifest cannot be used",
        ),
        ("", "it is empty"),
        (
            "[tools.greet]\nscopes = [\"b\"]\n[limits]\nmemory = \"1GiB\"\n",
            "in its manifest, line 4, column 1, `limits.memory`: it is above the ceiling",
        ),
        (
            "[tools.greets]\nscopes = [\"b\"]\n",
            "in its manifest, line 1, column 8, `tools.greets`: the component has no function `greets`",
        ),
    ] {
        put(broken);
        let log = until_said(&mut lines, "the version before it is served on").await;
        assert!(log.contains(cause), "{log}");
        assert_eq!(greeted().await, 401, "{broken}");
    }
    // What restricts no longer is the operator's word, once it has stood still.
    // What it says from here on is read, so that it never waits for that.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    for (text, status) in [("# anybody\n", 200), (restricted, 401)] {
        put(text);
        let told = async {
            while greeted().await != status {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, told).await.unwrap();
    }
}
