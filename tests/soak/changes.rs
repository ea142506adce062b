//! What happens to the folder of services meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Soak;
use crate::cases::HOSTILE;
use crate::crowd::Probe;
use crate::server::Log;
use crate::stage::{Stage, Way};

/// For how long things stay as they are between two changes.
const HELD: Duration = Duration::from_millis(700);

/// What lies in the folder, each as `(service, component)`. It is what a component is restored to.
const SERVICES: [(&str, &str); 9] = [
    ("asker", "guest_asker"),
    ("demo", "cloister_demo"),
    ("faulty", "guest_faulty"),
    ("fetcher", "guest_fetcher"),
    ("hostile", "guest_hostile"),
    ("keeper", "guest_keeper"),
    ("plain", "guest_plain"),
    ("sleeper", "guest_hostile"),
    ("waiter", "guest_waiter"),
];

const KEEPER: &str = "[store]\nall = { scope = \"service\" }\nmine = { scope = \"user\" }\n";

/// How many different components, all with the same functions, a service is replaced with in turn.
const EDITIONS: u64 = 4;

/// The folder of services.
pub(crate) struct Folder {
    mcp: PathBuf,
    /// Where the server elsewhere is.
    port: u16,
}

/// How often what was changed.
#[derive(Default)]
pub(crate) struct Changes {
    replaced: AtomicU64,
    removed: AtomicU64,
    damaged: AtomicU64,
    granted: AtomicU64,
}

impl Changes {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn print(&self) {
        for (what, counter) in [
            ("components replaced", &self.replaced),
            ("removed and restored", &self.removed),
            ("damaged and restored", &self.damaged),
            ("manifests changed", &self.granted),
        ] {
            println!("{what:24} {:>10}", counter.load(Ordering::Relaxed));
        }
    }
}

impl Folder {
    /// Lays out what there is at first.
    pub(crate) fn fill(root: &Path, port: u16) -> Self {
        let folder = Self {
            mcp: root.join("mcp"),
            port,
        };
        fs::create_dir(&folder.mcp).expect("a folder");
        for (name, manifest) in [
            ("hostile", HOSTILE),
            ("faulty", HOSTILE),
            ("keeper", KEEPER),
            ("sleeper", &sleeper("300ms")),
            ("fetcher", &folder.fetcher(true)),
        ] {
            folder.replace(&format!("{name}.toml"), manifest.as_bytes());
        }
        for (service, _) in SERVICES {
            folder.restore(service);
        }
        folder.replace("versions.wasm", &version(0));
        folder
    }

    /// Changes things until it is over.
    pub(crate) async fn change(&self, soak: &Soak, log: &Log, over: Instant) -> Changes {
        let changes = Changes::default();
        let all = Changer {
            folder: self,
            soak,
            log,
            over,
            probe: Probe::new(&soak.url),
            changes: &changes,
        };
        tokio::join!(
            all.versions(),
            all.plain(),
            all.fetcher(),
            all.sleeper(),
            all.editions(),
            all.damage(),
        );
        changes
    }

    /// Puts a file there by one rename, the way a careful operator does.
    fn replace(&self, name: &str, bytes: &[u8]) {
        let fresh = self.mcp.join(format!(".{name}.new"));
        fs::write(&fresh, bytes).expect("a file");
        fs::rename(fresh, self.mcp.join(name)).expect("a file");
    }

    /// Writes over a file where it lies, the way `cp` does.
    fn overwrite(&self, name: &str, bytes: &[u8]) {
        fs::write(self.mcp.join(name), bytes).expect("a file");
    }

    fn restore(&self, service: &str) {
        self.replace(&format!("{service}.wasm"), &component(service));
    }

    fn fetcher(&self, is_granted: bool) -> String {
        let port = if is_granted { self.port } else { 9 };
        format!("[http]\nallow = [\"http://127.0.0.1:{port}\"]\n")
    }
}

