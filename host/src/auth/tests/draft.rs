//! Tokens and keys to test with. Keys are made when tests run; none is in the repository.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding,
};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

pub(super) const NOW: i64 = 1_795_000_000;
pub(super) const ISSUER: &str = "https://clerk.example.test";
pub(super) const APP: &str = "https://app.example.test";
pub(super) const RESOURCE: &str = "https://mcp.example.test/mcp";
pub(super) const CLIENT: &str = "client_2xhFjEI5X2qWRvtV";
pub(super) const USER: &str = "user_2RfWKJREkjKbHZy0Wqa5qrHeAnb";
pub(super) const SESSION: &str = "sess_2Ro7e2IxrffdqBboq8KfB6eGbIy";

pub(super) const CAT_SESSION: &str = "cl_B7d4PD111AAA";
pub(super) const CAT_TEMPLATE: &str = "cl_B7d4PD222AAA";
pub(super) const CAT_MACHINE: &str = "cl_B7d4PD333AAA";
pub(super) const CAT_NONE: &str = "cl_I7d4PD111III";

/// The keys of the table, and one more to rotate to.
pub(super) struct Keys {
    pub(super) main: RsaKeyPair,
    pub(super) enc: RsaKeyPair,
    pub(super) noalg: RsaKeyPair,
    pub(super) dup_first: RsaKeyPair,
    pub(super) dup_last: RsaKeyPair,
    pub(super) attacker: RsaKeyPair,
    pub(super) ec: EcdsaKeyPair,
    pub(super) oct: [u8; 32],
}

pub(super) static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let rsa = || RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut oct = [0; 32];
    rand::fill(&mut oct).unwrap();
    Keys {
        main: rsa(),
        enc: rsa(),
        noalg: rsa(),
        dup_first: rsa(),
        dup_last: rsa(),
        attacker: rsa(),
        ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        oct,
    }
});

/// The key set of the table, with broken neighbours.
pub(super) fn jwks() -> Value {
    let keys = &*KEYS;
    // 1024-bit keys cannot be made with this library. Since such a key is passed over before any
    // signature is looked at, a number of that length serves.
    let mut weak = [0x5b; 128];
    rand::fill(&mut weak).unwrap();
    weak[0] |= 0x80;
    let point = keys.ec.public_key().as_ref();
    json!({"keys": [
        7,
        {"kid": "ins_broken", "kty": "RSA", "n": 7, "e": []},
        jwk("ins_main", &keys.main),
        {"kid": "ins_weak", "kty": "RSA", "use": "sig", "alg": "RS256", "n": encode(weak), "e": "AQAB"},
        with(jwk("ins_enc", &keys.enc), &json!({"use": "enc", "alg": "RSA-OAEP"})),
        {"kid": "ins_noalg", "kty": "RSA", "n": modulus(&keys.noalg), "e": "AQAB"},
        {"kid": "ins_ec", "kty": "EC", "crv": "P-256", "alg": "ES256",
         "x": encode(&point[1..33]), "y": encode(&point[33..])},
        {"kid": "ins_oct", "kty": "oct", "alg": "HS256", "k": encode(keys.oct)},
        jwk("ins_dup", &keys.dup_first),
        jwk("ins_dup", &keys.dup_last),
    ]})
}

/// The public half of a key as Clerk publishes it.
pub(super) fn jwk(kid: &str, key: &RsaKeyPair) -> Value {
    json!({"use": "sig", "kty": "RSA", "kid": kid, "alg": "RS256", "n": modulus(key), "e": "AQAB"})
}

pub(super) fn jwks_of(keys: &[(&str, &RsaKeyPair)]) -> String {
    let keys: Vec<Value> = keys.iter().map(|(kid, key)| jwk(kid, key)).collect();
    json!({ "keys": keys }).to_string()
}

pub(super) fn public_der(key: &RsaKeyPair) -> Vec<u8> {
    key.public_key().as_der().unwrap().as_ref().to_vec()
}

fn modulus(key: &RsaKeyPair) -> String {
    encode(key.public_key().modulus().big_endian_without_leading_zero())
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn with(mut object: Value, changes: &Value) -> Value {
    let changes = changes.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(changes);
    object
}

/// A token that is still being written.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) header: Map<String, Value>,
    pub(super) payload: Map<String, Value>,
    /// Instead of the header's or payload's own text.
    header_text: Option<String>,
    payload_text: Option<String>,
    signature: Signature,
}

