//! Tools that not every signed-in caller may use: scopes, permissions and roles.

use std::fmt::Write;
use std::fs;

use cloister::issuer::{TokenKind, TokenRequest};
use cloister::reload::{Contents, inspect_contents};
use cloister::sandbox::Compiler;
use serde_json::{Value, json};

use crate::harness::{TestHost, call, component, text};

/// The WIT of the plain service, with these doc comments on its functions.
fn words(sum: &str, mirror: &str, greet: &str) -> String {
    format!(
        "package acme:plain@1.2.3;
        interface shapes {{
          record point {{ x: s32, y: s32, label: option<string> }}
          {mirror}
          mirror: func(at: point) -> result<point, string>;
          {sum}
          sum: func(terms: list<s32>, start: option<s32>) -> s64;
        }}
        world plain {{
          export shapes;
          {greet}
          export greet: func(name: string) -> string;
        }}"
    )
}

const SUM: &str = "/// @scope math:read profile\n/// @scope math:add";
const MIRROR: &str = "/// @permission org:shapes:mirror";
const GREET: &str = "/// @role org:admin\n/// @role org:owner";

async fn restricted() -> TestHost {
    let host = TestHost::serving(&[]).await;
    fs::write(host.file("plain.wit"), words(SUM, MIRROR, GREET)).unwrap();
    host.put("plain", "guest_plain");
    host.until(|names| names == ["greet", "mirror", "sum"])
        .await;
    host
}

/// An OAuth token with these scopes.
fn scoped(host: &TestHost, scopes: &[&str]) -> String {
    host.mint(&TokenRequest {
        kind: TokenKind::OAuth {
            client_id: "client_1".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            resources: Vec::new(),
        },
        ..TokenRequest::new("user_ada")
    })
}

/// A session token of a member of an organization.
fn member(host: &TestHost, organization: &Value) -> String {
    host.mint(&TokenRequest {
        kind: TokenKind::Session,
        claims: organization.as_object().cloned().unwrap(),
        ..TokenRequest::new("user_ada")
    })
}

#[tokio::test]
async fn a_tool_is_for_those_who_have_what_it_demands() {
    let host = restricted().await;
    let reader = scoped(&host, &["math:read", "profile"]);
    let adder = scoped(&host, &["math:add", "profile", "math:read", "more"]);
    let mirroring = member(
        &host,
        &json!({ "fea": "o:shapes", "o": {
            "id": "org_1", "rol": "member", "per": "mirror,turn", "fpm": "1",
        } }),
    );
    let turning = member(
        &host,
        &json!({ "fea": "o:shapes", "o": {
            "id": "org_1", "rol": "owner", "per": "mirror,turn", "fpm": "2",
        } }),
    );
    let ada = host.token("user_ada");
    let point = json!({ "at": { "x": 1, "y": 2 } });
    let mut answers = String::new();
    for (tool, arguments, who, token) in [
        ("sum", json!({ "terms": [1, 2] }), "nobody", None),
        ("sum", json!({ "terms": [1, 2] }), "ada", Some(&ada)),
        ("sum", json!({ "terms": [1, 2] }), "reader", Some(&reader)),
        // Who may not call is not told what is wrong with the arguments.
        ("sum", json!({ "terms": "none" }), "reader", Some(&reader)),
        ("sum", json!({ "terms": [1, 2] }), "adder", Some(&adder)),
        ("mirror", point.clone(), "nobody", None),
        ("mirror", point.clone(), "ada", Some(&ada)),
        ("mirror", point.clone(), "turning", Some(&turning)),
        ("mirror", point.clone(), "mirroring", Some(&mirroring)),
        ("greet", json!({ "name": "Ada" }), "adder", Some(&adder)),
        (
            "greet",
            json!({ "name": "Ada" }),
            "mirroring",
            Some(&mirroring),
        ),
        ("greet", json!({ "name": "Ada" }), "turning", Some(&turning)),
    ] {
        let token = token.map(String::as_str);
        let params = json!({ "name": tool, "arguments": arguments });
        let modern = host.send_modern(token, "tools/call", params).await;
        let reply = host.send(token, &call(1, tool, arguments)).await;
        assert_eq!(reply.status, modern.status, "{tool}, {who}");
        writeln!(answers, "{tool}, {who}: {}", reply.status).unwrap();
        if reply.status == 200 {
            assert_eq!(
                reply.json()["result"]["isError"],
                Value::Null,
                "{tool}, {who}"
            );
            continue;
        }
        assert_eq!(reply.text, modern.text);
        if let Some(challenge) = reply.headers.get("www-authenticate") {
            let challenge = challenge.to_str().unwrap();
            assert_eq!(modern.header("www-authenticate"), challenge);
            writeln!(answers, "  {challenge}").unwrap();
        }
        writeln!(answers, "  {}", reply.text).unwrap();
    }
    insta::assert_snapshot!(answers.replace(&host.url_of("/"), "http://host/"));
}

