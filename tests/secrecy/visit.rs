//! What is done with a host, well and badly, and what of it must be nowhere.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use cloister::issuer::{DevelopmentIssuer, TokenRequest, User};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::call;

const REDIRECT: &str = "http://127.0.0.1:4711/callback";

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// An answer, and what of it is its reader's own.
struct Seen {
    what: String,
    text: String,
    own: Vec<String>,
}

/// What is done with a host, and what came of it.
pub(super) struct Visit {
    http: Client,
    endpoint: String,
    issuer: String,
    key: String,
    client: (String, Option<String>),
    secrets: Vec<(String, String)>,
    seen: Vec<Seen>,
}

impl Visit {
    pub(super) fn new(
        endpoint: String,
        issuer: String,
        key: String,
        client: (String, Option<String>),
    ) -> Self {
        let http = Client::builder().no_proxy().redirect(Policy::none());
        let mut visit = Self {
            http: http.build().unwrap(),
            endpoint,
            issuer,
            key: key.clone(),
            client,
            secrets: Vec::new(),
            seen: Vec::new(),
        };
        visit.secret("secret key", &key);
        visit.secret("operator's secret", "0perat0r-s3cret");
        if let (id, Some(secret)) = visit.client.clone() {
            visit.secret("client secret", &secret);
            let basic = base64(format!("{id}:{secret}").as_bytes());
            visit.secret("client authorization", &basic);
        }
        visit
    }

    /// Remembers what must be nowhere, a token by each of its segments.
    pub(super) fn secret(&mut self, name: &str, text: &str) -> String {
        for part in text.split('.') {
            assert!(part.len() >= 8, "{name} is too short to be looked for");
            self.secrets.push((name.to_owned(), part.to_owned()));
        }
        text.to_owned()
    }

    /// Sends a request to the host and looks at the answer later. `own` is what belongs to who asked.
    pub(super) async fn ask(&mut self, what: &str, request: RequestBuilder, own: &[&str]) -> Value {
        let response = request.send().await.unwrap();
        let status = response.status();
        let mut text = format!("{status} {:?}\n", response.headers());
        let body = response.text().await.unwrap();
        text.push_str(&body);
        self.seen.push(Seen {
            what: what.to_owned(),
            text,
            own: own.iter().map(|own| (*own).to_owned()).collect(),
        });
        serde_json::from_str(&body).unwrap_or_default()
    }

