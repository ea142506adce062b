//! `requestState`: what a call that asks its client must know when the client calls again (MCP
//! 2026-07-28, multi round-trip requests).
//!
//! Nothing of it is kept here: it goes to the client, sealed. It is good for the same request by the
//! same caller, for a short time. Replicas that share a key can open each other's.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long a client may take to come back with an answer.
const LIFETIME: Duration = Duration::from_mins(15);

/// The largest state, sealed. Clients carry it, and bodies are bounded.
const LARGEST: usize = 256 << 10;

/// The first byte of what is sealed, for changes to come.
const VERSION: u8 = 1;

/// What a request must be to open a state, in a few bytes: its method, what it asks for, and who asks.
pub(super) struct Binding(Vec<u8>);

impl Binding {
    /// `subject` is the name or address, and `caller` the id of who asks. The members of arguments may
    /// come in any order.
    pub(super) fn of(
        method: &str,
        subject: &str,
        arguments: Option<Value>,
        caller: Option<&str>,
    ) -> Self {
        let arguments = arguments.map(|mut arguments| {
            arguments.sort_all_objects();
            arguments.to_string()
        });
        // Lengths stand between the parts, so that no two bindings are alike.
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [Some(method), Some(subject), arguments.as_deref(), caller] {
            context.update(&[u8::from(part.is_some())]);
            let part = part.unwrap_or_default();
            context.update(&part.len().to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = vec![VERSION];
        bytes.extend(context.finish().as_ref());
        Self(bytes)
    }
}

/// What a call has learnt so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The answers, by the keys of their questions, each with a digest of its question: an answer is good
    /// for the question that was asked, not for another under the same key.
    pub(super) answers: BTreeMap<String, (String, Value)>,
    /// The digests of the questions that are open.
    pub(super) asked: BTreeMap<String, String>,
    /// When it stops being good, in seconds since 1970.
    expires: u64,
}

/// The keys that seal states. The first seals; all open.
pub(super) struct Seals(Vec<RandomizedNonceKey>);

/// A state that is not one of ours, or not for this request, or too old.
#[derive(Debug, thiserror::Error)]
#[error(
    "`requestState` is not good for this request: it was changed, belongs to another, or is too old; call again without it"
)]
pub(super) struct NotOpened;

impl Seals {
    /// Makes the keys of these secrets, or a random one that is good until the host stops.
    pub(super) fn new(secrets: &[SecretString]) -> Self {
        let mut keys: Vec<RandomizedNonceKey> = secrets
            .iter()
            .filter_map(|secret| {
                let key = digest::digest(&digest::SHA256, secret.expose_secret().as_bytes());
                RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).ok()
            })
            .collect();
        if keys.is_empty() {
            let mut random = [0; 32];
            if rand::fill(&mut random).is_ok() {
                keys.extend(RandomizedNonceKey::new(&AES_256_GCM, &random));
            }
        }
        Self(keys)
    }

    /// Seals a state for the request. None if it is too large.
    pub(super) fn seal(&self, mut state: State, binding: &Binding) -> Option<String> {
        state.expires = now().saturating_add(LIFETIME.as_secs());
        let mut sealed = serde_json::to_vec(&state).ok()?;
        let nonce = self
            .0
            .first()?
            .seal_in_place_append_tag(Aad::from(&binding.0), &mut sealed)
            .ok()?;
        sealed.splice(0..0, *nonce.as_ref());
        let text = URL_SAFE_NO_PAD.encode(sealed);
        (text.len() <= LARGEST).then_some(text)
    }

    /// Opens what a client brought back.
    pub(super) fn open(&self, text: &str, binding: &Binding) -> Result<State, NotOpened> {
        if text.len() > LARGEST {
            return Err(NotOpened);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_encoding| NotOpened)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(NotOpened)?;
        let state = self.0.iter().find_map(|key| {
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opened = key
                .open_in_place(nonce, Aad::from(&binding.0), &mut sealed)
                .ok()?;
            serde_json::from_slice::<State>(opened).ok()
        });
        state.filter(|state| state.expires > now()).ok_or(NotOpened)
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// A digest of a question.
pub(super) fn digest_of(method: &str, params: &Value) -> String {
    let text = format!("{method}\n{params}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn state() -> State {
        State {
            answers: BTreeMap::from([("name".into(), ("d".into(), json!({ "action": "accept" })))]),
            asked: BTreeMap::from([("color".into(), "e".into())]),
            expires: 0,
        }
    }

    fn binding(arguments: &Value) -> Binding {
        Binding::of(
            "tools/call",
            "greet",
            Some(arguments.clone()),
            Some("user_ada"),
        )
    }

    #[test]
    fn a_state_is_good_for_its_own_request_alone() {
        let seals = Seals::new(&[]);
        let arguments = json!({ "a": 1, "b": { "c": 2, "d": 3 } });
        let sealed = seals.seal(state(), &binding(&arguments)).unwrap();
        let reordered = json!({ "b": { "d": 3, "c": 2 }, "a": 1 });
        let opened = seals.open(&sealed, &binding(&reordered)).unwrap();
        assert_eq!(opened.answers, state().answers);
        assert_eq!(opened.asked, state().asked);

        let some = Some(arguments.clone());
        for wrong in [
            Binding::of("prompts/get", "greet", some.clone(), Some("user_ada")),
            Binding::of("tools/call", "greet2", some.clone(), Some("user_ada")),
            Binding::of(
                "tools/call",
                "greet",
                Some(json!({ "a": 2 })),
                Some("user_ada"),
            ),
            Binding::of("tools/call", "greet", None, Some("user_ada")),
            Binding::of("tools/call", "greet", some.clone(), Some("user_bob")),
            Binding::of("tools/call", "greet", some, None),
        ] {
            assert!(seals.open(&sealed, &wrong).is_err());
        }
        assert!(Seals::new(&[]).open(&sealed, &binding(&arguments)).is_err());
    }

    #[test]
    fn hosts_that_share_a_key_open_each_others_states() {
        let secret = |text: &str| SecretString::from(text);
        let arguments = json!({});
        let old = Seals::new(&[secret("the old one, which is going away")]);
        let new = Seals::new(&[
            secret("the new one, which is coming now"),
            secret("the old one, which is going away"),
        ]);
        let sealed = old.seal(state(), &binding(&arguments)).unwrap();
        assert!(new.open(&sealed, &binding(&arguments)).is_ok());
        let sealed = new.seal(state(), &binding(&arguments)).unwrap();
        assert!(old.open(&sealed, &binding(&arguments)).is_err());
    }

    #[test]
    fn a_state_grows_old() {
        let seals = Seals::new(&[]);
        let arguments = json!({});
        let binding = binding(&arguments);
        let mut sealed = serde_json::to_vec(&State {
            expires: now(),
            ..state()
        })
        .unwrap();
        let nonce = seals.0[0]
            .seal_in_place_append_tag(Aad::from(&binding.0), &mut sealed)
            .unwrap();
        sealed.splice(0..0, *nonce.as_ref());
        assert!(
            seals
                .open(&URL_SAFE_NO_PAD.encode(sealed), &binding)
                .is_err()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_changed_state_is_refused(at in 0..100_usize, to in "[A-Za-z0-9_-]") {
            let seals = Seals::new(&[]);
            let arguments = json!({});
            let sealed = seals.seal(state(), &binding(&arguments)).unwrap();
            let mut changed = sealed.clone();
            let at = at % sealed.len();
            changed.replace_range(at..=at, &to);
            let opened = seals.open(&changed, &binding(&arguments));
            prop_assert!(changed == sealed || opened.is_err());
        }
    }
}
