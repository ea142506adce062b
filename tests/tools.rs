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
async fn a_tool_is_found_by_the_other_spellings_of_its_name() {
    let host = TestHost::serving(&[("demo", "cloister_demo"), ("plain", "guest_plain")]).await;
    let token = host.token("user_ada");
    for name in ["getUserProfile", "get_user_profile", "get-user-profile"] {
        let profile = host.call(Some(&token), name, json!({})).await;
        assert_eq!(profile["structuredContent"]["userId"], "user_ada", "{name}");
        let params = json!({ "name": name, "arguments": {} });
        let modern = host.send_modern(Some(&token), "tools/call", params).await;
        assert_eq!(modern.status, 200, "{name}: {}", modern.text);
    }
    for name in [
        "GetUserProfile",
        "getuserprofile",
        "get user profile",
        "get-userProfile",
    ] {
        let reply = host
            .send(Some(&token), &crate::harness::call(1, name, json!({})))
            .await;
        assert_eq!(reply.json()["error"]["code"], -32602, "{name}");
    }
    // The header says what the body says, letter for letter.
    let (mut headers, body) = crate::harness::modern(
        "tools/call",
        json!({ "name": "get_user_profile", "arguments": {} }),
    );
    headers.retain(|(name, _)| *name != "mcp-name");
    headers.push(("mcp-name", "getUserProfile".to_owned()));
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    let reply = host
        .send_with(Some(&token), &headers, body.to_string())
        .await;
    assert_eq!(reply.status, 400, "{}", reply.text);
}

#[tokio::test]
async fn a_name_that_was_withdrawn_is_withdrawn_in_every_spelling() {
    let host = TestHost::serving(&[]).await;
    // One that has another name would be found by this one in WIT, were it not in dispute.
    let text = include_str!("guests/plain/wit/plain.wit").replace(
        "  /// Greets, from",
        "  /// @name hello\n  /// Greets, from",
    );
    std::fs::write(host.file("gamma.wit"), text).unwrap();
    for service in ["alpha", "beta", "gamma"] {
        host.put(service, "guest_plain");
    }
    host.until(|names| names.len() == 9).await;
    assert!(
        host.names().contains(&"hello".to_owned()),
        "{:?}",
        host.names()
    );
    for name in ["greet", "Greet", "GREET", "gre-et"] {
        let reply = host
            .send(None, &crate::harness::call(1, name, json!({ "name": "x" })))
            .await;
        let error = &reply.json()["error"];
        assert_eq!(error["code"], -32602, "{name}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.ends_with("call `alpha_greet` or `beta_greet`"),
            "{message}"
        );
    }
    let greeted = host.call(None, "alpha_greet", json!({ "name": "x" })).await;
    assert!(greeted["isError"].is_null());
}

/// Fifty services whose names and tools are made of few words, so that most of them clash.
fn clashing() -> Vec<(String, Vec<u8>)> {
    const WORDS: [&str; 8] = ["a", "b", "a-b", "b-a", "ab", "a1", "a-1", "b-a-b"];
    const PREFIXES: [&str; 5] = ["a", "b", "a_b", "B", "s"];
    let service = |number: usize| {
        let name = match number / 5 {
            0 => PREFIXES[number % 5].to_owned(),
            times => format!("{}_{}", PREFIXES[number % 5], "a".repeat(times)),
        };
        let words =
            (0..8).filter(|word| ((number * 37 % 251) >> word) & 1 == 1 || *word == number % 8);
        let functions: String = words
            .map(|word| format!("(export \"{}\" (func $f))", WORDS[word]))
            .collect::<Vec<_>>()
            .concat();
        let wasm = wat::parse_str(format!(
            r#"(component
                (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
                (core instance $i (instantiate $m))
                (func $f (param "v" u32) (result u32) (canon lift (core func $i "f")))
                {functions})"#
        ));
        (name, wasm.unwrap())
    };
    (0..50).map(service).collect()
}

/// All pages of the list of tools, byte for byte, and who is called when a name that is in dispute is.
async fn listed(host: &TestHost) -> Vec<String> {
    let mut pages = Vec::new();
    let mut cursor = serde_json::Value::Null;
    loop {
        let params = match &cursor {
            serde_json::Value::Null => json!({}),
            cursor => json!({ "cursor": cursor }),
        };
        let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params });
        let reply = host.send(None, &list).await;
        cursor = reply.json()["result"]["nextCursor"].clone();
        pages.push(reply.text);
        if cursor.is_null() {
            break;
        }
    }
    for name in ["a", "ab", "a_b", "A", "b_a"] {
        let called = crate::harness::call(1, name, json!({ "v": 1 }));
        pages.push(host.send(None, &called).await.text);
    }
    pages
}

#[tokio::test]
async fn whatever_the_order_in_which_services_come_and_go_the_list_is_the_same() {
    let services = clashing();
    let mut lists = Vec::new();
    for seed in [1_usize, 7, 23] {
        let host = TestHost::serving(&[]).await;
        let mut order: Vec<usize> = (0..services.len()).collect();
        for index in (1..order.len()).rev() {
            order.swap(index, (index * 7919 + seed * 104_729) % (index + 1));
        }
        let put = |service: usize| {
            let (name, wasm) = &services[service];
            std::fs::write(host.file(&format!(".{name}.new")), wasm).unwrap();
            let place = host.file(&format!("{name}.wasm"));
            std::fs::rename(host.file(&format!(".{name}.new")), place).unwrap();
        };
        let count = async |count: usize| {
            host.until_catalog(|catalog| catalog.services().count() == count)
                .await
        };
        // Some come, some of those go, and all come in the end.
        let (first, rest) = order.split_at(20);
        for service in first {
            put(*service);
        }
        count(20).await;
        for service in &first[..10] {
            let (name, _) = &services[*service];
            std::fs::remove_file(host.file(&format!("{name}.wasm"))).unwrap();
        }
        count(10).await;
        rest.iter()
            .chain(&first[..10])
            .for_each(|service| put(*service));
        count(50).await;
        lists.push(listed(&host).await);
    }
    assert!(lists[0].len() >= 6 && lists[0][0].contains("\"tools\":["));
    assert_eq!(lists[0], lists[1]);
    assert_eq!(lists[0], lists[2]);
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
