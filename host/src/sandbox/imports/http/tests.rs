//! Names that stand for what they like.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Empty;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that answers one request of each connection; the port it is at.
async fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    });
    port
}

/// What becomes of requests to these URLs, one after the other, when names stand in turn for these
/// addresses.
async fn fetch(
    allow: &[String],
    urls: &[String],
    addresses: Vec<Vec<&'static str>>,
) -> (Vec<Result<u16, String>>, Refusal) {
    let allow = allow.iter().map(|it| it.parse().unwrap()).collect();
    let turn = AtomicUsize::new(0);
    let http = Http::with_lookup(allow, BTreeMap::new(), move |_name: &str| {
        let found = &addresses[turn.fetch_add(1, Ordering::SeqCst)];
        Ok(found
            .iter()
            .map(|it| it.parse::<IpAddr>().unwrap())
            .collect())
    })
    .unwrap();
    let grants = Arc::new(Grants {
        http: Some(http),
        ..Grants::default()
    });
    let refusal = Refusal::default();
    let mut outgoing = Outgoing::new(
        "weather".into(),
        grants,
        1 << 20,
        refusal.clone(),
        Usage::default(),
    );
    let mut outcomes = Vec::new();
    for url in urls {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get(url).body(body).unwrap();
        let sent = outgoing
            .hooks
            .send_request(request, None, Box::new(async { Ok(()) }));
        let outcome = Box::into_pin(sent).await;
        outcomes.push(match outcome {
            Ok((response, _)) => Ok(response.status().as_u16()),
            Err(error) => Err(error.to_string()),
        });
    }
    (outcomes, refusal)
}

#[tokio::test]
async fn a_name_leads_to_public_addresses_and_to_those_that_are_allowed_themselves() {
    let port = server().await;
    let name = format!("http://intern.example:{port}");
    let below = format!("http://*.example:{port}");
    let address = format!("http://127.0.0.1:{port}");
    let near = format!("http://127.0.0.1:{}", port.wrapping_add(1));
    let localhost = format!("http://localhost:{port}");
    let prohibited = || Err("destination IP address is prohibited".to_owned());
    for (allow, url, addresses, outcome) in [
        (vec![&name], &name, &["127.0.0.1"][..], prohibited()),
        (
            vec![&name],
            &name,
            &["::ffff:127.0.0.1", "10.0.0.1"],
            prohibited(),
        ),
        (vec![&below], &name, &["169.254.169.254"], prohibited()),
        (vec![&name], &name, &[], Err("DNS error".to_owned())),
        (vec![&name, &address], &name, &["127.0.0.1"], Ok(204)),
        (
            vec![&name, &address],
            &name,
            &["10.0.0.1", "127.0.0.1"],
            Ok(204),
        ),
        (vec![&below, &address], &name, &["127.0.0.1"], Ok(204)),
        // The port of the address counts, too, and a name that is allowed twice is only as good as both.
        (vec![&name, &near], &name, &["127.0.0.1"], prohibited()),
        (
            vec![&name, &address, &"http://intern.example".to_owned()],
            &name,
            &["127.0.0.1"],
            prohibited(),
        ),
        (vec![&localhost], &localhost, &["127.0.0.1"], Ok(204)),
        (vec![&localhost], &localhost, &["10.0.0.1"], prohibited()),
    ] {
        let allow: Vec<String> = allow.into_iter().cloned().collect();
        let (outcomes, refusal) =
            fetch(&allow, std::slice::from_ref(url), vec![addresses.to_vec()]).await;
        assert_eq!(
            outcomes,
            std::slice::from_ref(&outcome),
            "{allow:?} {addresses:?}"
        );
        let told = refusal
            .text()
            .is_some_and(|text| text.contains("`mcp/weather.toml`"));
        assert_eq!(told, outcome == prohibited(), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_name_that_stands_for_another_address_each_time_is_checked_each_time() {
    let port = server().await;
    let url = format!("http://intern.example:{port}");
    let allow = [url.clone(), format!("http://127.0.0.1:{port}")];
    let (outcomes, _) = fetch(
        &allow,
        &[url.clone(), url],
        // A third look would be beyond the end.
        vec![vec!["127.0.0.1"], vec!["127.0.0.2"]],
    )
    .await;
    assert_eq!(outcomes[0], Ok(204));
    assert!(outcomes[1].is_err(), "{outcomes:?}");
}

#[test]
fn requests_that_sign_in_a_connection_are_known() {
    for (value, signs_in) in [
        ("Negotiate abc", true),
        ("ntlm", true),
        ("NTLM abc", true),
        ("Bearer abc", false),
        ("Basic ntlm", false),
    ] {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        assert_eq!(authenticates_connection(&headers), signs_in, "{value}");
    }
}
