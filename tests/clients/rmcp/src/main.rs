//! The rmcp client, in the ways it can agree on a revision: the checks of `../features.mjs`, as a Rust
//! program meets them.

// Sampling and roots are deprecated, and served all the same.
#![allow(deprecated)]

use std::env;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rmcp::model::{
    ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ErrorData, ListRootsResult, ProgressNotificationParam, ProtocolVersion,
    ResourceUpdatedNotificationParam, ServerNotification,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, NotificationContext, RequestContext, RoleClient,
    RunningService, ServiceError,
};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ClientServiceExt};
use serde_json::{Value, from_value, json, to_value};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Checked = Result<(), Failure>;

const PLAIN: &str = "This is a simple text response for testing.";
const WATCHED: &str = "test://watched-resource";
const PATIENCE: Duration = Duration::from_secs(5);

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set; tests/clients/run sets it"))
}

/// What the host tells, in the order in which it tells it.
enum Told {
    Progress(f64, Option<f64>),
    ToolsChanged,
    Updated(String),
}

type Answer = Box<dyn Fn(&Value) -> Value + Send + Sync>;

/// Who answers what the host asks, and is told what it tells.
struct Person {
    version: ProtocolVersion,
    told: UnboundedSender<Told>,
    /// What is answered to a form, given its fields.
    form: Mutex<Answer>,
    /// The forms that were asked, each as it came.
    asked: Mutex<Vec<Value>>,
}

impl Person {
    fn answers(&self, answer: impl Fn(&Value) -> Value + Send + Sync + 'static) {
        *self.form.lock().unwrap() = Box::new(answer);
        self.asked.lock().unwrap().clear();
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let config = json!({
            "protocolVersion": self.version,
            "capabilities": {"elicitation": {"form": {}}, "sampling": {}, "roots": {}},
            "clientInfo": {"name": "cloister-tests", "version": "1.0.0"},
        });
        from_value(config).unwrap()
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let params = to_value(params).unwrap();
        let answer = (self.form.lock().unwrap())(&params["requestedSchema"]["properties"]);
        self.asked.lock().unwrap().push(params);
        Ok(from_value(answer).unwrap())
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let params = to_value(params).unwrap();
        let content = &params["messages"][0]["content"];
        let text = content["text"].as_str().or(content[0]["text"].as_str());
        let said = format!("{}: {}", text.unwrap_or_default(), params["maxTokens"]);
        let message = json!({
            "role": "assistant",
            "model": "a-model",
            "stopReason": "endTurn",
            "content": {"type": "text", "text": said},
        });
        Ok(from_value(message).unwrap())
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        let roots = json!({"roots": [{"uri": "file:///srv/notes", "name": "notes"}]});
        Ok(from_value(roots).unwrap())
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self
            .told
            .send(Told::Progress(params.progress, params.total));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        let _ = self.told.send(Told::ToolsChanged);
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.told.send(Told::Updated(params.uri));
    }
}

/// One connection, and what has come of it.
struct Connection {
    client: RunningService<RoleClient, Person>,
    told: UnboundedReceiver<Told>,
    over_http: bool,
}

impl Connection {
    async fn call(&self, name: &str, arguments: Value) -> Result<Value, ServiceError> {
        let params = from_value(json!({"name": name, "arguments": arguments})).unwrap();
        let result = self.client.call_tool(params).await?;
        Ok(to_value(result).unwrap())
    }

    async fn said(&self, name: &str, arguments: Value) -> Result<String, Failure> {
        Ok(text(&self.call(name, arguments).await?))
    }

    async fn names(&self) -> Result<Vec<String>, ServiceError> {
        let tools = self.client.peer().list_all_tools().await?;
        Ok(tools.into_iter().map(|tool| tool.name.into()).collect())
    }

    async fn prompt(&self, name: &str, arguments: Value) -> Result<Value, ServiceError> {
        let params = from_value(json!({"name": name, "arguments": arguments})).unwrap();
        let result = self.client.get_prompt(params).await?;
        Ok(to_value(result).unwrap()["messages"].take())
    }

