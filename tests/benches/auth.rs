//! What it costs to verify a token, beside `jsonwebtoken` decoding the same one with the checks that it
//! has. Rounds alternate, so that a busy moment of the machine meets both, and the best round of each
//! counts: what is compared is work, not luck.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cloister::auth::{Auth, Bearer, Credentials, Presented, Settings, system_clock};
use cloister::issuer::{DevelopmentIssuer, TokenKind, TokenRequest};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// How many rounds are measured.
const ROUNDS: usize = 60;

/// How many tokens are verified in one round.
const ROUND: u32 = 200;

/// What it may cost at most.
const MOST: f64 = 1.3;

fn main() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let issuer = runtime
        .block_on(DevelopmentIssuer::start(system_clock()))
        .expect("an issuer");
    let auth = Auth::new(Settings::new(issuer.issuer()), system_clock()).expect("an issuer's URL");
    runtime.block_on(auth.warm());
    let key = runtime.block_on(key(issuer.issuer()));

    println!("                        jsonwebtoken    cloister");
    println!("token           bytes             us          us   ratio");
    let organization = json!({
        "fea": "o:mail,o:news", "v": 2,
        "o": { "id": "org_1", "slg": "acme", "rol": "admin", "per": "read,send", "fpm": "3,1" },
    });
    let session = TokenRequest {
        kind: TokenKind::Session,
        claims: organization.as_object().cloned().unwrap_or_default(),
        ..TokenRequest::default()
    };
    let oauth = TokenRequest {
        kind: TokenKind::OAuth {
            client_id: "client_1".to_owned(),
            scopes: vec!["openid".to_owned(), "profile".to_owned()],
            resources: Vec::new(),
        },
        ..TokenRequest::default()
    };
    let mut is_slow = false;
    for (name, wanted) in [
        ("session", session),
        ("template", TokenRequest::default()),
        ("oauth", oauth),
    ] {
        let wanted = TokenRequest {
            ttl: Duration::from_hours(1),
            ..wanted
        };
        let token = issuer.mint(&wanted).expect("a token");
        let token = token.expose_secret();
        is_slow |= measure(name, token, &auth, &key, &runtime) > MOST;
    }
    assert!(
        !is_slow,
        "verification takes more than {MOST} times as long"
    );
}

/// How many times as long we take.
fn measure(name: &str, token: &str, auth: &Auth, key: &DecodingKey, runtime: &Runtime) -> f64 {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[auth.issuer()]);
    validation.validate_nbf = true;
    let credentials = Credentials {
        header: Some(Bearer::new(token.into())),
        meta: Presented::Absent,
        peer: None,
    };
    let [mut theirs, mut ours] = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        theirs = theirs.min(timed(|| {
            let claims = decode::<Value>(black_box(token), key, &validation);
            drop(black_box(claims).expect("a good token"));
        }));
        ours = ours.min(runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..ROUND {
                let who = auth.identify(black_box(&credentials)).await;
                drop(black_box(who).expect("a good token"));
            }
            start.elapsed()
        }));
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(ROUND);
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!(
        "{name:14} {:>6} {:>14.2} {:>11.2} {ratio:>7.2}",
        token.len(),
        micros(theirs),
        micros(ours)
    );
    ratio
}

fn timed(mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..ROUND {
        run();
    }
    start.elapsed()
}

/// The issuer's key, as it publishes it.
async fn key(issuer: &str) -> DecodingKey {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let set = client
        .get(format!("{issuer}/.well-known/jwks.json"))
        .send()
        .await
        .expect("an answer");
    let set: Value = serde_json::from_slice(&set.bytes().await.expect("a body")).expect("JSON");
    let part = |name: &str| set["keys"][0][name].as_str().unwrap_or_default().to_owned();
    DecodingKey::from_rsa_components(&part("n"), &part("e")).expect("a key")
}
