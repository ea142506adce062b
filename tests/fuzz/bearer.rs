//! Any bytes as a token, as the header or `_meta` that carries one, and as the claims and the header of
//! one that is signed by the true issuer.

use std::sync::LazyLock;

use cloister::auth::{
    Auth, Bearer, Credentials, Kind, Presented, Principal, Resource, Settings, bearer as carried,
};
use cloister::issuer::{DevelopmentIssuer, TokenRequest};
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use crate::source::Source;

/// What came of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It carries no token.
    NoToken,
    /// It cannot be signed.
    NotSigned,
    /// Its token is refused.
    Refused,
    /// Its token is accepted.
    Accepted,
}

/// Our address, and a client whose id tokens some take.
const RESOURCE: &str = "https://mcp.example.test/mcp";
const CLIENT: &str = "client_1";

/// An issuer, and who trusts it.
struct Trust {
    runtime: Runtime,
    issuer: DevelopmentIssuer,
    /// Takes tokens of any application, for any address that is not said.
    lax: Auth,
    /// Takes id tokens, too.
    open: Auth,
    /// Takes tokens of one application, and access tokens that name our address.
    strict: Auth,
}

static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let clock = cloister::auth::system_clock();
    let issuer = runtime
        .block_on(DevelopmentIssuer::start(clock.clone()))
        .expect("an issuer");
    let trusting = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::new(issuer.issuer());
        change(&mut settings);
        let auth = Auth::new(settings, clock.clone()).expect("an issuer's URL");
        runtime.block_on(auth.warm());
        auth
    };
    let resource = || Some(Resource::Public(RESOURCE.to_owned()));
    Trust {
        lax: trusting(&|_| {}),
        open: trusting(&|settings| {
            settings.resource = resource();
            settings.id_token_audiences = vec![CLIENT.to_owned()];
        }),
        strict: trusting(&|settings| {
            settings.resource = resource();
            settings.authorized_parties = vec![issuer.issuer().to_owned()];
        }),
        runtime,
        issuer,
    }
});

/// Presents what the bytes stand for. The first one says what that is. Only what the issuer signed may
/// be accepted, and what is told of a refusal is not of the token.
pub fn bearer(bytes: &[u8]) -> Outcome {
    let mut source = Source::new(bytes);
    let kind = source.byte() % 4;
    let rest = source.rest();
    let text = String::from_utf8_lossy(rest);
    let bare = |token: &str| Presented::Token(Bearer::new(token.into()));
    let presented = match kind {
        0 => match carried::from_headers([rest]) {
            Ok(Some(bearer)) => Presented::Token(bearer),
            Ok(None) | Err(_) => return Outcome::NoToken,
        },
        1 => match RawValue::from_string(text.into_owned()) {
            Ok(authorization) => carried::from_meta(Some(&authorization)),
            Err(_) => return Outcome::NoToken,
        },
        2 => bare(&text),
        _ => match signed(&text) {
            Some(token) => bare(token.expose_secret()),
            None => return Outcome::NotSigned,
        },
    };
    let credentials = Credentials {
        header: None,
        meta: presented,
        peer: None,
    };
    let mut outcome = Outcome::NoToken;
    for (auth, check) in [
        (&TRUST.lax, lax as fn(&Principal)),
        (&TRUST.open, open),
        (&TRUST.strict, strict),
    ] {
        outcome = outcome.max(match TRUST.runtime.block_on(auth.identify(&credentials)) {
            Ok(Some(who)) => {
                assert_eq!(kind, 3, "nobody but the issuer signs: {who:?}");
                common(&who);
                check(&who);
                Outcome::Accepted
            }
            Ok(None) => Outcome::NoToken,
            Err(denied) => {
                let said = denied.to_string();
                assert!(said.len() < 100, "{said}");
                Outcome::Refused
            }
        });
    }
    outcome
}

/// A token with these claims and these header parameters, each set a line of JSON.
fn signed(text: &str) -> Option<SecretString> {
    let (claims, header) = text.split_once('\n').unwrap_or((text, "{}"));
    let members = |text: &str| serde_json::from_str::<Map<String, Value>>(text).ok();
    let wanted = TokenRequest {
        claims: members(claims)?,
        header: members(header)?,
        ..TokenRequest::default()
    };
    TRUST.issuer.mint(&wanted).ok()
}

/// What every caller has.
fn common(who: &Principal) {
    assert!((1..=256).contains(&who.id().len()));
    assert!(!who.id().chars().any(char::is_control));
    assert_eq!(who.claim("iss").as_deref(), Some(TRUST.issuer.issuer()));
    assert_eq!(who.claim("sub").as_deref(), Some(who.id()));
    assert!(who.expires_at().is_some());
}

/// What a caller has where no address and no client is set.
fn lax(who: &Principal) {
    assert_ne!(who.kind(), Kind::IdToken);
    assert!(matches!(who.claim("aud").as_deref(), None | Some("null")));
}

/// What a caller has where id tokens are taken.
fn open(who: &Principal) {
    let named = |name| audience(who).iter().any(|audience| audience == name);
    match who.kind() {
        Kind::IdToken => assert!(named(CLIENT)),
        Kind::OAuth => assert!(named(RESOURCE)),
        Kind::Session | Kind::Template => assert!(audience(who).is_empty() || named(RESOURCE)),
        Kind::ApiKey => panic!("the issuer was not asked"),
    }
}

/// What a caller has where an address and an application are set.
fn strict(who: &Principal) {
    assert_ne!(who.kind(), Kind::IdToken);
    open(who);
    if who.kind() != Kind::OAuth {
        assert_eq!(who.claim("azp").as_deref(), Some(TRUST.issuer.issuer()));
    }
}

/// Whom a token is for.
fn audience(who: &Principal) -> Vec<String> {
    match who.claim("aud").as_deref() {
        None | Some("null") => Vec::new(),
        Some(claim) => serde_json::from_str(claim).unwrap_or_else(|_one| vec![claim.to_owned()]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEEDS: [(&[u8], Outcome); 8] = [
        (include_bytes!("seeds/bearer/header"), Outcome::Refused),
        (include_bytes!("seeds/bearer/meta"), Outcome::Refused),
        (include_bytes!("seeds/bearer/token"), Outcome::Refused),
        (include_bytes!("seeds/bearer/claims"), Outcome::Accepted),
        (
            include_bytes!("seeds/bearer/organization"),
            Outcome::Accepted,
        ),
        (include_bytes!("seeds/bearer/times"), Outcome::Refused),
        (include_bytes!("seeds/bearer/id_token"), Outcome::Accepted),
        (
            include_bytes!("seeds/bearer/access_token"),
            Outcome::Accepted,
        ),
    ];

    #[test]
    fn every_seed_comes_to_what_it_is_for() {
        for (seed, outcome) in SEEDS {
            assert_eq!(bearer(seed), outcome, "{}", seed.escape_ascii());
        }
        assert_eq!(bearer(b"\0Basic eA=="), Outcome::NoToken);
        assert_eq!(bearer(b"\x03[]"), Outcome::NotSigned);
    }

    proptest! {
        #![proptest_config(crate::config())]

        #[test]
        fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            bearer(&bytes);
        }

        #[test]
        fn a_seed_with_a_few_bytes_changed_is_judged(
            seed in proptest::sample::select(SEEDS.map(|(seed, _)| seed).to_vec()),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = seed.to_vec();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bearer(&bytes);
        }
    }
}
