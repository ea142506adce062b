//! The development issuer over its own HTTP, and the whole way round: a token from here is
//! accepted by the verifier, a refresh token becomes a new one, a withdrawn key stops working.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

mod backend;
mod faults;
mod sign_in;

use super::{DevelopmentIssuer, OldKey, TokenKind, TokenRequest, User};
use crate::auth::session::SessionError;
use crate::auth::{
    Auth, Bearer, Credentials, Denied, Kind, Presented, Principal, Resource, Settings,
};

const NOW: i64 = 1_795_000_000;

async fn start() -> DevelopmentIssuer {
    DevelopmentIssuer::start(Arc::new(|| NOW)).await.unwrap()
}

fn auth(issuer: &DevelopmentIssuer, change: impl FnOnce(&mut Settings)) -> Auth {
    let mut settings = Settings::new(issuer.issuer());
    settings.client = Some(issuer.client());
    change(&mut settings);
    Auth::new(settings, Arc::new(|| NOW)).unwrap()
}

async fn identify(auth: &Auth, token: &SecretString) -> Result<Arc<Principal>, Denied> {
    let credentials = Credentials {
        header: Some(Bearer::new(token.clone())),
        meta: Presented::Absent,
    };
    auth.identify(&credentials).await.map(|who| who.unwrap())
}

fn http() -> Client {
    Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .build()
        .unwrap()
}

fn post(issuer: &DevelopmentIssuer, path: &str) -> RequestBuilder {
    http().post(format!("{}{path}", issuer.issuer()))
}

async fn body(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// What the token endpoint says to this form of the confidential client.
async fn grant(issuer: &DevelopmentIssuer, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let client = issuer.client();
    let secret = client.secret.unwrap();
    let response = post(issuer, "/oauth/token")
        .basic_auth(client.id, Some(secret.expose_secret()))
        .form(form)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    (response.status(), body(response).await)
}

#[tokio::test]
async fn a_minted_token_is_a_user_of_the_host() {
    let issuer = start().await;
    let auth = auth(&issuer, |_| {});
    let user = identify(&auth, &issuer.mint(&TokenRequest::default()).unwrap())
        .await
        .unwrap();
    assert_eq!((user.id(), user.kind()), (User::ADA.id, Kind::Template));
    assert_eq!(
        (user.email(), user.email_verified()),
        (Some("ada@example.test"), Some(true))
    );
    assert_eq!(
        (user.first_name(), user.last_name()),
        (Some("Ada"), Some("Lovelace"))
    );
    assert_eq!(user.expires_at(), u64::try_from(NOW + 60).ok());

    let session = TokenRequest {
        kind: TokenKind::Session,
        ..TokenRequest::new("user_1")
    };
    let user = identify(&auth, &issuer.mint(&session).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (user.id(), user.kind(), user.email()),
        ("user_1", Kind::Session, None)
    );
    assert!(user.session_id().unwrap().starts_with("sess_"));

    let mut expired = TokenRequest::new("user_1");
    expired.claims.insert("exp".to_owned(), (NOW - 60).into());
    let denied = identify(&auth, &issuer.mint(&expired).unwrap())
        .await
        .unwrap_err();
    assert_eq!(denied.to_string(), "The access token expired");
}

#[tokio::test]
async fn what_cannot_be_a_token_is_not_made() {
    let issuer = start().await;
    for sub in ["", "a\nb", &"x".repeat(257)] {
        assert!(issuer.mint(&TokenRequest::new(sub)).is_err());
    }
    for ttl in [0, 315_360_001] {
        let ttl = Duration::from_secs(ttl);
        assert!(
            issuer
                .mint(&TokenRequest {
                    ttl,
                    ..TokenRequest::default()
                })
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_refresh_token_becomes_an_access_token_that_is_accepted() {
    let issuer = start().await;
    for resource in [None, Some("https://mcp.example.test/mcp".to_owned())] {
        let auth = auth(&issuer, |settings| {
            settings.resource = resource.map(Resource::Public);
        });
        let first = issuer.refresh_token("user_1");
        let tokens = auth.sessions().refresh(first.clone(), None).await.unwrap();
        assert_eq!(tokens.expires_in, Some(86_400));
        assert!(tokens.id_token.is_some());
        let user = identify(&auth, &tokens.access_token).await.unwrap();
        assert_eq!((user.id(), user.kind()), ("user_1", Kind::OAuth));
        assert!(user.has_scope("email"));
        assert_eq!(user.client_id(), Some("client_development"));

        // The old one is used up, the new one is not; but whoever shows the old one again may have
        // stolen it, so then nobody goes on.
        let next = tokens.refresh_token.unwrap();
        let tokens = auth.sessions().refresh(next.clone(), None).await.unwrap();
        let last = tokens.refresh_token.unwrap();
        for token in [first, next, last] {
            let refused = auth.sessions().refresh(token, None).await.unwrap_err();
            assert_eq!(refused, SessionError::Refused);
        }
    }
}

#[tokio::test]
async fn a_public_client_refreshes_without_a_secret() {
    let issuer = start().await;
    let auth = auth(&issuer, |settings| {
        settings.client = Some(issuer.public_client());
    });
    let token = issuer.public_refresh_token(User::GRACE.id);
    let tokens = auth.sessions().refresh(token, None).await.unwrap();
    assert_eq!(
        identify(&auth, &tokens.access_token).await.unwrap().id(),
        User::GRACE.id
    );
    // Another client's token is nobody's.
    let foreign = issuer.refresh_token("user_1");
    assert_eq!(
        auth.sessions().refresh(foreign, None).await.unwrap_err(),
        SessionError::Refused
    );
}

#[tokio::test]
async fn keys_are_rotated_and_withdrawn() {
    let issuer = start().await;
    let auth = auth(&issuer, |_| {});
    let old = issuer.mint(&TokenRequest::default()).unwrap();
    assert!(identify(&auth, &old).await.is_ok());

    issuer.rotate_key(OldKey::Keep).unwrap();
    let new = issuer.mint(&TokenRequest::default()).unwrap();
    assert!(identify(&auth, &new).await.is_ok());
    assert!(identify(&auth, &old).await.is_ok());

    issuer.rotate_key(OldKey::Withdraw).unwrap();
    let newest = issuer.mint(&TokenRequest::default()).unwrap();
    let fresh = Auth::new(Settings::new(issuer.issuer()), Arc::new(|| NOW)).unwrap();
    assert!(identify(&fresh, &newest).await.is_ok());
    assert!(identify(&fresh, &old).await.is_err());
    assert!(identify(&fresh, &new).await.is_err());
}

#[tokio::test]
async fn the_token_endpoint_names_each_mistake() {
    let issuer = start().await;
    let token = issuer.refresh_token("user_1");
    let token = token.expose_secret();
    let foreign = issuer.public_refresh_token("user_1");
    for (form, code) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "")], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (
            vec![("grant_type", "refresh_token"), ("refresh_token", "x")],
            "invalid_grant",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", foreign.expose_secret()),
            ],
            "invalid_grant",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("refresh_token", token),
            ],
            "invalid_request",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("scope", "admin"),
            ],
            "invalid_scope",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("resource", "mcp"),
            ],
            "invalid_target",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("client_id", "other"),
            ],
            "invalid_request",
        ),
    ] {
        let (status, answer) = grant(&issuer, &form).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!(code)),
            "{form:?}"
        );
    }
    // None of these used the token up.
    let narrow = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("scope", "email"),
        ("resource", "https://a.test/mcp"),
        ("resource", "https://b.test/mcp"),
    ];
    let (status, answer) = grant(&issuer, &narrow).await;
    assert_eq!(
        (status, &answer["scope"], &answer["id_token"]),
        (StatusCode::OK, &json!("email"), &Value::Null)
    );
    let auth = auth(&issuer, |settings| {
        settings.resource = Some(Resource::Public("https://b.test/mcp".to_owned()));
    });
    let access: SecretString = answer["access_token"].as_str().unwrap().into();
    assert_eq!(identify(&auth, &access).await.unwrap().scopes(), ["email"]);
}