    async fn read(&self, uri: &str) -> Result<Value, ServiceError> {
        let params = from_value(json!({"uri": uri})).unwrap();
        let result = self.client.read_resource(params).await?;
        Ok(to_value(result).unwrap()["contents"][0].take())
    }

    /// The next thing of a kind that the host tells; what is of another kind was not waited for.
    async fn next<T>(&mut self, what: &str, kind: fn(Told) -> Option<T>) -> Result<T, Failure> {
        let looking = async {
            while let Some(told) = self.told.recv().await {
                if let Some(found) = kind(told) {
                    return Some(found);
                }
            }
            None
        };
        match timeout(PATIENCE, looking).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err("the connection ended".into()),
            Err(_) => Err(format!("{what} did not happen within five seconds").into()),
        }
    }

    async fn lists_tools(&mut self) -> Checked {
        let tools = to_value(self.client.peer().list_all_tools().await?)?;
        let names = self.names().await?;
        equal("the order of tools", names.is_sorted(), true)?;
        for name in [
            "json_schema_2020_12_tool",
            "test_simple_text",
            "test_tool_with_progress",
        ] {
            equal(name, names.iter().any(|listed| listed == name), true)?;
        }
        let mirrored = tools
            .as_array()
            .into_iter()
            .flatten()
            .find(|tool| tool["name"] == "test_custom_header")
            .map(|tool| &tool["inputSchema"]["properties"]["value"]["x-mcp-header"]);
        equal("the header of `value`", mirrored, Some(&json!("Value")))
    }

    async fn calls(&mut self) -> Checked {
        equal(
            "the text",
            &*self.said("test_simple_text", json!({})).await?,
            PLAIN,
        )?;
        let value = " größer als 3 ";
        let said = self
            .said("test_custom_header", json!({"value": value}))
            .await?;
        equal("the text", said, format!("Header value: {value}"))?;
        let failed = self.call("test_error_handling", json!({})).await?;
        equal("isError", &failed["isError"], &json!(true))?;
        let expected = "This tool intentionally returns an error for testing";
        equal("the error", &*text(&failed), expected)
    }

    async fn identity(&mut self) -> Checked {
        let result = self.call("getUserProfile", json!({})).await?;
        let id = &result["structuredContent"]["userId"];
        equal("who the token is for", id, &json!(setting("HOST_USER_A")))
    }

    async fn content(&mut self) -> Checked {
        let result = self.call("test_multiple_content_types", json!({})).await?;
        let parts = &result["content"];
        for (place, kind) in ["text", "image", "resource"].into_iter().enumerate() {
            equal("the part", &parts[place]["type"], &json!(kind))?;
        }
        equal("the picture", &parts[1]["mimeType"], &json!("image/png"))?;
        equal("the picture", starts_as_png(&parts[1]["data"]), true)?;
        let text = &parts[2]["resource"]["text"];
        equal(
            "the resource",
            text,
            &json!(r#"{"test":"data","value":123}"#),
        )
    }

    async fn prompts(&mut self) -> Checked {
        let name = "test_prompt_with_arguments";
        let prompts = to_value(self.client.peer().list_all_prompts().await?)?;
        let prompt = prompts
            .as_array()
            .into_iter()
            .flatten()
            .find(|prompt| prompt["name"] == name)
            .ok_or("the prompt is not listed")?;
        for (place, argument) in ["arg1", "arg2"].into_iter().enumerate() {
            let listed = &prompt["arguments"][place];
            equal("the argument", &listed["name"], &json!(argument))?;
            equal("whether it is required", &listed["required"], &json!(true))?;
        }
        let peer = self.client.peer();
        let completed = peer.complete_prompt_simple(name, "arg1", "test").await?;
        equal("the completions", completed, ["testing", "test value"])?;
        let messages = self
            .prompt(name, json!({"arg1": "one", "arg2": "2"}))
            .await?;
        let expected = "Prompt with arguments: arg1='one', arg2='2'";
        equal("the prompt", messages, user(expected))
    }

    async fn resources(&mut self) -> Checked {
        let listed = to_value(self.client.peer().list_all_resources().await?)?;
        let uris: Vec<&Value> = listed
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| &it["uri"])
            .collect();
        equal(
            "the resources",
            json!(uris),
            json!(["test://static-binary", "test://static-text", WATCHED]),
        )?;
        let templates = to_value(self.client.peer().list_all_resource_templates().await?)?;
        equal(
            "the template",
            &templates[0]["uriTemplate"],
            &json!("test://template/{id}/data"),
        )?;
        let said = self.read("test://static-text").await?;
        equal("the type", &said["mimeType"], &json!("text/plain"))?;
        equal(
            "the text",
            &said["text"],
            &json!("This is the content of the static text resource."),
        )?;
        let picture = self.read("test://static-binary").await?;
        equal("the picture", starts_as_png(&picture["blob"]), true)?;
        let data = self.read("test://template/a%20b/data").await?;
        let data: Value = serde_json::from_str(data["text"].as_str().unwrap_or_default())?;
        let expected = json!({"id": "a b", "templateTest": true, "data": "Data for ID: a b"});
        equal("the data", data, expected)
    }

    async fn progress(&mut self) -> Checked {
        let said = self.said("test_tool_with_progress", json!({})).await?;
        equal("the text", &*said, "Progress was reported")?;
        for done in [0.0, 50.0, 100.0] {
            let told = self.next("progress", progress).await?;
            equal("the progress", told, (done, Some(100.0)))?;
        }
        Ok(())
    }

    async fn elicitation(&mut self) -> Checked {
        let person = self.client.service();
        person.answers(|_| {
            let content = json!({"username": "ada", "email": "ada@example.com"});
            json!({"action": "accept", "content": content})
        });
        let said = self
            .said("test_elicitation", json!({"message": "Who are you?"}))
            .await?;
        let [asked] = &*person.asked() else {
            return Err("it was asked another number of times than once".into());
        };
        equal("the question", &asked["message"], &json!("Who are you?"))?;
        let required = &asked["requestedSchema"]["required"];
        equal(
            "what must be filled in",
            required,
            &json!(["username", "email"]),
        )?;
        for part in ["action=accept", "username=ada", "email=ada@example.com"] {
            equal(&said, said.contains(part), true)?;
        }
        person.answers(|_| json!({"action": "decline"}));
        let said = self
            .said("test_elicitation", json!({"message": "And now?"}))
            .await?;
        equal("the text", &*said, "User response: action=decline")
    }

    async fn all_at_once(&mut self) -> Checked {
        let person = self.client.service();
        person.answers(|_| json!({"action": "accept", "content": {"name": "Ada"}}));
        let name = "test_input_required_result_multiple_inputs";
        let expected = "Hello, Ada!\nGenerate a greeting: 50\nClient roots: file:///srv/notes";
        equal("the text", &*self.said(name, json!({})).await?, expected)
    }

    async fn two_rounds(&mut self) -> Checked {
        let person = self.client.service();
        person.answers(|fields| {
            let answers = json!({"name": "Ada", "color": "blue", "context": "a poem"});
            let fields = fields.as_object().into_iter().flatten();
            let content: Value = fields
                .map(|(field, _)| (field.clone(), answers[field].clone()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            json!({"action": "accept", "content": content})
        });
        let name = "test_input_required_result_multi_round";
        equal(
            "the text",
            &*self.said(name, json!({})).await?,
            "Ada likes blue",
        )?;
        let messages = self
            .prompt("test_input_required_result_prompt", json!({}))
            .await?;
        equal("the prompt", messages, user("Use this context: a poem"))?;
        equal("how often it was asked", person.asked().len(), 3)
    }

    async fn resource_updated(&mut self) -> Checked {
        self.call("test_trigger_resource_update", json!({})).await?;
        let updated = self.next("an update", updated).await?;
        equal("what was updated", &*updated, WATCHED)
    }

    async fn list_changed(&mut self) -> Checked {
        equal("whether it is there", self.has_greet().await?, false)?;
        let file = PathBuf::from(setting("HOST_FOLDER")).join("mcp/newcomer.wasm");
        let half = file.with_extension("new");
        tokio::fs::copy(setting("HOST_NEWCOMER"), &half).await?;
        tokio::fs::rename(&half, &file).await?;
        let came = self.greeted().await;
        tokio::fs::remove_file(&file).await?;
        came?;
        loop {
            self.next("the change back", changed).await?;
            if !self.has_greet().await? {
                break;
            }
        }
        match self.call("greet", json!({"name": "Ada"})).await {
            Err(ServiceError::McpError(error)) => equal("the code", error.code.0, -32602),
            other => Err(format!("the call ended with {other:?}").into()),
        }
    }

    async fn has_greet(&self) -> Result<bool, ServiceError> {
        Ok(self.names().await?.iter().any(|name| name == "greet"))
    }

    async fn greeted(&mut self) -> Checked {
        loop {
            self.next("a change of the list", changed).await?;
            if self.has_greet().await? {
                break;
            }
        }
        let said = self.said("greet", json!({"name": "Ada"})).await?;
        equal("the text", &*said, "hello, Ada")
    }

    async fn cancels(&mut self) -> Checked {
        let params = from_value(json!({"name": "test_cancellation", "arguments": {}}))?;
        let over_http = self.over_http;
        let Self { client, told, .. } = self;
        {
            let mut call = Box::pin(client.call_tool(params));
            let begun = timeout(PATIENCE, async {
                loop {
                    tokio::select! {
                        ended = &mut call => return Err(format!("the call ended with {ended:?}")),
                        Some(Told::Progress(..)) = told.recv() => return Ok(()),
                    }
                }
            });
            begun.await??;
            if over_http {
                running(1).await?;
            }
            // Whoever drops the call has cancelled it.
        }
        if over_http {
            running(0).await?;
        }
        equal(
            "the text",
            &*self.said("test_simple_text", json!({})).await?,
            PLAIN,
        )
    }
}

fn progress(told: Told) -> Option<(f64, Option<f64>)> {
    match told {
        Told::Progress(done, total) => Some((done, total)),
        Told::ToolsChanged | Told::Updated(_) => None,
    }
}

fn changed(told: Told) -> Option<()> {
    matches!(told, Told::ToolsChanged).then_some(())
}

fn updated(told: Told) -> Option<String> {
    match told {
        Told::Updated(uri) => Some(uri),
        Told::ToolsChanged | Told::Progress(..) => None,
    }
}

/// Waits until the host says that this many calls are running.
async fn running(wanted: u64) -> Checked {
    let mut url = reqwest::Url::parse(&setting("HOST_FEATURES_URL"))?;
    url.set_path("/health");
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        let health: Value = reqwest::get(url.clone()).await?.json().await?;
        if health["open"]["calls"] == wanted {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!(
                "{} calls are running, expected {wanted}",
                health["open"]["calls"]
            )
            .into());
        }
    }
}

