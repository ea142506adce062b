//! Settings: what was typed, in four places, and what it means.
//!
//! A flag beats the environment, the environment beats `.env`, and all of them beat
//! `cloister.toml`. All mistakes are reported at once, each with its place. The settings are read
//! once; each part of the host gets its own slice of them.

mod given;
mod listen;

use std::path::PathBuf;

use secrecy::SecretString;
use url::{Host, Url};

use crate::auth::{OAuthClient, OpaqueTokens, settings as clerk};
use crate::sandbox::{BucketServer, BucketStore, Limits, STACK, STACKS};
use crate::units::{Bytes, Duration};
pub use given::{Flag, Given, Mistake, SETTINGS, Setting};
pub use listen::Listen;

/// How long a session is kept that nobody uses, unless the operator says otherwise.
const SESSION_IDLE: std::time::Duration = std::time::Duration::from_mins(30);

/// How long what is in progress may take to finish when the host stops.
const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// How long a client may take to send the headers of a request, and its body, unless the operator says
/// otherwise.
const HEADERS: std::time::Duration = std::time::Duration::from_secs(10);
const BODY: std::time::Duration = std::time::Duration::from_secs(30);

/// How long a connection is kept on which nothing happens. Proxies that keep connections for a minute, as
/// many do, close them first.
const IDLE: std::time::Duration = std::time::Duration::from_secs(75);

/// The shortest secret that seals anything.
const SHORTEST_KEY: usize = 32;

/// What the host was asked to do.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, and no two make one state"
)]
pub struct Config {
    /// Where to listen; none serves whoever started the process, over standard input and output.
    pub listen: Option<Listen>,
    /// The folder of services.
    pub mcp_dir: PathBuf,
    /// Where compiled code is kept between starts.
    pub cache_dir: Option<PathBuf>,
    /// Where services keep what they keep in buckets.
    pub buckets: BucketStore,
    /// Whether a start without a configured issuer is refused.
    pub production: bool,
    /// The URL that callers type, where it differs from what the host can see.
    pub public_url: Option<Url>,
    /// Origins of web pages that may call, besides the host's own.
    pub allowed_origins: Vec<String>,
    /// Who signs tokens; none starts the development issuer.
    pub issuer: Option<String>,
    /// The origins that session tokens may have been minted for; empty allows all.
    pub authorized_parties: Vec<String>,
    /// The audiences of id tokens that are accepted; empty refuses all id tokens.
    pub id_token_audiences: Vec<String>,
    /// The OAuth client that refreshes tokens.
    pub client: Option<OAuthClient>,
    /// Where the issuer's Backend API is, if it is not where it is expected.
    pub api_url: Option<String>,
    /// The key to the issuer's Backend API.
    pub secret_key: Option<SecretString>,
    /// The token of the client that is served over standard input and output.
    pub token: Option<SecretString>,
    /// The tokens without content that are accepted.
    pub opaque_tokens: OpaqueTokens,
    /// Whether nothing at all is served to callers without a token.
    pub require_auth: bool,
    /// Whether lists show a caller only what they may use.
    pub lists_permitted: bool,
    /// What one call may use, unless the manifest of its service says otherwise.
    pub limits: Limits,
    /// What a manifest may say at most.
    pub ceiling: Limits,
    /// How many calls may run at once; none is as many as the machine bears.
    pub calls: Option<u32>,
    /// The bytes of memory that all calls may have together; none is most of what the machine has.
    pub total_memory: Option<usize>,
    /// The bytes of stack that a call has.
    pub stack: usize,
    /// Whether components are served that have asynchronous functions.
    pub asynchronous: bool,
    /// The largest body of a request, in bytes.
    pub body: usize,
    /// How long a client may take to send it.
    pub body_timeout: std::time::Duration,
    /// How long a client may take to send the headers of a request.
    pub header_timeout: std::time::Duration,
    /// How long a connection is kept on which nothing is asked, or nothing is taken of an answer.
    pub idle_timeout: std::time::Duration,
    /// How many connections may be open at once.
    pub connections: usize,
    /// How long what is in progress may take to finish when the host stops.
    pub grace: std::time::Duration,
    /// How many sessions of older clients there may be.
    pub sessions: usize,
    /// How many of them one caller may have.
    pub sessions_each: usize,
    /// How long such a session is kept that nobody uses.
    pub session_idle: std::time::Duration,
    /// How many streams of what changes may be open at once.
    pub streams: usize,
    /// How many of them one caller may have.
    pub streams_each: usize,
    /// The secrets that seal what clients keep for this host; the first seals, all open.
    pub state_keys: Vec<SecretString>,
    /// Which log lines are written.
    pub log: String,
    /// Whether log lines are JSON.
    pub log_json: bool,
}

