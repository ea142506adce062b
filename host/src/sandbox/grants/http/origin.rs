//! Origins, and what of them is allowed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;
use url::{Host, Url};

use super::address;

/// The longest name that DNS knows.
const LONGEST_NAME: usize = 253;

/// A scheme, a host and a port, as they are after all spellings of them are made one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
pub struct Origin {
    pub(super) scheme: Scheme,
    pub(super) host: Host<String>,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// An origin that may be reached, or the names below one (`https://*.example.com`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Allowed {
    pub(super) origin: Origin,
    below: bool,
}

/// All that may be reached.
pub(super) struct Reach(pub(super) Vec<Allowed>);

impl Origin {
    /// The origin of a URL, whose host is then spelled as it is here. None if it is no URL of HTTP, or
    /// names a user.
    pub(in crate::sandbox) fn of(url: &mut Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let host = match url.host()?.to_owned() {
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                if name.is_empty() || name.len() > LONGEST_NAME || name.contains('*') {
                    return None;
                }
                let name = name.to_owned();
                url.set_host(Some(&name)).ok()?;
                Host::Domain(name)
            }
            address @ (Host::Ipv4(_) | Host::Ipv6(_)) => address,
        };
        Some(Self {
            scheme,
            host,
            port: url.port_or_known_default()?,
        })
    }

    /// The same scheme and port, at an address.
    pub(in crate::sandbox) fn at(&self, address: IpAddr) -> Self {
        Self {
            host: match address {
                IpAddr::V4(address) => Host::Ipv4(address),
                IpAddr::V6(address) => Host::Ipv6(address),
            },
            ..self.clone()
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Url::parse(text)
            .ok()
            .and_then(|mut url| {
                let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
                Self::of(&mut url).filter(|_| bare)
            })
            .ok_or_else(|| {
                format!(
                    "`{text}` is no origin; write scheme, host and perhaps a port, such as `https://api.example.com`, `https://*.example.com:8443` or `http://10.1.2.3:8080`"
                )
            })
    }
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, parent)) = text.split_once("://*.") else {
            return Ok(Self {
                origin: text.parse()?,
                below: false,
            });
        };
        let origin: Origin = format!("{scheme}://{parent}").parse()?;
        match origin.host {
            Host::Domain(_) => Ok(Self {
                origin,
                below: true,
            }),
            Host::Ipv4(_) | Host::Ipv6(_) => Err(format!(
                "`{text}` has no meaning: only names have others below them; write the address without `*.`"
            )),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl TryFrom<String> for Allowed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = match self.scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.to_string();
        match origin.split_once("://") {
            Some((scheme, parent)) if self.below => write!(f, "{scheme}://*.{parent}"),
            Some(_) | None => f.write_str(&origin),
        }
    }
}

impl Allowed {
    fn names(&self, name: &str) -> bool {
        let Host::Domain(allowed) = &self.origin.host else {
            return false;
        };
        if self.below {
            name.strip_suffix(allowed.as_str())
                .and_then(|below| below.strip_suffix('.'))
                .is_some_and(|below| !below.is_empty())
        } else {
            name == allowed
        }
    }

    fn allows(&self, origin: &Origin) -> bool {
        self.origin.scheme == origin.scheme
            && self.origin.port == origin.port
            && match &origin.host {
                Host::Domain(name) => self.names(name),
                Host::Ipv4(_) | Host::Ipv6(_) => self.origin.host == origin.host,
            }
    }
}

impl Reach {
    pub(super) fn allows(&self, origin: &Origin) -> bool {
        self.0.iter().any(|allowed| allowed.allows(origin))
    }

    /// Whether a connection may be made to an address that a name stands for. One that is not public must
    /// be allowed itself, with the scheme and the port of whatever allows the name; `localhost` is the
    /// name of nothing else than this machine.
    pub(super) fn lets(&self, name: &str, address: IpAddr) -> bool {
        if address::is_public(address) || (name == "localhost" && address.is_loopback()) {
            return true;
        }
        let mut named = self
            .0
            .iter()
            .filter(|allowed| allowed.names(name))
            .peekable();
        named.peek().is_some() && named.all(|allowed| self.allows(&allowed.origin.at(address)))
    }
}
