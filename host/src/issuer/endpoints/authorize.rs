//! Signing in begins here: a client sends its user (RFC 6749 §4.1.1), who says on the pages that follow
//! who they are and whether the client may act for them, and goes back with a code.
//!
//! Until it is certain whose request it is and where the answer belongs, mistakes are told to the
//! person at the screen; after that they are told to the client.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, Method};
use axum::response::Response;

use super::super::State;
use super::super::browsers::{Addressee, Browser, Mode, PATIENCE, SignIn};
use super::super::clients::Client;
use super::super::grants::scopes;
use super::super::records::digest;
use super::back::back;
use super::form::{Form, Refusal, refusal};
use super::sign_in::{browser, to_page};
use super::{is_content_type, page, read_body};

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
    let (client, addressee) = match addressee(&state, &form).await {
        Ok(found) => found,
        Err(mistake) => return page::mistake(&mistake),
    };
    match wanted(&form, &client, &addressee.redirect) {
        Ok(wanted) => begin(&state, &head.headers, &form, &client, addressee, wanted),
        Err(Refusal { code, description }) => {
            let error = [("error", code), ("error_description", description)];
            back(&state, &addressee, &error)
        }
    }
}

/// The client, and where and how it gets its answer.
async fn addressee(state: &State, form: &Form) -> Result<(Arc<Client>, Addressee), String> {
    let id = form.get("client_id").ok_or("`client_id` is missing")?;
    let client = state
        .client(id)
        .await
        .map_err(|cause| cause.to_string())?
        .ok_or("this client is not known here: it has to register first")?;
    let redirect = client.redirect(form.get("redirect_uri")).ok_or(
        "`redirect_uri` must be one of those that the client registered, byte for byte but for the port of a loopback address",
    )?;
    let state = form.get("state").filter(|text| is_echoable(text));
    let addressee = Addressee {
        // What it cannot have is told it in the usual way.
        mode: mode(form, &redirect).unwrap_or_default(),
        redirect,
        state: state.map(str::to_owned),
    };
    Ok((client, addressee))
}

/// How the client wants its answer (OAuth 2.0 Form Post Response Mode). A program's own scheme takes no
/// forms.
fn mode(form: &Form, redirect: &str) -> Result<Mode, Refusal> {
    match form.get("response_mode") {
        None | Some("query") => Ok(Mode::Query),
        Some("form_post") if redirect.starts_with("http") => Ok(Mode::FormPost),
        Some(_) => Err(refusal(
            "invalid_request",
            "`response_mode` may be `query`, or `form_post` for an address on the web",
        )),
    }
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

fn wanted(form: &Form, client: &Client, redirect: &str) -> Result<Wanted, Refusal> {
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
    mode(form, redirect)?;
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
    addressee: Addressee,
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
        return back(state, &addressee, &error);
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
        addressee,
        named_redirect: form.get("redirect_uri").is_some(),
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
