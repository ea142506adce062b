//! The pages of a sign-in: plain HTML, without anything from elsewhere, and without scripts but for the one
//! line that sends a form on. What came from a client is text on them, never more.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::super::browsers::SignIn;
use super::super::documents::is_address;
use super::super::reply::with;
use super::super::users::User;
use crate::digest::Digest;

const STYLE: &str = include_str!("page.css");

/// Three arches.
const MARK: &str = r#"<svg class="mark" viewBox="0 0 36 36" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" aria-hidden="true"><path d="M3 32V15a5 5 0 0 1 10 0v17M13 32V13a5 5 0 0 1 10 0v19M23 32V15a5 5 0 0 1 10 0v17M2 32h32"/></svg>"#;

/// Sends the form on a page as soon as it is there. Without it, there is a button.
const SENDING: &str = "document.forms[0].submit()";

/// The style and the script by their digests, so that nothing else can be added (CSP Level 3 §8.2).
static STYLE_SOURCE: LazyLock<String> = LazyLock::new(|| source(STYLE));
static SENDING_SOURCE: LazyLock<String> = LazyLock::new(|| source(SENDING));

fn source(text: &str) -> String {
    let digest = Digest::of(&[text.as_bytes()]);
    format!("'sha256-{}'", STANDARD.encode(digest.as_bytes()))
}

/// What the scopes are that `OpenID` Connect and Clerk know.
const SCOPES: [(&str, &str); 6] = [
    ("openid", "know who you are"),
    ("profile", "read your name and picture"),
    ("email", "read your e-mail address"),
    ("offline_access", "stay signed in while you are away"),
    ("public_metadata", "read what is kept about you publicly"),
    ("private_metadata", "read what is kept about you privately"),
];

/// Asks who it is.
pub(super) fn who(id: &str, sign_in: &SignIn) -> Response {
    let mut users = String::new();
    for user in User::ALL {
        // Writing to a string cannot fail.
        let _infallible = write!(
            users,
            r#"<li><button name="user" value="{id}">{person}</button></li>"#,
            id = escaped(user.id),
            person = person(user),
        );
    }
    Page {
        title: "Sign in",
        content: &format!(
            r#"<h1>Sign in</h1>
<p class="lead">to go on to <strong>{client}</strong></p>
<form method="post" action="/oauth/sign-in">
<input type="hidden" name="request" value="{id}">
<ul class="users">{users}</ul>
</form>
<p class="note">These are test users of the development issuer. No password is needed, and nothing leaves this computer.</p>"#,
            client = escaped(name(sign_in)),
            id = escaped(id),
        ),
        ..Page::default()
    }
    .response()
}

/// Asks whether the client may.
pub(super) fn consent(id: &str, sign_in: &SignIn, user_id: &str) -> Response {
    let mut scopes = String::new();
    for scope in &sign_in.scopes {
        let meaning = SCOPES
            .iter()
            .find(|(known, _)| known == scope)
            .map_or("do what the server calls", |(_, meaning)| meaning);
        let _infallible = write!(
            scopes,
            "<li><span>{meaning}</span> <code>{}</code></li>",
            escaped(scope),
        );
    }
    let mut facts = String::new();
    let mut add = |what: &str, text: &str| {
        let _infallible = write!(facts, "<dt>{what}</dt><dd>{}</dd>", escaped(text));
    };
    add(
        "The answer goes to",
        &destination(&sign_in.addressee.redirect),
    );
    for resource in &sign_in.resources {
        add("For the server", resource);
    }
    let _infallible = write!(
        facts,
        "<dt>Client id</dt><dd><code>{}</code></dd>",
        escaped(&sign_in.client_id)
    );
    let user = User::find(user_id).map_or_else(|| escaped(user_id), person);
    let origin = if is_address(&sign_in.client_id) {
        "The client’s name is what its own document says."
    } else {
        "The client’s name is what it says of itself."
    };
    Page {
        title: "Allow access",
        content: &format!(
            r#"<h1>Allow access?</h1>
<p class="lead"><strong>{client}</strong> wants to act for you. If you allow it, it can</p>
<ul class="scopes">{scopes}</ul>
<dl>{facts}</dl>
<form method="post" action="/oauth/consent">
<input type="hidden" name="request" value="{id}">
<div class="choice"><button class="main" name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button></div>
<div class="signed-in">{user}
<button class="link" name="decision" value="switch">Somebody else?</button></div>
</form>
<p class="note">{origin} Allow only what you have just begun yourself.</p>"#,
            client = escaped(name(sign_in)),
            id = escaped(id),
        ),
        leads_to: Some(&sign_in.addressee.redirect),
        ..Page::default()
    }
    .response()
}

