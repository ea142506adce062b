//! A component in a sandbox, called without a protocol before it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use cloister::auth::{self, Auth, Party, system_clock};
use cloister::catalog::Tool;
use cloister::reload::{Contents, inspect_contents};
use cloister::sandbox::client::{Announcement, Answer, Capability, Client, Level, NotAsked};
use cloister::sandbox::client::{Question, Unanswered};
use cloister::sandbox::{self, BucketStore, Compiler, Failure, Invocation, Limits, Sandbox, Usage};
use cloister::value::Encoded;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use tokio::sync::watch;

/// The bytes of a component that `just build-guests` has made.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let path = target.join(format!("wasm32-wasip2/guest/{name}.wasm"));
    fs::read(path).expect("`just build-guests` was run")
}

/// A service and the sandbox that it is called in.
pub(crate) struct Guest {
    sandbox: Sandbox,
    tools: Vec<Arc<Tool>>,
    client: Arc<dyn Client>,
}

impl Guest {
    pub(crate) fn new(wasm: &[u8]) -> Self {
        let compiler = Compiler::new(&sandbox::Settings::default()).expect("engines");
        let contents = Contents::new(wasm.to_vec(), None, None);
        let inspection = inspect_contents("guest", &contents, &compiler).expect("a service");
        let auth = Auth::new(auth::Settings::new("http://127.0.0.1:9"), system_clock());
        let end = watch::channel(false).1;
        Self {
            sandbox: Sandbox::new(
                &compiler,
                auth.expect("an issuer"),
                &BucketStore::Memory,
                end,
            )
            .expect("a sandbox"),
            tools: inspection.service.tools,
            client: Arc::new(Nobody),
        }
    }

    /// Calls a tool, from the text of its arguments to the text of its result.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: &str,
        limits: Limits,
        usage: Usage,
    ) -> Result<Encoded, Failure> {
        let tool = self.tools.iter().find(|it| it.function.name == tool);
        let function = &tool.expect("a tool of it").function;
        let arguments: &RawValue = serde_json::from_str(arguments).expect("JSON");
        let arguments = function.signature.decode(Some(arguments)).expect("values");
        let invocation = Invocation {
            number: 1,
            service: Arc::clone(&function.service),
            caller: None,
            behalf: Party::Local,
            client: Arc::clone(&self.client),
            limits,
            usage,
        };
        let most = limits.output;
        let read = |results| function.signature.encode(results, most);
        let called = self
            .sandbox
            .call(&function.export, arguments, invocation, read);
        called.await.map(|encoded| encoded.expect("a result"))
    }
}

/// A client that hears nothing.
struct Nobody;

impl Client for Nobody {
    fn capabilities(&self) -> Capability {
        Capability::empty()
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn progress(&self, _done: f64, _total: Option<f64>, _message: Option<String>) {}

    fn log(&self, _level: Level, _data: String, _logger: Option<String>) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn ask(
        &self,
        _questions: Vec<(String, Question)>,
    ) -> BoxFuture<'_, Result<Vec<Result<Answer, Unanswered>>, NotAsked>> {
        Box::pin(async { Err(NotAsked::Later) })
    }

    fn announce(&self, _announcement: Announcement) {}
}
