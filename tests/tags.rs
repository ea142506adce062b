//! What authors and operators say of a service beyond its types: doc tags, texts, the manifest.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{TestHost, component, text};
use crate::words::with_section;

/// The WIT of the plain service with other words.
fn words(sum: &str) -> String {
    format!(
        "package acme:plain@1.2.3;
        interface shapes {{
          record point {{
            /// How far right.
            /// @min -10
            /// @max 10
            x: s32,
            /// @name up
            y: s32,
            /// @max-length 3
            label: option<string>,
          }}
          /// Mirrors.
          mirror: func(at: point) -> result<point, string>;
          {sum}
          sum: func(terms: list<s32>, start: option<s32>) -> s64;
        }}
        world plain {{ export shapes; export greet: func(name: string) -> string; }}"
    )
}

async fn plain(wit: &str) -> TestHost {
    let host = TestHost::serving(&[]).await;
    fs::write(host.file("plain.wit"), wit).unwrap();
    host.put("plain", "guest_plain");
    host.until(|names| names.contains(&"greet".to_owned()))
        .await;
    host
}

async fn listed(host: &TestHost, version: &str, name: &str) -> Value {
    let list = host
        .send_with(
            None,
            &[("mcp-protocol-version", version)],
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        )
        .await
        .json();
    let tools = list["result"]["tools"].as_array().unwrap();
    let tool = tools.iter().find(|tool| tool["name"] == name);
    tool.unwrap_or_else(|| panic!("no `{name}`: {list}"))
        .clone()
}

#[tokio::test]
async fn tags_reach_the_revisions_that_know_them() {
    let host = plain(&words(
        "/// Adds up.
          /// @title Sum of all
          /// @name add
          /// @readonly
          /// @idempotent
          /// @icon https://example.com/sum.png image/png 48x48 any
          /// @ui ui://plain/sum
          /// @deprecated Count on your fingers.
          /// @param terms as numbers What to add.
          /// @min-items terms 1
          /// @param start Where to begin.
          /// @default start 100
          /// @example start 7",
    ))
    .await;
    insta::assert_json_snapshot!(listed(&host, "2025-11-25", "add").await);

    let june = listed(&host, "2025-06-18", "add").await;
    assert_eq!(june["title"], "Sum of all");
    assert!(june.get("icons").is_none() && june["_meta"]["ui"].is_object());
    let march = listed(&host, "2025-03-26", "add").await;
    assert_eq!(march["annotations"]["title"], "Sum of all");
    for member in ["title", "outputSchema", "_meta", "icons"] {
        assert!(march.get(member).is_none(), "{member}");
    }

    let sum = host.call(None, "add", json!({ "numbers": [1, 2] })).await;
    assert_eq!(sum["structuredContent"], json!({ "result": 103 }));
    let sum = host
        .call(None, "add", json!({ "terms": [1], "start": 0 }))
        .await;
    assert_eq!(sum["structuredContent"], json!({ "result": 1 }));
}

