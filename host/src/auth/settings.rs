//! What the operator says about the issuer, and the grammar of the three settings that name it.
//! It does not know where settings come from: `config` calls it and adds the place.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;

/// The clock difference that is forgiven unless told otherwise: Clerk's own.
pub const DEFAULT_SKEW: Duration = Duration::from_secs(5);

/// The most clock difference that can be asked for. Session tokens live for 60 s; more than that
/// would make their expiry meaningless.
pub const MAX_SKEW: Duration = Duration::from_mins(1);

/// Where Clerk's Backend API is.
pub const CLERK_API: &str = "https://api.clerk.com";

/// The longest publishable key: a host name has at most 253 bytes, which base64 makes 344.
const MAX_KEY_BYTES: usize = 512;

/// The auth part of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the identity provider, as `getAuthInfo` tells it.
    pub provider: String,
    /// The issuer's URL, as [`check_issuer`] accepts it: `iss` of every token must equal it.
    pub issuer: String,
    /// The accepted values of `azp`, origins; when empty `azp` is not looked at.
    pub authorized_parties: Vec<String>,
    /// The address of this server, which tokens name as their audience.
    pub resource: Option<Resource>,
    /// The client ids whose id tokens are accepted; when empty none are.
    pub id_token_audiences: Vec<String>,
    /// The OAuth client for the refresh grant.
    pub client: Option<OAuthClient>,
    /// Where the Backend API is, a URL as [`check_issuer`] accepts it.
    pub api: String,
    /// The key of the Backend API. Verifying tokens with content does not need it.
    pub secret_key: Option<SecretString>,
    /// The tokens without content that are accepted, which takes the secret key.
    pub opaque: OpaqueTokens,
    /// How far the issuer's clock and ours may be apart, at most [`MAX_SKEW`], in whole seconds.
    pub skew: Duration,
}

impl Settings {
    /// The settings of a host that only verifies tokens of this issuer.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            provider: "clerk".to_owned(),
            issuer: issuer.into(),
            authorized_parties: Vec::new(),
            resource: None,
            id_token_audiences: Vec::new(),
            client: None,
            api: CLERK_API.to_owned(),
            secret_key: None,
            opaque: OpaqueTokens::default(),
            skew: DEFAULT_SKEW,
        }
    }
}

/// The address of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The one that callers type: an OAuth token must name it.
    Public(String),
    /// The one on this computer, where there is no other: a token may name it.
    Local(String),
}

impl Resource {
    /// The address.
    pub fn url(&self) -> &str {
        match self {
            Self::Public(url) | Self::Local(url) => url,
        }
    }
}

/// The tokens without content that are accepted. What they mean only the issuer can tell, so each is
/// asked about through the Backend API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpaqueTokens {
    /// OAuth access tokens, `oat_…`.
    pub oauth: bool,
    /// API keys, `ak_…`.
    pub api_keys: bool,
}

/// An OAuth client registered with the issuer.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// The client id.
    pub id: String,
    /// The client secret; a public client has none.
    pub secret: Option<SecretString>,
}

/// What is wrong with a setting. The texts name neither the setting nor its value: the caller
/// knows the one, and the other may be a secret in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A publishable key without its prefix.
    #[error("a publishable key begins with `pk_test_` or `pk_live_`")]
    Prefix,
    /// A secret key where a publishable key belongs.
    #[error("this is a secret key; the publishable key begins with `pk_test_` or `pk_live_`")]
    SecretKey,
    /// A publishable key whose rest does not decode.
    #[error("the part after the prefix is not base64 of a host name and `$`: copy the key again")]
    KeyBody,
    /// A host that is no domain name.
    #[error(
        "the host must be a domain name in lower case with a dot in it, such as \
         `clerk.example.com`, with an optional port"
    )]
    Host,
    /// A domain with a scheme before it.
    #[error("only the domain belongs here, without `https://`; `CLERK_ISSUER` takes a full URL")]
    DomainWithScheme,
    /// An issuer without a scheme.
    #[error("the issuer must be a full URL that begins with `https://`")]
    Scheme,
    /// An issuer on plain http elsewhere.
    #[error(
        "plain `http` is for loopback addresses only, such as `http://127.0.0.1:3001`; use `https`"
    )]
    PlainHttp,
    /// An issuer with a slash at its end.
    #[error("the issuer must not end with a slash: tokens carry it without one")]
    TrailingSlash,
    /// An issuer with more than scheme, host and port.
    #[error(
        "the issuer has no path, query, fragment or user: it is scheme, host and optional port"
    )]
    Extra,
    /// A secret key that no header can carry, or none where one is needed.
    #[error(
        "a secret key begins with `sk_` and has only visible characters; opaque tokens need one"
    )]
    BackendKey,
    /// A skew out of range.
    #[error("the clock skew must be whole seconds and at most 60 s")]
    Skew,
}

