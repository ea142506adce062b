//! A host on a free port, with a folder of its own, and callers with tokens.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloister::catalog::Catalog;
use cloister::config::{Config, Flag, Given};
use cloister::host::Host;
use cloister::issuer::TokenRequest;
use reqwest::Client;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a test waits for what should happen in a blink. It is only waited out by a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A host that serves a folder of its own.
pub(crate) struct TestHost {
    pub(crate) folder: TempDir,
    pub(crate) client: Client,
    host: Host,
}

/// A component that `just build-guests` has made.
pub(crate) fn component(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let path = target
        .join("wasm32-wasip2/guest")
        .join(format!("{name}.wasm"));
    assert!(
        path.exists(),
        "{} is missing: run `just build-guests` first",
        path.display()
    );
    path
}

/// Puts a component into a folder of services by one rename, the way a careful operator does. What is in
/// the box comes with its manifest.
fn lay(mcp: &Path, service: &str, name: &str) {
    let boxed = name.strip_prefix("cloister_").map(|name| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        root.join(format!("../mcp/{name}.toml"))
    });
    if let Some(manifest) = boxed.filter(|manifest| manifest.exists()) {
        fs::copy(manifest, mcp.join(format!("{service}.toml"))).unwrap();
    }
    let fresh = mcp.join(format!(".{service}.new"));
    fs::copy(component(name), &fresh).unwrap();
    fs::rename(fresh, mcp.join(format!("{service}.wasm"))).unwrap();
}

impl TestHost {
    /// A host that serves these components, each as `(service, component)`.
    pub(crate) async fn serving(components: &[(&str, &str)]) -> Self {
        Self::with(components, &[]).await
    }

    /// The same, with settings.
    pub(crate) async fn with(
        components: &[(&str, &str)],
        settings: &[(&'static str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mcp = folder.path().join("mcp");
        fs::create_dir(&mcp).unwrap();
        for (service, name) in components {
            lay(&mcp, service, name);
        }
        Self::start(folder, settings).await
    }

    /// A host over a folder that is there already.
    pub(crate) async fn start(folder: TempDir, settings: &[(&'static str, &str)]) -> Self {
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let mut made: BTreeMap<&'static str, String> = BTreeMap::from([
            ("listen", "127.0.0.1:0".to_owned()),
            ("mcp_dir", path("mcp")),
            // One cache for all tests: most of them use the same few components.
            ("cache_dir", cache()),
            ("state_dir", path("state")),
        ]);
        made.extend(
            settings
                .iter()
                .map(|(key, text)| (*key, (*text).to_owned())),
        );
        let flags: Vec<Flag> = made
            .into_iter()
            .map(|(key, text)| Flag {
                key,
                flag: key,
                text,
            })
            .collect();
        let nowhere = folder.path().join("nowhere");
        let given = Given::collect(&flags, &BTreeMap::new(), &nowhere, None);
        let config = Config::read(&given).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let host = Host::start(config).await.unwrap();
        host.ready().await;
        Self {
            folder,
            client: Client::builder().no_proxy().build().unwrap(),
            host,
        }
    }

    /// Ends the host, and leaves its folder.
    pub(crate) fn end(self) -> TempDir {
        self.folder
    }

    /// The URL of the endpoint.
    pub(crate) fn url(&self) -> String {
        self.host.url().unwrap().to_string()
    }

    /// Another path of the same host.
    pub(crate) fn url_of(&self, path: &str) -> String {
        self.host.url().unwrap().join(path).unwrap().to_string()
    }

    /// Where a service lies.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("mcp").join(name)
    }

    /// Puts a component into the folder.
    pub(crate) fn put(&self, service: &str, name: &str) {
        lay(&self.folder.path().join("mcp"), service, name);
    }

    /// The development issuer.
    pub(crate) fn issuer(&self) -> &cloister::issuer::DevelopmentIssuer {
        self.host.development_issuer().unwrap()
    }

    /// A token for a user, good for an hour.
    pub(crate) fn token(&self, sub: &str) -> String {
        self.mint(&TokenRequest {
            email: Some(format!("{sub}@example.com")),
            ttl: Duration::from_hours(1),
            ..TokenRequest::new(sub)
        })
    }

    /// A token as wanted.
    pub(crate) fn mint(&self, wanted: &TokenRequest) -> String {
        let token: SecretString = self.issuer().mint(wanted).unwrap();
        token.expose_secret().to_owned()
    }

    /// Waits until the names of the tools are as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[String]) -> bool) {
        self.until_catalog(|catalog| wanted(&names(catalog))).await;
    }

