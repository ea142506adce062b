//! Signing in: a client sends its user here (RFC 6749 §4.1.1), who says who they are and whether the
//! client may act for them, and goes back with a code.
//!
//! Until it is certain whose request it is and where the answer belongs, mistakes are told to the
//! person at the screen; after that they are told to the client.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use url::Url;

use super::super::State;
use super::super::browsers::{Browser, PATIENCE, SIGNED_IN, SignIn, SignedIn};
use super::super::clients::Client;
use super::super::grants::{CODE_LIFETIME, Code, Grant, scopes};
use super::super::records::{Records, digest};
use super::super::reply::with;
use super::super::users::User;
use super::form::{Form, Refusal, refusal};
use super::{is_content_type, page, read_body};
use crate::digest::Digest;

/// The longest request in an address, in bytes.
const MAX_QUERY_BYTES: usize = 16 * 1024;

/// The most bytes of what is given back as it came: `state` and `nonce`.
const MAX_ECHOED_BYTES: usize = 2_048;

/// The fewest characters of `state`, as Clerk has it: fewer could be guessed.
const MIN_STATE: usize = 8;

/// What is asked for when the client does not say.
const DEFAULT_SCOPES: &str = "profile email";

/// Begins a sign-in.
pub(super) async fn authorize(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let form = if head.method == Method::POST {
        read_body(body)
            .await
            .filter(|_| is_content_type(&head.headers, "application/x-www-form-urlencoded"))
            .map(|body| Form::read(&body))
    } else {
        let query = head.uri.query().unwrap_or_default();
        (query.len() <= MAX_QUERY_BYTES).then(|| Form::read(query.as_bytes()))
    };
    let form = match form {
        Some(Ok(form)) => form,
        Some(Err(refusal)) => return page::mistake(refusal.description),
        None => return page::mistake("the request is too long, or is no form"),
    };
    let (client, redirect) = match addressee(&state, &form).await {
        Ok(addressee) => addressee,
        Err(mistake) => return page::mistake(&mistake),
    };
    let echoed = form.get("state").filter(|text| is_echoable(text));
    match wanted(&form, &client) {
        Ok(wanted) => begin(&state, &head.headers, &form, &client, redirect, wanted),
        Err(Refusal { code, description }) => back(
            &state,
            &redirect,
            echoed,
            &[("error", code), ("error_description", description)],
        ),
    }
}

/// The client, and the address of it that the answer goes to.
async fn addressee(state: &State, form: &Form) -> Result<(Arc<Client>, String), String> {
    let id = form.get("client_id").ok_or("`client_id` is missing")?;
    let client = state
        .client(id)
        .await
        .map_err(|cause| cause.to_string())?
        .ok_or("this client is not known here: it has to register first")?;
    let redirect = client.redirect(form.get("redirect_uri")).ok_or(
        "`redirect_uri` must be one of those that the client registered, byte for byte but for the port of a loopback address",
    )?;
    Ok((client, redirect))
}

