//! What a tool looks like from outside, and calling it.

use serde_json::json;

use crate::harness::{TestHost, text};

#[tokio::test]
async fn the_two_services_of_the_box_are_listed_from_their_wit() {
    let host = TestHost::serving(&[("auth", "cloister_auth"), ("demo", "cloister_demo")]).await;
    let list = host
        .send_with(
            None,
            &[("mcp-protocol-version", "2025-11-25")],
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string(),
        )
        .await
        .json();
    insta::assert_json_snapshot!(list);
}

#[tokio::test]
async fn a_profile_is_the_callers_own_and_says_only_what_is_known() {
    let host = TestHost::serving(&[("demo", "cloister_demo")]).await;
    let token = host.token("user_ada");
    let profile = host.call(Some(&token), "getUserProfile", json!({})).await;
    assert_eq!(
        profile["structuredContent"],
        json!({ "userId": "user_ada", "email": "user_ada@example.com" })
    );
    assert_eq!(
        text(&profile),
        r#"{"userId":"user_ada","email":"user_ada@example.com"}"#
    );
    assert!(profile.get("isError").is_none());
}

#[tokio::test]
async fn echo_says_who_spoke_and_when() {
    let host = TestHost::serving(&[("demo", "cloister_demo")]).await;
    let token = host.token("user_ada");
    let echoed = host
        .call(Some(&token), "echo", json!({ "message": "hello, wörld" }))
        .await;
    insta::assert_json_snapshot!(
        echoed["structuredContent"],
        { ".timestamp" => insta::dynamic_redaction(|value, _| {
            let time = value.as_str().unwrap().to_owned();
            assert!(time.ends_with('Z') && time.len() == "2026-01-01T00:00:00.000Z".len(), "{time}");
            "[time]"
        }) },
        @r#"
    {
      "message": "hello, wörld",
      "timestamp": "[time]",
      "userId": "user_ada",
      "userEmail": "user_ada@example.com"
    }
    "#
    );
}

#[tokio::test]
async fn a_component_that_knows_nothing_of_cloister_is_a_service() {
    let host = TestHost::serving(&[("plain", "guest_plain")]).await;
    assert_eq!(host.names(), ["greet", "mirror", "sum"]);

    let greeting = host.call(None, "greet", json!({ "name": "Ada" })).await;
    assert_eq!(
        greeting["structuredContent"],
        json!({ "result": "hello, Ada" })
    );
    assert_eq!(text(&greeting), "hello, Ada");

    // An option may be left out or be null; a number may come as a text.
    for (arguments, sum) in [
        (json!({ "terms": [1, 2, 3] }), 6),
        (json!({ "terms": ["1", 2.0], "start": null }), 3),
        (json!({ "terms": [], "start": 5 }), 5),
    ] {
        let result = host.call(None, "sum", arguments).await;
        assert_eq!(result["structuredContent"], json!({ "result": sum }));
    }

    let mirrored = host
        .call(None, "mirror", json!({ "at": { "x": 1, "y": -2 } }))
        .await;
    assert_eq!(mirrored["structuredContent"], json!({ "x": -1, "y": 2 }));

    let failed = host
        .call(
            None,
            "mirror",
            json!({ "at": { "x": -2_147_483_648_i64, "y": 0 } }),
        )
        .await;
    assert_eq!(failed["isError"], true);
    assert_eq!(text(&failed), "there is no such point");
    assert!(failed.get("structuredContent").is_none());
}

#[tokio::test]
async fn words_may_lie_beside_the_component() {
    let host = TestHost::serving(&[]).await;
    std::fs::write(
        host.file("plain.wit"),
        include_str!("guests/plain/wit/plain.wit"),
    )
    .unwrap();
    host.put("plain", "guest_plain");
    host.until(|names| names.contains(&"greet".to_owned()))
        .await;
    let list = host.send_modern(None, "tools/list", json!({})).await.json();
    let described: Vec<_> = list["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["description"].as_str().unwrap())
        .collect();
    assert_eq!(
        described,
        [
            "Greets, from the world itself.",
            "Mirrors a point.",
            "Adds up what there is."
        ]
    );
}

#[tokio::test]
async fn the_same_name_in_two_services_is_served_bare_by_neither() {
    let host = TestHost::serving(&[("alpha", "guest_plain"), ("beta", "guest_plain")]).await;
    assert_eq!(
        host.names(),
        [
            "alpha_greet",
            "alpha_mirror",
            "alpha_sum",
            "beta_greet",
            "beta_mirror",
            "beta_sum"
        ]
    );
    let reply = host
        .send(
            None,
            &crate::harness::call(1, "greet", json!({ "name": "x" })),
        )
        .await
        .json();
    insta::assert_json_snapshot!(reply, @r#"
    {
      "jsonrpc": "2.0",
      "id": 1,
      "error": {
        "code": -32602,
        "message": "`greet` is a tool of several services; call `alpha_greet` or `beta_greet`"
      }
    }
    "#);

    std::fs::remove_file(host.file("beta.wasm")).unwrap();
    host.until(|names| names == ["greet", "mirror", "sum"])
        .await;
}

#[tokio::test]
async fn the_service_of_the_readme_is_what_it_says() {
    let readme = include_str!("../README.md");
    for file in [
        include_str!("guests/weather/Cargo.toml"),
        include_str!("guests/weather/wit/weather.wit"),
        include_str!("guests/weather/src/lib.rs"),
    ] {
        assert!(readme.contains(file), "the README does not hold:\n{file}");
    }

    let host = TestHost::serving(&[("weather", "weather")]).await;
    let token = host.mint(&cloister::issuer::TokenRequest::default());
    let forecast = host
        .call(Some(&token), "getForecast", json!({ "city": "Oslo" }))
        .await;
    assert_eq!(text(&forecast), "Ada, it will be sunny in Oslo");
    let failed = host
        .call(Some(&token), "getForecast", json!({ "city": "Atlantis" }))
        .await;
    assert_eq!(failed["isError"], true);
    assert_eq!(text(&failed), "nobody has been there lately");
}