#[derive(Clone)]
enum Signature {
    Pkcs1(&'static RsaKeyPair),
    Pss(&'static RsaKeyPair),
    Ecdsa,
    Hmac(Vec<u8>),
}

/// **S**: a session token, version 2.
pub(super) fn session() -> Draft {
    Draft::new(
        &json!({"alg": "RS256", "kid": "ins_main", "typ": "JWT", "cat": CAT_SESSION}),
        &json!({
            "azp": APP, "exp": NOW + 60, "fva": [7, -1], "iat": NOW, "iss": ISSUER,
            "jti": "d5e1b2c3a4f60718", "nbf": NOW - 10, "sid": SESSION, "sts": "active",
            "sub": USER, "v": 2,
        }),
    )
}

/// **T**: a template token.
pub(super) fn template() -> Draft {
    Draft::new(
        &json!({"alg": "RS256", "kid": "ins_main", "typ": "JWT", "cat": CAT_TEMPLATE}),
        &json!({
            "azp": APP, "exp": NOW + 60, "iat": NOW, "iss": ISSUER, "jti": "d5e1b2c3a4f60718",
            "nbf": NOW - 5, "sub": USER, "email": "ada@example.test", "email_verified": true,
            "given_name": "Ada", "family_name": "Lovelace",
            "picture": "https://img.example.test/ada.png",
        }),
    )
}

/// **O**: an OAuth access token.
pub(super) fn oauth() -> Draft {
    Draft::new(
        &json!({"alg": "RS256", "kid": "ins_main", "typ": "at+jwt"}),
        &json!({
            "client_id": CLIENT, "exp": NOW + 86_400, "iat": NOW, "iss": ISSUER,
            "jti": "oat_0123456789abcdef0123456789abcdef", "nbf": NOW - 10,
            "scope": "openid profile email", "sub": USER,
        }),
    )
}

/// **I**: an id token.
pub(super) fn id_token() -> Draft {
    Draft::new(
        &json!({"alg": "RS256", "kid": "ins_main", "typ": "JWT"}),
        &json!({
            "aud": CLIENT, "at_hash": "x", "auth_time": NOW, "exp": NOW + 86_400, "iat": NOW,
            "iss": ISSUER, "nonce": "n", "sub": USER, "sid": SESSION, "email": "ada@example.test",
            "email_verified": true, "given_name": "Ada", "family_name": "Lovelace",
            "name": "Ada Lovelace", "preferred_username": "ada",
        }),
    )
}

/// **M**: a machine's token.
pub(super) fn machine() -> Draft {
    Draft::new(
        &json!({"alg": "RS256", "kid": "ins_main", "typ": "JWT", "cat": CAT_MACHINE}),
        &json!({
            "iss": ISSUER, "sub": "mch_1", "aud": ["mch_2"], "exp": NOW + 300, "iat": NOW,
            "nbf": NOW - 10, "jti": "mt_1", "scopes": "mch_2",
        }),
    )
}

impl Draft {
    fn new(header: &Value, payload: &Value) -> Self {
        Self {
            header: header.as_object().unwrap().clone(),
            payload: payload.as_object().unwrap().clone(),
            header_text: None,
            payload_text: None,
            signature: Signature::Pkcs1(&KEYS.main),
        }
    }

    /// Puts members into the header.
    pub(super) fn head(mut self, members: &Value) -> Self {
        self.header.extend(members.as_object().unwrap().clone());
        self
    }

    pub(super) fn without_head(mut self, name: &str) -> Self {
        self.header.shift_remove(name).unwrap();
        self
    }

    /// Puts claims into the payload.
    pub(super) fn claims(mut self, members: &Value) -> Self {
        self.payload.extend(members.as_object().unwrap().clone());
        self
    }

    pub(super) fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.payload.shift_remove(*name).unwrap();
        }
        self
    }

    /// Writes this text as the header.
    pub(super) fn head_text(mut self, text: impl FnOnce(String) -> String) -> Self {
        self.header_text = Some(text(Value::Object(self.header.clone()).to_string()));
        self
    }

    /// Writes this text as the payload.
    pub(super) fn claims_text(mut self, text: impl FnOnce(String) -> String) -> Self {
        self.payload_text = Some(text(Value::Object(self.payload.clone()).to_string()));
        self
    }

    /// Signs with another key, which the header's `kid` does not follow.
    pub(super) fn by(mut self, key: &'static RsaKeyPair) -> Self {
        self.signature = Signature::Pkcs1(key);
        self
    }

    pub(super) fn by_pss(mut self) -> Self {
        self.signature = Signature::Pss(&KEYS.main);
        self
    }

    pub(super) fn by_ec(mut self) -> Self {
        self.signature = Signature::Ecdsa;
        self
    }

    pub(super) fn by_hmac(mut self, key: &[u8]) -> Self {
        self.signature = Signature::Hmac(key.to_vec());
        self
    }

    /// Header and payload, encoded: what is signed.
    pub(super) fn signed(&self) -> String {
        let header = Value::Object(self.header.clone()).to_string();
        let payload = Value::Object(self.payload.clone()).to_string();
        format!(
            "{}.{}",
            encode(self.header_text.as_ref().unwrap_or(&header)),
            encode(self.payload_text.as_ref().unwrap_or(&payload))
        )
    }

    pub(super) fn signature(&self) -> Vec<u8> {
        let message = self.signed();
        let random = SystemRandom::new();
        let rsa = |key: &RsaKeyPair, padding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(padding, &random, message.as_bytes(), &mut signature)
                .unwrap();
            signature
        };
        match &self.signature {
            Signature::Pkcs1(key) => rsa(key, &RSA_PKCS1_SHA256),
            Signature::Pss(key) => rsa(key, &RSA_PSS_SHA256),
            Signature::Ecdsa => {
                let signature = KEYS.ec.sign(&random, message.as_bytes()).unwrap();
                signature.as_ref().to_vec()
            }
            Signature::Hmac(key) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, key);
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
        }
    }

    /// The finished token.
    pub(super) fn token(&self) -> String {
        format!("{}.{}", self.signed(), encode(self.signature()))
    }
}