#[tokio::test]
async fn a_token_in_meta_that_grants_too_little_is_a_failed_call() {
    let host = restricted().await;
    let reader = scoped(&host, &["math:read"]);
    let with = |tool: &str| {
        let mut message = call(1, tool, json!({}));
        message["params"]["_meta"] = json!({ "authorization": { "token": reader } });
        message
    };
    let reply = host.send(None, &with("sum")).await;
    assert_eq!(reply.status, 200);
    let result = &reply.json()["result"];
    assert_eq!(result["isError"], true);
    assert_eq!(
        text(result),
        "Error: The token lacks a scope that this tool needs"
    );
    assert_eq!(
        result["_meta"]["cloister/auth"],
        json!({ "code": "INSUFFICIENT_SCOPE", "reason": "insufficient_scope" })
    );
    let challenge = result["_meta"]["mcp/www_authenticate"][0].as_str().unwrap();
    assert!(
        challenge.contains("scope=\"math:read profile math:add\""),
        "{challenge}"
    );

    let result = &host.send(None, &with("greet")).await.json()["result"];
    assert_eq!(
        result["_meta"],
        json!({ "cloister/auth": { "code": "FORBIDDEN", "reason": "forbidden" } })
    );
}

#[tokio::test]
async fn a_token_that_is_refused_is_told_at_once_all_that_it_takes() {
    let host = restricted().await;
    let adder = scoped(&host, &["math:add", "profile", "math:read"]);
    let mut changed = adder.clone();
    changed.replace_range(changed.len() - 4.., "AAAA");
    let scopes = "scope=\"math:read profile math:add\"";
    for (tool, scoped) in [("sum", true), ("mirror", false), ("unknown", false)] {
        for token in ["nonsense", &changed] {
            let reply = host.send(Some(token), &call(1, tool, json!({}))).await;
            assert_eq!(reply.status, 401, "{tool}");
            let challenge = reply.header("www-authenticate");
            assert!(
                challenge.starts_with("Bearer error=\"invalid_token\""),
                "{challenge}"
            );
            assert_eq!(challenge.contains("scope="), scoped, "{challenge}");
            assert_eq!(challenge.contains(scopes), scoped, "{challenge}");
        }
        let mut in_meta = call(1, tool, json!({}));
        in_meta["params"]["_meta"] = json!({ "authorization": { "token": changed } });
        let result = host.send(None, &in_meta).await.json();
        let challenge = &result["result"]["_meta"]["mcp/www_authenticate"][0];
        assert_eq!(
            challenge.as_str().unwrap().contains(scopes),
            scoped,
            "{result}"
        );
        // Whoever presents two tokens is not told to ask for more.
        let conflict = host.send(Some(&adder), &in_meta).await;
        assert_eq!(conflict.status, 400, "{tool}");
        assert!(!conflict.header("www-authenticate").contains("scope="));
    }
}

