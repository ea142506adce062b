//! The pages of a sign-in: who it is, and whether the client may. A form counts in the browser that began
//! the sign-in, and sent from one of our own pages.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;

use super::super::State;
use super::super::browsers::{Browser, SIGNED_IN, SignIn, SignedIn};
use super::super::grants::{CODE_LIFETIME, Code, Grant};
use super::super::records::{Records, digest};
use super::super::reply::with;
use super::super::users::User;
use super::back::{back, redirection};
use super::form::Form;
use super::{is_content_type, page, read_body};
use crate::digest::Digest;

/// `GET /oauth/sign-in`: the page, which asks who it is, and then whether the client may.
pub(super) async fn show(
    Shared(state): Shared<Arc<State>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let form = Form::read(uri.query().unwrap_or_default().as_bytes());
    let Some(found) = form
        .ok()
        .and_then(|form| Found::of(&state, &headers, &form))
    else {
        return page::lost();
    };
    match &found.user {
        Some(user) => page::consent(&found.id, &found.sign_in, &user.user_id),
        None => page::who(&found.id, &found.sign_in),
    }
}

/// `POST /oauth/sign-in`: who it is.
pub(super) async fn sign_in(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let Some((form, found)) = posted(&state, request).await else {
        return page::lost();
    };
    let Some(user) = form.get("user").and_then(User::find) else {
        return page::mistake("this user does not exist here");
    };
    let now = state.now();
    // A new name for the browser, lest somebody gave it the old one (session fixation).
    let cookie = state.ids.next();
    let browser = digest(&cookie);
    let session_id = state.start_session(user.id, None);
    let signed_in = SignedIn {
        user_id: user.id.to_owned(),
        session_id,
        at: now,
    };
    let mut records = state.records();
    records.browsers.remove(&found.sign_in.browser);
    let user = Some(signed_in);
    records.browsers.insert(browser, Browser { user });
    for sign_in in records.sign_ins.values_mut() {
        if sign_in.browser == found.sign_in.browser {
            sign_in.browser = browser;
        }
    }
    if let Some(sign_in) = records.sign_ins.get_mut(&found.id) {
        sign_in.anew = false;
    }
    to_page(&state, &found.id, Some(cookie))
}

/// `POST /oauth/consent`: whether the client may.
pub(super) async fn consent(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let Some((form, found)) = posted(&state, request).await else {
        return page::lost();
    };
    let Some(user) = found.user else {
        return to_page(&state, &found.id, None);
    };
    let sign_in = found.sign_in;
    match form.get("decision") {
        Some("allow") => {
            let code = state.ids.next();
            let record = Code {
                grant: Grant {
                    id: state.ids.next(),
                    client_id: sign_in.client_id,
                    subject: user.user_id,
                    scopes: sign_in.scopes,
                    resources: sign_in.resources,
                    nonce: sign_in.nonce,
                    signed_in: Some((user.at, user.session_id)),
                },
                redirect: sign_in
                    .named_redirect
                    .then(|| sign_in.addressee.redirect.clone()),
                challenge: sign_in.challenge,
                expires: state.now().saturating_add(CODE_LIFETIME),
                used: false,
            };
            let mut records = state.records();
            // Two answers to one question are one answer.
            if records.sign_ins.remove(&found.id).is_none() {
                return page::lost();
            }
            records.codes.insert(digest(&code), record);
            drop(records);
            back(&state, &sign_in.addressee, &[("code", &code)])
        }
        Some("deny") => {
            state.records().sign_ins.remove(&found.id);
            let error = [
                ("error", "access_denied"),
                ("error_description", "the user said no"),
            ];
            back(&state, &sign_in.addressee, &error)
        }
        Some("switch") => {
            if let Some(sign_in) = state.records().sign_ins.get_mut(&found.id) {
                sign_in.anew = true;
            }
            to_page(&state, &found.id, None)
        }
        Some(_) | None => page::mistake("`decision` must be `allow`, `deny` or `switch`"),
    }
}

/// A sign-in that is under way in this browser.
struct Found {
    id: String,
    sign_in: SignIn,
    /// Who is signed in, unless they must do so again.
    user: Option<SignedIn>,
}

impl Found {
    fn of(state: &State, headers: &HeaderMap, form: &Form) -> Option<Self> {
        let id = form.get("request")?;
        let now = state.now();
        let records = state.records();
        let (browser, user) = browser(state, &records, headers, now)?;
        let sign_in = records.sign_ins.get(id)?;
        (sign_in.browser == browser && now < sign_in.expires).then(|| Self {
            id: id.to_owned(),
            sign_in: sign_in.clone(),
            user: user.filter(|_| !sign_in.anew),
        })
    }
}

/// The form of one of our own pages, and the sign-in that it belongs to.
async fn posted(state: &State, request: Request) -> Option<(Form, Found)> {
    let (head, body) = request.into_parts();
    if !is_from_own_page(state, &head.headers)
        || !is_content_type(&head.headers, "application/x-www-form-urlencoded")
    {
        return None;
    }
    let body = read_body(body).await?;
    let form = Form::read(&body).ok()?;
    let found = Found::of(state, &head.headers, &form)?;
    Some((form, found))
}

/// Whether no other page sent this form. What a browser says of where it comes from is believed; a
/// program that says nothing has no cookies that are not its own.
fn is_from_own_page(state: &State, headers: &HeaderMap) -> bool {
    let is_own_origin = headers.get(header::ORIGIN).is_none_or(|origin| {
        ["127.0.0.1", "localhost"]
            .iter()
            .any(|host| origin == format!("http://{host}:{}", state.port).as_str())
    });
    let is_own_site = headers
        .get("sec-fetch-site")
        .is_none_or(|site| site == "same-origin");
    is_own_origin && is_own_site
}

/// The browser that a request comes from, if it was here, and who is signed in there.
pub(super) fn browser(
    state: &State,
    records: &Records,
    headers: &HeaderMap,
    now: i64,
) -> Option<(Digest, Option<SignedIn>)> {
    let name = cookie_name(state);
    let browser = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(given, _)| *given == name)
        .map(|(_, value)| digest(value))
        .find(|browser| records.browsers.get(browser).is_some())?;
    let user = records.browsers.get(&browser)?.user.clone();
    let user = user.filter(|user| {
        now < user.at.saturating_add(SIGNED_IN)
            && records.sessions.active(&user.session_id, now).is_some()
    });
    Some((browser, user))
}

/// Browsers tell hosts apart and not ports, so the port is in the name.
fn cookie_name(state: &State) -> String {
    format!("cloister_issuer_{}", state.port)
}

/// Sends the browser to the page of a sign-in.
pub(super) fn to_page(state: &State, id: &str, cookie: Option<String>) -> Response {
    let response = redirection(&format!("/oauth/sign-in?request={id}"));
    let Some(value) = cookie else {
        return response;
    };
    let name = cookie_name(state);
    let cookie = format!("{name}={value}; Path=/oauth; HttpOnly; SameSite=Lax");
    match HeaderValue::from_str(&cookie) {
        Ok(cookie) => with(response, header::SET_COOKIE, cookie),
        Err(_other) => response,
    }
}