fn sleeper(timeout: &str) -> String {
    format!("[limits]\ntimeout = \"{timeout}\"\n")
}

/// The bytes of a component that `just build-guests` has made.
fn component(service: &str) -> Vec<u8> {
    let (_, name) = SERVICES
        .into_iter()
        .find(|(name, _)| *name == service)
        .expect("a service");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    fs::read(target.join(format!("wasm32-wasip2/guest/{name}.wasm")))
        .expect("`just build-guests` was run")
}

/// A component whose function says which version it is. Every third is one of those that take many instances,
/// as toolchains for Python make them.
fn version(number: u64) -> Vec<u8> {
    let instances = if number.is_multiple_of(3) { 25 } else { 0 };
    let text = format!(
        r#"(component
            (core module $nothing)
            {}
            (core module $m (memory 1) (func (export "version") (result i32) (i32.const {number})))
            (core instance $i (instantiate $m))
            (func (export "version") (result u32) (canon lift (core func $i "version"))))"#,
        "(core instance (instantiate $nothing))".repeat(instances)
    );
    wat::parse_str(text).expect("a component")
}

/// Another component with the same functions: what differs is a custom section (Core specification, §5.5.3)
/// that nobody reads.
fn edition(service: &str, number: u64) -> Vec<u8> {
    let mut bytes = component(service);
    let number = b'0' + u8::try_from(number % EDITIONS).unwrap_or(0);
    bytes.extend([0, 9, 7]);
    bytes.extend(b"edition");
    bytes.push(number);
    bytes
}

/// What may become of the bytes of a component.
type Damage = fn(&[u8]) -> Vec<u8>;

struct Changer<'a> {
    folder: &'a Folder,
    soak: &'a Soak,
    log: &'a Log,
    over: Instant,
    probe: Probe,
    changes: &'a Changes,
}

