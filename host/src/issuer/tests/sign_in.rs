//! Signing in as a browser does it, and everything that can be wrong with it.

use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::redirect::Policy;
use url::Url;

use super::*;
use crate::digest::Digest;

const RESOURCE: &str = "http://localhost:3000/mcp";
const REDIRECT: &str = "http://127.0.0.1:4711/callback";

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A browser: it keeps its cookie and follows nothing by itself.
struct Browser {
    http: Client,
    cookie: Option<String>,
}

impl Browser {
    fn new() -> Self {
        let builder = Client::builder().tls_certs_only([]).no_proxy();
        Self {
            http: builder.redirect(Policy::none()).build().unwrap(),
            cookie: None,
        }
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let response = request.send().await.unwrap();
        if let Some(cookie) = response.headers().get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.ends_with("; Path=/oauth; HttpOnly; SameSite=Lax"));
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        response
    }

    async fn open(&mut self, url: &str) -> Response {
        let request = self.http.get(url);
        self.send(request).await
    }

    async fn submit(
        &mut self,
        issuer: &DevelopmentIssuer,
        path: &str,
        form: &[(&str, &str)],
    ) -> Response {
        let request = self.http.post(format!("{}{path}", issuer.issuer()));
        let request = request.header("origin", issuer.issuer()).form(form);
        self.send(request).await
    }

    /// Opens an authorization request and gives the id of the sign-in that it began.
    async fn begin(&mut self, issuer: &DevelopmentIssuer, changes: &[(&str, &str)]) -> String {
        let response = self.open(&request(issuer, changes)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let location = location(&response);
        location
            .strip_prefix("/oauth/sign-in?request=")
            .unwrap()
            .to_owned()
    }

    /// Signs in, and decides.
    async fn go_through(
        &mut self,
        issuer: &DevelopmentIssuer,
        changes: &[(&str, &str)],
        decision: &str,
    ) -> Url {
        let id = self.begin(issuer, changes).await;
        let who = [("request", &*id), ("user", User::GRACE.id)];
        let response = self.submit(issuer, "/oauth/sign-in", &who).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let decision = [("request", &*id), ("decision", decision)];
        let response = self.submit(issuer, "/oauth/consent", &decision).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        location(&response).parse().unwrap()
    }

    async fn code(&mut self, issuer: &DevelopmentIssuer, changes: &[(&str, &str)]) -> String {
        let answer = self.go_through(issuer, changes, "allow").await;
        parameter(&answer, "code").unwrap()
    }
}

fn location(response: &Response) -> String {
    response.headers()["location"].to_str().unwrap().to_owned()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs
        .find(|(given, _)| given == name)
        .map(|(_, value)| value.into_owned())
}

/// The address of an authorization request of the public client, with parameters changed, or without
/// those that are changed to nothing.
fn request(issuer: &DevelopmentIssuer, changes: &[(&str, &str)]) -> String {
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", "client_development_public"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid email offline_access mail:read"),
        ("state", "state-of-the-client"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", RESOURCE),
        ("nonce", "n-0S6"),
    ];
    parameters.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    parameters.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let url = format!("{}/oauth/authorize", issuer.issuer());
    Url::parse_with_params(&url, parameters).unwrap().into()
}

/// What the token endpoint says to the public client.
async fn redeem(
    issuer: &DevelopmentIssuer,
    code: &str,
    changes: &[(&str, &str)],
) -> (StatusCode, Value) {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", "client_development_public"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    form.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    form.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let response = post(issuer, "/oauth/token")
        .form(&form)
        .send()
        .await
        .unwrap();
    (response.status(), body(response).await)
}

async fn start_at(now: &Arc<AtomicI64>) -> DevelopmentIssuer {
    let now = Arc::clone(now);
    let clock = Arc::new(move || now.load(Ordering::Relaxed));
    DevelopmentIssuer::start(clock).await.unwrap()
}

