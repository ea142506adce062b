//! Who is signed in on the issuer's own pages, and what they are signing in for. A browser is told by
//! its cookie, and a sign-in belongs to the browser that began it: a form sent from another, or by
//! another page, finds nothing.

use crate::digest::Digest;

/// How long somebody may take to sign in, in seconds.
pub(super) const PATIENCE: i64 = 600;

/// How long a browser stays signed in, in seconds.
pub(super) const SIGNED_IN: i64 = 8 * 3_600;

/// A browser that was on one of the pages.
#[derive(Clone)]
pub(super) struct Browser {
    /// Who is signed in there.
    pub(super) user: Option<SignedIn>,
}

/// Who is signed in.
#[derive(Clone)]
pub(super) struct SignedIn {
    pub(super) user_id: String,
    pub(super) session_id: String,
    pub(super) at: i64,
}

/// Where a client gets its answer, and how.
#[derive(Clone)]
pub(super) struct Addressee {
    pub(super) redirect: String,
    pub(super) mode: Mode,
    /// What it wants to have back as it came.
    pub(super) state: Option<String>,
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// In the address (RFC 6749 §4.1.2).
    #[default]
    Query,
    /// As a form that the browser sends (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

/// What a client asked for, until the user has decided.
#[derive(Clone)]
pub(super) struct SignIn {
    pub(super) browser: Digest,
    pub(super) client_id: String,
    /// The name that the client gives itself.
    pub(super) client_name: Option<String>,
    pub(super) addressee: Addressee,
    /// Whether the client named its address itself.
    pub(super) named_redirect: bool,
    pub(super) scopes: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<String>,
    /// Whoever is signed in must do so again.
    pub(super) anew: bool,
    pub(super) expires: i64,
}