impl Config {
    /// Finds out what the settings mean.
    pub fn read(given: &Given) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = given.mistakes().to_vec();
        let mut reader = Reader {
            given,
            mistakes: &mut mistakes,
        };
        let calls = reader.within("limits.calls", 1, 10_000);
        let (limits, ceiling) = reader.limits(calls);
        let sessions = reader.count("limits.sessions", 1_000_000, 10_000);
        let streams = reader.count("limits.streams", 1_000_000, 10_000);
        let config = Self {
            listen: reader.text("stdio").is_none().then(|| reader.listen()),
            mcp_dir: reader.text("mcp_dir").unwrap_or("mcp").into(),
            cache_dir: match reader.text("cache_dir") {
                Some("none") => None,
                Some(path) => Some(path.into()),
                None => dirs::cache_dir().map(|cache| cache.join("cloister")),
            },
            buckets: reader.buckets(),
            production: reader.parsed("production").unwrap_or(false),
            public_url: reader.public_url(),
            allowed_origins: reader.list("allowed_origins"),
            issuer: reader.issuer(),
            authorized_parties: reader.list("clerk.authorized_parties"),
            id_token_audiences: reader.list("clerk.id_token_audiences"),
            client: reader.client(),
            api_url: reader.api_url(),
            secret_key: reader.text("clerk.secret_key").map(SecretString::from),
            token: reader.text("token").map(SecretString::from),
            opaque_tokens: reader.opaque_tokens(),
            require_auth: reader.one_of("require_auth", ["tools", "all"]) == Some("all"),
            lists_permitted: reader.one_of("lists", ["all", "permitted"]) == Some("permitted"),
            limits,
            ceiling,
            calls,
            total_memory: reader
                .parsed::<Bytes>("limits.total_memory")
                .map(|bytes| bytes.0),
            stack: reader.stack(),
            asynchronous: reader.parsed("async").unwrap_or(true),
            body: reader
                .parsed::<Bytes>("limits.body")
                .map_or(4 << 20, |bytes| bytes.0),
            body_timeout: reader.time("limits.body_timeout", BODY),
            header_timeout: reader.time("limits.header_timeout", HEADERS),
            idle_timeout: reader.time("limits.idle_timeout", IDLE),
            connections: reader.count("limits.connections", 1_000_000, 20_000),
            grace: reader.time("grace", GRACE),
            sessions,
            sessions_each: reader.count("limits.sessions_each", 1_000_000, sessions.div_ceil(4)),
            session_idle: reader
                .parsed::<Duration>("limits.session_idle")
                .map_or(SESSION_IDLE, |idle| idle.0),
            streams,
            streams_each: reader.count("limits.streams_each", 1_000_000, streams.div_ceil(4)),
            state_keys: reader.state_keys(),
            log: reader.text("log").unwrap_or("info").to_owned(),
            log_json: reader.one_of("log_format", ["text", "json"]) == Some("json"),
        };
        if config.production && config.issuer.is_none() {
            reader.mistake(
                "production",
                "a production host needs an issuer: set CLERK_PUBLISHABLE_KEY, CLERK_FRONTEND_API or CLERK_ISSUER",
            );
        }
        let is_reachable = |listen: &Listen| !listen.is_loopback();
        if config.issuer.is_none() && config.listen.as_ref().is_some_and(is_reachable) {
            reader.mistake(
                "listen",
                "the development issuer serves loopback addresses only: set CLERK_PUBLISHABLE_KEY, CLERK_FRONTEND_API or CLERK_ISSUER, or listen on localhost",
            );
        }
        if mistakes.is_empty() {
            Ok(config)
        } else {
            Err(mistakes)
        }
    }
}