    pub(super) fn message(&self, token: Option<&str>, message: &Value) -> RequestBuilder {
        let request = self
            .http
            .post(&self.endpoint)
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25")
            .body(message.to_string());
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn call(&mut self, token: Option<&str>, tool: &str, arguments: Value) -> Value {
        let request = self.message(token, &call(1, tool, arguments));
        self.ask(tool, request, &[]).await
    }

    /// Asks the issuer for something that only the holder of the key gets.
    async fn issuer(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self
            .http
            .request(method, format!("{}{path}", self.issuer))
            .bearer_auth(&self.key)
            .json(body);
        let response = request.send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
        response.json().await.unwrap()
    }

    pub(super) async fn minted(&mut self, name: &str, wanted: Value) -> (String, Value) {
        let answer = self
            .issuer(Method::POST, "/development/token", &wanted)
            .await;
        let token = self.secret(name, answer["token"].as_str().unwrap());
        (token, answer)
    }

    /// Signs a user in on the pages, and gives the tokens that the client gets.
    async fn sign_in(&mut self, name: &str) -> Value {
        let (client, secret) = self.client.clone();
        let request = format!(
            "{}/oauth/authorize?response_type=code&client_id={client}&redirect_uri={REDIRECT}\
             &scope=openid+profile+email+offline_access&state=st4te-of-the-client&nonce=n0nce-of-the-client\
             &code_challenge={CHALLENGE}&code_challenge_method=S256",
            self.issuer,
        );
        let mut response = self.http.get(&request).send().await.unwrap();
        let mut cookie = String::new();
        let mut answers = vec![
            ("/oauth/sign-in", "user", User::ADA.id),
            ("/oauth/consent", "decision", "allow"),
        ];
        let code = loop {
            if let Some(set) = response.headers().get("set-cookie") {
                cookie = set.to_str().unwrap().split(';').next().unwrap().to_owned();
                let (_, value) = cookie.split_once('=').unwrap();
                self.secret("cookie", value);
            }
            let next = response.headers()["location"].to_str().unwrap().to_owned();
            if let Some((_, code)) = next.split_once("code=") {
                break code.split('&').next().unwrap().to_owned();
            }
            let page = self.http.get(format!("{}{next}", self.issuer));
            let page = page.header("cookie", &cookie);
            self.ask("page", page, &[]).await;
            let (_, id) = next.split_once("request=").unwrap();
            let (path, field, value) = answers.remove(0);
            let form = [("request", id), (field, value)];
            let post = self.http.post(format!("{}{path}", self.issuer)).form(&form);
            response = post.header("cookie", &cookie).send().await.unwrap();
        };
        self.secret("code", &code);
        self.secret("code verifier", VERIFIER);
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        if secret.is_none() {
            form.push(("client_id", &client));
        }
        let mut request = self
            .http
            .post(format!("{}/oauth/token", self.issuer))
            .form(&form);
        if let Some(secret) = &secret {
            request = request.basic_auth(&client, Some(secret));
        }
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        let tokens: Value = response.json().await.unwrap();
        for kind in ["access_token", "id_token", "refresh_token"] {
            let token = tokens[kind].as_str().unwrap();
            self.secret(&format!("{name}: {kind}"), token);
        }
        tokens
    }

    /// Everything that a caller can do with a token, well or badly.
    async fn use_token(&mut self, token: &str) {
        let profile = call(1, "getUserProfile", json!({}));
        for message in [
            &profile,
            &call(1, "everything", json!({})),
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        ] {
            let request = self.message(Some(token), message);
            self.ask("with a token in the header", request, &[]).await;
        }
        for authorization in [
            json!({ "type": "bearer", "token": token }),
            json!({ "type": "Basic", "token": token }),
            json!(token),
            json!([token]),
        ] {
            let mut message = profile.clone();
            message["params"]["_meta"] = json!({ "authorization": authorization });
            let request = self.message(None, &message);
            self.ask("with a token in `_meta`", request, &[]).await;
            let request = self.message(Some("an0ther-t0ken"), &message);
            self.ask("with two tokens", request, &[]).await;
        }
        let odd = [
            format!("Bearer {token} {token}"),
            format!("Basic {token}"),
            token.to_owned(),
        ];
        for header in odd {
            let request = self.message(None, &profile).header("authorization", header);
            self.ask("with an odd header", request, &[]).await;
        }
        let query = format!("{}?access_token={token}", self.endpoint);
        let request = self
            .http
            .post(query)
            .header("content-type", "application/json");
        self.ask(
            "with a token in the query",
            request.body(profile.to_string()),
            &[],
        )
        .await;
        for method in [Method::GET, Method::DELETE] {
            let request = self.http.request(method, &self.endpoint).bearer_auth(token);
            let request = request.header("accept", "text/event-stream");
            self.ask(
                "about a session",
                request.header("mcp-session-id", "s3ssion"),
                &[],
            )
            .await;
        }
    }

    pub(super) async fn go(&mut self) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let ada = User::ADA.id;
        let metadata =
            json!({ "private_metadata": { "key": "pr1vate-of-ada", "other": "0ther-of-ada" } });
        self.issuer(
            Method::PATCH,
            &format!("/v1/users/{ada}/metadata"),
            &metadata,
        )
        .await;
        self.secret("a caller's secret", "pr1vate-of-ada");
        self.secret("a secret that nobody asked for", "0ther-of-ada");

        // Good tokens of every kind.
        let (session, _) = self
            .minted("session", json!({ "sub": ada, "session": true }))
            .await;
        let (template, _) = self.minted("template", json!({ "sub": ada })).await;
        let (oauth, _) = self
            .minted("oauth", json!({ "sub": ada, "scopes": ["profile"] }))
            .await;
        let signed_in = self.sign_in("signed in").await;
        let settings = |jwt: bool| json!({ "oauth_jwt_access_tokens": jwt });
        let path = "/v1/instance/oauth_application_settings";
        self.issuer(Method::PATCH, path, &settings(false)).await;
        let opaque = self.sign_in("signed in, opaque").await;
        assert!(opaque["access_token"].as_str().unwrap().starts_with("oat_"));
        self.issuer(Method::PATCH, path, &settings(true)).await;
        let wanted = json!({ "name": "mine", "subject": ada, "claims": { "team": "red", "email": "x@y.test" } });
        let key = self.issuer(Method::POST, "/v1/api_keys", &wanted).await;
        let key = self.secret("API key", key["secret"].as_str().unwrap());
        // Bad ones.
        let times = json!({ "exp": now - 60, "iat": now - 120, "nbf": now - 130 });
        let (expired, _) = self
            .minted("expired", json!({ "sub": ada, "claims": times }))
            .await;
        let changed = format!("{}AAAA", &template[..template.len() - 4]);
        let stranger = DevelopmentIssuer::start(cloister::auth::system_clock());
        let stranger = stranger
            .await
            .unwrap()
            .mint(&TokenRequest::default())
            .unwrap();
        let unknown = "oat_0123456789abcdef0123456789abcdef";
        let bad = [
            &changed,
            stranger.expose_secret(),
            unknown,
            "n0nsense-t0ken",
        ];
        let bad = bad.map(|token| self.secret("bad token", token));

        let good = [&*session, &template, &oauth, &key];
        let given = [&signed_in, &opaque].map(|tokens| tokens["access_token"].as_str().unwrap());
        for token in good.into_iter().chain(given) {
            let profile = self.call(Some(token), "getUserProfile", json!({})).await;
            let profile = &profile["result"]["structuredContent"];
            assert_eq!(profile["firstName"], "Ada", "{profile}");
            self.use_token(token).await;
        }
        let id_tokens = [&signed_in, &opaque].map(|tokens| tokens["id_token"].as_str().unwrap());
        for token in bad
            .iter()
            .map(String::as_str)
            .chain([&*expired])
            .chain(id_tokens)
        {
            self.use_token(token).await;
        }
        let told = call(1, "tellSecret", json!({ "name": "KEY" }));
        let request = self.message(Some(&template), &told);
        let told = self.ask("tellSecret", request, &["pr1vate-of-ada"]).await;
        assert_eq!(
            told["result"]["structuredContent"]["result"],
            "pr1vate-of-ada"
        );
        // Arguments are nobody's but the caller's and the tool's, whether or not they fit.
        self.secret("argument", "argument-0f-ada");
        for arguments in [
            json!({ "message": "argument-0f-ada" }),
            json!({ "message": ["argument-0f-ada"] }),
            json!({ "messages": "argument-0f-ada" }),
            json!({ "argument-0f-ada": 1 }),
        ] {
            let request = self.message(Some(&template), &call(1, "echo", arguments));
            self.ask("echo", request, &["argument-0f-ada"]).await;
        }

        self.stay_signed_in(&signed_in, now).await;
        self.look_after_sessions().await;
        for path in [
            "/health",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/mcp",
        ] {
            let request = self.http.get(self.endpoint.replace("/mcp", path));
            assert!(!self.ask(path, request, &[]).await.is_null(), "{path}");
        }
    }

