//! What who has the secret key may do, and what can be asked of a token.

use super::*;

/// Asks the Backend API.
async fn ask(
    issuer: &DevelopmentIssuer,
    method: &str,
    path: &str,
    wanted: Option<Value>,
) -> (u16, Value) {
    let method = method.parse().unwrap();
    let request = http().request(method, format!("{}{path}", issuer.issuer()));
    let request = request.bearer_auth(issuer.secret_key().expose_secret());
    let request = match wanted {
        Some(wanted) => request.json(&wanted),
        None => request,
    };
    let response = request.send().await.unwrap();
    (response.status().as_u16(), body(response).await)
}

/// A new session of a user: id, token and refresh token.
async fn session(issuer: &DevelopmentIssuer, sub: &str) -> (String, String, String) {
    let wanted = json!({"sub": sub, "session": true});
    let (_, made) = ask(issuer, "POST", "/development/token", Some(wanted)).await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (
        text("session_id"),
        text("token"),
        text("session_refresh_token"),
    )
}

#[tokio::test]
async fn nothing_is_told_without_the_secret_key() {
    let issuer = start().await;
    for path in [
        "/v1/jwks",
        "/v1/users/x",
        "/v1/sessions",
        "/v1/anything",
        "/development/anything",
    ] {
        for key in [
            "sk_test_x",
            "",
            &format!("{}x", issuer.secret_key().expose_secret()),
        ] {
            let request = http()
                .get(format!("{}{path}", issuer.issuer()))
                .bearer_auth(key);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(
                body(response).await["errors"][0]["code"],
                "clerk_key_invalid"
            );
        }
        let (status, _) = ask(&issuer, "GET", path, None).await;
        assert_ne!(status, 401, "{path}");
    }
}

#[tokio::test]
async fn users_have_metadata_of_their_own() {
    let issuer = start().await;
    let ada = format!("/v1/users/{}", User::ADA.id);
    let metadata = format!("{ada}/metadata");
    let change = |wanted: Value| ask(&issuer, "PATCH", &metadata, Some(wanted));
    change(json!({"private_metadata": {"secrets": {"a": 1, "b": 2}}})).await;
    let (status, user) =
        change(json!({"private_metadata": {"secrets": {"b": null, "c": 3}}})).await;
    assert_eq!(
        (status, &user["private_metadata"]),
        (200, &json!({"secrets": {"a": 1, "c": 3}}))
    );
    let (_, user) = ask(&issuer, "GET", &ada, None).await;
    assert_eq!(
        user["private_metadata"],
        json!({"secrets": {"a": 1, "c": 3}})
    );
    assert_eq!(
        user["email_addresses"][0]["id"],
        user["primary_email_address_id"]
    );
    assert_eq!(
        user["email_addresses"][0]["verification"]["status"],
        "verified"
    );
    let (_, grace) = ask(
        &issuer,
        "GET",
        &format!("/v1/users/{}", User::GRACE.id),
        None,
    )
    .await;
    assert_eq!(grace["private_metadata"], json!({}));

    let long = json!({"public_metadata": {"a": "x".repeat(9_000)}});
    assert_eq!(change(long).await.0, 422);
    assert_eq!(
        ask(&issuer, "GET", "/v1/users/user_unknown", None).await.0,
        404
    );
}

