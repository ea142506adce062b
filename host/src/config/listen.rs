//! Where to listen, as it is written.

use std::net::IpAddr;
use std::str::FromStr;

/// Where to listen: a host name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// `localhost`, another name, or an address.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            host: "localhost".into(),
            port: 3000,
        }
    }
}

impl Listen {
    /// The same host with another port.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Whether only this machine can connect.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("expected `host:port`, such as `localhost:3000`, got `{text}`");
        let (host, port) = text.rsplit_once(':').ok_or_else(problem)?;
        let port = port.parse().map_err(|_not_a_port| problem())?;
        let host = match host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(address) => address,
            None if host.contains(':') => return Err(problem()),
            None => host,
        };
        if host.is_empty() {
            return Err(problem());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let listen = |text: &str| text.parse::<Listen>().ok().map(|l| (l.host, l.port));
        assert_eq!(listen("localhost:3000"), Some(("localhost".into(), 3000)));
        assert_eq!(listen("[::1]:80"), Some(("::1".into(), 80)));
        assert_eq!(listen("0.0.0.0:0"), Some(("0.0.0.0".into(), 0)));
        for wrong in ["", "3000", ":3000", "a:b", "::1:80", "a:99999"] {
            assert_eq!(listen(wrong), None, "{wrong}");
        }
    }
}
