//! The host, put together: what is started, in which order, and how it ends.

use std::fmt::Write;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::auth::{self, Auth, Challenge, Clock};
use crate::catalog::{self, Catalogs};
use crate::config::{Config, Listen};
use crate::http::{self, Gate, Health, Metadata};
use crate::issuer::{DevelopmentIssuer, TokenRequest};
use crate::protocol::{self, Protocol, SessionLimits};
use crate::reload::{self, Reload};
use crate::sandbox::{self, Compiler, Sandbox};

/// How long answers may take on their way when the host has stopped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long the token in the banner is good.
const BANNER_TOKEN: Duration = Duration::from_hours(12);

/// The call in the banner.
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}"#;

/// How long the banner waits for the first look through the folder.
const FIRST_PASS: Duration = Duration::from_mins(1);

/// A host that is serving.
pub struct Host {
    addresses: Vec<SocketAddr>,
    url: Url,
    config: Config,
    catalogs: Catalogs,
    first_pass: watch::Receiver<bool>,
    issuer: Option<DevelopmentIssuer>,
    auth: Auth,
    stop: watch::Sender<bool>,
    end: watch::Sender<bool>,
    servers: JoinSet<io::Result<()>>,
    reload: JoinHandle<()>,
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
}

impl Host {
    /// Starts everything, in this order: the sockets, so that what is taken is known at once; the
    /// issuer and the keys; the sandbox; the services; and at last the answering of requests.
    pub async fn start(config: Config) -> Result<Self, NotStarted> {
        Self::start_at(config, auth::system_clock()).await
    }

    /// The same, by another clock for tokens.
    pub async fn start_at(config: Config, clock: Clock) -> Result<Self, NotStarted> {
        let listeners = bind(&config.listen)
            .await
            .map_err(|cause| NotStarted::Listen {
                listen: config.listen.clone(),
                cause,
            })?;
        let addresses: Vec<SocketAddr> = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let url = url(&config.listen, &addresses);

        let issuer = match &config.issuer {
            Some(_) => None,
            None => Some(
                DevelopmentIssuer::start(Arc::clone(&clock))
                    .await
                    .map_err(NotStarted::Issuer)?,
            ),
        };
        let auth = Auth::new(auth_settings(&config, issuer.as_ref()), clock)?;
        let keys = auth.clone();
        tokio::spawn(async move { keys.warm().await });

        let compiler = Arc::new(Compiler::new(&sandbox::Settings {
            slots: config.calls,
            cache: config.cache_dir.clone(),
        })?);
        let end = watch::Sender::new(false);
        let sandbox = Sandbox::new(&compiler, auth.clone(), end.subscribe())?;

        let (publisher, catalogs) = catalog::empty();
        let reload = Reload::new(
            reload::Settings {
                folder: config.mcp_dir.clone(),
                limits: config.limits,
                ceiling: config.ceiling,
            },
            compiler,
            publisher,
        );
        let first_pass = reload.first_pass();
        let reload = tokio::spawn(reload.run());

        let resource = config
            .public_url
            .clone()
            .or_else(|| config.listen.is_loopback().then(|| url.clone()));
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
                    most: config.sessions,
                    idle: config.session_idle,
                },
                streams: config.streams,
                state_keys: config.state_keys.clone(),
            },
        ));
        let router = http::router(
            Arc::clone(&protocol),
            http::Settings {
                body: config.body,
                gate: Gate {
                    development: issuer.is_some(),
                    loopback: config.listen.is_loopback(),
                    public_url: config.public_url.clone(),
                    origins: config.allowed_origins.clone(),
                },
                metadata,
                challenge,
                catalogs: catalogs.clone(),
                health: Health {
                    first_pass: first_pass.clone(),
                    auth: auth.clone(),
                },
            },
        );
        let servers = listeners
            .into_iter()
            .map(|listener| serve(listener, router.clone(), stop.subscribe()))
            .collect();
        Ok(Self {
            addresses,
            url,
            config,
            catalogs,
            first_pass,
            issuer,
            auth,
            stop,
            end,
            servers,
            reload,
        })
    }

    /// The URL of the endpoint, as this machine can reach it.
    pub fn url(&self) -> &Url {
        &self.url
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

    /// Serves until `shutdown` resolves. Then nothing new is taken, what is in progress has a grace
    /// period to finish, and the rest is ended with an answer that says so.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            Some(ended) = self.servers.join_next() => {
                tracing::error!(?ended, "a listener ended by itself; stopping");
            }
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
        writeln!(out, "  endpoint  {}", self.url)?;
        if let Some(public) = &self.config.public_url {
            writeln!(out, "  public    {public}")?;
        }
        writeln!(out, "  listening {}", list(self.addresses.iter()))?;
        writeln!(out, "  issuer    {}", self.auth.issuer())?;
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
                url = self.url,
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

fn list<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
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

fn auth_settings(config: &Config, issuer: Option<&DevelopmentIssuer>) -> auth::Settings {
    auth::Settings {
        authorized_parties: config.authorized_parties.clone(),
        id_token_audiences: config.id_token_audiences.clone(),
        resource: config.public_url.as_ref().map(Url::to_string),
        client: config
            .client
            .clone()
            .or_else(|| issuer.map(DevelopmentIssuer::client)),
        secret_key: config
            .secret_key
            .clone()
            .or_else(|| issuer.map(DevelopmentIssuer::secret_key)),
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

async fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    // An answer in more than one segment would otherwise wait for the client's acknowledgement.
    let listener = listener.tap_io(|stream| {
        if let Err(cause) = stream.set_nodelay(true) {
            tracing::debug!(%cause, "a connection keeps its delays");
        }
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            // The host itself may be gone, which means the same.
            let _gone = stop.wait_for(|stop| *stop).await;
        })
        .await
}