/// What a client asks for, checked.
struct Wanted {
    scopes: Vec<String>,
    resources: Vec<String>,
    challenge: Option<String>,
    nonce: Option<String>,
    prompt: Prompt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Prompt {
    Usual,
    /// No page may be shown.
    None,
    /// Whoever is signed in must do so again.
    Login,
}

fn wanted(form: &Form, client: &Client) -> Result<Wanted, Refusal> {
    match form.get("response_type") {
        Some("code") => {}
        Some(_) => {
            return Err(refusal(
                "unsupported_response_type",
                "only `code` is supported",
            ));
        }
        None => return Err(refusal("invalid_request", "`response_type` is missing")),
    }
    if form
        .get("response_mode")
        .is_some_and(|mode| mode != "query")
    {
        return Err(refusal(
            "invalid_request",
            "`response_mode` may be `query` only",
        ));
    }
    if form.get("request").is_some() || form.get("request_uri").is_some() {
        return Err(refusal(
            "request_not_supported",
            "parameters cannot be given as a token",
        ));
    }
    let challenge = challenge(form, client)?;
    match form.get("state") {
        Some(text) if text.len() >= MIN_STATE && is_echoable(text) => {}
        None if challenge.is_some() => {}
        Some(_) | None => {
            return Err(refusal(
                "invalid_state",
                "`state` must have 8 to 2048 printable ASCII characters; it may be left out with PKCE",
            ));
        }
    }
    let nonce = form.get("nonce");
    if !nonce.is_none_or(is_echoable) {
        return Err(refusal(
            "invalid_request",
            "`nonce` must have at most 2048 printable ASCII characters",
        ));
    }
    let prompt = match form.get("prompt") {
        // The page always asks.
        None | Some("consent") => Prompt::Usual,
        Some("none") => Prompt::None,
        Some("login" | "select_account" | "login consent") => Prompt::Login,
        Some(_) => {
            return Err(refusal(
                "invalid_request",
                "`prompt` may be `none`, `login`, `select_account` or `consent`",
            ));
        }
    };
    Ok(Wanted {
        scopes: scopes(form.get("scope").unwrap_or(DEFAULT_SCOPES)).ok_or(refusal(
            "invalid_scope",
            "`scope` must be 1 to 32 scopes of at most 128 characters, separated by spaces",
        ))?,
        resources: form.resources()?.to_vec(),
        challenge,
        nonce: nonce.map(str::to_owned),
        prompt,
    })
}

/// The challenge (RFC 7636 §4.3), which a client without a secret has to give.
fn challenge(form: &Form, client: &Client) -> Result<Option<String>, Refusal> {
    match (
        form.get("code_challenge"),
        form.get("code_challenge_method"),
    ) {
        (Some(challenge), Some("S256")) if is_challenge(challenge) => {
            Ok(Some(challenge.to_owned()))
        }
        (None, None) if client.secret.is_some() => Ok(None),
        _ => Err(refusal(
            "invalid_request",
            "a public client must give `code_challenge` with `code_challenge_method=S256`, and any client only so",
        )),
    }
}

/// The base64url of a digest of 32 bytes.
fn is_challenge(text: &str) -> bool {
    text.len() == 43
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What may be given back as it came (RFC 6749, appendix A.5).
fn is_echoable(text: &str) -> bool {
    text.len() <= MAX_ECHOED_BYTES && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

fn begin(
    state: &State,
    headers: &HeaderMap,
    form: &Form,
    client: &Client,
    redirect: String,
    wanted: Wanted,
) -> Response {
    let now = state.now();
    let mut records = state.records();
    let known = browser(state, &records, headers, now);
    if wanted.prompt == Prompt::None {
        // Nobody is ever taken to agree.
        let (code, description) = match known {
            Some((_, Some(_))) => ("consent_required", "the user has to be asked"),
            Some((_, None)) | None => ("login_required", "nobody is signed in"),
        };
        drop(records);
        let error = [("error", code), ("error_description", description)];
        return back(state, &redirect, form.get("state"), &error);
    }
    let (browser, cookie) = if let Some((browser, _)) = known {
        (browser, None)
    } else {
        let cookie = state.ids.next();
        let browser = digest(&cookie);
        records.browsers.insert(browser, Browser { user: None });
        (browser, Some(cookie))
    };
    let id = state.ids.next();
    let sign_in = SignIn {
        browser,
        client_id: client.id.clone(),
        client_name: client.name.clone(),
        redirect,
        named_redirect: form.get("redirect_uri").is_some(),
        state: form.get("state").map(str::to_owned),
        scopes: wanted.scopes,
        resources: wanted.resources,
        challenge: wanted.challenge,
        nonce: wanted.nonce,
        anew: wanted.prompt == Prompt::Login,
        expires: now.saturating_add(PATIENCE),
    };
    records.sign_ins.insert(id.clone(), sign_in);
    to_page(state, &id, cookie)
}

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
    let echoed = sign_in.state.as_deref();
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
                redirect: sign_in.named_redirect.then(|| sign_in.redirect.clone()),
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
            back(&state, &sign_in.redirect, echoed, &[("code", &code)])
        }
        Some("deny") => {
            state.records().sign_ins.remove(&found.id);
            let error = [
                ("error", "access_denied"),
                ("error_description", "the user said no"),
            ];
            back(&state, &sign_in.redirect, echoed, &error)
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
fn browser(
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
fn to_page(state: &State, id: &str, cookie: Option<String>) -> Response {
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

/// Sends the browser back to the client, with the answer, with what the client wanted to have back, and
/// with who answers (RFC 9207).
fn back(state: &State, redirect: &str, echoed: Option<&str>, answer: &[(&str, &str)]) -> Response {
    let Ok(mut url) = Url::parse(redirect) else {
        return page::lost();
    };
    url.query_pairs_mut()
        .extend_pairs(answer)
        .extend_pairs(echoed.map(|echoed| ("state", echoed)))
        .append_pair("iss", &state.issuer);
    redirection(url.as_str())
}

/// A redirection that makes a form a page again.
fn redirection(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return page::lost();
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}
