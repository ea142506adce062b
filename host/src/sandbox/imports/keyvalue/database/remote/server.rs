//! The URL of a server for buckets.

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionInfo, IntoConnectionInfo, ProtocolVersion};
use url::Url;

/// A Redis or Valkey server, with what it takes to sign in there. Neither is printed.
#[derive(Clone)]
pub struct BucketServer {
    pub(super) info: Box<ConnectionInfo>,
    /// Where it is, for the log.
    shown: String,
}

/// Why a text names no server. It does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoServer {
    /// It is no URL of such a server.
    #[error(
        "expected the URL of a Redis or Valkey server, such as `redis://store.example.com:6379`, or `rediss://…` with TLS; characters of a password that have a meaning in URLs are written with `%`"
    )]
    NotAUrl,
    /// There is more in the URL than means anything.
    #[error(
        "a URL of a server has nothing after its host but a port and the number of a database, such as `redis://store.example.com:6379/1`"
    )]
    TooMuch,
}

impl FromStr for BucketServer {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, NoServer> {
        let url: Url = text.parse().map_err(|_quoted| NoServer::NotAUrl)?;
        let is_known = matches!(url.scheme(), "redis" | "rediss" | "valkey" | "valkeys");
        if !is_known || url.host_str().is_none_or(str::is_empty) {
            return Err(NoServer::NotAUrl);
        }
        let database = url.path().strip_prefix('/').unwrap_or_default();
        let is_number = database.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || url.query().is_some() || url.fragment().is_some() {
            return Err(NoServer::TooMuch);
        }
        let mut shown = url.clone();
        // These fail for URLs without a host alone.
        let _infallible = (shown.set_username(""), shown.set_password(None));
        let info = url
            .into_connection_info()
            .map_err(|_quoted| NoServer::NotAUrl)?;
        let redis = info.redis_settings().clone();
        Ok(Self {
            // With the third version of its protocol, a connection says when it is gone.
            info: Box::new(info.set_redis_settings(redis.set_protocol(ProtocolVersion::RESP3))),
            shown: shown.into(),
        })
    }
}

impl fmt::Display for BucketServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for BucketServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_shown_without_what_it_takes_to_sign_in() {
        for (url, shown) in [
            ("redis://localhost", "redis://localhost"),
            ("rediss://ada:s3cret@[::1]:6380/3", "rediss://[::1]:6380/3"),
            ("valkey://:s3cret%40@10.1.2.3", "valkey://10.1.2.3"),
            ("valkeys://a.example.com/", "valkeys://a.example.com/"),
        ] {
            let server: BucketServer = url.parse().unwrap();
            assert_eq!(server.to_string(), shown);
            assert_eq!(format!("{server:?}"), shown);
        }
    }

    #[test]
    fn what_names_no_server_is_refused_and_not_repeated() {
        for (text, cause) in [
            ("s3cret", NoServer::NotAUrl),
            ("localhost:6379", NoServer::NotAUrl),
            ("http://localhost", NoServer::NotAUrl),
            ("redis://", NoServer::NotAUrl),
            ("redis:///1", NoServer::NotAUrl),
            ("redis://0.0.0.0", NoServer::NotAUrl),
            ("redis://:s3cret%ff@localhost", NoServer::NotAUrl),
            ("redis://localhost/99999999999999999999", NoServer::NotAUrl),
            ("unix:///run/redis.sock", NoServer::NotAUrl),
            ("redis://localhost/one", NoServer::TooMuch),
            ("redis://localhost/1/2", NoServer::TooMuch),
            ("redis://localhost?protocol=resp3", NoServer::TooMuch),
            ("rediss://localhost#insecure", NoServer::TooMuch),
        ] {
            let refused = text.parse::<BucketServer>().unwrap_err();
            assert_eq!(refused, cause, "{text}");
            assert!(!refused.to_string().contains("s3cret"));
        }
    }
}
