//! The OAuth clients: two that are always there, those that registered themselves (RFC 7591), and
//! those whose id is the address of a document that describes them.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::Deserialize;
use url::{Host, Url};

use super::bounded::Bounded;
use super::records::digest;
use crate::auth::OAuthClient;
use crate::digest::Digest;

/// The most clients that are registered at a time.
const MOST_REGISTERED: usize = 256;

/// The most documents that are kept.
const MOST_DOCUMENTS: usize = 64;

/// How long a document is believed, in seconds.
const DOCUMENT_LIFETIME: i64 = 300;

/// The most redirect addresses of a client, and the most bytes of one, and of another address.
const MOST_REDIRECTS: usize = 16;
const MAX_URL_BYTES: usize = 2_048;

/// The most characters of a client's name: it has to fit on a page.
const MAX_NAME: usize = 100;

/// Where the clients that are always there get their answers: on this computer, on any port.
const LOCAL_REDIRECTS: [&str; 3] = [
    "http://127.0.0.1/callback",
    "http://localhost/callback",
    "http://[::1]/callback",
];

/// Schemes that a browser would act on by itself.
const ACTIVE_SCHEMES: [&str; 8] = [
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "javascript",
    "vbscript",
    "view-source",
];

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// Of the secret; a public client has none.
    pub(super) secret: Option<Digest>,
    pub(super) redirects: Vec<String>,
}

impl Client {
    /// Where this client's answer goes: to the address that it names, which must be one of its own,
    /// or to the only one that it has.
    pub(super) fn redirect(&self, named: Option<&str>) -> Option<String> {
        match (named, &*self.redirects) {
            (Some(named), own) => own
                .iter()
                .any(|own| is_same_redirect(own, named))
                .then(|| named.to_owned()),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        }
    }

    /// Whether it shows what it has to: its secret, or none where it has none.
    pub(super) fn is_shown_by(&self, secret: Option<&str>) -> bool {
        match (&self.secret, secret) {
            (None, None) => true,
            // HTTP Basic has no way to leave the secret out, only to leave it empty.
            (None, Some(shown)) => shown.is_empty(),
            (Some(secret), Some(shown)) => {
                verify_slices_are_equal(secret.as_bytes(), digest(shown).as_bytes()).is_ok()
            }
            (Some(_), None) => false,
        }
    }
}

/// All clients that are known without asking anybody.
pub(super) struct Clients {
    always: Vec<Arc<Client>>,
    registered: Bounded<String, Arc<Client>>,
    documents: Bounded<String, (i64, Arc<Client>)>,
}

impl Clients {
    pub(super) fn new(always: &[(&OAuthClient, &str, Option<Digest>)]) -> Self {
        let always = always.iter().map(|(client, name, secret)| {
            Arc::new(Client {
                id: client.id.clone(),
                name: Some((*name).to_owned()),
                secret: *secret,
                redirects: LOCAL_REDIRECTS.map(str::to_owned).to_vec(),
            })
        });
        Self {
            always: always.collect(),
            registered: Bounded::new(MOST_REGISTERED),
            documents: Bounded::new(MOST_DOCUMENTS),
        }
    }

    pub(super) fn find(&self, id: &str, now: i64) -> Option<Arc<Client>> {
        let always = self.always.iter().find(|client| client.id == id);
        always
            .or_else(|| self.registered.get(id))
            .or_else(|| {
                let (until, client) = self.documents.get(id)?;
                (now < *until).then_some(client)
            })
            .map(Arc::clone)
    }

    pub(super) fn register(&mut self, client: Client) {
        self.registered.insert(client.id.clone(), Arc::new(client));
    }

    /// Keeps what a document says, for a while.
    pub(super) fn keep_document(&mut self, client: Arc<Client>, now: i64) {
        let until = now.saturating_add(DOCUMENT_LIFETIME);
        self.documents.insert(client.id.clone(), (until, client));
    }
}

/// What a client says of itself (RFC 7591 §2). Members that are not here are left unread, as that
/// says.
#[derive(Deserialize)]
pub(super) struct ClientMetadata {
    /// Only a document has it.
    pub(super) client_id: Option<String>,
    pub(super) redirect_uris: Vec<String>,
    pub(super) token_endpoint_auth_method: Option<String>,
    pub(super) grant_types: Option<Vec<String>>,
    pub(super) response_types: Option<Vec<String>>,
    pub(super) client_name: Option<String>,
    pub(super) client_uri: Option<String>,
    pub(super) logo_uri: Option<String>,
    pub(super) scope: Option<String>,
}

/// What is wrong with that, as RFC 7591 §3.2.2 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) code: &'static str,
    pub(super) description: &'static str,
}

