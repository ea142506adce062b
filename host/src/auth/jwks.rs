//! A key set (RFC 7517) read key by key, so that a broken neighbour harms nobody. What is not an
//! RSA key for `RS256` signatures is passed over and never logged: the set may legally hold
//! private keys.

use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use serde_json::Value;

use super::header::is_kid;
use super::token::decode;

/// How many entries of a set are looked at. Clerk publishes one or two.
const MAX_KEYS: usize = 32;

/// The lengths of modulus that are trusted, in bits: below is weak, above is slow on purpose.
const MODULUS_BITS: std::ops::RangeInclusive<u64> = 2048..=8192;

/// 65537, the only public exponent in use, without leading zero bytes.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// The usable keys of a set, by `kid`.
pub(super) struct KeySet(Vec<(String, Arc<DecodingKey>)>);

impl KeySet {
    /// Reads a key set; none when it is not one or has no usable key.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(body).ok()?;
        let entries = document.get("keys")?.as_array()?;
        let mut kids: Vec<&str> = Vec::new();
        let mut keys = Vec::new();
        for entry in entries.iter().take(MAX_KEYS) {
            let Some(kid) = entry.get("kid").and_then(Value::as_str) else {
                continue;
            };
            kids.push(kid);
            if let Some(key) = usable_key(entry).filter(|_| is_kid(kid)) {
                keys.push((kid.to_owned(), Arc::new(key)));
            }
        }
        // A `kid` that occurs twice says nothing about which key is meant, whatever the other is.
        keys.retain(|(kid, _)| kids.iter().filter(|other| *other == kid).count() == 1);
        (!keys.is_empty()).then_some(Self(keys))
    }

    pub(super) fn get(&self, kid: &str) -> Option<Arc<DecodingKey>> {
        self.0
            .iter()
            .find_map(|(name, key)| (name == kid).then(|| Arc::clone(key)))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The key of an entry when it may verify `RS256` (RFC 7517 §4, RFC 7518 §6.3.1).
fn usable_key(entry: &Value) -> Option<DecodingKey> {
    let is_absent_or = |name: &str, wanted: &str| match entry.get(name) {
        None => true,
        Some(value) => value.as_str() == Some(wanted),
    };
    let may_verify = match entry.get("key_ops") {
        None => true,
        Some(operations) => operations
            .as_array()?
            .iter()
            .any(|operation| operation.as_str() == Some("verify")),
    };
    if entry.get("kty")?.as_str()? != "RSA"
        || !is_absent_or("use", "sig")
        || !is_absent_or("alg", "RS256")
        || !may_verify
    {
        return None;
    }
    let modulus = decode(entry.get("n")?.as_str()?)?;
    let exponent = decode(entry.get("e")?.as_str()?)?;
    let modulus = without_leading_zeros(&modulus);
    if !MODULUS_BITS.contains(&bits(modulus)?) || without_leading_zeros(&exponent) != EXPONENT {
        return None;
    }
    Some(DecodingKey::from_rsa_raw_components(modulus, &EXPONENT))
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// The length of a number in bits, given its bytes without leading zeros.
fn bits(number: &[u8]) -> Option<u64> {
    let first = number.first()?;
    let whole = u64::try_from(number.len()).ok()?.checked_mul(8)?;
    Some(whole.saturating_sub(u64::from(first.leading_zeros())))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    /// Not a key that anybody could sign with, but one that looks like it.
    fn entry(kid: &str) -> Value {
        json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": number(256, 0xc1), "e": "AQAB"})
    }

    fn number(bytes: usize, first: u8) -> String {
        let mut number = vec![0xdb; bytes];
        number[0] = first;
        URL_SAFE_NO_PAD.encode(number)
    }

    fn kids(keys: &[Value]) -> Vec<String> {
        let body = json!({ "keys": keys }).to_string();
        KeySet::read(body.as_bytes())
            .map(|set| set.0.into_iter().map(|(kid, _)| kid).collect())
            .unwrap_or_default()
    }

    #[test]
    fn a_broken_neighbour_harms_nobody() {
        let keys = [
            json!(7),
            json!(null),
            json!({"kid": 7}),
            json!({"kid": "a", "kty": "RSA", "n": 7}),
            json!({"kid": "b", "kty": "EC", "crv": "P-256", "x": "", "y": ""}),
            json!({"kid": "c", "kty": "oct", "k": "c2VjcmV0"}),
            entry("good"),
        ];
        assert_eq!(kids(&keys), ["good"]);
    }

    #[test]
    fn a_key_must_be_made_for_this() {
        let changes = [
            json!({"use": "enc"}),
            json!({"use": null}),
            json!({"alg": "RS512"}),
            json!({"alg": 7}),
            json!({"key_ops": ["sign"]}),
            json!({"key_ops": "verify"}),
            json!({"kty": "rsa"}),
            json!({"e": "Aw"}),
            json!({"e": "AQAB="}),
            json!({"n": number(128, 0xc1)}),
            json!({"n": number(256, 0x7f)}),
            json!({"n": number(1025, 0xc1)}),
            json!({"n": STANDARD.encode([0xfb; 256])}),
            json!({"n": ""}),
        ];
        for change in changes {
            let mut key = entry("changed");
            key.as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            assert!(kids(&[key]).is_empty(), "{change}");
        }
        for change in [
            json!({"key_ops": ["verify"]}),
            json!({"n": number(257, 0)}),
            json!({"e": "AAEAAQ"}),
        ] {
            let mut key = entry("changed");
            key.as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            assert_eq!(kids(&[key]), ["changed"], "{change}");
        }
    }

    #[test]
    fn a_kid_that_occurs_twice_is_nobodys() {
        let broken = json!({"kid": "b", "kty": "EC"});
        assert_eq!(
            kids(&[entry("a"), entry("a"), entry("b"), broken, entry("c")]),
            ["c"]
        );
    }

    #[test]
    fn only_the_first_entries_are_looked_at() {
        let many: Vec<Value> = (0..40).map(|n| entry(&format!("k{n}"))).collect();
        assert_eq!(kids(&many).len(), MAX_KEYS);
    }

    #[test]
    fn a_set_without_a_usable_key_is_none() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kid":"a b"}]}"#,
        ] {
            assert!(KeySet::read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