/// A user, as one is recognised.
fn person(user: User) -> String {
    let initial = |name: &str| name.chars().next().map(String::from).unwrap_or_default();
    format!(
        r#"<span class="face" aria-hidden="true">{initials}</span><span class="person"><strong>{first} {last}</strong><span>{email}</span></span>"#,
        initials = escaped(&(initial(user.first_name) + &initial(user.last_name))),
        first = escaped(user.first_name),
        last = escaped(user.last_name),
        email = escaped(user.email),
    )
}

/// Sends the answer to the client as a form (OAuth 2.0 Form Post Response Mode §2).
pub(super) fn posting<'a>(
    redirect: &str,
    answer: impl Iterator<Item = (&'a str, &'a str)>,
) -> Response {
    let mut fields = String::new();
    for (name, value) in answer {
        let _infallible = write!(
            fields,
            r#"<input type="hidden" name="{}" value="{}">"#,
            escaped(name),
            escaped(value),
        );
    }
    Page {
        title: "Back to the client",
        content: &format!(
            r#"<h1>Back to the client</h1>
<p class="lead">Your browser takes the answer to <strong>{to}</strong>.</p>
<form method="post" action="{redirect}">
{fields}
<button class="main">Go on</button>
</form>
<script>{SENDING}</script>"#,
            to = escaped(&destination(redirect)),
            redirect = escaped(redirect),
        ),
        leads_to: Some(redirect),
        sends: true,
        ..Page::default()
    }
    .response()
}

/// What is wrong with a request that cannot be answered elsewhere.
pub(super) fn mistake(text: &str) -> Response {
    Page {
        status: StatusCode::BAD_REQUEST,
        title: "This does not work",
        content: &format!(
            "<h1>This does not work</h1>\n<p class=\"lead problem\">{}</p>\n<p class=\"note\">It is for the client to mend; you can close this page.</p>",
            escaped(text)
        ),
        ..Page::default()
    }
    .response()
}

/// A sign-in that is not, or not any more, or not in this browser.
pub(super) fn lost() -> Response {
    Page {
        status: StatusCode::BAD_REQUEST,
        title: "Start again",
        content: "<h1>Start again</h1>\n<p class=\"lead\">This sign-in is over, or was begun in another browser. Begin again in the program that sent you here.</p>",
        ..Page::default()
    }
    .response()
}

/// The name of a client: what it says, or its id.
fn name(sign_in: &SignIn) -> &str {
    sign_in.client_name.as_deref().unwrap_or(&sign_in.client_id)
}

/// Where an answer goes, as a person reads it: the host, or the scheme of a program.
fn destination(redirect: &str) -> String {
    let Ok(url) = Url::parse(redirect) else {
        return redirect.to_owned();
    };
    match (url.scheme(), url.host_str(), url.port()) {
        ("http" | "https", Some(host), Some(port)) => format!("{host}:{port}"),
        ("http" | "https", Some(host), None) => host.to_owned(),
        (scheme, _, _) => format!("the program for {scheme}:"),
    }
}

/// A page, and what its forms may do.
#[derive(Default)]
struct Page<'a> {
    status: StatusCode,
    title: &'a str,
    content: &'a str,
    /// Where forms may lead besides this issuer.
    leads_to: Option<&'a str>,
    /// Whether its form is sent on by itself, and to nobody but there.
    sends: bool,
}

impl Page<'_> {
    fn response(&self) -> Response {
        let Self { title, content, .. } = self;
        let html = format!(
            r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – Cloister development issuer</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{MARK}
{content}
</main>
<footer>Cloister · development issuer</footer>
</body>
</html>
"#
        );
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = self.status;
        let fixed: [(HeaderName, &'static str); 5] = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            // With `no-referrer` a browser would not say which page sends its own form.
            (header::REFERRER_POLICY, "same-origin"),
        ];
        for (name, value) in fixed {
            response = with(response, name, HeaderValue::from_static(value));
        }
        // Scheme, host and port of an address are ASCII; were they not, nothing at all would be allowed.
        let policy = HeaderValue::from_str(&self.policy())
            .unwrap_or_else(|_odd| HeaderValue::from_static("default-src 'none'"));
        with(response, header::CONTENT_SECURITY_POLICY, policy)
    }

    fn policy(&self) -> String {
        let target = self
            .leads_to
            .and_then(|redirect| Url::parse(redirect).ok())
            .map(|url| match url.scheme() {
                "http" | "https" => url.origin().ascii_serialization(),
                scheme => format!("{scheme}:"),
            })
            .unwrap_or_default();
        let (script, own) = if self.sends {
            (format!(" script-src {};", *SENDING_SOURCE), "")
        } else {
            (String::new(), "'self' ")
        };
        let targets = format!("{own}{target}");
        format!(
            "default-src 'none'; style-src {};{script} form-action {}; base-uri 'none'; frame-ancestors 'none'",
            *STYLE_SOURCE,
            targets.trim_end(),
        )
    }
}

/// As text in HTML, also in an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