    /// Refreshes in both ways, well and badly.
    async fn stay_signed_in(&mut self, signed_in: &Value, now: u64) {
        let refresh = signed_in["refresh_token"].as_str().unwrap().to_owned();
        self.refresh(json!({ "refreshToken": refresh }), true).await;
        self.refresh(json!({ "refreshToken": refresh }), false)
            .await;
        let made_up = self.secret("refresh token", "made-up-refresh-t0ken");
        self.refresh(json!({ "refreshToken": made_up }), false)
            .await;

        let times = json!({ "exp": now - 60, "iat": now - 120, "nbf": now - 130 });
        let wanted = json!({ "sub": User::ADA.id, "session": true, "claims": times });
        let (expired, answer) = self.minted("expired session", wanted).await;
        let refresh = answer["session_refresh_token"].as_str().unwrap();
        let refresh = self.secret("session refresh token", refresh);
        let both = json!({ "refreshToken": refresh, "expiredToken": expired });
        self.refresh(both, true).await;
        let wrong = json!({ "refreshToken": made_up, "expiredToken": expired });
        self.refresh(wrong, false).await;
        let tool = json!({ "refreshToken": refresh, "expiredToken": made_up });
        self.refresh(tool, false).await;
        let request = self.message(None, &call(1, "redeem", json!({ "refreshToken": made_up })));
        self.ask("redeem", request, &[]).await;
    }

