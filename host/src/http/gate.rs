//! Who may speak to the endpoint at all: against web pages that make a browser call this machine
//! (DNS rebinding), and against proxies before a host that was never meant to be exposed.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HOST,
    ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::{Host, Url};

use super::Endpoint;
use super::answer::refusal;

/// Headers by which a proxy says that it stands between.
const FORWARDING: [&str; 6] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
];

/// What browsers may send beyond what every request has.
const ALLOWED_HEADERS: &str = "authorization, content-type, accept, mcp-protocol-version, mcp-method, mcp-name, mcp-session-id, last-event-id";

/// Who may speak to the endpoint.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Whether this host signs its own tokens, and so must be reached directly.
    pub development: bool,
    /// Whether only this machine can connect; then only its own names are right.
    pub loopback: bool,
    /// The URL that callers type, whose host and origin are right, too.
    pub public_url: Option<Url>,
    /// Origins of web pages that may call, such as `https://app.example.com`.
    pub origins: Vec<String>,
}

impl Gate {
    /// Why a request must not come in, for its sender.
    fn refuses(&self, headers: &HeaderMap) -> Option<&'static str> {
        if self.development && FORWARDING.iter().any(|name| headers.contains_key(*name)) {
            return Some(
                "this host runs with its development issuer and takes no forwarded requests; configure an issuer to put it behind a proxy",
            );
        }
        if !self.knows_host(headers) {
            return Some(
                "`Host` is not a name of this server; if it should be, set the public URL",
            );
        }
        None
    }

    /// Why a web page must not call, for its author.
    fn refuses_page(&self, headers: &HeaderMap) -> Option<&'static str> {
        headers
            .get(ORIGIN)
            .is_some_and(|origin| !self.knows_origin(origin))
            .then_some("`Origin` is not allowed to call this server; if it should be, add it to the allowed origins")
    }

    fn knows_host(&self, headers: &HeaderMap) -> bool {
        if !self.loopback && self.public_url.is_none() {
            return true;
        }
        let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
            // HTTP/2 names the host in the request line, which is no header.
            return !headers.contains_key(HOST);
        };
        Url::parse(&format!("http://{host}/")).is_ok_and(|host| {
            host.path() == "/"
                && host.username().is_empty()
                && (is_loopback(&host)
                    || self
                        .public_url
                        .as_ref()
                        .is_some_and(|url| url.host() == host.host()))
        })
    }

    fn knows_origin(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        if self.origins.iter().any(|allowed| allowed == origin) {
            return true;
        }
        Url::parse(origin).is_ok_and(|url| {
            (self.loopback && is_loopback(&url))
                || self
                    .public_url
                    .as_ref()
                    .is_some_and(|own| own.origin() == url.origin())
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Stands before everything that is served, and answers browsers that ask first.
pub(super) async fn guard(
    State(endpoint): State<Arc<Endpoint>>,
    request: Request,
    next: Next,
) -> Response {
    let gate = &endpoint.settings.gate;
    // What is published about signing in is for every page to read.
    let is_published = request.uri().path().starts_with("/.well-known/");
    let reason = gate.refuses(request.headers()).or_else(|| {
        (!is_published)
            .then(|| gate.refuses_page(request.headers()))
            .flatten()
    });
    if let Some(reason) = reason {
        return refusal(StatusCode::FORBIDDEN, reason);
    }
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        preflight(request.headers())
    } else {
        next.run(request).await
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("mcp-session-id, www-authenticate"),
        );
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    response
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut allowed = ALLOWED_HEADERS.to_owned();
    let wanted = asked
        .get(ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|headers| headers.to_str().ok())
        .unwrap_or_default();
    // Mirrored arguments have headers named after them.
    for name in wanted.split(',').map(str::trim) {
        if name.len() < 100
            && name.to_ascii_lowercase().starts_with("mcp-param-")
            && HeaderName::try_from(name).is_ok()
        {
            allowed.push_str(", ");
            allowed.push_str(name);
        }
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST, GET, DELETE, OPTIONS"),
    );
    if let Ok(allowed) = HeaderValue::try_from(allowed) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(development: bool, loopback: bool, public_url: Option<&str>) -> Gate {
        Gate {
            development,
            loopback,
            public_url: public_url.map(|url| Url::parse(url).unwrap()),
            origins: vec!["https://app.example.com".into()],
        }
    }

    fn admits(gate: &Gate, headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        gate.refuses(&headers)
            .or_else(|| gate.refuses_page(&headers))
            .is_none()
    }

    #[test]
    fn a_local_host_answers_to_its_own_names_only() {
        let gate = gate(true, true, None);
        for host in [
            "localhost:3000",
            "127.0.0.1:3000",
            "[::1]:3000",
            "localhost",
            "127.0.0.2",
        ] {
            assert!(admits(&gate, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example@localhost",
            "localhost/evil.example",
            "192.168.1.1",
            "",
        ] {
            assert!(!admits(&gate, &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let gate = gate(false, true, None);
        for (origin, admitted) in [
            ("http://localhost:8080", true),
            ("http://127.0.0.1:3000", true),
            ("https://app.example.com", true),
            ("https://app.example.com.evil.example", false),
            ("https://evil.example", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(
                admits(&gate, &[("host", "localhost"), ("origin", origin)]),
                admitted,
                "{origin}"
            );
        }
    }

    #[test]
    fn a_public_host_answers_to_its_public_name() {
        let gate = gate(false, false, Some("https://tools.example.com/mcp"));
        assert!(admits(&gate, &[("host", "tools.example.com")]));
        assert!(!admits(&gate, &[("host", "evil.example")]));
        assert!(admits(
            &gate,
            &[
                ("host", "tools.example.com"),
                ("origin", "https://tools.example.com")
            ]
        ));
        assert!(!admits(
            &gate,
            &[
                ("host", "tools.example.com"),
                ("origin", "http://localhost:8080")
            ]
        ));
    }

    #[test]
    fn a_development_host_takes_nothing_from_a_proxy() {
        for name in FORWARDING {
            let forwarded = [("host", "localhost"), (name, "203.0.113.7")];
            assert!(!admits(&gate(true, true, None), &forwarded), "{name}");
            assert!(admits(&gate(false, true, None), &forwarded), "{name}");
        }
    }
}
