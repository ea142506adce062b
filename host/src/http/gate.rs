//! Who may speak to the endpoint at all: against web pages that make a browser call this machine
//! (DNS rebinding), and against proxies before a host that was never meant to be exposed.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HOST,
    ORIGIN, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
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

/// Why a request does not come in: how it is answered, and what its sender is told.
type Refusal = (StatusCode, &'static str);

/// Where a request says who is to answer it.
struct Addressed<'r> {
    version: Version,
    /// In its first line: what HTTP/2 has instead of `Host`, and HTTP/1 beside it where a whole URL is
    /// asked for (RFC 9112 §3.2.2).
    target: Option<&'r Authority>,
    headers: &'r HeaderMap,
}

impl<'r> Addressed<'r> {
    fn of(request: &'r Request) -> Self {
        Self {
            version: request.version(),
            target: request.uri().authority(),
            headers: request.headers(),
        }
    }
}

impl Gate {
    /// Why a request must not come in.
    fn refuses(&self, request: &Addressed<'_>) -> Option<Refusal> {
        let headers = request.headers;
        if self.development && FORWARDING.iter().any(|name| headers.contains_key(*name)) {
            return Some((
                StatusCode::FORBIDDEN,
                "this host runs with its development issuer and takes no forwarded requests; configure an issuer to put it behind a proxy",
            ));
        }
        self.refuses_host(request)
    }

    /// A page of another site can be made to reach this machine under a name of that site (DNS rebinding).
    /// Whatever names a request has must be names of this host.
    fn refuses_host(&self, request: &Addressed<'_>) -> Option<Refusal> {
        const MISSING: Refusal = (
            StatusCode::BAD_REQUEST,
            "`Host` must say, once, which server is meant",
        );
        let has_names = self.loopback || self.public_url.is_some();
        let mut hosts = request.headers.get_all(HOST).iter();
        let host = hosts.next();
        let is_missing = match (host, request.version) {
            (Some(_), _) => hosts.next().is_some(),
            (None, Version::HTTP_11) => true,
            // Who has no name to be known by does not mind older versions, where none is needed.
            (None, _) => has_names && request.target.is_none(),
        };
        if is_missing {
            return Some(MISSING);
        }
        let host = host.map(|host| host.to_str().unwrap_or_default());
        let mut named = host
            .into_iter()
            .chain(request.target.map(Authority::as_str));
        (has_names && !named.all(|name| self.knows(name))).then_some((
            StatusCode::FORBIDDEN,
            "`Host` is not a name of this server; if it should be, set the public URL",
        ))
    }

    /// Why a web page must not call, for its author.
    fn refuses_page(&self, headers: &HeaderMap) -> Option<Refusal> {
        headers
            .get(ORIGIN)
            .is_some_and(|origin| !self.knows_origin(origin))
            .then_some((
                StatusCode::FORBIDDEN,
                "`Origin` is not allowed to call this server; if it should be, add it to the allowed origins",
            ))
    }

    /// Whether this is a name of the host, with or without a port.
    fn knows(&self, name: &str) -> bool {
        Url::parse(&format!("http://{name}/")).is_ok_and(|host| {
            host.path() == "/"
                && host.username().is_empty()
                && host.password().is_none()
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
    let refused = gate.refuses(&Addressed::of(&request)).or_else(|| {
        (!is_published)
            .then(|| gate.refuses_page(request.headers()))
            .flatten()
    });
    if let Some((status, reason)) = refused {
        return refusal(status, reason);
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
        status(gate, Version::HTTP_11, None, headers).is_none()
    }

    fn status(
        gate: &Gate,
        version: Version,
        target: Option<&'static str>,
        headers: &[(&'static str, &'static str)],
    ) -> Option<u16> {
        let mut given = HeaderMap::new();
        for (name, value) in headers {
            given.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let target = target.map(Authority::from_static);
        let request = Addressed {
            version,
            target: target.as_ref(),
            headers: &given,
        };
        gate.refuses(&request)
            .or_else(|| gate.refuses_page(&given))
            .map(|(status, _)| status.as_u16())
    }

    #[test]
    fn every_version_of_http_says_who_is_meant_in_its_own_way() {
        let (local, anywhere) = (gate(false, true, None), gate(false, false, None));
        let (good, evil) = (("host", "localhost"), ("host", "evil.example"));
        let (one, oh, two) = (Version::HTTP_11, Version::HTTP_10, Version::HTTP_2);
        for (version, target, headers, at_local, at_anywhere) in [
            (one, None, vec![good], None, None),
            (one, None, vec![evil], Some(403), None),
            (one, None, vec![], Some(400), Some(400)),
            (one, None, vec![good, good], Some(400), Some(400)),
            (one, None, vec![good, evil], Some(400), Some(400)),
            // A whole URL in the first line.
            (one, Some("localhost:1"), vec![good], None, None),
            (one, Some("evil.example"), vec![good], Some(403), None),
            (one, Some("localhost"), vec![evil], Some(403), None),
            (one, Some("localhost"), vec![], Some(400), Some(400)),
            (one, Some("evil@localhost"), vec![good], Some(403), None),
            (oh, None, vec![], Some(400), None),
            (oh, None, vec![good], None, None),
            (oh, None, vec![evil], Some(403), None),
            (oh, Some("evil.example"), vec![], Some(403), None),
            (two, Some("localhost"), vec![], None, None),
            (two, Some("evil.example"), vec![], Some(403), None),
            (two, Some("localhost"), vec![evil], Some(403), None),
            (two, None, vec![good], None, None),
            (two, None, vec![], Some(400), None),
        ] {
            let shown = format!("{version:?} {target:?} {headers:?}");
            assert_eq!(
                status(&local, version, target, &headers),
                at_local,
                "{shown}"
            );
            assert_eq!(
                status(&anywhere, version, target, &headers),
                at_anywhere,
                "{shown}"
            );
        }
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
