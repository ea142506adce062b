//! Requests to the issuer: one client, no redirects, no proxy, no repetition, bounded in time and
//! size. It does not know what is asked for.

use std::time::Duration;

use bytes::Bytes;
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Response, retry};
use secrecy::zeroize::Zeroizing;

/// The longest key set or answer of the token endpoint that is read, in bytes. Real ones have some
/// kilobytes.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What an answer's body is read into at first, in bytes: most are not longer.
const FIRST_BYTES: usize = 4 * 1024;

/// How long the issuer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until a connection stands.
    pub(super) connect: Duration,
    /// For the whole exchange, the body included. Callers may be waiting for it.
    pub(super) total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            total: Duration::from_secs(5),
        }
    }
}

/// The client for one issuer. Plain http is spoken only to an issuer that is named so, which
/// settings allow on loopback addresses only; then no certificates are read either, so that the
/// development issuer works on computers that have none.
pub(super) fn client(issuer: &str, patience: Patience) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .retry(retry::never())
        .referer(false)
        .connect_timeout(patience.connect)
        .timeout(patience.total)
        .user_agent(concat!("cloister/", env!("CARGO_PKG_VERSION")));
    if issuer.starts_with("http://") {
        builder.tls_certs_only([]).build()
    } else {
        builder.https_only(true).build()
    }
}

/// A request's body with a secret in it, which is wiped when it has been sent. What the connection
/// copies on its way is beyond reach.
pub(super) fn secret_body(body: Zeroizing<Vec<u8>>) -> Body {
    struct Wiped(Zeroizing<Vec<u8>>);
    impl AsRef<[u8]> for Wiped {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Body::from(Bytes::from_owner(Wiped(body)))
}

/// Reads an answer's body, which may hold secrets. The length that the answer claims for itself is not
/// trusted.
pub(super) async fn read_body(
    mut response: Response,
    most: usize,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let mut body = Zeroizing::new(Vec::with_capacity(FIRST_BYTES.min(most)));
    while let Some(chunk) = response.chunk().await.map_err(Unreadable::Broken)? {
        let length = body.len().saturating_add(chunk.len());
        if length > most {
            return Err(Unreadable::TooLong(most));
        }
        if length > body.capacity() {
            // A vector that grows by itself leaves what it held where it was.
            let capacity = length.max(body.capacity().saturating_mul(2)).min(most);
            let mut longer = Zeroizing::new(Vec::with_capacity(capacity));
            longer.extend_from_slice(&body);
            body = longer;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the answer broke off: {0}")]
    Broken(reqwest::Error),
}
