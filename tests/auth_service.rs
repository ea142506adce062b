//! Refreshing tokens through a tool.

use secrecy::ExposeSecret;
use serde_json::json;

use crate::harness::{TestHost, text};

#[tokio::test]
async fn a_refresh_token_becomes_a_token_that_works() {
    let host = TestHost::serving(&[("auth", "cloister_auth"), ("demo", "cloister_demo")]).await;
    let refresh = host.issuer().refresh_token("user_ada");
    let refresh = refresh.expose_secret();

    let tokens = host
        .call(None, "refreshToken", json!({ "refreshToken": refresh }))
        .await;
    let tokens = &tokens["structuredContent"];
    let mut names: Vec<_> = tokens
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "access_token",
            "expires_in",
            "id_token",
            "refresh_token",
            "token_type"
        ]
    );
    assert_eq!(tokens["token_type"], "Bearer");

    let profile = host
        .call(tokens["access_token"].as_str(), "getUserProfile", json!({}))
        .await;
    assert_eq!(profile["structuredContent"]["userId"], "user_ada");

    // The old one has been replaced.
    let again = host
        .call(None, "refreshToken", json!({ "refreshToken": refresh }))
        .await;
    assert_eq!(again["isError"], true);
    assert_eq!(
        text(&again),
        "the refresh token is unknown, expired or already used; sign in again"
    );
    let next = host
        .call(
            None,
            "refreshToken",
            json!({ "refreshToken": tokens["refresh_token"] }),
        )
        .await;
    assert!(next.get("isError").is_none(), "{next}");
}

#[tokio::test]
async fn an_empty_refresh_token_never_leaves_the_host() {
    let host = TestHost::serving(&[("auth", "cloister_auth")]).await;
    let result = host
        .call(None, "refreshToken", json!({ "refreshToken": "" }))
        .await;
    assert_eq!(result["isError"], true);
    assert!(text(&result).contains("/refreshToken"), "{}", text(&result));
}
