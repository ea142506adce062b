//! The signing key and the keys that are published. Keys are made when the issuer starts and are
//! never stored.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::OldKey;
use super::token::Written;

/// How long a key that signs no more stays published, in seconds: no access token is good for longer.
const KEPT: i64 = 86_400;

/// The most keys that are published.
const MOST: usize = 8;

/// The keys at present, replaced as a whole.
pub(super) struct Keyring(ArcSwap<Keys>);

struct Keys {
    signing: Arc<KeyPair>,
    /// The one that signs, and then those that did.
    published: Vec<Published>,
}

#[derive(Clone)]
struct Published {
    kid: String,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    until: Option<i64>,
}

impl Keyring {
    /// A fresh RSA key of 2048 bits under the name `ins_main`.
    pub(super) fn generate() -> io::Result<Self> {
        let keys = Keys::generate("ins_main".to_owned())?;
        Ok(Self(ArcSwap::from_pointee(keys)))
    }

    /// Signs with a fresh key from now on.
    pub(super) fn rotate(&self, kid: String, old: OldKey, now: i64) -> io::Result<()> {
        let mut keys = Keys::generate(kid)?;
        if old == OldKey::Keep {
            let until = now.saturating_add(KEPT);
            let before = self.0.load();
            keys.published
                .extend(before.published.iter().cloned().map(|key| Published {
                    until: Some(key.until.map_or(until, |earlier| earlier.min(until))),
                    ..key
                }));
            keys.published.truncate(MOST);
        }
        self.0.store(Arc::new(keys));
        Ok(())
    }

    /// The key set (RFC 7517 §5).
    pub(super) fn jwks(&self, now: i64) -> Value {
        let keys = self.0.load();
        let keys: Vec<Value> = keys
            .published_at(now)
            .map(|key| {
                json!({
                    "use": "sig",
                    "kty": "RSA",
                    "kid": key.kid,
                    "alg": "RS256",
                    "n": encode(&key.modulus),
                    "e": encode(&key.exponent),
                })
            })
            .collect();
        json!({ "keys": keys })
    }

    /// A finished token. `alg` and `kid` are put first in the header, where it does not say
    /// otherwise itself.
    pub(super) fn sign(&self, token: Written) -> Option<String> {
        let keys = self.0.load();
        let mut whole = Map::new();
        whole.insert("alg".to_owned(), "RS256".into());
        whole.insert("kid".to_owned(), keys.published.first()?.kid.clone().into());
        whole.extend(token.header);
        let signed = format!(
            "{}.{}",
            encode(serde_json::to_vec(&whole).ok()?),
            encode(serde_json::to_vec(&token.claims).ok()?)
        );
        let mut signature = vec![0; keys.signing.public_modulus_len()];
        keys.signing
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(format!("{signed}.{}", encode(signature)))
    }

    /// What a token says that one of the published keys signed. Whether it is of the right kind and in
    /// time is for the caller to see.
    pub(super) fn read(&self, token: &str, now: i64) -> Option<Written> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |text| URL_SAFE_NO_PAD.decode(text).ok();
        let header: Map<String, Value> = serde_json::from_slice(&decode(header)?).ok()?;
        let kid = header.get("kid")?.as_str()?;
        let keys = self.0.load();
        let key = keys.published_at(now).find(|key| key.kid == kid)?;
        PublicKeyComponents {
            n: &*key.modulus,
            e: &*key.exponent,
        }
        .verify(
            &RSA_PKCS1_2048_8192_SHA256,
            signed.as_bytes(),
            &decode(signature)?,
        )
        .ok()?;
        let claims = serde_json::from_slice(&decode(claims)?).ok()?;
        Some(Written { header, claims })
    }
}

impl Keys {
    fn generate(kid: String) -> io::Result<Self> {
        let signing = KeyPair::generate(KeySize::Rsa2048)
            .map_err(|_unspecified| io::Error::other("no signing key could be made"))?;
        let public = signing.public_key();
        let own = Published {
            kid,
            modulus: public.modulus().big_endian_without_leading_zero().to_vec(),
            exponent: public.exponent().big_endian_without_leading_zero().to_vec(),
            until: None,
        };
        Ok(Self {
            signing: Arc::new(signing),
            published: vec![own],
        })
    }

    fn published_at(&self, now: i64) -> impl Iterator<Item = &Published> {
        self.published
            .iter()
            .filter(move |key| key.until.is_none_or(|until| now < until))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