#[tokio::test]
async fn rules_are_kept_before_a_sandbox_is_made() {
    let host = plain(&words("/// Adds up.\n/// @min-items terms 1")).await;
    let mirrored = host
        .call(
            None,
            "mirror",
            json!({ "at": { "x": 10, "up": 3, "label": "abc" } }),
        )
        .await;
    assert_eq!(
        mirrored["structuredContent"],
        json!({ "x": -10, "up": -3, "label": "abc" })
    );
    let refused = host
        .call(
            None,
            "mirror",
            json!({ "at": { "x": 11, "up": 3, "label": "abcd" } }),
        )
        .await;
    assert_eq!(refused["isError"], true);
    let lines: Vec<&str> = text(&refused).lines().skip(1).collect();
    assert!(
        lines[0].starts_with("/at/x: ") && lines[0].contains("10"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("/at/label: ") && lines[1].contains('3'),
        "{lines:?}"
    );

    let refused = host.call(None, "sum", json!({ "terms": [] })).await;
    assert_eq!(refused["isError"], true);
    assert!(text(&refused).contains("/terms: "), "{}", text(&refused));
}

#[tokio::test]
async fn a_manifest_spells_the_names() {
    let host = TestHost::serving(&[("demo", "cloister_demo")]).await;
    fs::write(host.file("demo.toml"), "case = \"snake_case\"\n").unwrap();
    host.until(|names| names == ["echo", "get_user_profile"])
        .await;
    let token = host.token("user_ada");
    let profile = host.call(Some(&token), "get_user_profile", json!({})).await;
    assert_eq!(
        profile["structuredContent"],
        json!({ "user_id": "user_ada", "email": "user_ada@example.com" })
    );

    // One that cannot be read changes nothing, and one that is gone says nothing.
    fs::write(host.file("demo.toml"), "case = \"SHOUTING\"\n").unwrap();
    host.put("late", "guest_plain");
    host.until(|names| names.contains(&"greet".to_owned()))
        .await;
    assert!(host.names().contains(&"get_user_profile".to_owned()));
    fs::remove_file(host.file("demo.toml")).unwrap();
    host.until(|names| names.contains(&"getUserProfile".to_owned()))
        .await;
}

/// The description of `sum` in a component.
async fn described(component: &[u8], sidecar: Option<&str>) -> Value {
    let host = TestHost::serving(&[]).await;
    if let Some(sidecar) = sidecar {
        fs::write(host.file("plain.wit"), sidecar).unwrap();
    }
    fs::write(host.file("plain.wasm"), component).unwrap();
    host.until(|names| names.contains(&"sum".to_owned())).await;
    listed(&host, "2025-11-25", "sum").await["description"].clone()
}

#[tokio::test]
async fn texts_come_from_several_places_and_the_nearest_counts() {
    let plain = fs::read(component("guest_plain")).unwrap();
    assert_eq!(described(&plain, None).await, Value::Null);

    let docs = json!({
        "interfaces": { "shapes": { "funcs": { "sum": { "docs": "From package-docs." } } } },
    });
    let docs = [b"\x01", docs.to_string().as_bytes()].concat();
    let documented = with_section(&plain, "package-docs", &docs);
    assert_eq!(described(&documented, None).await, "From package-docs.");

    let section = words("/// From the section.");
    let documented = with_section(&documented, "cloister:wit", section.as_bytes());
    assert_eq!(described(&documented, None).await, "From the section.");

    let sidecar = words("/// From beside the file.");
    assert_eq!(
        described(&documented, Some(&sidecar)).await,
        "From beside the file."
    );
}

#[tokio::test]
async fn a_text_that_cannot_be_used_costs_the_words_and_nothing_else() {
    let plain = fs::read(component("guest_plain")).unwrap();
    let other_types = words("/// Adds up.").replace("start: option<s32>", "start: option<s64>");
    for section in [
        "not WIT at all",
        "package a:b; interface c { d: func( }",
        &"interface x { ".repeat(10_000),
        &other_types,
    ] {
        let component = with_section(&plain, "cloister:wit", section.as_bytes());
        assert_eq!(described(&component, None).await, Value::Null);
    }
    let twice = with_section(&plain, "cloister:wit", words("/// One.").as_bytes());
    let twice = with_section(&twice, "cloister:wit", words("/// Two.").as_bytes());
    assert_eq!(described(&twice, None).await, Value::Null);
    let broken = with_section(&plain, "package-docs", b"\x01{\"interfaces\": 5}");
    assert_eq!(described(&broken, None).await, Value::Null);
}

#[tokio::test]
async fn a_hidden_function_is_left_out() {
    let host = plain(&words("/// @hidden")).await;
    assert_eq!(host.names(), ["greet", "mirror"]);
}

#[tokio::test]
async fn bytes_of_a_media_type_are_content() {
    for (media, block) in [
        (
            "image/png",
            json!({ "type": "image", "data": "iVA=", "mimeType": "image/png" }),
        ),
        (
            "audio/wav",
            json!({ "type": "audio", "data": "iVA=", "mimeType": "audio/wav" }),
        ),
        (
            "application/pdf",
            json!({ "type": "resource", "resource": {
                "uri": "cloister://types/echoBytes",
                "mimeType": "application/pdf",
                "blob": "iVA=",
            } }),
        ),
    ] {
        let host = TestHost::serving(&[]).await;
        let wit = include_str!("guests/types/wit/types.wit").replace(
            "  echo-bytes: func(",
            &format!("  /// @mime {media}\n  echo-bytes: func("),
        );
        fs::write(host.file("types.wit"), wit).unwrap();
        host.put("types", "guest_types");
        host.until(|names| names.contains(&"echoBytes".to_owned()))
            .await;
        let tool = listed(&host, "2025-11-25", "echoBytes").await;
        assert!(tool.get("outputSchema").is_none(), "{media}");
        let result = host.call(None, "echoBytes", json!({ "v": "iVA=" })).await;
        assert_eq!(result, json!({ "content": [block] }), "{media}");
    }
}

#[tokio::test]
async fn cases_flags_and_formats_are_as_their_author_says() {
    let host = TestHost::serving(&[]).await;
    let wit = include_str!("guests/types/wit/types.wit")
        .replace("    can-read,\n", "    /// @name READ\n    can-read,\n")
        .replace(
            "    circle(f32),\n",
            "    /// @name round one\n    circle(f32),\n",
        )
        .replace("    info,\n", "    /// @name note\n    info,\n")
        .replace(
            "  echo-string: func(",
            "  /// @format v date\n  echo-string: func(",
        );
    fs::write(host.file("types.wit"), wit).unwrap();
    host.put("types", "guest_types");
    host.until(|names| names.contains(&"echoShape".to_owned()))
        .await;
    for (tool, sent, returned) in [
        (
            "echoAccess",
            json!(["READ", "can-write"]),
            json!(["READ", "canWrite"]),
        ),
        ("echoAccess", json!({ "can_read": true }), json!(["READ"])),
        (
            "echoAccess",
            json!("READ,canDelete"),
            json!(["READ", "canDelete"]),
        ),
        (
            "echoShape",
            json!({ "tag": "round one", "val": 1.5 }),
            json!({ "tag": "round one", "val": 1.5 }),
        ),
        (
            "echoShape",
            json!({ "circle": 1.5 }),
            json!({ "tag": "round one", "val": 1.5 }),
        ),
        ("echoLogLevel", json!("note"), json!("note")),
        ("echoLogLevel", json!("info"), json!("note")),
        ("echoString", json!("2026-07-28"), json!("2026-07-28")),
    ] {
        let result = host.call(None, tool, json!({ "v": sent })).await;
        assert_eq!(
            result["structuredContent"],
            json!({ "result": returned }),
            "{tool}"
        );
    }
    for (tool, sent, refused) in [
        (
            "echoAccess",
            json!(["read"]),
            "/v/0: expected one of \"READ\", \"canWrite\", \"canDelete\"; got \"read\" (did you mean \"READ\"?)",
        ),
        (
            "echoLogLevel",
            json!("Note"),
            "/v: expected one of \"debugLow\", \"note\", \"errorHigh\"; got \"Note\" (did you mean \"note\"?)",
        ),
        (
            "echoString",
            json!("tomorrow"),
            "/v: expected a date, such as 2026-07-28; got \"tomorrow\"",
        ),
    ] {
        let result = host.call(None, tool, json!({ "v": sent })).await;
        assert_eq!(text(&result).lines().nth(1), Some(refused), "{tool}");
    }
    let property = |tool: &Value| tool["inputSchema"]["properties"]["v"].clone();
    let access = listed(&host, "2025-11-25", "echoAccess").await;
    assert_eq!(
        property(&access)["items"]["enum"],
        json!(["READ", "canWrite", "canDelete"])
    );
    let string = listed(&host, "2025-11-25", "echoString").await;
    assert_eq!(property(&string)["format"], "date");
}

#[tokio::test]
async fn rules_of_an_alias_hold_wherever_it_is_used() {
    let host = TestHost::serving(&[]).await;
    // The alias has the rules, an option has the alias, and another alias has that.
    let wit = include_str!("guests/types/wit/types.wit")
        .replace(
            "  /// Another name of an option.\n  type maybe-number = option<u32>;",
            "  /// @default 5\n  /// @max 9\n  type limit = u32;\n  type maybe-number = option<limit>;",
        )
        .replace(
            "func(v: option<option<u32>>) -> option<option<u32>>;\n  echo-option-of-option-of-option",
            "func(v: option<option<limit>>) -> option<option<u32>>;\n  echo-option-of-option-of-option",
        )
        .replace("  echo-u32: func(v: u32)", "  /// @default v 10\n  echo-u32: func(v: limit)");
    fs::write(host.file("types.wit"), wit).unwrap();
    host.put("types", "guest_types");
    host.until(|names| names.contains(&"echoU32".to_owned()))
        .await;
    let schema = async |tool: &str| {
        listed(&host, "2025-11-25", tool).await["inputSchema"]["properties"]["v"].clone()
    };
    let maybe = schema("echoMaybeNumber").await;
    assert_eq!(
        (&maybe["default"], &maybe["maximum"]),
        (&json!(5), &json!(9))
    );
    let nested = schema("echoOptionOfOption").await;
    assert_eq!(nested["default"], json!({ "some": 5 }));
    assert!(nested.get("maximum").is_none(), "{nested}");
    assert_eq!(nested["properties"]["some"]["anyOf"][0]["maximum"], 9);
    // What a parameter says over its alias has to agree with it.
    assert_eq!(schema("echoU32").await["default"], 5);

    for (tool, sent, returned) in [
        ("echoMaybeNumber", json!({}), json!(5)),
        ("echoMaybeNumber", json!({ "v": 9 }), json!(9)),
        ("echoU32", json!({}), json!(5)),
        ("echoOptionOfOption", json!({}), json!({ "some": 5 })),
        (
            "echoOptionOfOption",
            json!({ "v": { "some": null } }),
            json!({ "some": null }),
        ),
    ] {
        let result = host.call(None, tool, sent).await;
        assert_eq!(
            result["structuredContent"],
            json!({ "result": returned }),
            "{tool}"
        );
    }
    for (tool, sent) in [
        ("echoMaybeNumber", json!({ "v": 10 })),
        ("echoU32", json!({ "v": 10 })),
        ("echoOptionOfOption", json!({ "v": { "some": 10 } })),
    ] {
        let result = host.call(None, tool, sent).await;
        assert_eq!(result["isError"], true, "{tool}");
        assert!(
            text(&result).contains("expected at most 9; got 10"),
            "{tool}"
        );
    }
}