#[tokio::test]
async fn a_user_signs_in_and_a_client_gets_tokens() {
    let issuer = start().await;
    let mut browser = Browser::new();
    let answer = browser.go_through(&issuer, &[], "allow").await;
    assert!(answer.as_str().starts_with(REDIRECT));
    assert_eq!(
        parameter(&answer, "state").as_deref(),
        Some("state-of-the-client")
    );
    assert_eq!(parameter(&answer, "iss").as_deref(), Some(issuer.issuer()));

    let code = parameter(&answer, "code").unwrap();
    let (status, tokens) = redeem(&issuer, &code, &[]).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!(tokens["scope"], "openid email offline_access mail:read");
    let access: SecretString = tokens["access_token"].as_str().unwrap().into();
    let auth_of = |change: fn(&mut Settings)| auth(&issuer, change);
    let host = auth_of(|settings| settings.resource = Some(Resource::Public(RESOURCE.to_owned())));
    let user = identify(&host, &access).await.unwrap();
    assert_eq!((user.id(), user.kind()), (User::GRACE.id, Kind::OAuth));
    assert!(user.has_scope("mail:read"));
    let elsewhere = auth_of(|settings| {
        settings.resource = Some(Resource::Public("https://b.test/mcp".to_owned()));
    });
    assert!(identify(&elsewhere, &access).await.is_err());

    // The id token is for the client, says what was asked for, and belongs to this request.
    let id_token = issuer
        .state
        .keyring
        .read(tokens["id_token"].as_str().unwrap(), NOW);
    let claims = Value::Object(id_token.unwrap().claims);
    assert_eq!(
        (&claims["aud"], &claims["nonce"], &claims["auth_time"]),
        (
            &json!("client_development_public"),
            &json!("n-0S6"),
            &json!(NOW)
        )
    );
    assert_eq!(
        (&claims["email"], &claims["given_name"]),
        (&json!(User::GRACE.email), &Value::Null)
    );
    assert!(claims["sid"].as_str().unwrap().starts_with("sess_"));
    assert!(claims["at_hash"].is_string());

    let info = http().get(format!("{}/oauth/userinfo", issuer.issuer()));
    let info = body(
        info.bearer_auth(access.expose_secret())
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (&info["sub"], &info["email"]),
        (&json!(User::GRACE.id), &json!(User::GRACE.email))
    );
    assert!(info.get("given_name").is_none());

    // A code that comes again takes back what the first one gave.
    let (status, again) = redeem(&issuer, &code, &[]).await;
    assert_eq!(
        (status, &again["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "client_development_public"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let refused = post(&issuer, "/oauth/token")
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(body(refused).await["error"], "invalid_grant");
}

#[tokio::test]
async fn without_offline_access_there_is_no_refresh_token() {
    let issuer = start().await;
    let code = Browser::new().code(&issuer, &[("scope", "profile")]).await;
    let (_, tokens) = redeem(&issuer, &code, &[]).await;
    assert!(tokens["access_token"].is_string());
    assert!(tokens.get("refresh_token").is_none() && tokens.get("id_token").is_none());
}

#[tokio::test]
async fn a_request_that_belongs_to_nobody_is_not_sent_on() {
    let issuer = start().await;
    for changes in [
        [("client_id", "")],
        [("client_id", "client_unknown")],
        [("client_id", "http://192.0.2.1/client")],
        [("redirect_uri", "https://evil.test/callback")],
        [("redirect_uri", "http://127.0.0.1:4711/other")],
        [("redirect_uri", "http://127.0.0.1:4711/callback#x")],
        // Three are registered, so one has to be named.
        [("redirect_uri", "")],
    ] {
        let response = Browser::new().open(&request(&issuer, &changes)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{changes:?}");
        assert!(response.headers().get("location").is_none());
    }
}

#[tokio::test]
async fn other_mistakes_are_told_to_the_client() {
    let issuer = start().await;
    let confidential = ("client_id", "client_development");
    for (changes, code) in [
        (
            vec![("response_type", "token")],
            "unsupported_response_type",
        ),
        (vec![("response_type", "")], "invalid_request"),
        (vec![("response_mode", "fragment")], "invalid_request"),
        (vec![("request", "x")], "request_not_supported"),
        (vec![("code_challenge", "")], "invalid_request"),
        (vec![("code_challenge", "short")], "invalid_request"),
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (
            vec![("code_challenge", ""), ("code_challenge_method", "")],
            "invalid_request",
        ),
        (vec![("state", "short")], "invalid_state"),
        (
            vec![
                confidential,
                ("code_challenge", ""),
                ("code_challenge_method", ""),
                ("state", ""),
            ],
            "invalid_state",
        ),
        (vec![("scope", "a\"b")], "invalid_scope"),
        (vec![("resource", "mcp")], "invalid_target"),
        (vec![("prompt", "none")], "login_required"),
        (vec![("prompt", "create")], "invalid_request"),
    ] {
        let response = Browser::new().open(&request(&issuer, &changes)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{changes:?}");
        let answer: Url = location(&response).parse().unwrap();
        assert!(answer.as_str().starts_with(REDIRECT));
        assert_eq!(
            parameter(&answer, "error").as_deref(),
            Some(code),
            "{changes:?}"
        );
        assert_eq!(parameter(&answer, "iss").as_deref(), Some(issuer.issuer()));
        assert!(parameter(&answer, "code").is_none());
    }
    let denied = Browser::new().go_through(&issuer, &[], "deny").await;
    assert_eq!(
        parameter(&denied, "error").as_deref(),
        Some("access_denied")
    );
    assert_eq!(
        parameter(&denied, "state").as_deref(),
        Some("state-of-the-client")
    );
}

#[tokio::test]
async fn an_answer_may_be_a_form_that_the_browser_sends() {
    let issuer = start().await;
    let asks = [("response_mode", "form_post"), ("state", "<\"state\">")];
    let mut browser = Browser::new();
    let id = browser.begin(&issuer, &asks).await;
    let who = [("request", &*id), ("user", User::GRACE.id)];
    browser.submit(&issuer, "/oauth/sign-in", &who).await;
    let allow = [("request", &*id), ("decision", "allow")];
    let page = browser.submit(&issuer, "/oauth/consent", &allow).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.headers().get("location").is_none());
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    let policy = policy.to_owned();
    let html = page.text().await.unwrap();

    // It goes to the client and nowhere else, by the one script that may run, or by a button.
    assert!(
        policy.contains("form-action http://127.0.0.1:4711;"),
        "{policy}"
    );
    let (_, script) = html.split_once("<script>").unwrap();
    let (script, _) = script.split_once("</script>").unwrap();
    let digest = Digest::of(&[script.as_bytes()]);
    let allowed = format!(
        "script-src 'sha256-{}';",
        STANDARD.encode(digest.as_bytes())
    );
    assert!(policy.contains(&allowed), "{policy}");
    assert!(html.contains(&format!("action=\"{REDIRECT}\"")) && html.contains("<button"));
    let field = |name: &str| {
        let (_, rest) = html
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    assert_eq!(field("state"), "&lt;&quot;state&quot;&gt;");
    assert_eq!(field("iss"), issuer.issuer());
    let (status, tokens) = redeem(&issuer, &field("code"), &[]).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");

    // So does an error; a program's own scheme takes no forms.
    let denied = [("response_mode", "form_post"), ("scope", "a\"b")];
    let page = Browser::new().open(&request(&issuer, &denied)).await;
    assert_eq!(page.status(), StatusCode::OK);
    let html = page.text().await.unwrap();
    assert!(
        html.contains(r#"name="error" value="invalid_scope""#),
        "{html}"
    );
    let client = json!({
        "redirect_uris": ["com.example.app:/cb"], "token_endpoint_auth_method": "none",
    });
    let registered = post(&issuer, "/oauth/register").json(&client);
    let registered = body(registered.send().await.unwrap()).await;
    let program = [
        ("response_mode", "form_post"),
        ("client_id", registered["client_id"].as_str().unwrap()),
        ("redirect_uri", "com.example.app:/cb"),
    ];
    let refused = Browser::new().open(&request(&issuer, &program)).await;
    assert!(location(&refused).starts_with("com.example.app:/cb?error=invalid_request"));
}

#[tokio::test]
async fn a_code_is_for_its_client_and_its_request() {
    let now = Arc::new(AtomicI64::new(NOW));
    let issuer = start_at(&now).await;
    let mut browser = Browser::new();
    let wrong_verifier = "x".repeat(43);
    for (changes, error) in [
        (vec![("code", "unknown")], "invalid_grant"),
        (vec![("code", "")], "invalid_request"),
        (
            vec![("redirect_uri", "http://127.0.0.1:4712/callback")],
            "invalid_grant",
        ),
        (vec![("redirect_uri", "")], "invalid_grant"),
        (vec![("code_verifier", &*wrong_verifier)], "invalid_grant"),
        (vec![("code_verifier", "")], "invalid_grant"),
        (
            vec![("resource", "https://evil.test/mcp")],
            "invalid_target",
        ),
        (vec![("client_id", "client_unknown")], "invalid_client"),
    ] {
        let code = browser.code(&issuer, &[]).await;
        let (_, refused) = redeem(&issuer, &code, &changes).await;
        assert_eq!(refused["error"], error, "{changes:?}");
        // A client has one try; strangers use nothing up.
        let (status, _) = redeem(&issuer, &code, &[]).await;
        let is_stranger = ["code", "client_id"].contains(&changes[0].0);
        assert_eq!(status == StatusCode::OK, is_stranger, "{changes:?}");
    }

    // Another client's code; and a verifier where no challenge was.
    let confidential = [
        ("client_id", "client_development"),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ];
    let code = browser.code(&issuer, &confidential).await;
    let (_, refused) = redeem(&issuer, &code, &[]).await;
    assert_eq!(refused["error"], "invalid_grant");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(grant(&issuer, &form).await.1["error"], "invalid_grant");

    let code = browser.code(&issuer, &[]).await;
    now.fetch_add(599, Ordering::Relaxed);
    assert_eq!(redeem(&issuer, &code, &[]).await.0, StatusCode::OK);
    let code = browser.code(&issuer, &[]).await;
    now.fetch_add(600, Ordering::Relaxed);
    let (_, late) = redeem(&issuer, &code, &[]).await;
    assert_eq!(late["error"], "invalid_grant");
}

#[tokio::test]
async fn a_form_counts_in_the_browser_that_began_and_from_our_page() {
    let now = Arc::new(AtomicI64::new(NOW));
    let issuer = start_at(&now).await;
    let mut browser = Browser::new();
    let id = browser.begin(&issuer, &[]).await;
    let who = [("request", &*id), ("user", User::ADA.id)];

    let stranger = Browser::new().submit(&issuer, "/oauth/sign-in", &who).await;
    assert_eq!(stranger.status(), StatusCode::BAD_REQUEST);
    for (name, value) in [
        ("origin", "http://127.0.0.1:1"),
        ("origin", "null"),
        ("origin", "https://evil.test"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let request = browser
            .http
            .post(format!("{}/oauth/sign-in", issuer.issuer()));
        let foreign = browser.send(request.header(name, value).form(&who)).await;
        assert_eq!(foreign.status(), StatusCode::BAD_REQUEST, "{name}: {value}");
    }
    // Nobody is signed in yet: consent leads back to the question who it is.
    let allow = [("request", &*id), ("decision", "allow")];
    let early = browser.submit(&issuer, "/oauth/consent", &allow).await;
    assert!(location(&early).starts_with("/oauth/sign-in"));

    let before = browser.cookie.clone();
    browser.submit(&issuer, "/oauth/sign-in", &who).await;
    let mut fixed = Browser {
        cookie: before,
        ..Browser::new()
    };
    let fixed = fixed.submit(&issuer, "/oauth/consent", &allow).await;
    assert_eq!(fixed.status(), StatusCode::BAD_REQUEST);

    // Whoever is signed in is asked for consent at once, unless the client wants them anew.
    let page = |id: &str| format!("{}/oauth/sign-in?request={id}", issuer.issuer());
    for (prompt, heading) in [("consent", "Allow access?"), ("login", "Sign in")] {
        let id = browser.begin(&issuer, &[("prompt", prompt)]).await;
        let shown = browser.open(&page(&id)).await.text().await.unwrap();
        assert!(shown.contains(&format!("<h1>{heading}</h1>")), "{prompt}");
    }
    let silent = browser.open(&request(&issuer, &[("prompt", "none")])).await;
    assert!(location(&silent).contains("error=consent_required"));

    now.fetch_add(600, Ordering::Relaxed);
    let late = browser.submit(&issuer, "/oauth/consent", &allow).await;
    assert_eq!(late.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_pages_hold_no_more_than_they_should() {
    let issuer = start().await;
    let client = json!({
        "client_name": "<script>alert('x')</script>\"",
        "redirect_uris": ["https://app.example/cb?a=1", "com.example.app:/cb"],
        "token_endpoint_auth_method": "none",
    });
    let registered = post(&issuer, "/oauth/register")
        .json(&client)
        .send()
        .await
        .unwrap();
    let registered = body(registered).await;
    let client_id = registered["client_id"].as_str().unwrap();
    let mut browser = Browser::new();
    for (redirect, allowed) in [
        (
            "https://app.example/cb?a=1",
            "form-action 'self' https://app.example;",
        ),
        (
            "com.example.app:/cb",
            "form-action 'self' com.example.app:;",
        ),
    ] {
        let changes = [
            ("client_id", client_id),
            ("redirect_uri", redirect),
            ("scope", "<i>"),
            ("prompt", "login"),
        ];
        let id = browser.begin(&issuer, &changes).await;
        let page = format!("{}/oauth/sign-in?request={id}", issuer.issuer());
        for policy in ["form-action 'self';", allowed] {
            let shown = browser.open(&page).await;
            let headers = shown.headers().clone();
            let found = headers["content-security-policy"].to_str().unwrap();
            assert!(
                found.starts_with("default-src 'none'; style-src 'sha256-"),
                "{found}"
            );
            assert!(
                found.contains(policy) && found.ends_with("frame-ancestors 'none'"),
                "{found}"
            );
            assert_eq!(headers["x-frame-options"], "DENY");
            assert_eq!(headers["cache-control"], "no-store");
            let html = shown.text().await.unwrap();
            assert!(
                html.contains("&lt;script&gt;")
                    && !html.contains("<script")
                    && !html.contains("<i>")
            );
            let who = [("request", &*id), ("user", User::ADA.id)];
            browser.submit(&issuer, "/oauth/sign-in", &who).await;
        }
        let allow = [("request", &*id), ("decision", "allow")];
        let answer = browser.submit(&issuer, "/oauth/consent", &allow).await;
        let answer = location(&answer);
        assert!(
            answer.starts_with(redirect) && answer.contains("code="),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn clients_register_themselves() {
    let issuer = start().await;
    let register = |client: Value| post(&issuer, "/oauth/register").json(&client).send();
    let redirects = json!(["http://localhost/cb"]);
    let response =
        register(json!({"redirect_uris": redirects, "client_name": "A", "software_id": "x"}));
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let client = body(response).await;
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    let (id, secret) = (
        client["client_id"].as_str().unwrap(),
        client["client_secret"].as_str().unwrap(),
    );

    // With its secret it redeems a code; without, it does not.
    let code = Browser::new()
        .code(
            &issuer,
            &[("client_id", id), ("redirect_uri", "http://localhost:9/cb")],
        )
        .await;
    let changes = [("client_id", id), ("redirect_uri", "http://localhost:9/cb")];
    let (_, refused) = redeem(&issuer, &code, &changes).await;
    assert_eq!(refused["error"], "invalid_client");
    let changes = [changes[0], changes[1], ("client_secret", secret)];
    assert_eq!(redeem(&issuer, &code, &changes).await.0, StatusCode::OK);

    for (client, code) in [
        (json!({}), "invalid_client_metadata"),
        (json!([]), "invalid_client_metadata"),
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (
            json!({"redirect_uris": ["http://a.test/cb"]}),
            "invalid_redirect_uri",
        ),
        (
            json!({"redirect_uris": ["javascript:alert(1)"]}),
            "invalid_redirect_uri",
        ),
        (
            json!({"redirect_uris": redirects, "client_name": "a\u{202e}b"}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": redirects, "logo_uri": "javascript:1"}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": redirects, "grant_types": ["implicit"]}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": redirects, "token_endpoint_auth_method": "private_key_jwt"}),
            "invalid_client_metadata",
        ),
    ] {
        let response = register(client.clone()).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(body(response).await["error"], code, "{client}");
    }

    // Pages may ask, and are told what they may send.
    let asked = http().request(
        reqwest::Method::OPTIONS,
        format!("{}/oauth/register", issuer.issuer()),
    );
    let asked = asked
        .header("origin", "https://app.example")
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), StatusCode::NO_CONTENT);
    assert_eq!(asked.headers()["access-control-allow-origin"], "*");
}

/// Serves one answer at an address and gives the address.
async fn document(status: u16, headers: &str, make: impl FnOnce(&str) -> String) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/client.json", listener.local_addr().unwrap());
    let body = make(&url);
    let answer = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}\r\n\r\n{body}");
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = [0; 1_024];
            let _some = stream.read(&mut read).await;
            let _sent = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn a_client_may_be_described_by_a_document() {
    let issuer = start().await;
    let json_type = "content-type: application/json";
    let client = |id: &str| json!({"client_id": id, "client_name": "Documented", "redirect_uris": [REDIRECT]});
    let good = document(200, json_type, |id| client(id).to_string()).await;
    let mut browser = Browser::new();
    let code = browser.code(&issuer, &[("client_id", &*good)]).await;
    let (status, tokens) = redeem(&issuer, &code, &[("client_id", &*good)]).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");

    for id in [
        document(404, json_type, |id| client(id).to_string()).await,
        document(302, "location: http://127.0.0.1:1/", |_| String::new()).await,
        document(200, "content-type: text/html", |id| client(id).to_string()).await,
        document(200, json_type, |_| "{".to_owned()).await,
        document(200, json_type, |id| client(&format!("{id}x")).to_string()).await,
        document(200, json_type, |id| {
            let mut client = client(id);
            client["token_endpoint_auth_method"] = "client_secret_basic".into();
            client.to_string()
        })
        .await,
        document(200, json_type, |id| {
            client(id).to_string() + &" ".repeat(17_000)
        })
        .await,
    ] {
        let refused = browser
            .open(&request(&issuer, &[("client_id", &*id)]))
            .await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{id}");
    }
}