#[tokio::test]
async fn a_broader_scope_is_as_good_where_the_operator_says_so() {
    let host = restricted().await;
    let all = scoped(&host, &["math", "profile"]);
    let sum = call(1, "sum", json!({ "terms": [1, 2] }));
    assert_eq!(host.send(Some(&all), &sum).await.status, 403);
    let mut changes = host.changes();
    let manifest = "[scopes]\nmath = [\"math:read\", \"math:add\"]\n";
    fs::write(host.file(".plain.new"), manifest).unwrap();
    fs::rename(host.file(".plain.new"), host.file("plain.toml")).unwrap();
    changes.changed().await.unwrap();
    assert_eq!(host.send(Some(&all), &sum).await.status, 200);
    // It includes no more than that, and clients are asked for no more than is needed.
    let only = scoped(&host, &["math"]);
    let refused = host.send(Some(&only), &sum).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .header("www-authenticate")
            .contains("scope=\"math:read profile math:add\"")
    );

    // The tool itself is told the same.
    fs::write(host.file("prying.toml"), "[scopes]\nmath = [\"team\"]\n").unwrap();
    host.put("prying", "guest_prying");
    host.until(|names| names.contains(&"everything".to_owned()))
        .await;
    let known = host
        .call(Some(&only), "everything", json!({}))
        .await
        .to_string();
    assert!(
        known.contains("team: true") && known.contains("email: false"),
        "{known}"
    );
}

#[tokio::test]
async fn the_metadata_names_the_scopes_that_are_of_use_now() {
    let host = restricted().await;
    let address = host.url_of("/.well-known/oauth-protected-resource/mcp");
    let supported = async || {
        let metadata = host.client.get(&address).send().await.unwrap();
        metadata.json::<Value>().await.unwrap()["scopes_supported"].clone()
    };
    assert_eq!(
        supported().await,
        json!(["math:add", "math:read", "profile"])
    );
    fs::remove_file(host.file("plain.wasm")).unwrap();
    host.until(<[String]>::is_empty).await;
    assert_eq!(supported().await, Value::Null);
}

#[tokio::test]
async fn a_restricted_tool_is_lent_the_caller_if_it_asks() {
    let host = TestHost::serving(&[]).await;
    let wit = include_str!("guests/faulty/wit/faulty.wit")
        .replace("  whoami: func(", "  /// @scope profile\n  whoami: func(");
    fs::write(host.file("faulty.wit"), wit).unwrap();
    host.put("faulty", "guest_faulty");
    host.until(|names| names.contains(&"whoami".to_owned()))
        .await;
    let reply = host.send(None, &call(1, "whoami", json!({}))).await;
    assert_eq!(reply.status, 401);
    let token = scoped(&host, &["profile"]);
    let ada = host.call(Some(&token), "whoami", json!({})).await;
    assert_eq!(ada["structuredContent"], json!({ "result": "user_ada" }));
}

/// What a component offers with a text and a manifest: who may call each tool, and the notes.
fn offered(wit: &str, manifest: Option<&str>) -> Result<(Vec<String>, Vec<String>), String> {
    let compiler = Compiler::for_inspection().unwrap();
    let contents = Contents::new(
        fs::read(component("guest_plain")).unwrap(),
        Some(wit.as_bytes().to_vec()),
        manifest.map(|manifest| manifest.as_bytes().to_vec()),
    );
    let inspection = inspect_contents("plain", &contents, &compiler)?;
    let tools = inspection.service.tools.iter().map(|tool| {
        let scopes = tool.function.access.scopes().join(" ");
        format!("{} {scopes}", tool.function.name)
            .trim_end()
            .to_owned()
    });
    Ok((tools.collect(), inspection.notes))
}