#[tokio::test]
async fn a_client_must_be_known_and_show_its_secret() {
    let issuer = start().await;
    let token = issuer.refresh_token("user_1");
    let client = issuer.client();
    let secret = client.secret.unwrap();
    let secret = secret.expose_secret();
    let base = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.expose_secret()),
    ];
    let with = |more: &[(&'static str, &str)]| {
        let form: Vec<(String, String)> = base
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        post(&issuer, "/oauth/token").form(&form)
    };
    for (name, request) in [
        ("nobody", with(&[])),
        ("no secret", with(&[("client_id", &client.id)])),
        (
            "wrong secret",
            with(&[("client_id", &client.id), ("client_secret", "x")]),
        ),
        (
            "wrong by Basic",
            with(&[]).basic_auth(&client.id, Some("x")),
        ),
        ("unknown", with(&[("client_id", "client_other")])),
        ("not Basic", with(&[]).bearer_auth(secret)),
        (
            "secret of a public client",
            with(&[
                ("client_id", "client_development_public"),
                ("client_secret", "x"),
            ]),
        ),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{name}");
        assert!(
            response.headers().contains_key("www-authenticate"),
            "{name}"
        );
        assert_eq!(body(response).await["error"], "invalid_client", "{name}");
    }
    let json = post(&issuer, "/oauth/token").json(&json!({"grant_type": "refresh_token"}));
    assert_eq!(
        body(json.send().await.unwrap()).await["error"],
        "invalid_request"
    );
    let by_form = with(&[("client_id", &client.id), ("client_secret", secret)]);
    assert_eq!(by_form.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_minting_endpoint_is_for_who_has_the_key() {
    let issuer = start().await;
    let key = issuer.secret_key();
    let mint = || post(&issuer, "/development/token").bearer_auth(key.expose_secret());
    let wanted = json!({
        "sub": "user_1", "email": "a@b.test", "first_name": "A", "ttl_seconds": 600,
        "claims": {"plan": "gold"},
    });
    let response = mint().json(&wanted).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer = body(response).await;
    assert_eq!(answer["expires_at"], NOW + 600);
    let token: SecretString = answer["token"].as_str().unwrap().into();
    let user = identify(&auth(&issuer, |_| {}), &token).await.unwrap();
    assert_eq!(
        (user.id(), user.email(), user.email_verified()),
        ("user_1", Some("a@b.test"), Some(true))
    );
    assert_eq!((user.first_name(), user.last_name()), (Some("A"), None));
    assert_eq!(user.claim("plan").as_deref(), Some("gold"));

    let bare = post(&issuer, "/development/token").json(&wanted);
    for (name, request, status) in [
        ("no key", bare, StatusCode::UNAUTHORIZED),
        (
            "wrong key",
            post(&issuer, "/development/token")
                .bearer_auth("sk_test_x")
                .json(&wanted),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "origin",
            mint().header("origin", issuer.issuer()).json(&wanted),
            StatusCode::FORBIDDEN,
        ),
        (
            "host",
            mint().header("host", "evil.example").json(&wanted),
            StatusCode::FORBIDDEN,
        ),
        (
            "proxy",
            mint().header("x-forwarded-for", "10.0.0.1").json(&wanted),
            StatusCode::FORBIDDEN,
        ),
        (
            "form",
            mint().form(&[("sub", "user_1")]),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "no sub",
            mint().json(&json!({})),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "unknown member",
            mint().json(&json!({"sub": "a", "role": "b"})),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "empty sub",
            mint().json(&json!({"sub": ""})),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "ttl",
            mint().json(&json!({"sub": "a", "ttl_seconds": 0})),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "long",
            mint().json(&json!({"sub": "x".repeat(70_000)})),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
    ] {
        assert_eq!(request.send().await.unwrap().status(), status, "{name}");
    }
}

#[tokio::test]
async fn only_this_computer_is_answered() {
    let issuer = start().await;
    let keys = || http().get(format!("{}/.well-known/jwks.json", issuer.issuer()));
    let answer = keys().send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let key = &body(answer).await["keys"][0];
    assert_eq!(
        (&key["kid"], &key["alg"], &key["use"]),
        (&json!("ins_main"), &json!("RS256"), &json!("sig"))
    );
    assert!(key.get("d").is_none());

    let port = issuer.issuer().rsplit(':').next().unwrap();
    let local = keys().header("host", format!("localhost:{port}"));
    assert_eq!(local.send().await.unwrap().status(), StatusCode::OK);
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "127.0.0.1"),
        ("host", "127.0.0.1:1"),
        ("host", "localhost.evil.example:80"),
        ("forwarded", "for=10.0.0.1"),
        ("x-forwarded-host", "a"),
        ("x-real-ip", "10.0.0.1"),
        ("via", "1.1 proxy"),
    ] {
        let refused = keys().header(name, value).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(body(refused).await["errors"][0]["code"].is_string());
    }
}

#[tokio::test]
async fn the_metadata_names_what_is_served_and_nothing_else() {
    let issuer = start().await;
    let url = format!("{}/.well-known/oauth-authorization-server", issuer.issuer());
    let metadata = body(http().get(url).send().await.unwrap()).await;
    assert_eq!(metadata["issuer"], issuer.issuer());
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "registration_endpoint",
        "jwks_uri",
        "code_challenge_methods_supported",
        "response_types_supported",
        "grant_types_supported",
        "token_endpoint_auth_methods_supported",
        "scopes_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
        "claims_supported",
    ] {
        assert!(!metadata[name].is_null(), "{name}");
    }
    for (name, address) in metadata.as_object().unwrap() {
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            let answer = http().get(address.as_str().unwrap()).send().await.unwrap();
            assert_ne!(answer.status(), StatusCode::NOT_FOUND, "{name}");
        }
    }
    let nowhere = http().get(format!("{}/v2/anything", issuer.issuer()));
    let nowhere = nowhere.send().await.unwrap();
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        body(nowhere).await["errors"][0]["code"],
        "resource_not_found"
    );
}

#[tokio::test]
async fn it_ends_with_its_owner() {
    let issuer = start().await;
    let address = issuer.issuer().strip_prefix("http://").unwrap().to_owned();
    assert!(!format!("{issuer:?}").contains(issuer.secret_key().expose_secret()));
    assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
    drop(issuer);
    // The port is free again once the server has noticed.
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
