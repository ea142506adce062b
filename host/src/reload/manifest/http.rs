//! `[http]`: where a service may send requests, and what the host puts on them.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::Wrong;
use super::secrets::Secrets;
use crate::sandbox::{Allowed, Http, Origin};

/// Where a service may send requests. Without anything, nowhere.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GivenHttp {
    /// The origins, and with `*.` those below a name.
    allow: Vec<Allowed>,
    /// Headers that the host puts on requests to an origin. `${secret.NAME}` in a value is that secret.
    headers: BTreeMap<Origin, BTreeMap<String, String>>,
}

impl GivenHttp {
    /// The origins as people are told of them.
    pub(super) fn told(&self) -> Vec<String> {
        let origins = self.allow.iter();
        origins.map(|allowed| format!("\"{allowed}\"")).collect()
    }

    /// The values in which secrets may be named.
    pub(super) fn texts(&self) -> impl Iterator<Item = &String> {
        self.headers.values().flat_map(BTreeMap::values)
    }

    pub(super) fn grant(&self, secrets: &Secrets) -> Result<Option<Http>, Wrong> {
        if self.allow.is_empty() && self.headers.is_empty() {
            return Ok(None);
        }
        let headers = self.headers.iter().map(|(origin, given)| {
            let mut headers = HeaderMap::new();
            for (name, text) in given {
                let wrong = |cause: &str| {
                    Wrong::new(&["http", "headers", &origin.to_string(), name], cause)
                };
                let key = header(name).map_err(&wrong)?;
                let text = secrets.fill(text).map_err(|cause| wrong(&cause))?;
                let mut value = HeaderValue::from_str(text.expose_secret())
                    .map_err(|_bytes| wrong("its value cannot stand in a header"))?;
                value.set_sensitive(true);
                headers.insert(key, value);
            }
            Ok((origin.clone(), headers))
        });
        let headers = headers.collect::<Result<_, Wrong>>()?;
        let http = Http::new(self.allow.clone(), headers);
        http.map(Some)
            .map_err(|cause| Wrong::new(&["http", "headers"], cause))
    }
}

/// A header that may be put on; some are the transport's own.
fn header(name: &str) -> Result<HeaderName, &'static str> {
    let name: HeaderName = name.parse().map_err(|_bytes| "it is no name of a header")?;
    match name.as_str() {
        "connection" | "content-length" | "host" | "keep-alive" | "te" | "trailer"
        | "transfer-encoding" | "upgrade" => Err("the host makes this header itself; remove it"),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_granted_and_what_cannot() {
        let granted = |text: &str| {
            toml::from_str::<GivenHttp>(text)
                .map_err(|cause| cause.to_string())
                .and_then(|given| {
                    let granted = given.grant(&Secrets::default());
                    granted.map_err(|wrong| wrong.placed(""))
                })
                .map(|http| http.is_some())
        };
        assert_eq!(granted(""), Ok(false));
        let headers = "headers.\"http://api.example.com:80\"";
        for right in [
            "allow = [\"http://api.example.com\", \"http://*.example.com:8443/\", \"http://10.1.2.3\", \"http://[::1]:80\"]".to_owned(),
            format!("allow = [\"http://*.example.com\"]\n{headers} = {{ x-key = \"1\" }}"),
        ] {
            assert_eq!(granted(&right), Ok(true), "{right}");
        }
        for (wrong, cause) in [
            ("allow = [\"api.example.com\"]".to_owned(), "is no origin"),
            ("allow = [\"ftp://example.com\"]".to_owned(), "is no origin"),
            (
                "allow = [\"http://example.com/v1\"]".to_owned(),
                "is no origin",
            ),
            (
                "allow = [\"http://example.com?\"]".to_owned(),
                "is no origin",
            ),
            (
                "allow = [\"http://me@example.com\"]".to_owned(),
                "is no origin",
            ),
            ("allow = [\"http://*\"]".to_owned(), "is no origin"),
            ("allow = [\"http://a.*.com\"]".to_owned(), "is no origin"),
            (
                "allow = [\"http://*.10.1.2.3\"]".to_owned(),
                "only names have others below them",
            ),
            (
                format!("{headers} = {{}}"),
                "which `http.allow` does not have",
            ),
            (
                format!("allow = [\"https://api.example.com\"]\n{headers} = {{}}"),
                "which `http.allow` does not have",
            ),
            (
                format!("{headers} = {{ \"a b\" = \"\" }}"),
                "no name of a header",
            ),
            (
                format!("{headers} = {{ Host = \"\" }}"),
                "the host makes this header itself",
            ),
            (
                format!("{headers} = {{ a = \"\\n\" }}"),
                "cannot stand in a header",
            ),
            (
                format!("{headers} = {{ a = \"${{secret.KEY}}\" }}"),
                "there is no `KEY`",
            ),
        ] {
            assert!(
                granted(&wrong).is_err_and(|error| error.contains(cause)),
                "{wrong}: {:?}",
                granted(&wrong)
            );
        }
    }
}