/// Reads settings one by one and keeps what is wrong with them.
struct Reader<'a> {
    given: &'a Given,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Reader<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        self.given.get(key).map(|value| value.text.as_str())
    }

    fn mistake(&mut self, key: &str, problem: impl Into<String>) {
        self.mistakes.push(Mistake {
            place: self
                .given
                .get(key)
                .map_or_else(|| format!("setting `{key}`"), |value| value.place.clone()),
            problem: problem.into(),
        });
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, key: &str) -> Option<T> {
        match self.text(key)?.parse() {
            Ok(value) => Some(value),
            Err(cause) => {
                self.mistake(key, format!("{cause}"));
                None
            }
        }
    }

    fn within(&mut self, key: &str, least: u32, most: u32) -> Option<u32> {
        let value: u32 = self.parsed(key)?;
        if (least..=most).contains(&value) {
            Some(value)
        } else {
            self.mistake(key, format!("must be from {least} to {most}, got {value}"));
            None
        }
    }

    /// A number from 1 to `most`.
    fn count(&mut self, key: &str, most: u32, default: usize) -> usize {
        self.within(key, 1, most)
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(default)
    }

    /// A server is where buckets are if one is named, and a folder if none is.
    fn buckets(&mut self) -> BucketStore {
        match self.parsed::<BucketServer>("store") {
            Some(server) => BucketStore::Server(server),
            None => match self.text("state_dir") {
                Some("none") => BucketStore::Memory,
                folder => BucketStore::Folder(folder.unwrap_or("state").into()),
            },
        }
    }

    fn state_keys(&mut self) -> Vec<SecretString> {
        let keys = self.list("state_keys");
        if keys.iter().any(|key| key.len() < SHORTEST_KEY) {
            self.mistake(
                "state_keys",
                format!("each key must have at least {SHORTEST_KEY} characters; `openssl rand -hex 32` makes one"),
            );
        }
        keys.into_iter().map(SecretString::from).collect()
    }

    fn one_of<const N: usize>(&mut self, key: &str, choices: [&str; N]) -> Option<&'a str> {
        let value = self.text(key)?;
        if choices.contains(&value) {
            Some(value)
        } else {
            self.mistake(
                key,
                format!("expected one of `{}`, got `{value}`", choices.join("`, `")),
            );
            None
        }
    }

    fn list(&self, key: &str) -> Vec<String> {
        self.text(key)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn listen(&mut self) -> Listen {
        let listen: Listen = self.parsed("listen").unwrap_or_default();
        match self.parsed("port") {
            // The more exact setting wins when both are given.
            Some(port) if self.text("listen").is_none() => listen.with_port(port),
            Some(_) | None => listen,
        }
    }

    fn public_url(&mut self) -> Option<Url> {
        let url: Url = self.parsed("public_url")?;
        let problem = if !matches!(url.scheme(), "http" | "https") {
            "must begin with `https://` or `http://`"
        } else if url.path().ends_with('/') {
            "must be the whole URL of the endpoint, without a slash at the end: `https://tools.example.com/mcp`"
        } else if url.query().is_some() || url.fragment().is_some() {
            "must have no query and no fragment"
        } else if !url.username().is_empty() || url.password().is_some() {
            "must have no user and no password: it is published"
        } else if url.scheme() == "http" && !is_loopback(&url) {
            "must begin with `https://`: tokens go there; plain `http` is for loopback addresses only"
        } else {
            return Some(url);
        };
        self.mistake("public_url", problem);
        None
    }

    /// The issuer may be named in three ways; those that are used must agree.
    fn issuer(&mut self) -> Option<String> {
        let mut found: Option<(&str, String)> = None;
        for key in [
            "clerk.issuer",
            "clerk.frontend_api",
            "clerk.publishable_key",
        ] {
            let Some(text) = self.text(key) else { continue };
            let issuer = match key {
                "clerk.issuer" => clerk::check_issuer(text),
                "clerk.frontend_api" => clerk::issuer_from_frontend_api(text),
                _ => clerk::issuer_from_publishable_key(text),
            };
            let issuer = match issuer {
                Ok(issuer) => issuer,
                Err(cause) => {
                    self.mistake(key, cause.to_string());
                    continue;
                }
            };
            match &found {
                Some((other, before)) if *before != issuer => {
                    let place = self
                        .given
                        .get(other)
                        .map(|value| value.place.clone())
                        .unwrap_or_default();
                    self.mistake(
                        key,
                        format!("names the issuer `{issuer}`, but {place} names `{before}`; keep one of them"),
                    );
                }
                Some(_) => {}
                None => found = Some((key, issuer)),
            }
        }
        found.map(|(_, issuer)| issuer)
    }

    fn api_url(&mut self) -> Option<String> {
        match clerk::check_issuer(self.text("clerk.api_url")?) {
            Ok(url) => Some(url),
            Err(cause) => {
                self.mistake("clerk.api_url", cause.to_string());
                None
            }
        }
    }

    fn opaque_tokens(&mut self) -> OpaqueTokens {
        let mut accepted = OpaqueTokens::default();
        for name in self.list("clerk.opaque_tokens") {
            match &*name {
                "oauth" => accepted.oauth = true,
                "api_keys" => accepted.api_keys = true,
                _ => self.mistake(
                    "clerk.opaque_tokens",
                    format!("expected `oauth` or `api_keys`, got `{name}`"),
                ),
            }
        }
        if accepted != OpaqueTokens::default()
            && self.issuer_is_named()
            && self.text("clerk.secret_key").is_none()
        {
            self.mistake(
                "clerk.opaque_tokens",
                "such tokens are verified with the secret key: set CLERK_SECRET_KEY",
            );
        }
        accepted
    }

    /// Whether another issuer than the development issuer is meant.
    fn issuer_is_named(&self) -> bool {
        [
            "clerk.issuer",
            "clerk.frontend_api",
            "clerk.publishable_key",
        ]
        .iter()
        .any(|key| self.text(key).is_some())
    }

    fn client(&mut self) -> Option<OAuthClient> {
        let id = self.text("clerk.oauth_client_id");
        let secret = self.text("clerk.oauth_client_secret");
        match (id, secret) {
            (Some(id), secret) => Some(OAuthClient {
                id: id.to_owned(),
                secret: secret.map(SecretString::from),
            }),
            (None, Some(_)) => {
                self.mistake(
                    "clerk.oauth_client_secret",
                    "is of no use without CLERK_OAUTH_CLIENT_ID",
                );
                None
            }
            (None, None) => None,
        }
    }

    /// What a call may use unless the manifest says otherwise, and what a manifest may say at most.
    fn limits(&mut self, calls: Option<u32>) -> (Limits, Limits) {
        let highest = Limits::CEILING;
        let ceiling = Limits {
            timeout: self.time("ceilings.timeout", highest.timeout),
            cpu: self.time("ceilings.cpu", highest.cpu),
            memory: self.size("ceilings.memory", highest.memory),
            tables: self.number("ceilings.tables", highest.tables),
            output: self.size("ceilings.output", highest.output),
            log: self.size("ceilings.log", highest.log),
            http: self.size("ceilings.http", highest.http),
            handles: self.number("ceilings.handles", highest.handles),
            concurrency: calls.and_then(|calls| usize::try_from(calls).ok()),
        };
        // What is reserved for every call follows from these.
        if ceiling.memory > highest.memory {
            self.mistake(
                "ceilings.memory",
                format!("must be at most {} MiB", highest.memory >> 20),
            );
        }
        if ceiling.tables > highest.tables {
            self.mistake(
                "ceilings.tables",
                format!("must be at most {}", highest.tables),
            );
        }
        let default = Limits::default().within(&ceiling);
        let limits = Limits {
            timeout: self.time("limits.timeout", default.timeout),
            cpu: self.time("limits.cpu", default.cpu),
            memory: self.size("limits.memory", default.memory),
            tables: self.number("limits.tables", default.tables),
            output: self.size("limits.output", default.output),
            log: self.size("limits.log", default.log),
            http: self.size("limits.http", default.http),
            handles: self.number("limits.handles", default.handles),
            concurrency: self
                .within("limits.concurrency", 1, calls.unwrap_or(u32::MAX))
                .and_then(|count| usize::try_from(count).ok()),
        };
        for limit in limits.above(&ceiling) {
            self.mistake(
                &format!("limits.{limit}"),
                format!("is above the ceiling; raise `ceilings.{limit}` with it"),
            );
        }
        (limits, ceiling)
    }

    fn stack(&mut self) -> usize {
        let stack = self.size("limits.stack", STACK);
        if !STACKS.contains(&stack) {
            let (least, most) = (STACKS.start() >> 10, STACKS.end() >> 20);
            self.mistake(
                "limits.stack",
                format!("must be at least {least} KiB and at most {most} MiB"),
            );
        }
        stack
    }

    fn number(&mut self, key: &str, default: usize) -> usize {
        self.count(key, u32::MAX, default)
    }

    fn time(&mut self, key: &str, default: std::time::Duration) -> std::time::Duration {
        self.parsed::<Duration>(key).map_or(default, |time| time.0)
    }

    fn size(&mut self, key: &str, default: usize) -> usize {
        self.parsed::<Bytes>(key).map_or(default, |bytes| bytes.0)
    }
}

/// Whether a URL leads to this computer.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
