//! The signing key and the keys that are published. Keys are made when the issuer starts and are
//! never stored.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::OldKey;
use super::token::Written;

/// The keys at present, replaced as a whole.
pub(super) struct Keyring(ArcSwap<Keys>);

struct Keys {
    kid: String,
    signing: Arc<KeyPair>,
    /// As `jwks.json` has them.
    published: Vec<Value>,
}

impl Keyring {
    /// A fresh RSA key of 2048 bits under the name `ins_main`.
    pub(super) fn generate() -> io::Result<Self> {
        let keys = Keys::generate("ins_main".to_owned())?;
        Ok(Self(ArcSwap::from_pointee(keys)))
    }

    /// Signs with a fresh key from now on.
    pub(super) fn rotate(&self, kid: String, old: OldKey) -> io::Result<()> {
        let mut keys = Keys::generate(kid)?;
        if old == OldKey::Keep {
            keys.published
                .extend(self.0.load().published.iter().cloned());
        }
        self.0.store(Arc::new(keys));
        Ok(())
    }

    /// The key set (RFC 7517 §5).
    pub(super) fn jwks(&self) -> Value {
        json!({"keys": self.0.load().published})
    }

    /// A finished token. `alg` and `kid` are put first in the header, where it does not say
    /// otherwise itself.
    pub(super) fn sign(&self, token: Written) -> Option<String> {
        let keys = self.0.load();
        let mut whole = Map::new();
        whole.insert("alg".to_owned(), "RS256".into());
        whole.insert("kid".to_owned(), keys.kid.clone().into());
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
}

impl Keys {
    fn generate(kid: String) -> io::Result<Self> {
        let signing = KeyPair::generate(KeySize::Rsa2048)
            .map_err(|_unspecified| io::Error::other("no signing key could be made"))?;
        let public = signing.public_key();
        let jwk = json!({
            "use": "sig",
            "kty": "RSA",
            "kid": kid,
            "alg": "RS256",
            "n": encode(public.modulus().big_endian_without_leading_zero()),
            "e": encode(public.exponent().big_endian_without_leading_zero()),
        });
        Ok(Self {
            kid,
            signing: Arc::new(signing),
            published: vec![jwk],
        })
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