impl ClientMetadata {
    pub(super) fn check(&self) -> Result<(), Mistake> {
        let wrong = |description| Mistake {
            code: "invalid_client_metadata",
            description,
        };
        if !(1..=MOST_REDIRECTS).contains(&self.redirect_uris.len()) {
            return Err(Mistake {
                code: "invalid_redirect_uri",
                description: "`redirect_uris` must have 1 to 16 addresses",
            });
        }
        if !self.redirect_uris.iter().all(|uri| is_redirect(uri)) {
            return Err(Mistake {
                code: "invalid_redirect_uri",
                description: "each of `redirect_uris` must be `https`, `http` on a loopback address, or of a program's own scheme, without a fragment, of at most 2048 bytes",
            });
        }
        let only = |given: &Option<Vec<String>>, known: &[&str]| {
            given
                .iter()
                .flatten()
                .all(|given| known.contains(&given.as_str()))
        };
        if !only(&self.grant_types, &["authorization_code", "refresh_token"]) {
            return Err(wrong(
                "`grant_types` may have `authorization_code` and `refresh_token`",
            ));
        }
        if !only(&self.response_types, &["code"]) {
            return Err(wrong("`response_types` may have `code`"));
        }
        if !matches!(
            self.token_endpoint_auth_method.as_deref(),
            None | Some("none" | "client_secret_basic" | "client_secret_post")
        ) {
            return Err(wrong(
                "`token_endpoint_auth_method` must be `none`, `client_secret_basic` or `client_secret_post`",
            ));
        }
        let is_name = |name: &String| {
            (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(is_unprintable)
        };
        if !self.client_name.as_ref().is_none_or(is_name) {
            return Err(wrong(
                "`client_name` must have 1 to 100 characters and no control characters",
            ));
        }
        let is_web = |uri: &String| {
            uri.len() <= MAX_URL_BYTES
                && Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        if ![&self.client_uri, &self.logo_uri]
            .into_iter()
            .all(|uri| uri.as_ref().is_none_or(is_web))
        {
            return Err(wrong(
                "`client_uri` and `logo_uri` must be web addresses of at most 2048 bytes",
            ));
        }
        if self.scope.as_ref().is_some_and(|scope| scope.len() > 4_096) {
            return Err(wrong("`scope` must have at most 4096 bytes"));
        }
        Ok(())
    }
}

/// Characters that would be something else on a page than what is read: controls, and those that turn
/// the direction of writing.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether an address may be registered to send answers to.
fn is_redirect(uri: &str) -> bool {
    if uri.len() > MAX_URL_BYTES || uri.contains('#') || uri.chars().any(is_unprintable) {
        return false;
    }
    let Ok(url) = Url::parse(uri) else {
        return false;
    };
    if !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        // Those of browsers and of the network have hosts; a program's own has what it likes.
        "ftp" | "ws" | "wss" => false,
        own => !ACTIVE_SCHEMES.contains(&own),
    }
}

/// Whether a request may name this address: byte for byte, but for the port of a program on this
/// computer, which takes whichever is free (RFC 8252 §7.3).
fn is_same_redirect(own: &str, named: &str) -> bool {
    if own == named {
        return true;
    }
    if !is_redirect(named) {
        return false;
    }
    let (Ok(mut own), Ok(mut named)) = (Url::parse(own), Url::parse(named)) else {
        return false;
    };
    [&own, &named]
        .into_iter()
        .all(|url| url.scheme() == "http" && is_loopback(url))
        && [&mut own, &mut named]
            .into_iter()
            .all(|url| url.set_port(None).is_ok())
        && own == named
}

/// Whether an address is of this computer.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_to_an_address_of_the_client() {
        for (own, named, is_same) in [
            ("https://a.test/cb", "https://a.test/cb", true),
            ("https://a.test/cb", "https://a.test/cb/", false),
            ("https://a.test/cb", "https://a.test/cb?x=1", false),
            ("https://a.test/cb", "https://a.test:8443/cb", false),
            ("https://a.test/cb", "https://A.test/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:4711/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", true),
            ("http://localhost/cb", "http://127.0.0.1/cb", false),
            ("http://[::1]/cb", "http://[::1]:8/cb", true),
            ("http://localhost/cb", "http://localhost:8/cb?x", false),
            (
                "http://localhost/cb",
                "http://localhost.evil.test/cb",
                false,
            ),
            (
                "http://localhost/cb",
                "http://localhost:8@evil.test/cb",
                false,
            ),
            ("http://localhost/cb", "http://x@localhost:8/cb", false),
            ("http://localhost/cb", "http://localhost:8/cb#x", false),
            ("cursor://sign-in/cb", "cursor://sign-in/cb", true),
            ("cursor://sign-in/cb", "cursor://sign-in/cb2", false),
        ] {
            assert_eq!(is_same_redirect(own, named), is_same, "{own} {named}");
        }
    }

    #[test]
    fn an_address_that_a_browser_would_act_on_is_not_registered() {
        for (uri, is_good) in [
            ("https://a.test/cb", true),
            ("http://localhost:3000/cb", true),
            ("http://127.9.9.9/cb", true),
            ("com.example.app:/cb", true),
            ("http://a.test/cb", false),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("file:///etc/passwd", false),
            ("https://user@a.test/cb", false),
            ("https://a.test/cb#x", false),
            ("https://a.test/\u{202e}cb", false),
            ("/cb", false),
            ("", false),
        ] {
            assert_eq!(is_redirect(uri), is_good, "{uri}");
        }
        assert!(!is_redirect(&format!(
            "https://a.test/{}",
            "x".repeat(2_048)
        )));
    }
}
