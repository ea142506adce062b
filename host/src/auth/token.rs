//! A token as text: its length, its three segments, what they decode to, and the fingerprint that
//! stands for it in the log. Nothing here is verified, and no claim is read here.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::denied::Reason;
use crate::digest::Digest;

/// The longest token that is looked at, in bytes. Clerk's are about 1 KiB; more is decoded for
/// nobody, since anybody can send it.
pub const MAX_TOKEN_BYTES: usize = 16_384;

/// The segments of a token in compact serialization (RFC 7515 §3.1), still encoded.
#[derive(Clone, Copy)]
pub(super) struct Segments<'a> {
    pub(super) header: &'a str,
    pub(super) payload: &'a str,
    pub(super) signature: &'a str,
    /// Header and payload with the dot between them: what is signed.
    pub(super) signed: &'a str,
}

impl<'a> Segments<'a> {
    /// Exactly three segments, none empty, of the base64url alphabet without padding.
    pub(super) fn split(token: &'a str) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TooLarge);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Reason::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Reason::Malformed)?;
        if [header, payload, signature].into_iter().all(is_segment) {
            Ok(Self {
                header,
                payload,
                signature,
                signed,
            })
        } else {
            Err(Reason::Malformed)
        }
    }

    /// The header's JSON text.
    pub(super) fn header_text(&self) -> Result<String, Reason> {
        decode(self.header)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(Reason::Malformed)
    }

    /// The payload's JSON text.
    pub(super) fn payload_text(&self) -> Result<String, Reason> {
        let bytes = decode(self.payload).ok_or(Reason::Malformed)?;
        String::from_utf8(bytes).ok().ok_or(Reason::Claims)
    }
}

/// Decodes base64url that is unpadded and canonical: bits that stand for nothing must be zero, so
/// that no two texts mean the same bytes (RFC 4648 §3.5).
pub(super) fn decode(segment: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(segment).ok()
}

/// What stands for a token in the log: the first eight hexadecimal digits of its SHA-256. It is
/// worked out only when somebody formats it.
pub(super) struct Fingerprint<'a>(pub(super) &'a str);

impl fmt::Display for Fingerprint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Digest::of(&[self.0.as_bytes()]).prefix(8))
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_three_segments() {
        let segments = Segments::split("aa.bb.cc").ok().unwrap();
        assert_eq!(
            (
                segments.header,
                segments.payload,
                segments.signature,
                segments.signed
            ),
            ("aa", "bb", "cc", "aa.bb")
        );
        for text in [
            "", ".", "..", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c=", "a. b.c", "a.b.c\n",
            "ä.b.c",
        ] {
            assert_eq!(
                Segments::split(text).err(),
                Some(Reason::Malformed),
                "{text}"
            );
        }
    }

    #[test]
    fn the_length_is_looked_at_before_anything_else() {
        let longest = format!("a.b.{}", "c".repeat(MAX_TOKEN_BYTES - 4));
        assert!(Segments::split(&longest).is_ok());
        assert_eq!(
            Segments::split(&format!("{longest}c")).err(),
            Some(Reason::TooLarge)
        );
    }

    #[test]
    fn only_canonical_base64url_decodes() {
        assert_eq!(decode("AQAB"), Some(vec![1, 0, 1]));
        assert_eq!(decode("AQ"), Some(vec![1]));
        for text in ["AR", "AQ==", "A", "+/AA"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn the_fingerprint_is_eight_digits() {
        assert_eq!(Fingerprint("abc").to_string(), "ba7816bf");
    }
}