impl Changer<'_> {
    /// Leaves things as they are for a while. False when it is over.
    async fn hold(&self) -> bool {
        tokio::time::sleep(HELD).await;
        Instant::now() < self.over
    }

    /// Waits until callers meet what was changed.
    async fn until(&self, tool: &str, arguments: Value, wanted: impl Fn(&Value) -> bool) {
        if !self.probe.until(self.soak, tool, &arguments, wanted).await {
            let missed = format!("a change was never noticed by callers of `{tool}`");
            self.soak.tally.missed(missed);
        }
    }

    /// Changes a service in a way that callers notice, and tells them when.
    async fn turn(&self, stage: &Stage, way: Way, change: impl FnOnce(), noticed: impl Future) {
        stage.set(Way::Either);
        change();
        noticed.await;
        stage.set(way);
    }

    /// `versions` is replaced by its next version, by a rename and by copying in turn.
    async fn versions(&self) {
        let mut number = 0;
        while self.hold().await {
            number += 1;
            let next = version(number);
            self.soak.stages.put.store(number, Ordering::SeqCst);
            if number.is_multiple_of(2) {
                self.folder.replace("versions.wasm", &next);
            } else {
                // Half of it lies there for a moment.
                let half = &next[..next.len() / 2];
                self.folder.overwrite("versions.wasm", half);
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.folder.overwrite("versions.wasm", &next);
            }
            self.until("version", json!({}), |reply| {
                reply["result"]["structuredContent"]["result"] == number
            })
            .await;
            self.soak.stages.saw(number);
            Changes::count(&self.changes.replaced);
        }
    }

    /// `plain` is removed, and comes back.
    async fn plain(&self) {
        let stage = &self.soak.stages.plain;
        let served = |is_served: bool| {
            self.until("sum", json!({ "terms": [1] }), move |reply| {
                reply["result"].is_object() == is_served
            })
        };
        let file = self.folder.mcp.join("plain.wasm");
        while self.hold().await {
            let remove = || fs::remove_file(&file).expect("it was there");
            self.turn(stage, Way::Second, remove, served(false)).await;
            tokio::time::sleep(HELD).await;
            let restore = || self.folder.restore("plain");
            self.turn(stage, Way::First, restore, served(true)).await;
            Changes::count(&self.changes.removed);
        }
    }

    /// `fetcher` loses its grant and gets it again. What is no manifest changes nothing.
    async fn fetcher(&self) {
        let stage = &self.soak.stages.fetcher;
        let url = format!("http://127.0.0.1:{}/", self.folder.port);
        let granted = |is_granted: bool| {
            self.until("fetch", json!({ "url": url }), move |reply| {
                (reply["result"]["isError"] != true) == is_granted
            })
        };
        let file = "fetcher.toml";
        while self.hold().await {
            for (is_granted, way) in [(false, Way::Second), (true, Way::First)] {
                let manifest = self.folder.fetcher(is_granted);
                let change = || self.folder.replace(file, manifest.as_bytes());
                self.turn(stage, way, change, granted(is_granted)).await;
                Changes::count(&self.changes.granted);
                tokio::time::sleep(HELD).await;
            }
            let broken = b"[http]\nallow = [\"http://127.0.0.1:9\n";
            self.damaged("fetcher", file, broken).await;
            self.folder
                .replace(file, self.folder.fetcher(true).as_bytes());
        }
    }

    /// `sleeper` has more time, and less again.
    async fn sleeper(&self) {
        let stage = &self.soak.stages.sleeper;
        while self.hold().await {
            for (timeout, told, way) in [
                ("400ms", "after 400 ms", Way::Second),
                ("300ms", "after 300 ms", Way::First),
            ] {
                let change = || {
                    let manifest = sleeper(timeout);
                    self.folder.replace("sleeper.toml", manifest.as_bytes());
                };
                let noticed = self.until("sleeper_sleep", json!({}), |reply| {
                    let text = reply["result"]["content"][0]["text"].as_str();
                    text.is_some_and(|text| text.contains(told))
                });
                self.turn(stage, way, change, noticed).await;
                Changes::count(&self.changes.granted);
                tokio::time::sleep(HELD).await;
            }
        }
    }

    /// Services are replaced by others that do the same.
    async fn editions(&self) {
        let mut number = 0;
        while self.hold().await {
            for service in ["demo", "keeper", "waiter", "asker"] {
                let file = format!("{service}.wasm");
                self.folder.replace(&file, &edition(service, number));
                Changes::count(&self.changes.replaced);
                tokio::time::sleep(HELD).await;
            }
            number += 1;
        }
    }

    /// Components are damaged in every way that a careless copy or a bad disk does. What was served is served
    /// on.
    async fn damage(&self) {
        let ways: [Damage; 4] = [
            |whole| whole[..whole.len() / 2].to_vec(),
            |_| Vec::new(),
            |_| b"<html>not found</html>".to_vec(),
            |whole| {
                // The size of its first section.
                let mut bytes = whole.to_vec();
                bytes[9] ^= 0x15;
                bytes
            },
        ];
        let mut number = 0;
        while self.hold().await {
            for service in ["hostile", "faulty", "sleeper"] {
                let bytes = ways[number % ways.len()](&component(service));
                number += 1;
                self.damaged(service, &format!("{service}.wasm"), &bytes)
                    .await;
                self.folder.restore(service);
                tokio::time::sleep(HELD).await;
            }
        }
    }

    /// Leaves a file there that does not load, until the host has said so.
    async fn damaged(&self, service: &str, file: &str, bytes: &[u8]) {
        let before = self.log.refused(service);
        self.folder.overwrite(file, bytes);
        if !self.log.until_refused(service, before).await {
            let missed = format!("the host never said that `{file}` does not load");
            self.soak.tally.missed(missed);
        }
        tokio::time::sleep(HELD).await;
        Changes::count(&self.changes.damaged);
    }
}