/// The issuer that a publishable key stands for: `pk_test_` or `pk_live_`, then base64 of the
/// host and `$`.
pub fn issuer_from_publishable_key(key: &str) -> Result<String, Mistake> {
    if key.starts_with("sk_") {
        return Err(Mistake::SecretKey);
    }
    let body = key
        .strip_prefix("pk_test_")
        .or_else(|| key.strip_prefix("pk_live_"))
        .ok_or(Mistake::Prefix)?;
    let decoded = decode_key_body(body).ok_or(Mistake::KeyBody)?;
    let host = decoded.strip_suffix('$').ok_or(Mistake::KeyBody)?;
    check_domain(host)?;
    Ok(format!("https://{host}"))
}

/// The issuer of a Frontend API domain, such as `clerk.example.com`.
pub fn issuer_from_frontend_api(domain: &str) -> Result<String, Mistake> {
    if domain.contains("://") {
        return Err(Mistake::DomainWithScheme);
    }
    check_domain(domain)?;
    Ok(format!("https://{domain}"))
}

/// Checks an issuer's full URL and gives it back unchanged: it is compared with `iss` byte for
/// byte, so nothing is tidied up silently.
pub fn check_issuer(issuer: &str) -> Result<String, Mistake> {
    let (scheme, rest) = issuer.split_once("://").ok_or(Mistake::Scheme)?;
    if rest.find('/').is_some_and(|slash| slash + 1 == rest.len()) {
        return Err(Mistake::TrailingSlash);
    }
    if rest.contains(['/', '?', '#', '@', '\\']) {
        return Err(Mistake::Extra);
    }
    match scheme {
        "https" | "http" if is_loopback(rest) => {}
        "https" => check_domain(rest)?,
        "http" => return Err(Mistake::PlainHttp),
        _ => return Err(Mistake::Scheme),
    }
    Ok(issuer.to_owned())
}

/// Decodes base64 of either alphabet, padded or not, canonical, of ASCII text.
fn decode_key_body(body: &str) -> Option<String> {
    if body.len() > MAX_KEY_BYTES {
        return None;
    }
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if body.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    let bytes = GeneralPurpose::new(alphabet, config).decode(body).ok()?;
    String::from_utf8(bytes).ok().filter(|text| text.is_ascii())
}

/// A domain name of at least two labels, with an optional port. Addresses and loopback names are
/// none: who wants to be asked for keys at `169.254.169.254`?
fn check_domain(host: &str) -> Result<(), Mistake> {
    let (name, port) = split_port(host).ok_or(Mistake::Host)?;
    let labels: Vec<&str> = name.split('.').collect();
    let top = labels.last().copied().unwrap_or_default();
    let is_domain = name.len() <= 253
        && labels.len() >= 2
        && labels.iter().all(|label| is_label(label))
        // A numeric last label makes it an address (WHATWG URL, host parsing).
        && !top.bytes().all(|byte| byte.is_ascii_digit())
        && !top.starts_with("0x")
        && top != "localhost";
    if is_domain && port.is_none_or(is_port) {
        Ok(())
    } else {
        Err(Mistake::Host)
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_port(port: &str) -> bool {
    !port.starts_with('0')
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok()
}

/// A loopback address as URLs write it, or `localhost` (RFC 6761 §6.3), with an optional port.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let is_loopback = address.parse() == Ok(Ipv6Addr::LOCALHOST);
            let port = if rest.is_empty() {
                None
            } else {
                rest.strip_prefix(':').or(Some(""))
            };
            return is_loopback && port.is_none_or(is_port);
        }
        None => match split_port(host) {
            Some(split) => split,
            None => return false,
        },
    };
    let is_loopback = name == "localhost"
        || name
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback());
    is_loopback && port.is_none_or(is_port)
}