fn text(result: &Value) -> String {
    result["content"][0]["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn user(said: &str) -> Value {
    json!([{"role": "user", "content": {"type": "text", "text": said}}])
}

/// Whether this is base64 of what every PNG begins with.
fn starts_as_png(data: &Value) -> bool {
    data.as_str()
        .is_some_and(|data| data.starts_with("iVBORw0KGgo"))
}

fn equal<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
    what: impl Display,
    actual: T,
    expected: U,
) -> Checked {
    if actual == expected {
        return Ok(());
    }
    Err(format!("{what}: {actual:?}, expected {expected:?}").into())
}

/// How a client agrees on a revision, and on which.
struct Way {
    name: &'static str,
    mode: ClientLifecycleMode,
    version: ProtocolVersion,
}

fn ways() -> [Way; 4] {
    let initialize = |name, version| Way {
        name,
        mode: ClientLifecycleMode::Initialize,
        version,
    };
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    [
        initialize("2025-06-18", ProtocolVersion::V_2025_06_18),
        initialize("2025-11-25", ProtocolVersion::V_2025_11_25),
        Way {
            name: "auto",
            mode: ClientLifecycleMode::Auto {
                preferred_versions: preferred_versions.clone(),
                legacy_version: None,
            },
            version: ProtocolVersion::V_2026_07_28,
        },
        Way {
            name: "2026-07-28",
            mode: ClientLifecycleMode::Discover { preferred_versions },
            version: ProtocolVersion::V_2026_07_28,
        },
    ]
}

