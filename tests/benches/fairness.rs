//! What hostile calls cost everybody else. While some call what misbehaves, again and again, another caller
//! calls another service, and how long that takes is printed beside how long it takes when nobody else is
//! there. The host runs on the threads of the binary; those who call have threads of their own, on the same
//! processors.
//!
//! `just bench fairness [calls]`

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cloister::config::{Config, Flag, Given};
use cloister::host::Host;
use cloister::issuer::TokenRequest;
use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// How many calls are measured in each scene, unless it is said.
const CALLS: usize = 2_000;

/// Who is hostile, and how.
struct Scene {
    name: &'static str,
    tool: &'static str,
    arguments: Value,
    callers: usize,
}

fn main() {
    let calls = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(CALLS);
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let folder = tempfile::tempdir().expect("a folder");
    let mcp = folder.path().join("mcp");
    std::fs::create_dir(&mcp).expect("a folder");
    for (service, guest) in [("hostile", "guest_hostile"), ("quiet", "guest_plain")] {
        std::fs::copy(component(guest), mcp.join(format!("{service}.wasm")))
            .expect("`just build-guests` was run");
    }
    let runtime = cloister::runtime::new().expect("threads");
    let host = runtime.block_on(start(folder.path()));
    let url = host.url().expect("it listens").to_string();
    let token = |sub: &str| {
        let token = host
            .development_issuer()
            .expect("an issuer")
            .mint(&TokenRequest {
                ttl: Duration::from_hours(1),
                ..TokenRequest::new(sub)
            });
        token.expect("a token").expose_secret().to_owned()
    };
    let quiet = Caller::new(&url, token("user_quiet"));
    let eves: Vec<String> = (0..8)
        .map(|eve| token(&format!("user_eve_{eve}")))
        .collect();

    let scene = |name, tool, arguments: Value, callers| Scene {
        name,
        tool,
        arguments,
        callers,
    };
    let scenes = [
        scene("nobody", "nothing", json!({}), 0),
        scene("spin, 1 for each processor", "spin", json!({}), processors),
        scene("spin, 4 for each", "spin", json!({}), 4 * processors),
        scene("spin, 250 for each", "spin", json!({}), 250 * processors),
        scene("spin in the host", "spinInHost", json!({}), processors),
        scene("spin in polls", "spinInPoll", json!({}), processors),
        scene(
            "spin for random bytes",
            "spinForRandom",
            json!({}),
            processors,
        ),
        scene("print for ever", "printForever", json!({}), processors),
        scene("copy 40 MiB for ever", "copyForever", json!({}), processors),
        scene("allocate", "allocate", json!({}), processors),
        scene(
            "ask for 64 MiB random",
            "random",
            json!({ "bytes": 64 << 20 }),
            processors,
        ),
        scene(
            "large texts",
            "texts",
            json!({ "count": 100_000 }),
            processors,
        ),
        scene(
            "sets of flags",
            "palettes",
            json!({ "count": 4_000 }),
            processors,
        ),
        scene("list<u8>", "blob", json!({ "count": 400_000 }), processors),
        scene("panic", "panic", json!({ "message": "no" }), processors),
    ];
    println!("{processors} processors, {calls} calls in each scene, times in ms\n");
    println!(
        "hostile calls                    ended      p50      p90      p99     p99.9      max"
    );
    for scene in scenes {
        let (mut times, ended) = play(&url, &quiet, &eves, &scene, calls);
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 1_000].as_secs_f64() * 1e3;
        println!(
            "{:30} {ended:>7} {:>8.2} {:>8.2} {:>8.2} {:>9.2} {:>8.2}",
            scene.name,
            at(500),
            at(900),
            at(990),
            at(999),
            at(1_000)
        );
    }
    runtime.shutdown_background();
}

/// Plays one scene: how long the calls of the quiet one took, and how many hostile calls ended meanwhile.
fn play(
    url: &str,
    quiet: &Caller,
    eves: &[String],
    scene: &Scene,
    calls: usize,
) -> (Vec<Duration>, usize) {
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::new(AtomicUsize::new(0));
    let crowd = {
        let (over, ended) = (Arc::clone(&over), Arc::clone(&ended));
        let callers: Vec<Caller> = (0..scene.callers)
            .map(|number| Caller::new(url, eves[number % eves.len()].clone()))
            .collect();
        let (tool, arguments) = (scene.tool, scene.arguments.clone());
        std::thread::spawn(move || {
            single().block_on(async move {
                let flood = callers.into_iter().map(|caller| {
                    let (ended, arguments) = (Arc::clone(&ended), arguments.clone());
                    async move {
                        loop {
                            caller.call(tool, &arguments).await;
                            ended.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
                let flood = futures_util::future::join_all(flood);
                let stop = async {
                    while !over.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                };
                tokio::select! {
                    _ = flood => {}
                    () = stop => {}
                }
            });
        })
    };
    let arguments = json!({ "at": { "x": 1, "y": 2 } });
    let times = single().block_on(async {
        // Until the others have begun.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut times = Vec::new();
        for _ in 0..calls {
            let start = Instant::now();
            let reply = quiet.call("mirror", &arguments).await;
            times.push(start.elapsed());
            assert_eq!(
                reply["result"]["structuredContent"]["x"],
                json!(-1),
                "{reply}"
            );
        }
        times
    });
    over.store(true, Ordering::Relaxed);
    crowd.join().expect("it ended");
    (times, ended.load(Ordering::Relaxed))
}

fn single() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a thread")
}

struct Caller {
    client: Client,
    url: String,
    token: String,
}

impl Caller {
    fn new(url: &str, token: String) -> Self {
        Self {
            client: Client::builder().no_proxy().build().expect("a client"),
            url: url.to_owned(),
            token,
        }
    }

    async fn call(&self, tool: &str, arguments: &Value) -> Value {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments },
        });
        let reply = self
            .client
            .post(&self.url)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25")
            .bearer_auth(&self.token)
            .body(message.to_string())
            .send()
            .await
            .expect("a reply");
        let text = reply.text().await.expect("a whole one");
        serde_json::from_str(&text).expect("JSON")
    }
}

async fn start(folder: &std::path::Path) -> Host {
    let path = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let flags = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("mcp_dir", path("mcp")),
        ("cache_dir", path("cache")),
        ("state_dir", path("state")),
    ]
    .map(|(key, text)| Flag {
        key,
        flag: key,
        text,
    });
    let given = Given::collect(
        &flags,
        &std::collections::BTreeMap::new(),
        &folder.join("no"),
        None,
    );
    let config = Config::read(&given).expect("settings");
    let host = Host::start(config).await.expect("a host");
    host.ready().await;
    host
}

fn component(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join(format!("wasm32-wasip2/guest/{name}.wasm"))
}
