//! The host, put together: what is started, in which order, and how it ends.

use std::fmt::Write;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::auth::{self, Auth, Bearer, Challenge, Clock};
use crate::catalog::{self, Catalogs};
use crate::config::{Config, Listen};
use crate::http::{self, ConnectionLimits, Connections, Gate, Health, Metadata};
use crate::issuer::{DevelopmentIssuer, MAX_LIFETIME, MintError, TokenRequest};
use crate::protocol::{self, Bounds, Connection, Protocol, SessionLimits};
use crate::reload::{self, Reload};
use crate::sandbox::{self, BucketStore, Capacity, Compiler, Limits, Sandbox};
use crate::stdio;

/// How long answers may take on their way when the host has stopped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long the token in the banner is good.
const BANNER_TOKEN: Duration = Duration::from_hours(12);

/// The call in the banner.
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}"#;

/// How long the banner waits for the first look through the folder.
const FIRST_PASS: Duration = Duration::from_mins(1);

/// How long a client on standard input waits for it, which may ask for lists once and never again.
const FIRST_LISTS: Duration = Duration::from_secs(10);

/// What stands for a token of the development issuer's user, where one has to be given before there is
/// an issuer.
const DEVELOPMENT_TOKEN: &str = "development";

/// A host that is serving.
pub struct Host {
    listening: Option<Listening>,
    config: Config,
    catalogs: Catalogs,
    first_pass: watch::Receiver<bool>,
    issuer: Option<DevelopmentIssuer>,
    auth: Auth,
    capacity: Capacity,
    stop: watch::Sender<bool>,
    end: watch::Sender<bool>,
    servers: JoinSet<io::Result<()>>,
    reload: JoinHandle<()>,
}

/// Where clients connect.
struct Listening {
    addresses: Vec<SocketAddr>,
    url: Url,
}