#[tokio::test]
async fn sessions_are_listed_refreshed_and_revoked() {
    let issuer = start().await;
    let host = auth(&issuer, |_| {});
    let (first, ..) = session(&issuer, User::ADA.id).await;
    let (second, token, refresh_token) = session(&issuer, User::ADA.id).await;
    let (foreign, ..) = session(&issuer, User::GRACE.id).await;
    let user = identify(&host, &token.clone().into()).await.unwrap();
    assert_eq!(
        (user.id(), user.session_id()),
        (User::ADA.id, Some(&*second))
    );

    let list = |query: &str| {
        let path = format!("/v1/sessions?user_id={}{query}", User::ADA.id);
        let issuer = &issuer;
        async move { ask(issuer, "GET", &path, None).await }
    };
    let (_, listed) = list("&paginated=true&status=active&limit=1").await;
    assert_eq!(
        (&listed["total_count"], &listed["data"][0]["id"]),
        (&json!(2), &json!(second))
    );
    let (_, listed) = list("&offset=1").await;
    assert_eq!(listed[0]["id"], json!(first));
    assert_eq!(listed.as_array().unwrap().len(), 1);
    for query in ["&limit=0", "&limit=501", "&limit=x", "&user_id=user_2"] {
        assert_eq!(list(query).await.0, 422, "{query}");
    }
    assert_eq!(ask(&issuer, "GET", "/v1/sessions", None).await.0, 422);

    let path = |id: &str, what: &str| format!("/v1/sessions/{id}{what}");
    let refresh = |change: &[(&str, Value)]| {
        let mut wanted = json!({
            "expired_token": token, "refresh_token": refresh_token,
            "request_origin": "https://app.example", "format": "token",
        });
        for (name, value) in change {
            wanted[name] = value.clone();
        }
        wanted
    };
    let at_second = path(&second, "/refresh");
    let (status, fresh) = ask(&issuer, "POST", &at_second, Some(refresh(&[]))).await;
    assert_eq!((status, &fresh["object"]), (200, &json!("token")));
    let fresh: SecretString = fresh["jwt"].as_str().unwrap().into();
    assert_eq!(
        identify(&host, &fresh).await.unwrap().session_id(),
        Some(&*second)
    );
    let (_, cookies) = ask(
        &issuer,
        "POST",
        &at_second,
        Some(refresh(&[("format", json!("cookie"))])),
    )
    .await;
    assert_eq!(cookies["object"], "cookies");
    let stranger = issuer.mint(&TokenRequest::default()).unwrap();
    for (change, status) in [
        ([("refresh_token", json!("x"))], 401),
        ([("expired_token", json!("x"))], 401),
        ([("expired_token", json!(stranger.expose_secret()))], 401),
        ([("request_origin", json!(""))], 400),
        ([("refresh_token", Value::Null)], 400),
        ([("format", json!("xml"))], 422),
    ] {
        let refused = ask(&issuer, "POST", &at_second, Some(refresh(&change))).await;
        assert_eq!(refused.0, status, "{change:?}");
    }
    let elsewhere = ask(
        &issuer,
        "POST",
        &path(&foreign, "/refresh"),
        Some(refresh(&[])),
    )
    .await;
    assert_eq!(elsewhere.0, 401);

    for (what, kind) in [("/tokens", Kind::Session), ("/tokens/mcp", Kind::Template)] {
        let lifetime = Some(json!({"expires_in_seconds": 90}));
        let (_, made) = ask(&issuer, "POST", &path(&second, what), lifetime).await;
        let made: SecretString = made["jwt"].as_str().unwrap().into();
        let user = identify(&host, &made).await.unwrap();
        assert_eq!(
            (user.kind(), user.expires_at()),
            (kind, u64::try_from(NOW + 90).ok())
        );
    }
    let brief = Some(json!({"expires_in_seconds": 29}));
    assert_eq!(
        ask(&issuer, "POST", &path(&second, "/tokens"), brief)
            .await
            .0,
        422
    );

    let (status, ended) = ask(&issuer, "POST", &path(&second, "/revoke"), None).await;
    assert_eq!((status, &ended["status"]), (200, &json!("revoked")));
    let (_, seen) = ask(&issuer, "GET", &path(&second, ""), None).await;
    assert_eq!(seen["status"], "revoked");
    assert_eq!(
        ask(&issuer, "POST", &path(&second, "/tokens"), Some(json!({})))
            .await
            .0,
        404
    );
    assert_eq!(
        ask(&issuer, "POST", &at_second, Some(refresh(&[]))).await.0,
        401
    );
    assert_eq!(
        ask(&issuer, "GET", &path("sess_unknown", ""), None).await.0,
        404
    );
    let (_, left) = list("&status=active").await;
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn opaque_tokens_are_known_until_they_are_revoked() {
    let issuer = start().await;
    let settings =
        json!({"oauth_jwt_access_tokens": false, "dynamic_oauth_client_registration": false});
    let path = "/v1/instance/oauth_application_settings";
    assert_eq!(ask(&issuer, "PATCH", path, Some(settings)).await.0, 200);
    let registration = post(&issuer, "/oauth/register")
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(registration.status(), StatusCode::FORBIDDEN);

    let refresh_token = issuer.refresh_token(User::ADA.id);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose_secret()),
        ("resource", "https://a.test/mcp"),
    ];
    let (_, tokens) = grant(&issuer, &form).await;
    let token = tokens["access_token"].as_str().unwrap();
    assert!(
        token
            .strip_prefix("oat_")
            .is_some_and(|rest| rest.len() == 32)
    );

    let verify = |token: &str| {
        let wanted = json!({ "access_token": token });
        ask(
            &issuer,
            "POST",
            "/v1/oauth_applications/access_tokens/verify",
            Some(wanted),
        )
    };
    let client = issuer.client();
    let secret = client.secret.unwrap();
    let tell = |path: &str, token: &str| {
        let request = post(&issuer, path).basic_auth(&client.id, Some(secret.expose_secret()));
        request.form(&[("token", token)]).send()
    };
    let (status, known) = verify(token).await;
    assert_eq!(
        (status, &known["object"]),
        (200, &json!("clerk_idp_oauth_access_token"))
    );
    assert_eq!(
        (&known["subject"], &known["aud"]),
        (&json!(User::ADA.id), &json!(["https://a.test/mcp"]))
    );
    assert_eq!(
        (&known["revoked"], &known["expired"]),
        (&json!(false), &json!(false))
    );
    let info = body(tell("/oauth/token_info", token).await.unwrap()).await;
    assert_eq!(
        (&info["active"], &info["sub"]),
        (&json!(true), &json!(User::ADA.id))
    );

    // A JWT cannot be taken back; a refresh token takes its grant with it.
    let jwt = issuer.mint(&TokenRequest::default()).unwrap();
    let refused = tell("/oauth/token/revoke", jwt.expose_secret())
        .await
        .unwrap();
    assert_eq!(body(refused).await["error"], "unsupported_token_type");
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    for gone in ["unknown", refresh_token] {
        assert_eq!(
            tell("/oauth/token/revoke", gone).await.unwrap().status(),
            StatusCode::OK
        );
    }
    assert_eq!(verify(token).await.1["revoked"], true);
    for gone in [token, "unknown", jwt.expose_secret()] {
        let info = body(tell("/oauth/token_info", gone).await.unwrap()).await;
        assert_eq!(info, json!({"active": false}));
        let user = http()
            .get(format!("{}/oauth/userinfo", issuer.issuer()))
            .bearer_auth(gone);
        let user = user.send().await.unwrap();
        assert_eq!(user.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(
            user.headers()["www-authenticate"],
            "Bearer error=\"invalid_token\""
        );
    }
    assert_eq!(verify("oat_unknown").await.0, 404);
    let public = [("token", token), ("client_id", "client_development_public")];
    let public = post(&issuer, "/oauth/token_info")
        .form(&public)
        .send()
        .await
        .unwrap();
    assert_eq!(public.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn api_keys_are_verified_until_they_are_revoked() {
    let issuer = start().await;
    let wanted = json!({"name": "robot", "subject": User::ADA.id, "scopes": ["mail:read"], "createdBy": null});
    let (_, made) = ask(&issuer, "POST", "/v1/api_keys", Some(wanted)).await;
    let verify = |secret: &Value| {
        ask(
            &issuer,
            "POST",
            "/v1/api_keys/verify",
            Some(json!({ "secret": secret })),
        )
    };
    let (status, known) = verify(&made["secret"]).await;
    assert_eq!(
        (status, &known["subject"], &known["revoked"]),
        (200, &json!(User::ADA.id), &json!(false))
    );
    assert!(known.get("secret").is_none());
    let revoke = format!("/v1/api_keys/{}/revoke", made["id"].as_str().unwrap());
    assert_eq!(ask(&issuer, "POST", &revoke, Some(json!({}))).await.0, 200);
    assert_eq!(verify(&made["secret"]).await.1["revoked"], true);
    assert_eq!(verify(&json!("ak_unknown")).await.0, 404);
    let nobody = json!({"name": "robot", "subject": "x"});
    assert_eq!(
        ask(&issuer, "POST", "/v1/api_keys", Some(nobody)).await.0,
        422
    );
}

#[tokio::test]
async fn the_key_is_rotated_on_demand() {
    let issuer = start().await;
    let kids = |keys: &Value| {
        let keys = keys["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let rotate = |wanted: Value| ask(&issuer, "POST", "/development/rotate-key", Some(wanted));
    let (_, kept) = rotate(json!({})).await;
    assert_eq!((kids(&kept).len(), &*kids(&kept)[1]), (2, "ins_main"));
    let (_, alone) = rotate(json!({"old": "withdraw"})).await;
    assert_eq!(kids(&alone).len(), 1);
    assert!(!kids(&kept).contains(&kids(&alone)[0]));
    assert_eq!(rotate(json!({"old": "burn"})).await.0, 422);
}