    /// Waits until the catalog is as wanted.
    pub(crate) async fn until_catalog(&self, wanted: impl Fn(&Catalog) -> bool) -> Arc<Catalog> {
        let mut changes = self.host.catalogs().changes();
        let waiting = async {
            loop {
                let catalog = self.catalog();
                if wanted(&catalog) {
                    return catalog;
                }
                changes.changed().await.unwrap();
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await;
        in_time.unwrap_or_else(|_| {
            panic!(
                "the catalog never became as wanted; its tools are {:?}",
                self.names()
            )
        })
    }

    /// Tells when what is served changes from now on.
    pub(crate) fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        let mut changes = self.host.catalogs().changes();
        changes.mark_unchanged();
        changes
    }

    /// What is served.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.host.catalogs().snapshot()
    }

    /// The names of the tools that are served.
    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.catalog())
    }

    /// Sends a message of revision 2025-11-25.
    pub(crate) async fn send(&self, token: Option<&str>, message: &Value) -> Reply {
        self.send_with(
            token,
            &[("mcp-protocol-version", "2025-11-25")],
            message.to_string(),
        )
        .await
    }

    /// Sends a body with headers.
    pub(crate) async fn send_with(
        &self,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        let mut request = self
            .client
            .post(self.url())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body).send().await.unwrap();
        Reply {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    /// Calls a tool and gives the result.
    pub(crate) async fn call(&self, token: Option<&str>, name: &str, arguments: Value) -> Value {
        let reply = self.send(token, &call(1, name, arguments)).await.json();
        assert!(reply["error"].is_null(), "{reply}");
        reply["result"].clone()
    }

    /// Sends a message of revision 2026-07-28.
    pub(crate) async fn send_modern(
        &self,
        token: Option<&str>,
        method: &str,
        params: Value,
    ) -> Reply {
        let (headers, body) = modern(method, params);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        self.send_with(token, &headers, body.to_string()).await
    }

    /// What `/health` says.
    pub(crate) async fn health(&self) -> Value {
        let reply = self.client.get(self.url_of("/health")).send().await;
        reply.unwrap().json().await.unwrap()
    }

    /// What is open at this moment, as `/health` says.
    pub(crate) async fn open(&self, what: &str) -> u64 {
        self.health().await["open"][what].as_u64().unwrap()
    }

    /// Waits until so many are open, and says how long that took.
    pub(crate) async fn until_open(&self, what: &str, wanted: u64) -> Duration {
        let start = Instant::now();
        loop {
            let open = self.open(what).await;
            if open == wanted {
                return start.elapsed();
            }
            assert!(start.elapsed() < PATIENCE, "{open} {what}, not {wanted}");
            tokio::task::yield_now().await;
        }
    }

    /// Stops the host as an operator does.
    pub(crate) async fn stop(self) {
        self.host.run(std::future::ready(())).await;
    }
}

fn names(catalog: &Catalog) -> Vec<String> {
    catalog.tools().map(|(name, _)| name.to_owned()).collect()
}

/// The headers and the body of a request of revision 2026-07-28, from a client that can be asked nothing
/// unless the params say more.
pub(crate) fn modern(method: &str, mut params: Value) -> (Vec<(&'static str, String)>, Value) {
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    let capabilities = &mut meta["io.modelcontextprotocol/clientCapabilities"];
    if capabilities.is_null() {
        *capabilities = json!({});
    }
    let mut headers = vec![
        ("mcp-protocol-version", "2026-07-28".to_owned()),
        ("mcp-method", method.to_owned()),
    ];
    let subject = [&params["name"], &params["uri"]];
    headers.extend(
        subject
            .iter()
            .find_map(|subject| subject.as_str())
            .map(|subject| ("mcp-name", subject.to_owned())),
    );
    (
        headers,
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }),
    )
}

/// A message that calls a tool.
pub(crate) fn call(id: u64, name: &str, arguments: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": "tools/call",
        "params": { "name": name, "arguments": arguments },
    })
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|cause| panic!("{cause}: {} {}", self.status, self.text))
    }

    /// A header that is there once.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().unwrap_or_else(|| panic!("no `{name}`"));
        assert!(values.next().is_none(), "`{name}` came twice");
        value.to_str().unwrap()
    }
}

/// The text of a result.
pub(crate) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

/// Where compiled components are kept from one test to the next.
pub(crate) fn cache() -> String {
    let path = component("guest_plain").with_file_name("test-cache");
    path.to_str().unwrap().to_owned()
}