async fn connect(way: &Way, over_http: bool) -> Result<Connection, Failure> {
    let (sender, told) = unbounded_channel();
    let person = Person {
        version: way.version.clone(),
        told: sender.clone(),
        form: Mutex::new(Box::new(|_| json!({"action": "cancel"}))),
        asked: Mutex::default(),
    };
    let client: Result<_, ClientInitializeError> = if over_http {
        let transport = StreamableHttpClientTransport::from_uri(setting("HOST_FEATURES_URL"));
        person
            .serve_with_lifecycle(transport, way.mode.clone())
            .await
    } else {
        let folder = PathBuf::from(setting("HOST_FOLDER"));
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(folder.join("stdio.log"))?;
        let mut program = Command::new(setting("HOST_PROGRAM"));
        program
            .args(["serve", "--stdio", "--mcp-dir", "mcp"])
            .env("CLERK_ISSUER", setting("HOST_ISSUER"))
            .env("CLOISTER_TOKEN", setting("HOST_TOKEN_A"))
            .current_dir(folder);
        let (transport, _) = TokioChildProcess::builder(program)
            .stderr(Stdio::from(log))
            .spawn()?;
        person
            .serve_with_lifecycle(transport, way.mode.clone())
            .await
    };
    let client = client?;
    let agreed = client
        .peer()
        .peer_info()
        .map(|info| info.protocol_version.clone());
    equal("the revision", agreed, Some(way.version.clone()))?;

    if way.version == ProtocolVersion::V_2026_07_28 {
        let filter = json!({"toolsListChanged": true, "resourceSubscriptions": [WATCHED]});
        let mut subscription = client.peer().listen(from_value(filter)?).await?;
        tokio::spawn(async move {
            while let Ok(Some(notification)) = subscription.next().await {
                let _ = match notification {
                    ServerNotification::ToolListChangedNotification(_) => {
                        sender.send(Told::ToolsChanged)
                    }
                    ServerNotification::ResourceUpdatedNotification(it) => {
                        sender.send(Told::Updated(it.params.uri))
                    }
                    _ => Ok(()),
                };
            }
        });
    } else {
        client
            .peer()
            .subscribe(from_value(json!({"uri": WATCHED}))?)
            .await?;
    }
    Ok(Connection {
        client,
        told,
        over_http,
    })
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
}

