//! A server that services reach out to.

use axum::Router;
use axum::http::Uri;
use tokio::net::TcpListener;

/// A server on a loopback address, which answers each request with its path.
pub(crate) struct Elsewhere(u16);

impl Elsewhere {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let paths = Router::new().fallback(|uri: Uri| async move { uri.path().to_owned() });
        tokio::spawn(async move { axum::serve(listener, paths).await });
        Self(port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0
    }
}
