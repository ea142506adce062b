//! The kinds of values that settings have, and how they are written.

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

/// A length of time: `250ms`, `10s`, `5m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => 0,
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(milliseconds))
            .filter(|milliseconds| (1..=86_400_000).contains(milliseconds))
            .map(|milliseconds| Self(std::time::Duration::from_millis(milliseconds)))
            .ok_or_else(|| {
                format!(
                    "expected a length of time from `1ms` to `24h`, such as `10s`, got `{text}`"
                )
            })
    }
}

/// A number of bytes: `65536`, `512KiB`, `64MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        number
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .filter(|bytes| (1..=1 << 32).contains(bytes))
            .map(Self)
            .ok_or_else(|| {
                format!("expected a number of bytes up to `4GiB`, such as `64MiB`, got `{text}`")
            })
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
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

    #[test]
    fn lengths_of_time_and_sizes() {
        let time = |text: &str| text.parse::<Duration>().ok().map(|d| d.0.as_millis());
        assert_eq!(time("250ms"), Some(250));
        assert_eq!(time("10 s"), Some(10_000));
        assert_eq!(time("24h"), Some(86_400_000));
        for wrong in [
            "",
            "10",
            "0s",
            "25h",
            "-1s",
            "1.5s",
            "99999999999999999999s",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        let size = |text: &str| text.parse::<Bytes>().ok().map(|b| b.0);
        assert_eq!(size("65536"), Some(65_536));
        assert_eq!(size("64MiB"), Some(64 << 20));
        for wrong in ["", "0", "MiB", "64MB", "5GiB", "1e3"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
