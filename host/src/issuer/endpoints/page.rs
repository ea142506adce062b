//! The pages of a sign-in: plain HTML, without scripts and without anything from elsewhere. What came
//! from a client is text on them, never more.

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

/// The style by its digest, so that nothing else can add to it.
static STYLE_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let digest = Digest::of(&[STYLE.as_bytes()]);
    format!("'sha256-{}'", STANDARD.encode(digest.as_bytes()))
});

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
            r#"<li><button name="user" value="{id}"><strong>{first} {last}</strong><span>{email}</span></button></li>"#,
            id = escaped(user.id),
            first = escaped(user.first_name),
            last = escaped(user.last_name),
            email = escaped(user.email),
        );
    }
    page(
        StatusCode::OK,
        "Sign in",
        &format!(
            r#"<h1>Sign in</h1>
<p>to go on to <strong>{client}</strong></p>
<form method="post" action="/oauth/sign-in">
<input type="hidden" name="request" value="{id}">
<ul class="users">{users}</ul>
</form>
<p class="note">These are test users of the development issuer. No password is needed, and nothing leaves this computer.</p>"#,
            client = escaped(name(sign_in)),
            id = escaped(id),
        ),
        None,
    )
}

/// Asks whether the client may.
pub(super) fn consent(id: &str, sign_in: &SignIn, user_id: &str) -> Response {
    let mut scopes = String::new();
    for scope in &sign_in.scopes {
        let meaning = SCOPES
            .iter()
            .find(|(known, _)| known == scope)
            .map_or("", |(_, meaning)| meaning);
        let _infallible = write!(
            scopes,
            "<li><code>{}</code>{}{meaning}</li>",
            escaped(scope),
            if meaning.is_empty() { "" } else { " – " },
        );
    }
    let mut facts = String::new();
    let mut add = |what: &str, text: &str| {
        let _infallible = write!(facts, "<dt>{what}</dt><dd>{}</dd>", escaped(text));
    };
    add("Answer goes to", &destination(&sign_in.redirect));
    for resource in &sign_in.resources {
        add("For the server", resource);
    }
    add("Client id", &sign_in.client_id);
    let user = User::find(user_id).map_or_else(
        || escaped(user_id),
        |user| escaped(&format!("{} {}", user.first_name, user.last_name)),
    );
    let origin = if is_address(&sign_in.client_id) {
        "The client’s name is what its own document says."
    } else {
        "The client’s name is what it says of itself."
    };
    page(
        StatusCode::OK,
        "Allow access",
        &format!(
            r#"<h1>Allow access?</h1>
<p><strong>{client}</strong> wants to act for you, <strong>{user}</strong>. It could</p>
<ul class="scopes">{scopes}</ul>
<dl>{facts}</dl>
<form method="post" action="/oauth/consent">
<input type="hidden" name="request" value="{id}">
<div class="choice"><button class="main" name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button></div>
<p><button class="link" name="decision" value="switch">Sign in as somebody else</button></p>
</form>
<p class="note">{origin} Allow only what you have just begun yourself.</p>"#,
            client = escaped(name(sign_in)),
            id = escaped(id),
        ),
        Some(&sign_in.redirect),
    )
}

/// What is wrong with a request that cannot be answered elsewhere.
pub(super) fn mistake(text: &str) -> Response {
    page(
        StatusCode::BAD_REQUEST,
        "This does not work",
        &format!(
            "<h1>This does not work</h1>\n<p>{}</p>\n<p class=\"note\">It is for the client to mend; you can close this page.</p>",
            escaped(text)
        ),
        None,
    )
}

/// A sign-in that is not, or not any more, or not in this browser.
pub(super) fn lost() -> Response {
    page(
        StatusCode::BAD_REQUEST,
        "Start again",
        "<h1>Start again</h1>\n<p>This sign-in is over, or was begun in another browser. Begin again in the program that sent you here.</p>",
        None,
    )
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

/// `redirect` is where the form's answer may lead, besides this issuer.
fn page(status: StatusCode, title: &str, content: &str, redirect: Option<&str>) -> Response {
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
{content}
</main>
<footer>Cloister · development issuer</footer>
</body>
</html>
"#
    );
    let target = redirect
        .and_then(|redirect| Url::parse(redirect).ok())
        .map(|url| match url.scheme() {
            "http" | "https" => format!(" {}", url.origin().ascii_serialization()),
            scheme => format!(" {scheme}:"),
        })
        .unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src {}; form-action 'self'{target}; base-uri 'none'; frame-ancestors 'none'",
        *STYLE_SOURCE
    );
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
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
    let policy = HeaderValue::from_str(&policy)
        .unwrap_or_else(|_odd| HeaderValue::from_static("default-src 'none'"));
    with(response, header::CONTENT_SECURITY_POLICY, policy)
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