/// Host and port; none when there is more than one colon.
fn split_port(host: &str) -> Option<(&str, Option<&str>)> {
    match host.split_once(':') {
        None => Some((host, None)),
        Some((_, port)) if port.contains(':') => None,
        Some((name, port)) => Some((name, Some(port))),
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    use super::*;

    fn of_key(content: &str) -> Result<String, Mistake> {
        issuer_from_publishable_key(&format!("pk_test_{}", STANDARD.encode(content)))
    }

    #[test]
    fn a_publishable_key_names_the_issuer() {
        let issuer = "https://verb-noun-42.clerk.accounts.dev";
        let content = "verb-noun-42.clerk.accounts.dev$";
        assert_eq!(of_key(content).as_deref(), Ok(issuer));
        let unpadded = format!("pk_test_{}", STANDARD_NO_PAD.encode(content));
        assert_eq!(
            issuer_from_publishable_key(&unpadded).as_deref(),
            Ok(issuer)
        );
        let live = format!("pk_live_{}", STANDARD.encode("clerk.example.com$"));
        assert_eq!(
            issuer_from_publishable_key(&live).as_deref(),
            Ok("https://clerk.example.com")
        );
        assert_eq!(
            of_key("clerk.example.com:8443$").as_deref(),
            Ok("https://clerk.example.com:8443")
        );
    }

    #[test]
    fn a_key_with_another_prefix_or_no_base64_is_refused() {
        let body = STANDARD.encode("clerk.example.com$");
        for (key, mistake) in [
            (format!("PK_TEST_{body}"), Mistake::Prefix),
            (format!(" pk_test_{body}"), Mistake::Prefix),
            (format!("sk_test_{body}"), Mistake::SecretKey),
            (body.clone(), Mistake::Prefix),
            (format!("pk_test_{body} "), Mistake::KeyBody),
            ("pk_test_".to_owned(), Mistake::KeyBody),
            ("pk_test_!!!!".to_owned(), Mistake::KeyBody),
            // `YSQ` is `a$`; here a bit that stands for nothing is set.
            ("pk_test_YSR".to_owned(), Mistake::KeyBody),
            (format!("pk_test_{}", "A".repeat(1000)), Mistake::KeyBody),
        ] {
            assert_eq!(issuer_from_publishable_key(&key), Err(mistake), "{key}");
        }
    }

    #[test]
    fn a_key_must_hold_one_domain_name() {
        for content in [
            "clerk.example.com",
            "clerk.example.com$$",
            "clerk$.example.com$",
            "localhost$",
            "$",
            "127.0.0.1:8080$",
            "evil.example/x?y#z$",
            "clerk.example.com@evil.example$",
            "https://evil.example$",
            "a .b$",
            "a.b\r\nx$",
            "169.254.169.254$",
            "1.0x7f$",
            "bücher.example$",
            "Clerk.example.com$",
            "-a.example$",
            "a-.example$",
            "a..example$",
            "a.example.$",
            "app.localhost$",
            "a.example:0$",
            "a.example:65536$",
            "a.example:+1$",
            "a.example:$",
            "[::1]$",
        ] {
            assert!(of_key(content).is_err(), "{content}");
        }
        let long = format!("{}.example$", "a".repeat(64));
        assert_eq!(of_key(&long), Err(Mistake::Host));
    }

    #[test]
    fn a_frontend_api_is_a_domain() {
        assert_eq!(
            issuer_from_frontend_api("clerk.example.com").as_deref(),
            Ok("https://clerk.example.com")
        );
        assert_eq!(
            issuer_from_frontend_api("https://clerk.example.com"),
            Err(Mistake::DomainWithScheme)
        );
        for domain in ["", "localhost", "127.0.0.1", "clerk.example.com/", "a.b?c"] {
            assert_eq!(
                issuer_from_frontend_api(domain),
                Err(Mistake::Host),
                "{domain}"
            );
        }
    }

    #[test]
    fn an_issuer_is_scheme_host_and_port() {
        for issuer in [
            "https://clerk.example.com",
            "https://clerk.example.com:8443",
            "http://127.0.0.1:3001",
            "http://127.8.8.8",
            "http://[::1]:3001",
            "http://localhost:3001",
            "https://localhost:3001",
        ] {
            assert_eq!(check_issuer(issuer).as_deref(), Ok(issuer));
        }
        for (issuer, mistake) in [
            ("", Mistake::Scheme),
            ("clerk.example.com", Mistake::Scheme),
            ("ftp://clerk.example.com", Mistake::Scheme),
            ("HTTPS://clerk.example.com", Mistake::Scheme),
            ("https://clerk.example.com/", Mistake::TrailingSlash),
            ("http://127.0.0.1:3001/", Mistake::TrailingSlash),
            ("https://clerk.example.com/v1", Mistake::Extra),
            ("https://clerk.example.com?x", Mistake::Extra),
            ("https://clerk.example.com#x", Mistake::Extra),
            ("https://user@clerk.example.com", Mistake::Extra),
            ("https://clerk.example.com\\x", Mistake::Extra),
            ("https://Clerk.example.com", Mistake::Host),
            ("https://10.0.0.1", Mistake::Host),
            ("https://", Mistake::Host),
            ("http://clerk.example.com", Mistake::PlainHttp),
            ("http://10.0.0.1", Mistake::PlainHttp),
            ("http://127.0.0.1.evil.example", Mistake::PlainHttp),
            ("http://localhost.evil.example", Mistake::PlainHttp),
            ("http://[::1].evil.example", Mistake::PlainHttp),
            ("http://127.1", Mistake::PlainHttp),
            ("http://127.0.0.1:", Mistake::PlainHttp),
        ] {
            assert_eq!(check_issuer(issuer), Err(mistake), "{issuer}");
        }
    }
}