    async fn refresh(&mut self, arguments: Value, is_good: bool) {
        let request = self.message(None, &call(1, "refreshToken", arguments));
        let answer = self.ask("refreshToken", request, &[]).await;
        let tokens = answer["result"]["structuredContent"].clone();
        assert_eq!(tokens["access_token"].is_string(), is_good, "{answer}");
        for kind in ["access_token", "id_token", "refresh_token"] {
            if let Some(token) = tokens[kind].as_str() {
                // It belongs to whoever asked, and to nobody else.
                self.seen.last_mut().unwrap().own.push(token.to_owned());
                self.secret(kind, token);
            }
        }
    }

    async fn look_after_sessions(&mut self) {
        let wanted = || json!({ "sub": User::GRACE.id, "session": true });
        let (other, answer) = self.minted("another session", wanted()).await;
        let (third, _) = self.minted("a third session", wanted()).await;
        let id = answer["session_id"].as_str().unwrap().to_owned();
        let listed = self.call(Some(&third), "listSessions", json!({})).await;
        assert!(listed.to_string().contains(&id), "{listed}");
        for id in [&*id, "sess_unknown", &*other] {
            self.call(Some(&third), "revokeSession", json!({ "sessionId": id }))
                .await;
        }
        self.call(Some(&third), "revokeOtherSessions", json!({}))
            .await;
        self.call(Some(&third), "devices", json!({})).await;
        // Its session has ended, which this service asks about.
        let ended = self.call(Some(&other), "getUserProfile", json!({})).await;
        assert_eq!(ended["error"], "invalid_token", "{ended}");
    }

    /// Looks through everything.
    pub(super) fn check(&self, stdout: &str, stderr: &str) {
        let mut found = String::new();
        let mut look = |place: &str, text: &str| {
            for (name, secret) in &self.secrets {
                if let Some(at) = text.find(secret) {
                    let from = text.floor_char_boundary(at.saturating_sub(200));
                    let to = text.ceil_char_boundary(at + 40);
                    writeln!(found, "{name} in {place}: …{}…", &text[from..to]).unwrap();
                }
            }
        };
        // The banner of a development host has a token to try, which is what it is for.
        let banner = stdout.lines().filter(|line| !line.starts_with("TOKEN="));
        look("standard output", &banner.collect::<Vec<_>>().join("\n"));
        look("the log", stderr);
        for seen in &self.seen {
            let mut text = seen.text.clone();
            for own in &seen.own {
                text = text.replace(own, "");
            }
            look(&format!("the answer to {}", seen.what), &text);
        }
        assert!(found.is_empty(), "{found}");
        assert!(self.secrets.len() > 60 && self.seen.len() > 150);
    }
}

/// Base64 as HTTP Basic has it (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(bits);
        for place in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * place)).unwrap() % 64;
            let digit = if place <= chunk.len() {
                char::from(ALPHABET[index])
            } else {
                '='
            };
            text.push(digit);
        }
    }
    text
}