/// Why a host could not start.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The address cannot be listened on.
    #[error("cannot listen on {host}:{port}: {cause}; choose another with `--listen` or PORT", host = listen.host, port = listen.port)]
    Listen {
        /// The address.
        listen: Listen,
        /// What the system says.
        cause: io::Error,
    },
    /// The development issuer could not start.
    #[error("the development issuer could not start: {0}")]
    Issuer(io::Error),
    /// Tokens could not be verified with these settings.
    #[error(transparent)]
    Auth(#[from] auth::SetupError),
    /// Components could not be run.
    #[error(transparent)]
    Sandbox(#[from] sandbox::NotStarted),
    /// The development issuer could not sign its user in.
    #[error("the development issuer could not sign a token: {0}")]
    Token(#[from] MintError),
}

impl Host {
    /// Starts everything, in this order: the sockets, so that what is taken is known at once; the
    /// issuer and the keys; the sandbox; the services; and at last the answering of requests.
    pub async fn start(config: Config) -> Result<Self, NotStarted> {
        Self::start_at(config, auth::system_clock()).await
    }

    /// The same, by another clock for tokens.
    pub async fn start_at(config: Config, clock: Clock) -> Result<Self, NotStarted> {
        let (listening, listeners) = match &config.listen {
            Some(listen) => Listening::begin(listen).await?,
            None => (None, Vec::new()),
        };

        let issuer = match &config.issuer {
            Some(_) => None,
            None => Some(
                DevelopmentIssuer::start(Arc::clone(&clock))
                    .await
                    .map_err(NotStarted::Issuer)?,
            ),
        };
        let is_loopback = config.listen.as_ref().is_some_and(Listen::is_loopback);
        let local = listening.as_ref().filter(|_| is_loopback);
        let local = local.map(|listening| &listening.url);
        let auth = Auth::new(auth_settings(&config, issuer.as_ref(), local), clock)?;
        let keys = auth.clone();
        tokio::spawn(async move { keys.warm().await });

        let compiler = Arc::new(Compiler::new(&sandbox::Settings {
            calls: config.calls,
            memory: config.total_memory,
            stack: config.stack,
            cache: config.cache_dir.clone(),
            concurrent: config.asynchronous,
        })?);
        let capacity = compiler.capacity();
        tracing::info!("calls: {capacity}");
        let end = watch::Sender::new(false);
        let sandbox = Sandbox::new(&compiler, auth.clone(), &config.buckets, end.subscribe())?;

        let (publisher, catalogs) = catalog::empty();
        let reload = Reload::new(
            reload::Settings {
                folder: config.mcp_dir.clone(),
                limits: config.limits,
                ceiling: Limits {
                    concurrency: Some(capacity.most()),
                    ..config.ceiling
                },
                own: own_folders(&config),
                production: config.production,
            },
            compiler,
            publisher,
        );
        let first_pass = reload.first_pass();
        let reload = tokio::spawn(reload.run());

        let resource = config.public_url.as_ref().or(local).cloned();
        let metadata = resource.map(|resource| Metadata::new(&resource, auth.issuer()));
        let challenge = Challenge::new(metadata.as_ref().map(|it| it.url().to_string()));
        let stop = watch::Sender::new(false);
        let protocol = Arc::new(Protocol::new(
            protocol::Parts {
                catalogs: catalogs.clone(),
                auth: auth.clone(),
                challenge: challenge.clone(),
                sandbox,
                closing: stop.subscribe(),
            },
            &protocol::Settings {
                sessions: SessionLimits {
                    most: Bounds {
                        all: config.sessions,
                        each: config.sessions_each,
                    },
                    idle: config.session_idle,
                },
                streams: Bounds {
                    all: config.streams,
                    each: config.streams_each,
                },
                state_keys: config.state_keys.clone(),
                requires_auth: config.require_auth,
                narrows_lists: config.lists_permitted,
            },
        ));
        if config.production && config.state_keys.is_empty() {
            tracing::warn!(
                "no keys for what clients keep are set (`CLOISTER_STATE_KEYS`): questions that are open when this host stops cannot be answered, nor can those of another host behind the same address"
            );
        }
        let mut servers = JoinSet::new();
        if listening.is_none() {
            let connection = protocol.connect(
                token(&config, issuer.as_ref())?.map(Bearer::new),
                sign_in(issuer.as_ref()),
            );
            servers.spawn(serve_stdio(
                connection,
                config.body,
                first_pass.clone(),
                stop.clone(),
            ));
        } else {
            let connections = Connections::new(ConnectionLimits {
                most: config.connections,
                headers: config.header_timeout,
                idle: config.idle_timeout,
            });
            let router = http::router(
                protocol,
                http::Settings {
                    body: config.body,
                    body_timeout: config.body_timeout,
                    gate: Gate {
                        development: issuer.is_some(),
                        loopback: is_loopback,
                        public_url: config.public_url.clone(),
                        origins: config.allowed_origins.clone(),
                    },
                    metadata,
                    challenge,
                    auth: auth.clone(),
                    catalogs: catalogs.clone(),
                    health: Health {
                        first_pass: first_pass.clone(),
                        auth: auth.clone(),
                        connections: connections.clone(),
                    },
                },
            );
            for listener in listeners {
                let connections = connections.clone();
                servers.spawn(connections.serve(listener, router.clone(), stop.subscribe()));
            }
        }
        Ok(Self {
            listening,
            config,
            catalogs,
            first_pass,
            issuer,
            auth,
            capacity,
            stop,
            end,
            servers,
            reload,
        })
    }

    /// The URL of the endpoint, as this machine can reach it, if there is one.
    pub fn url(&self) -> Option<&Url> {
        self.listening.as_ref().map(|listening| &listening.url)
    }

    /// What is served.
    pub fn catalogs(&self) -> &Catalogs {
        &self.catalogs
    }

    /// The development issuer, if that is who signs tokens.
    pub fn development_issuer(&self) -> Option<&DevelopmentIssuer> {
        self.issuer.as_ref()
    }

    /// Waits until what lay in the folder at the start is served or was reported.
    pub async fn ready(&self) {
        // The sender lives as long as the reload task, which ends with this host.
        let mut first_pass = self.first_pass.clone();
        let _ended = first_pass.wait_for(|done| *done).await;
    }

    /// Serves until `shutdown` resolves, or the client on standard input has gone. Then nothing new is
    /// taken, what is in progress has a grace period to finish, and the rest is ended with an answer that
    /// says so.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            Some(ended) = self.servers.join_next() => match ended {
                Ok(Ok(())) if self.listening.is_none() => {}
                ended => tracing::error!(?ended, "a server ended by itself; stopping"),
            },
        }
        self.stop.send_replace(true);
        if self.drained(self.config.grace).await {
            return;
        }
        tracing::warn!(
            "requests were still in progress after {} ms and are ended",
            self.config.grace.as_millis()
        );
        self.end.send_replace(true);
        if !self.drained(LAST_WORDS).await {
            tracing::warn!("clients that do not take their answers are cut off");
        }
    }

    /// Whether all connections have ended in time.
    async fn drained(&mut self, time: Duration) -> bool {
        let drained = async { while self.servers.join_next().await.is_some() {} };
        tokio::time::timeout(time, drained).await.is_ok()
    }

    /// What a person who starts the host wants to know: where it is, what it serves, and a call
    /// that works when pasted.
    pub async fn banner(&self) -> String {
        let _slow = tokio::time::timeout(FIRST_PASS, self.ready()).await;
        let catalog = self.catalogs.snapshot();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _infallible = self.write_banner(&mut text, &catalog);
        text
    }

    fn write_banner(&self, out: &mut String, catalog: &catalog::Catalog) -> std::fmt::Result {
        writeln!(out, "Cloister {}", env!("CARGO_PKG_VERSION"))?;
        match &self.listening {
            Some(listening) => writeln!(out, "  endpoint  {}", listening.url)?,
            None => writeln!(out, "  endpoint  standard input and output")?,
        }
        if let Some(public) = &self.config.public_url {
            writeln!(out, "  public    {public}")?;
        }
        if let Some(listening) = &self.listening {
            writeln!(out, "  listening {}", list(listening.addresses.iter()))?;
        }
        writeln!(out, "  issuer    {}", self.auth.issuer())?;
        writeln!(out, "  calls     {}", self.capacity)?;
        writeln!(out, "  services  {}/*.wasm", self.config.mcp_dir.display())?;
        for service in catalog.services() {
            let tools = catalog
                .tools()
                .filter(|(_, tool)| tool.function.service == service.name)
                .map(|(name, _)| name);
            writeln!(out, "    {}: {}", service.name, list(tools))?;
        }
        if catalog.services().next().is_none() {
            writeln!(
                out,
                "    none yet; `just build-guests` builds two, and any component put there is served at once"
            )?;
        }
        let Some(issuer) = &self.issuer else {
            return Ok(());
        };
        writeln!(
            out,
            "\nNo Clerk application is configured, so the development issuer signs tokens, for this machine only."
        )?;
        let Some(url) = self.url() else {
            return write!(
                out,
                "With CLOISTER_TOKEN={DEVELOPMENT_TOKEN} in the environment of this process, its client calls as the\n\
                 issuer's user. For a call as anybody, in `params._meta.authorization.token`:\n\n\
                 cloister token --issuer {}\n",
                issuer.issuer(),
            );
        };
        let token = issuer.mint(&TokenRequest {
            ttl: BANNER_TOKEN,
            ..TokenRequest::default()
        });
        match token {
            Ok(token) => write!(
                out,
                "A token for {hours} hours, and a call with it:\n\n\
                 TOKEN={token}\n\n\
                 curl -s {url} -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  \
                 -d '{CALL}'\n",
                hours = BANNER_TOKEN.as_secs() / 3600,
                token = token.expose_secret(),
            ),
            Err(cause) => writeln!(out, "It could not sign one: {cause}"),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.reload.abort();
    }
}

