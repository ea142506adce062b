//! What a tool asks, and the client answers: on the open stream in the older revisions, by calling again
//! in 2026-07-28.

use serde_json::{Value, json};

use crate::client::Session;
use crate::harness::{TestHost, call, text};

const NOVEMBER: &str = "2025-11-25";

fn everything() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": { "tools": {} }, "roots": {} })
}

fn filled_in(name: &str, value: &str) -> Value {
    json!({ "action": "accept", "content": { name: value } })
}

async fn asker() -> TestHost {
    TestHost::serving(&[("asker", "guest_asker")]).await
}

#[tokio::test]
async fn a_question_waits_on_the_open_stream_for_its_answer() {
    let host = asker().await;
    let session = Session::open(&host, NOVEMBER, everything()).await;
    let sampled = json!({
        "role": "assistant",
        "content": { "type": "text", "text": "By all means." },
        "model": "large",
    });
    let mut asked_and_answered = Vec::new();
    for (tool, arguments, outcome, answer) in [
        ("elicitName", json!({}), "result", filled_in("name", "Ada")),
        (
            "elicitName",
            json!({}),
            "result",
            json!({ "action": "decline" }),
        ),
        (
            "elicitName",
            json!({}),
            "result",
            json!({ "action": "maybe" }),
        ),
        ("elicitName", json!({}), "result", json!("Ada")),
        (
            "elicitName",
            json!({}),
            "error",
            json!({ "code": -32602, "message": "no forms here" }),
        ),
        ("sample", json!({ "prompt": "Shall I?" }), "result", sampled),
        (
            "sample",
            json!({ "prompt": "Shall I?" }),
            "error",
            json!({ "code": -1, "message": "User rejected sampling request" }),
        ),
        (
            "roots",
            json!({}),
            "result",
            json!({ "roots": [{ "uri": "file:///home/ada" }] }),
        ),
        (
            "roots",
            json!({}),
            "error",
            json!({ "code": -32601, "message": "Roots not supported" }),
        ),
        (
            "page",
            json!({ "url": "https://example.com" }),
            "result",
            json!({ "action": "accept" }),
        ),
    ] {
        let mut stream = session.call(7, tool, arguments).await;
        let question = stream.message().await;
        host.until_open("asking", 1).await;
        let reply = session.answer(&question, outcome, answer.clone()).await;
        assert_eq!(reply.status(), 202);
        let ended = stream.rest().await;
        assert_eq!(host.open("asking").await, 0);
        assert_eq!((ended.len(), &ended[0]["id"]), (1, &json!(7)));
        let asked = json!([question["method"], question["params"]]);
        asked_and_answered.push(json!({
            "asked": asked,
            "answered": answer,
            "told": ended[0]["result"]["content"][0]["text"],
        }));
    }
    insta::assert_json_snapshot!(asked_and_answered);
}

#[tokio::test]
async fn several_questions_are_answered_in_any_order_by_their_own_client_alone() {
    let host = asker().await;
    let ada = host.token("user_ada");
    let session = Session::of(&host, NOVEMBER, everything(), Some(ada.clone())).await;
    let other = Session::of(&host, NOVEMBER, everything(), Some(ada)).await;
    let mut stream = session.call(1, "askSeveral", json!({})).await;
    let mut questions = Vec::new();
    for _ in 0..3 {
        questions.push(stream.message().await);
    }
    let roots = json!({ "roots": [] });
    let mistaken = session.with(Some(host.token("user_bob")));
    for (session, status) in [(&mistaken, 404), (&session.with(None), 404), (&other, 202)] {
        let reply = session.answer(&questions[2], "result", roots.clone()).await;
        assert_eq!(reply.status(), status);
    }
    let unasked = json!({ "id": "1" });
    session
        .answer(&unasked, "result", json!({ "action": "cancel" }))
        .await;
    // Those changed nothing: all three are still open.
    let refused = json!({ "code": -1, "message": "no" });
    session
        .answer(&questions[2], "error", refused.clone())
        .await;
    session
        .answer(&questions[0], "result", json!({ "action": "cancel" }))
        .await;
    // What was answered is answered.
    session.answer(&questions[2], "result", roots).await;
    session.answer(&questions[1], "error", refused).await;
    let ended = stream.rest().await;
    assert_eq!(
        ended[0]["result"]["structuredContent"]["result"],
        json!([
            "Ok(Answer::Form(Response::Cancelled))",
            "Err(Unanswered::Refused(\"no\"))",
            "Err(Unanswered::Refused(\"no\"))",
        ])
    );
}

