//! Whose token counts where there are several ways to send one, what is looked at before it and after
//! it, and what belongs to whom.

use cloister::issuer::TokenRequest;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::Session;
use crate::harness::{TestHost, call, modern};

const NOVEMBER: &str = "2025-11-25";

async fn asker(settings: &[(&'static str, &str)]) -> TestHost {
    TestHost::with(
        &[("asker", "guest_asker"), ("demo", "cloister_demo")],
        settings,
    )
    .await
}

/// A token that only the issuer of this name could judge.
async fn token_of(issuer: &str) -> String {
    let claims = json!({ "iss": issuer });
    TestHost::serving(&[]).await.mint(&TokenRequest {
        claims: claims.as_object().cloned().unwrap(),
        ..TokenRequest::new("user_ada")
    })
}

#[tokio::test]
async fn a_bad_token_comes_before_whatever_else_is_wrong() {
    let host = asker(&[]).await;
    let (headers, list) = modern("tools/list", json!({}));
    let version = |version: &'static str| {
        let mut headers = headers.clone();
        headers[0].1 = version.to_owned();
        headers
    };
    let body = |change: fn(&mut Value)| {
        let mut body = list.clone();
        change(&mut body);
        body.to_string()
    };
    let as_is = || body(|_| {});
    for (headers, body, status, code) in [
        // 5, 6: no message
        (headers.clone(), "{".to_owned(), 400, -32700),
        (headers.clone(), "[]".to_owned(), 400, -32600),
        (
            headers.clone(),
            body(|it| it["id"] = Value::Null),
            400,
            -32600,
        ),
        // 7: metadata
        (
            headers.clone(),
            body(|it| it["params"] = json!({})),
            400,
            -32602,
        ),
        // 8, 9, 10: headers and versions
        (version(NOVEMBER), as_is(), 400, -32020),
        (headers[..1].to_vec(), as_is(), 400, -32020),
        (
            version("v9"),
            body(|it| it["params"] = json!({})),
            400,
            -32022,
        ),
        // 11: methods
        (
            vec![headers[0].clone(), ("mcp-method", "nothing".to_owned())],
            body(|it| it["method"] = json!("nothing")),
            404,
            -32601,
        ),
        // what has no answer
        (
            Vec::new(),
            r#"{"jsonrpc":"2.0","method":"x"}"#.to_owned(),
            202,
            0,
        ),
        (
            Vec::new(),
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(),
            400,
            -32600,
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let reply = host.send_with(None, &headers, body.clone()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
        if code != 0 {
            assert_eq!(reply.json()["error"]["code"], code, "{body}");
        }
        let reply = host.send_with(Some("x.y.z"), &headers, body.clone()).await;
        assert_eq!(reply.status, 401, "{body}: {}", reply.text);
        assert_eq!(reply.json()["error"], "invalid_token", "{body}");
    }
    // A session that is not there, too; without one there is nothing to look at a token for.
    let session = ("mcp-session-id", "gone");
    for (method, named, status) in [
        ("GET", true, 401),
        ("DELETE", true, 401),
        ("GET", false, 405),
    ] {
        let mut request = host
            .client
            .request(method.parse().unwrap(), host.url())
            .header("accept", "text/event-stream")
            .bearer_auth("x.y.z");
        if named {
            request = request.header(session.0, session.1);
        }
        assert_eq!(request.send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn what_no_status_says_by_itself_is_said_in_json_rpc() {
    let host = asker(&[]).await;
    let request = r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#;
    for (body, id) in [
        (request, json!("a")),
        (
            r#"{"jsonrpc":"1.0","id":7,"method":"tools/list"}"#,
            json!(7),
        ),
        ("{", Value::Null),
        (r#"{"jsonrpc":"2.0","method":"x"}"#, Value::Null),
    ] {
        let malformed = [("authorization", "Bearer a b")];
        let reply = host.send_with(None, &malformed, body).await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.header("www-authenticate").contains("invalid_request"));
        let error = reply.json();
        assert_eq!(error["jsonrpc"], "2.0");
        assert_eq!(error["error"]["code"], -32600, "{error}");
        assert_eq!(error["id"], id, "{body}");
    }
    // An issuer that is not there.
    let host = asker(&[("clerk.issuer", "http://127.0.0.1:9")]).await;
    let token = token_of("http://127.0.0.1:9").await;
    let reply = host.send_with(Some(&token), &[], request).await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert!(reply.header("retry-after").parse::<u64>().unwrap() > 0);
    assert!(reply.headers.get("www-authenticate").is_none());
    let error = reply.json();
    assert_eq!(error["id"], "a", "{error}");
    assert_eq!(error["error"]["code"], 503, "{error}");
}

#[tokio::test]
async fn a_token_in_meta_is_good_for_all_that_runs_a_function() {
    let host = asker(&[]).await;
    let token = host.token("user_ada");
    let read = ("resources/read", json!({ "uri": "asker://own-greeting" }));
    let get = (
        "prompts/get",
        json!({ "name": "greetMe", "arguments": { "language": "Norwegian" } }),
    );
    let complete = (
        "completion/complete",
        json!({
            "ref": { "type": "ref/prompt", "name": "greetMe" },
            "argument": { "name": "language", "value": "user" },
        }),
    );
    for (method, params) in [read, get, complete] {
        let send = async |header: Option<&str>, meta: Option<&str>| {
            let mut params = params.clone();
            if let Some(token) = meta {
                params["_meta"] = json!({ "authorization": { "token": token } });
            }
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            host.send(header, &request).await
        };
        let done = send(None, Some(&token)).await;
        assert_eq!(done.status, 200);
        assert!(done.text.contains("user_ada"), "{}", done.text);
        assert_eq!(send(Some(&token), Some(&token)).await.text, done.text);

        assert_eq!(send(None, None).await.status, 401, "{method}");
        assert_eq!(send(Some(&token), Some("x.y.z")).await.status, 400);
        // Who sends it so is told so, where nothing but the message is read.
        let refused = send(None, Some("x.y.z")).await;
        assert_eq!(refused.status, 200);
        let error = &refused.json()["error"];
        assert_eq!(error["code"], 401, "{error}");
        assert_eq!(error["message"], "The access token is invalid");
    }
}

#[tokio::test]
async fn a_batch_is_admitted_as_a_whole_before_any_of_it_runs() {
    let host = asker(&[]).await;
    let session = Session::open(&host, "2025-03-26", json!({})).await;
    let mut stream = session.listen(None).await;
    let announce = call(1, "announce", json!({ "uri": "asker://greeting" }));
    let profile = call(2, "getUserProfile", json!({}));
    let refused = session.post(&json!([announce, profile])).await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().contains_key("www-authenticate"));
    stream.is_silent().await;

    // A token in `_meta` that is refused is the business of its own call.
    let mut with_meta = profile.clone();
    with_meta["params"]["_meta"] = json!({ "authorization": { "token": "x.y.z" } });
    let reply = session.post(&json!([announce, with_meta])).await;
    let answers: Value = reply.json().await.unwrap();
    assert_eq!(answers[0]["id"], 1);
    assert_eq!(answers[1]["result"]["isError"], true, "{answers}");
    let told = stream.message().await;
    assert_eq!(told["method"], "notifications/tools/list_changed");

    // All of a batch runs at once, and goes with its client.
    let host = TestHost::serving(&[("faulty", "guest_faulty")]).await;
    let sleeping: Vec<Value> = (0..10)
        .map(|id| call(id, "sleep", json!({ "milliseconds": 60_000 })))
        .collect();
    tokio::select! {
        reply = host.send_with(None, &[], json!(sleeping).to_string()) => panic!("{}", reply.text),
        _ = host.until_open("calls", 10) => {}
    }
    host.until_open("calls", 0).await;
}

#[tokio::test]
async fn a_request_whose_token_is_still_looked_at_can_be_cancelled() {
    // An issuer that takes questions and answers none.
    let issuer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", issuer.local_addr().unwrap());
    let _silent = tokio::spawn(async move {
        let mut asked = Vec::new();
        while let Ok((socket, _)) = issuer.accept().await {
            asked.push(socket);
        }
    });
    let host = asker(&[("clerk.issuer", &url)]).await;
    let token = token_of(&url).await;
    let session = Session::open(&host, NOVEMBER, json!({})).await;
    let mut request = call(7, "getUserProfile", json!({}));
    request["params"]["_meta"] = json!({ "authorization": { "token": token } });
    let cancelling = async {
        loop {
            session.cancel(json!(7)).await;
        }
    };
    tokio::select! {
        reply = session.post(&request) => {
            assert_eq!(reply.status(), 202, "{}", reply.text().await.unwrap());
        }
        () = cancelling => {}
    }
}