impl Count {
    fn add(&mut self, client: &str, what: &str, outcome: Checked) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok    {client}: {what}");
            }
            Err(why) => {
                self.failed += 1;
                println!("FAIL  {client}: {what}\n      {why}");
            }
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut count = Count::default();
    for way in ways() {
        for over_http in [true, false] {
            let transport = if over_http { "HTTP" } else { "stdio" };
            let client = format!("rmcp, {}, {transport}", way.name);
            let what = "connects and agrees on a revision";
            let mut connection = match connect(&way, over_http).await {
                Ok(connection) => {
                    count.add(&client, what, Ok(()));
                    connection
                }
                Err(why) => {
                    count.add(&client, what, Err(why));
                    continue;
                }
            };
            macro_rules! check {
                ($($method:ident: $what:literal,)*) => {$(
                    // No answer is worth waiting for longer than this.
                    let outcome = timeout(Duration::from_secs(60), connection.$method()).await;
                    count.add(&client, $what, outcome.unwrap_or_else(|late| Err(late.into())));
                )*};
            }
            check! {
                lists_tools: "lists the tools",
                calls: "calls a tool, and has an argument mirrored where the revision wants it",
                content: "is given text, a picture and a resource",
                prompts: "lists prompts, completes an argument and gets one",
                resources: "lists resources and templates, and reads them",
                progress: "is told how far a call is",
                elicitation: "answers what the person is asked",
                all_at_once: "answers the person, the model and the folders at once",
                two_rounds: "answers in two rounds, each question once, and in a prompt",
                resource_updated: "is told that a resource has changed",
                list_changed: "is told of a service that comes and goes",
                cancels: "cancels a call",
            }
            if !over_http {
                check! { identity: "is known by the token in its environment", }
            }
        }
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    if count.failed == 0 && count.passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