#[test]
fn a_restriction_that_cannot_be_kept_leaves_the_function_out() {
    let plain = words("", "", "");
    for (wit, left_out, expected) in [
        (words("/// @scope", "", ""), "sum", "`@scope` says nothing"),
        (words("/// @scopes a", "", ""), "sum", "write `@scope`"),
        (words("/// @role \"a\"", "", ""), "sum", "is no name of"),
        (words("", "", "/// @permission é"), "greet", "is no name of"),
        (
            plain.replace("interface", "/// @scope a\ninterface"),
            "mirror sum",
            "write it above each function",
        ),
        (
            plain.replace("world", "/// @scope a\nworld"),
            "mirror sum greet",
            "write it above each function",
        ),
        // A text of the version before still says whom a function is for.
        (
            words("/// @scope a", "", "").replace("@1.2.3", "@1.2.2"),
            "sum",
            "that is not of the component",
        ),
    ] {
        match offered(&wit, None) {
            Ok((tools, notes)) => {
                let left: Vec<&str> = ["mirror", "sum", "greet"]
                    .into_iter()
                    .filter(|name| !tools.contains(&(*name).to_owned()))
                    .collect();
                assert_eq!(left.join(" "), left_out, "{wit}");
                assert!(notes.join("\n").contains(expected), "{notes:?}");
            }
            Err(cause) => {
                assert_eq!(left_out, "mirror sum greet", "{wit}: {cause}");
                assert!(cause.contains(expected), "{cause}");
            }
        }
    }

    // Words that do not fit the types go; what they restrict stays.
    let other_types =
        words("/// Adds up.\n/// @scope a", "", "").replace("start: option<s32>", "start: u8");
    let (tools, _) = offered(&other_types, None).unwrap();
    assert_eq!(tools, ["greet", "mirror", "sum a"]);
    // A text that cannot be read at all may have restricted any of them.
    let cause = offered(&format!("{} {{", words(SUM, "", "")), None).unwrap_err();
    assert!(cause.contains("cannot be used"), "{cause}");
}

#[test]
fn the_manifest_restricts_by_either_name_and_knows_no_other() {
    let wit = words("/// @name add-up\n/// @scope a", "", "");
    for (manifest, expected) in [
        ("[tools.sum]\nscopes = [\"b\"]", Ok("add-up b")),
        ("[tools.add-up]\nscopes = [\"b\"]", Ok("add-up b")),
        ("[tools.sum]\nscopes = []", Ok("add-up")),
        ("[tools.sum]", Ok("add-up a")),
        ("[tools.smu]\nscopes = [\"b\"]", Err("no function `smu`")),
        (
            "[tools.sum]\n[tools.add-up]\nscopes = [\"b\"]",
            Err("are the same function"),
        ),
        ("[tools.sum]\nscope = [\"b\"]", Err("line 2, column 1")),
        ("[tools.sum]\nscopes = [\"b c\"]", Err("line 2, column 10")),
    ] {
        match (offered(&wit, Some(manifest)), expected) {
            (Ok((tools, _)), Ok(expected)) => assert_eq!(tools, ["greet", "mirror", expected]),
            (Err(cause), Err(expected)) => assert!(cause.contains(expected), "{cause}"),
            (other, _) => panic!("{manifest}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_operator_restricts_a_tool_that_is_served() {
    let host = TestHost::serving(&[("plain", "guest_plain")]).await;
    let greeting = call(1, "greet", json!({ "name": "Ada" }));
    assert_eq!(host.send(None, &greeting).await.status, 200);

    // Renamed into its place: half a manifest would restrict nothing.
    let state = |manifest: &str| {
        fs::write(host.file(".plain.new"), manifest).unwrap();
        fs::rename(host.file(".plain.new"), host.file("plain.toml")).unwrap();
    };
    let mut changes = host.changes();
    state("[tools.greet]\nroles = [\"org:admin\"]\n");
    changes.changed().await.unwrap();
    assert_eq!(host.send(None, &greeting).await.status, 401);

    // A name that is wrong does not open it again.
    state("[tools.great]\nroles = [\"org:admin\"]\n");
    host.put("late", "guest_faulty");
    host.until(|names| names.contains(&"panic".to_owned()))
        .await;
    assert_eq!(host.send(None, &greeting).await.status, 401);
}