#[tokio::test]
async fn questions_that_are_larger_than_the_room_for_them_all_arrive() {
    let host = asker().await;
    let session = Session::open(&host, NOVEMBER, everything()).await;
    let length = json!({ "letters": 300_000 });
    let mut stream = session.call(1, "askAtLength", length).await;
    for letter in ["a", "b"] {
        let question = stream.message().await;
        let text = &question["params"]["messages"][0]["content"]["text"];
        assert_eq!(*text, letter.repeat(300_000));
        let sampled = json!({
            "role": "assistant",
            "content": { "type": "text", "text": "" },
            "model": letter,
        });
        session.answer(&question, "result", sampled).await;
    }
    let ended = stream.rest().await;
    let result = &ended[0]["result"]["structuredContent"]["result"];
    assert_eq!(*result, json!(["a", "b"]));
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_told_what_is_missing() {
    let host = asker().await;
    let able = json!({ "elicitation": {} });
    let ask = async |session: &Session<'_>, name: &str| -> String {
        let arguments = json!({ "url": "https://example.com", "prompt": "Shall I?" });
        let names = match name {
            "page" => vec!["url"],
            "sample" => vec!["prompt"],
            _ => vec![],
        };
        let arguments: Value = names
            .into_iter()
            .map(|name| (name.to_owned(), arguments[name].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let answer = session.ask(
            "tools/call",
            json!({ "name": name, "arguments": arguments }),
        );
        let result = answer.await["result"].clone();
        assert_eq!(result["isError"], true, "{result}");
        text(&result).to_owned()
    };
    let nobody = Session::open(&host, NOVEMBER, json!({})).await;
    let old = Session::open(&host, "2025-03-26", everything()).await;
    let form = Session::open(&host, NOVEMBER, able.clone()).await;
    let june = Session::open(&host, "2025-06-18", everything()).await;
    let mut stateless = nobody.with(None);
    stateless.id = None;
    let mut told = Vec::new();
    for (session, name) in [
        (&nobody, "elicitName"),
        (&nobody, "sample"),
        (&nobody, "roots"),
        (&form, "page"),
        // This revision has no forms, and this one no pages, whatever their clients say.
        (&old, "elicitName"),
        (&old, "page"),
        (&june, "page"),
        (&stateless, "elicitName"),
    ] {
        told.push(ask(session, name).await);
    }
    // A client that takes one JSON object cannot be asked either.
    let reply = form
        .request(reqwest::Method::POST)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .body(call(1, "elicitName", json!({})).to_string())
        .send()
        .await
        .unwrap();
    let answer: Value = reply.json().await.unwrap();
    told.push(text(&answer["result"]).to_owned());
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn forms_are_as_their_revision_knows_them() {
    let host = TestHost::serving(&[
        ("conformance", "guest_conformance"),
        ("asker", "guest_asker"),
    ])
    .await;
    for version in ["2025-06-18", NOVEMBER] {
        let session = Session::open(&host, version, everything()).await;
        let mut asked = Vec::new();
        for tool in [
            "testElicitationSep1034Defaults",
            "testElicitationSep1330Enums",
        ] {
            let mut stream = session.call(1, tool, json!({})).await;
            let question = stream.message().await;
            session
                .answer(&question, "result", json!({ "action": "cancel" }))
                .await;
            asked.push(question["params"].clone());
            stream.rest().await;
        }
        insta::assert_json_snapshot!(format!("forms_of_{version}"), asked);
    }
}

/// One round of a call of 2026-07-28: the result.
async fn round(host: &TestHost, token: Option<&str>, params: Value) -> Value {
    let mut params = params;
    params["_meta"] = json!({ "io.modelcontextprotocol/clientCapabilities": everything() });
    let reply = host.send_modern(token, "tools/call", params).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

#[tokio::test]
async fn a_call_is_repeated_with_answers_until_none_is_missing() {
    let host = asker().await;
    let first = round(&host, None, json!({ "name": "twoRounds" })).await["result"].clone();
    insta::assert_json_snapshot!(first, { ".requestState" => "…" });
    let again = |state: &Value, responses: Value| json!({ "name": "twoRounds", "requestState": state, "inputResponses": responses });
    let name = json!({ "name": filled_in("name", "Ada"), "other": 5 });
    let second = round(&host, None, again(&first["requestState"], name)).await["result"].clone();
    assert_eq!(second["resultType"], "input_required");
    let message = &second["inputRequests"]["colour"]["params"]["message"];
    assert_eq!(message, "Which colour do you like, Ada?");
    assert_eq!(second["inputRequests"].as_object().unwrap().len(), 1);

    // The answer before is in the state, and no other takes its place.
    let colour =
        json!({ "colour": filled_in("colour", "green"), "name": filled_in("name", "Bob") });
    let third = round(&host, None, again(&second["requestState"], colour)).await["result"].clone();
    assert_eq!(
        (&third["resultType"], text(&third)),
        (&json!("complete"), "Ada likes green")
    );

    // What is no answer is asked for again.
    for responses in [
        json!({}),
        json!({ "colour": filled_in("colour", "green") }),
        json!({ "name": 5 }),
        json!({ "name": null }),
        json!({ "name": [] }),
        json!({ "name": { "action": "accept" } }),
        json!({ "name": { "action": "accept", "content": { "name": 5 } } }),
    ] {
        let asked = round(&host, None, again(&first["requestState"], responses)).await;
        assert_eq!(
            asked["result"]["inputRequests"], first["inputRequests"],
            "{asked}"
        );
    }
    for responses in [Value::Null, json!([]), json!("name")] {
        let refused = round(&host, None, again(&first["requestState"], responses)).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    let declined = json!({ "name": { "action": "decline" } });
    let ended = round(&host, None, again(&first["requestState"], declined)).await;
    assert_eq!(ended["result"]["isError"], true);

    // A client may know what it will be asked.
    let known = json!({ "name": filled_in("name", "Ada"), "colour": filled_in("colour", "green") });
    let known = json!({ "name": "twoRounds", "inputResponses": known });
    assert_eq!(
        text(&round(&host, None, known).await["result"]),
        "Ada likes green"
    );
}

#[tokio::test]
async fn whatever_runs_a_function_can_ask() {
    let host = asker().await;
    let able = json!({ "io.modelcontextprotocol/clientCapabilities": everything() });
    let read = async |more: Value| {
        let mut params = json!({ "uri": "asker://greeting", "_meta": able });
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        let reply = host.send_modern(None, "resources/read", params).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["result"].clone()
    };
    let first = read(json!({})).await;
    assert_eq!(first["resultType"], "input_required", "{first}");
    assert!(first.get("ttlMs").is_none() && first.get("cacheScope").is_none());
    let name = json!({ "name": filled_in("name", "Ada") });
    // What was made of an answer is for nobody else, whichever way the answer came.
    for more in [
        json!({ "requestState": first["requestState"], "inputResponses": name }),
        json!({ "inputResponses": name }),
    ] {
        let done = read(more).await;
        assert_eq!(done["contents"][0]["text"], "hello, Ada");
        assert_eq!(done["cacheScope"], "private", "{done}");
    }

    let page = json!({ "name": "page", "arguments": { "url": "https://example.com/in" } });
    let first = round(&host, None, page.clone()).await["result"].clone();
    let asked = &first["inputRequests"]["page"];
    assert_eq!(asked["method"], "elicitation/create");
    let params =
        json!({ "mode": "url", "message": "Sign in over there.", "url": "https://example.com/in" });
    assert_eq!(asked["params"], params);
    for (action, told) in [
        ("accept", "Response::Accepted([])"),
        ("decline", "Response::Declined"),
        ("cancel", "Response::Cancelled"),
    ] {
        let mut again = page.clone();
        again["requestState"] = first["requestState"].clone();
        again["inputResponses"] = json!({ "page": { "action": action } });
        let done = round(&host, None, again).await;
        assert_eq!(text(&done["result"]), told);
    }
}

#[tokio::test]
async fn a_state_is_good_for_the_call_that_it_was_made_for() {
    let host = TestHost::serving(&[("asker", "guest_asker"), ("other", "guest_asker")]).await;
    let (ada, bob) = (host.token("user_ada"), host.token("user_bob"));
    let call = json!({ "name": "asker_sample", "arguments": { "prompt": "Shall I?" } });
    let first = round(&host, Some(&ada), call.clone()).await;
    let state = first["result"]["requestState"].as_str().unwrap();
    let sampled = json!({ "model": {
        "role": "assistant",
        "content": { "type": "text", "text": "By all means." },
        "model": "large",
    } });
    let with = |state: &str, changes: Value| {
        let mut again = call.clone();
        again["requestState"] = json!(state);
        again["inputResponses"] = sampled.clone();
        for (name, value) in changes.as_object().unwrap() {
            again[name] = value.clone();
        }
        again
    };
    let tampered = format!("{state}A");
    let mut flipped = state.to_owned();
    let last = if flipped.pop() == Some('A') { 'B' } else { 'A' };
    flipped.insert(0, last);
    for (token, again) in [
        (Some(&ada), with(&tampered, json!({}))),
        (Some(&ada), with(&flipped, json!({}))),
        (Some(&ada), with("", json!({}))),
        (Some(&ada), with(state, json!({ "requestState": 5 }))),
        (Some(&ada), with(state, json!({ "requestState": null }))),
        (Some(&bob), with(state, json!({}))),
        (None, with(state, json!({}))),
        (Some(&ada), with(state, json!({ "name": "other_sample" }))),
        (
            Some(&ada),
            with(state, json!({ "arguments": { "prompt": "Shall I not?" } })),
        ),
    ] {
        let refused = round(&host, token.map(|token| &**token), again).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        assert_eq!(host.open("calls").await, 0);
    }
    let done = round(&host, Some(&ada), with(state, json!({}))).await;
    assert_eq!(done["result"]["resultType"], "complete", "{done}");
}

#[tokio::test]
async fn hosts_that_share_a_key_serve_each_others_rounds() {
    let settings = [("state_keys", "a secret of thirty-two characters")];
    let services = [("asker", "guest_asker")];
    let (one, other) = tokio::join!(
        TestHost::with(&services, &settings),
        TestHost::with(&services, &settings)
    );
    let alone = asker().await;
    let first = round(&one, None, json!({ "name": "twoRounds" })).await;
    let again = json!({
        "name": "twoRounds",
        "requestState": first["result"]["requestState"],
        "inputResponses": { "name": filled_in("name", "Ada") },
    });
    let refused = round(&alone, None, again.clone()).await;
    assert_eq!(refused["error"]["code"], -32602);
    let second = round(&other, None, again).await;
    let again = json!({
        "name": "twoRounds",
        "requestState": second["result"]["requestState"],
        "inputResponses": { "colour": filled_in("colour", "green") },
    });
    assert_eq!(
        text(&round(&one, None, again).await["result"]),
        "Ada likes green"
    );
}

#[tokio::test]
async fn a_client_of_2026_that_lacks_what_a_tool_needs_is_told_before_anything_is_asked() {
    let host = asker().await;
    for (able, name, required) in [
        (
            json!({}),
            "elicitName",
            json!({ "elicitation": { "form": {} } }),
        ),
        (
            json!({ "elicitation": { "url": {} } }),
            "elicitName",
            json!({ "elicitation": { "form": {} } }),
        ),
        (
            json!({ "elicitation": {}, "sampling": {} }),
            "askSeveral",
            json!({ "sampling": { "tools": {} }, "roots": {} }),
        ),
        (
            json!({ "elicitation": {} }),
            "roots",
            json!({ "roots": {} }),
        ),
    ] {
        let params = json!({
            "name": name,
            "_meta": { "io.modelcontextprotocol/clientCapabilities": able },
        });
        let reply = host.send_modern(None, "tools/call", params).await;
        assert_eq!(reply.status, 400);
        let error = &reply.json()["error"];
        assert_eq!(error["code"], -32021, "{error}");
        assert_eq!(error["data"]["requiredCapabilities"], required);
    }
}
