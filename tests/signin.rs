//! A client that knows nothing but the endpoint signs its user in: 401, metadata, registration, pages,
//! code, token, call. Each step is told by the answer before it.

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::harness::{TestHost, call};

const REDIRECT: &str = "http://127.0.0.1:4711/callback";

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn json(response: Response) -> Value {
    assert!(response.status().is_success(), "{response:?}");
    response.json().await.unwrap()
}

fn location(response: &Response) -> String {
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}

/// The value of the first form field of this name.
fn field<'a>(html: &'a str, name: &str) -> &'a str {
    let (_, rest) = html
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap();
    rest.split_once('"').unwrap().0
}

#[tokio::test]
async fn a_client_that_knows_nothing_signs_its_user_in() {
    let host = TestHost::serving(&[("demo", "cloister_demo")]).await;
    let profile = call(1, "getUserProfile", json!({}));

    // Who is refused is told where to look.
    let refused = host.send(None, &profile).await;
    assert_eq!(refused.status, 401);
    let challenge = refused.header("www-authenticate");
    let (_, metadata) = challenge.split_once("resource_metadata=\"").unwrap();
    let (metadata, _) = metadata.split_once('"').unwrap();
    let http = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap();
    let described = json(http.get(metadata).send().await.unwrap()).await;
    assert_eq!(described["resource"], host.url());
    let issuer = described["authorization_servers"][0].as_str().unwrap();
    let server = http.get(format!("{issuer}/.well-known/oauth-authorization-server"));
    let server = json(server.send().await.unwrap()).await;
    let endpoint = |name: &str| server[name].as_str().unwrap().to_owned();

    let client = json!({
        "client_name": "A client of the tests",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
    });
    let client = http.post(endpoint("registration_endpoint")).json(&client);
    let client = json(client.send().await.unwrap()).await;
    let client = client["client_id"].as_str().unwrap();

    // The user's browser. Nothing here needs encoding but the spaces.
    let resource = host.url();
    let request = format!(
        "{}?response_type=code&client_id={client}&redirect_uri={REDIRECT}&resource={resource}\
         &scope=profile+email+offline_access&state=a-state-of-the-client\
         &code_challenge={CHALLENGE}&code_challenge_method=S256",
        endpoint("authorization_endpoint"),
    );
    let mut response = http.get(&request).send().await.unwrap();
    let mut cookie = String::new();
    let mut answers = vec![("/oauth/sign-in", "user"), ("/oauth/consent", "decision")].into_iter();
    let back = loop {
        if let Some(set) = response.headers().get("set-cookie") {
            cookie = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        let next = location(&response);
        if next.starts_with(REDIRECT) {
            break next;
        }
        let page = http
            .get(format!("{issuer}{next}"))
            .header("cookie", &cookie);
        let page = page.send().await.unwrap();
        assert_eq!(page.status(), 200);
        let html = page.text().await.unwrap();
        let (path, name) = answers.next().unwrap();
        assert!(
            html.contains("A client of the tests") && html.contains(path),
            "{html}"
        );
        // The first button of each page: Ada Lovelace, and Allow.
        let form = [
            ("request", field(&html, "request")),
            (name, field(&html, name)),
        ];
        let post = http
            .post(format!("{issuer}{path}"))
            .header("cookie", &cookie);
        response = post
            .header("origin", issuer)
            .form(&form)
            .send()
            .await
            .unwrap();
    };
    assert!(back.contains("state=a-state-of-the-client"), "{back}");
    let (_, code) = back.split_once("code=").unwrap();
    let (code, _) = code.split_once('&').unwrap();

    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("resource", &*resource),
    ];
    let tokens = http.post(endpoint("token_endpoint")).form(&form);
    let tokens = json(tokens.send().await.unwrap()).await;
    let answer = host.send(tokens["access_token"].as_str(), &profile).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let caller = &answer.json()["result"]["structuredContent"];
    assert_eq!(caller["userId"], cloister::issuer::User::ADA.id);

    // And stays signed in.
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let fresh = http.post(endpoint("token_endpoint")).form(&form);
    let fresh = json(fresh.send().await.unwrap()).await;
    let answer = host.send(fresh["access_token"].as_str(), &profile).await;
    assert_eq!(answer.status, 200);
}
