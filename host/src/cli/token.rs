//! `cloister token`: a token for any user, from the development issuer of a host that runs here.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use reqwest::header::AUTHORIZATION;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime;
use url::Url;

use super::Failure;
use crate::issuer;
use crate::units;

/// How long the host may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[expect(
    clippy::doc_markdown,
    reason = "these comments are printed as they are"
)]
#[derive(Args)]
pub(super) struct Wanted {
    /// The user's id
    #[arg(long, value_name = "ID", default_value = issuer::User::ADA.id)]
    sub: String,
    /// The user's e-mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The user's given name
    #[arg(long, value_name = "NAME")]
    first_name: Option<String>,
    /// The user's family name
    #[arg(long, value_name = "NAME")]
    last_name: Option<String>,
    /// An OAuth scope that the token grants, once for each; such a token carries no profile
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        conflicts_with_all = ["email", "first_name", "last_name"]
    )]
    scopes: Vec<String>,
    /// The user's role in their organization, such as `org:admin`
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// A permission of the user in their organization, once for each, such as `org:invoices:read`
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<String>,
    /// How long the token is good, such as `60s` or `8h`
    #[arg(long, value_name = "TIME", default_value = "1h")]
    ttl: String,
    /// Where the host is [environment: CLOISTER_URL]
    #[arg(
        long,
        value_name = "URL",
        env = "CLOISTER_URL",
        default_value = "http://localhost:3000"
    )]
    url: Url,
    /// Where the development issuer is, which a host names that serves standard input; goes before `--url`
    #[arg(long, value_name = "URL")]
    issuer: Option<Url>,
}

impl Wanted {
    /// The claims of the organization that is active for the user, in the layout that a token of
    /// any kind may have; none without a role or a permission.
    fn organization(&self) -> Option<Value> {
        (self.role.is_some() || !self.permissions.is_empty()).then(|| {
            json!({
                "org_id": "org_development",
                "org_role": self.role,
                "org_permissions": self.permissions,
            })
        })
    }
}

/// Asks for the token and prints it, and nothing else.
pub(super) fn print(wanted: &Wanted) -> Result<(), Failure> {
    let ttl: units::Duration = wanted
        .ttl
        .parse()
        .map_err(|cause| Failure(format!("`--ttl`: {cause}")))?;
    let token = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(mint(wanted, ttl.0))?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(())
}

#[derive(Deserialize)]
struct Metadata {
    authorization_servers: Vec<String>,
}

#[derive(Deserialize)]
struct Minted {
    token: String,
}

async fn mint(wanted: &Wanted, ttl: Duration) -> Result<String, Failure> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let host = wanted.issuer.as_ref().unwrap_or(&wanted.url);
    let unreachable = |cause| unreachable(host, cause);
    let server = match &wanted.issuer {
        Some(issuer) => issuer.clone(),
        None => trusted(&client, host).await?,
    };
    // The key must not go anywhere but to the issuer that made it.
    let port = server
        .port()
        .filter(|_| server.scheme() == "http" && server.host_str() == Some("127.0.0.1"))
        .ok_or_else(|| {
            Failure(format!(
                "the host at {host} trusts {server}, which is no development issuer; get a token there"
            ))
        })?;
    let key = issuer::key_on_port(port).map_err(|cause| {
        Failure(format!(
            "the key of the development issuer on port {port} cannot be read: {cause}; run this as the user who runs the host"
        ))
    })?;
    let answer = client
        .post(server.join("/development/token")?)
        .header(AUTHORIZATION, format!("Bearer {}", key.expose_secret()))
        .json(&json!({
            "sub": wanted.sub,
            "email": wanted.email,
            "first_name": wanted.first_name,
            "last_name": wanted.last_name,
            "ttl_seconds": ttl.as_secs().max(1),
            "scopes": Some(&wanted.scopes).filter(|scopes| !scopes.is_empty()),
            "claims": wanted.organization(),
        }))
        .send()
        .await
        .map_err(unreachable)?;
    if !answer.status().is_success() {
        return Err(Failure(format!(
            "the development issuer refused: {}",
            answer.text().await.map_err(unreachable)?
        )));
    }
    let minted: Minted = answer.json().await.map_err(unreachable)?;
    Ok(minted.token)
}

/// Whom the host at this address trusts.
async fn trusted(client: &reqwest::Client, host: &Url) -> Result<Url, Failure> {
    let unreachable = |cause| unreachable(host, cause);
    let metadata: Metadata = client
        .get(host.join("/.well-known/oauth-protected-resource/mcp")?)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(unreachable)?
        .json()
        .await
        .map_err(unreachable)?;
    let server = metadata
        .authorization_servers
        .first()
        .ok_or_else(|| Failure(format!("the host at {host} names no issuer")))?;
    Ok(Url::parse(server)?)
}

fn unreachable(host: &Url, cause: reqwest::Error) -> Failure {
    Failure(format!(
        "no host answers at {host}: {}; start one with `cargo run`, or name another with `--url`",
        cause.without_url()
    ))
}