/// The folders that are the host's own, and that no service is granted.
fn own_folders(config: &Config) -> Vec<PathBuf> {
    let state = match &config.buckets {
        BucketStore::Folder(folder) => Some(folder),
        BucketStore::Memory | BucketStore::Server(_) => None,
    };
    let folders = [Some(&config.mcp_dir), config.cache_dir.as_ref(), state];
    folders.into_iter().flatten().cloned().collect()
}

fn list<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

impl Listening {
    async fn begin(listen: &Listen) -> Result<(Option<Self>, Vec<TcpListener>), NotStarted> {
        let listeners = bind(listen).await.map_err(|cause| NotStarted::Listen {
            listen: listen.clone(),
            cause,
        })?;
        let addresses: Vec<SocketAddr> = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let url = url(listen, &addresses);
        Ok((Some(Self { addresses, url }), listeners))
    }
}

/// Binds every address that the name stands for: `localhost` is one for each version of IP, and
/// clients try either.
async fn bind(listen: &Listen) -> io::Result<Vec<TcpListener>> {
    let mut port = listen.port;
    let mut listeners = Vec::new();
    let mut failed = None;
    for address in tokio::net::lookup_host((&*listen.host, listen.port)).await? {
        match TcpListener::bind(SocketAddr::new(address.ip(), port)).await {
            Ok(listener) => {
                // A free port that was taken for one address is the port of all.
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            // A machine may lack one version of IP, but not give its port to somebody else.
            Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => return Err(cause),
            Err(cause) => failed = Some(cause),
        }
    }
    if listeners.is_empty() {
        return Err(failed.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
    }
    Ok(listeners)
}

/// The URL of the endpoint, from what was asked for and the port that it became.
fn url(listen: &Listen, addresses: &[SocketAddr]) -> Url {
    let port = addresses.first().map_or(listen.port, SocketAddr::port);
    let host = if listen.host.contains(':') {
        format!("[{}]", listen.host)
    } else {
        listen.host.clone()
    };
    format!("http://{host}:{port}/mcp")
        .parse()
        .unwrap_or_else(|_odd_name| {
            // A name that resolves and yet is no host in a URL; the address is one.
            #[expect(clippy::expect_used, reason = "the text is a constant")]
            Url::parse("http://localhost/mcp").expect("a constant URL")
        })
}

/// `local` is the URL of the endpoint, if it is there for this computer alone.
fn auth_settings(
    config: &Config,
    issuer: Option<&DevelopmentIssuer>,
    local: Option<&Url>,
) -> auth::Settings {
    auth::Settings {
        authorized_parties: config.authorized_parties.clone(),
        id_token_audiences: config.id_token_audiences.clone(),
        resource: match &config.public_url {
            Some(public) => Some(auth::Resource::Public(public.to_string())),
            None => local.map(|url| auth::Resource::Local(url.to_string())),
        },
        client: config
            .client
            .clone()
            .or_else(|| issuer.map(DevelopmentIssuer::client)),
        secret_key: config
            .secret_key
            .clone()
            .or_else(|| issuer.map(DevelopmentIssuer::secret_key)),
        api: match (&config.api_url, issuer) {
            (Some(url), _) => url.clone(),
            (None, Some(issuer)) => issuer.issuer().to_owned(),
            (None, None) => auth::settings::CLERK_API.to_owned(),
        },
        opaque: config.opaque_tokens,
        provider: if issuer.is_some() {
            "development"
        } else {
            "clerk"
        }
        .to_owned(),
        ..auth::Settings::new(issuer.map_or_else(
            || config.issuer.clone().unwrap_or_default(),
            |issuer| issuer.issuer().to_owned(),
        ))
    }
}

/// The token of a client on standard input. One that the development issuer signs is good as long as the
/// process lives, and the issuer with it.
fn token(
    config: &Config,
    issuer: Option<&DevelopmentIssuer>,
) -> Result<Option<SecretString>, MintError> {
    match (&config.token, issuer) {
        (Some(token), Some(issuer)) if token.expose_secret() == DEVELOPMENT_TOKEN => issuer
            .mint(&TokenRequest {
                ttl: MAX_LIFETIME,
                ..TokenRequest::default()
            })
            .map(Some),
        (token, _) => Ok(token.clone()),
    }
}

/// What such a client's user can do who is turned away.
fn sign_in(issuer: Option<&DevelopmentIssuer>) -> String {
    match issuer {
        Some(_) => format!(
            "set CLOISTER_TOKEN={DEVELOPMENT_TOKEN} in the environment of this server to call as the user of its development issuer, and start it again"
        ),
        None => "set CLOISTER_TOKEN in the environment of this server to a good access token, and start it again".to_owned(),
    }
}

async fn serve_stdio(
    client: Arc<Connection>,
    longest: usize,
    mut first_pass: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
) -> io::Result<()> {
    let first_pass = async { drop(first_pass.wait_for(|done| *done).await) };
    let _slow = tokio::time::timeout(FIRST_LISTS, first_pass).await;
    let input = BufReader::new(tokio::io::stdin());
    stdio::serve(client, input, tokio::io::stdout(), longest, stop).await
}
