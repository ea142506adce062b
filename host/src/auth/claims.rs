//! The claims that every kind of token must have in order: issuer, time, subject, audience. It is
//! reached only by payloads whose signature was verified.

use super::denied::Reason;
use super::json::{Json, Object};
use super::policy::Policy;

/// The furthest future in which a token may expire, in seconds: Clerk's own limit is ten years,
/// and what lies beyond was written in milliseconds by mistake.
const MAX_LIFETIME: i64 = 3_660 * 86_400;

/// The longest subject, in bytes.
const MAX_SUBJECT_BYTES: usize = 256;

/// Claims that are in order as far as no kind has rules of its own.
pub(super) struct Claims<'a> {
    pub(super) all: &'a Object<'a>,
    pub(super) subject: &'a str,
    pub(super) audience: Audience<'a>,
    /// Seconds since 1970.
    pub(super) issued_at: Option<i64>,
    /// Seconds since 1970.
    pub(super) expires_at: i64,
}

/// The `aud` of a token. An empty list or an empty text is an audience that nobody is.
pub(super) enum Audience<'a> {
    Absent,
    One(&'a str),
    Many(Vec<&'a str>),
}

impl<'a> Claims<'a> {
    /// Checks what all kinds have in common, in the order in which faults are reported. `now` is
    /// in seconds since 1970, and `late` how long ago the token may have expired.
    pub(super) fn check(
        all: &'a Object<'a>,
        policy: &Policy,
        now: i64,
        late: i64,
    ) -> Result<Self, Reason> {
        if all.text("iss") != Some(policy.issuer.as_str()) {
            return Err(Reason::Issuer);
        }
        let (issued_at, expires_at) = check_times(all, now, policy.skew, late)?;
        let subject = subject(all, "sub")?;
        let audience = Audience::read(all.get("aud"))?;
        if all.has("cnf") {
            return Err(Reason::SenderConstrained);
        }
        Ok(Self {
            all,
            subject,
            audience,
            issued_at,
            expires_at,
        })
    }
}

impl<'a> Audience<'a> {
    pub(super) fn read(aud: Option<&'a Json<'a>>) -> Result<Self, Reason> {
        match aud {
            None | Some(Json::Null) => Ok(Self::Absent),
            Some(Json::Text(one)) => Ok(Self::One(one)),
            Some(Json::List(items)) => {
                let many: Option<Vec<&str>> = items.iter().map(Json::as_str).collect();
                many.map(Self::Many).ok_or(Reason::Claims)
            }
            Some(Json::Bool(_) | Json::Number(_) | Json::Object(_)) => Err(Reason::Claims),
        }
    }

    /// Whether the audience is there and contains one of these.
    pub(super) fn meets<'w>(&self, wanted: impl IntoIterator<Item = &'w str>) -> bool {
        wanted.into_iter().any(|wanted| match self {
            Self::Absent => false,
            Self::One(one) => *one == wanted,
            Self::Many(many) => many.contains(&wanted),
        })
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// `iat` and `exp`, when the token is valid now (RFC 7519 §4.1.4–6).
fn check_times(
    all: &Object<'_>,
    now: i64,
    skew: i64,
    late: i64,
) -> Result<(Option<i64>, i64), Reason> {
    let exp = all
        .get("exp")
        .and_then(Json::as_seconds)
        .ok_or(Reason::Claims)?;
    if exp <= now.saturating_sub(skew).saturating_sub(late) {
        return Err(Reason::Expired);
    }
    if exp > now.saturating_add(MAX_LIFETIME) {
        return Err(Reason::Claims);
    }
    let nbf = optional_seconds(all, "nbf")?;
    let iat = optional_seconds(all, "iat")?;
    let latest = now.saturating_add(skew);
    if nbf.is_some_and(|nbf| nbf > latest) {
        return Err(Reason::NotYet);
    }
    if iat.is_some_and(|iat| iat > latest) {
        return Err(Reason::IatFuture);
    }
    Ok((iat, exp))
}

/// A point in time that may be left out, but not null.
fn optional_seconds(all: &Object<'_>, name: &str) -> Result<Option<i64>, Reason> {
    all.get(name)
        .map(|value| value.as_seconds().ok_or(Reason::Claims))
        .transpose()
}

/// The user that a member of this name says it is about.
pub(super) fn subject<'a>(all: &'a Object<'a>, name: &str) -> Result<&'a str, Reason> {
    let subject = all
        .text(name)
        .filter(|sub| (1..=MAX_SUBJECT_BYTES).contains(&sub.len()))
        .filter(|sub| !sub.chars().any(char::is_control))
        .ok_or(Reason::Claims)?;
    if subject.starts_with("mch_") {
        // A machine is nobody's caller.
        return Err(Reason::Kind);
    }
    Ok(subject)
}

/// Names of claims that tokens themselves define: those of RFC 7519 §4.1, RFC 8693, RFC 9068 and `OpenID`
/// Connect Core 1.0 §5.1, and Clerk's own.
const REGISTERED: [&str; 57] = [
    "act",
    "acr",
    "address",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "birthdate",
    "c_hash",
    "cat",
    "client_id",
    "cnf",
    "email",
    "email_verified",
    "entitlements",
    "events",
    "exp",
    "family_name",
    "fea",
    "firstName",
    "first_name",
    "fva",
    "gender",
    "given_name",
    "groups",
    "iat",
    "imageUrl",
    "image_url",
    "iss",
    "jti",
    "lastName",
    "last_name",
    "locale",
    "may_act",
    "middle_name",
    "name",
    "nbf",
    "nickname",
    "nonce",
    "o",
    "phone_number",
    "phone_number_verified",
    "picture",
    "pla",
    "preferred_username",
    "primaryEmail",
    "primary_email_address",
    "profile",
    "roles",
    "scope",
    "scp",
    "sid",
    "sts",
    "sub",
    "updated_at",
    "v",
];

/// Whether a claim of this name is for the issuer alone to make.
pub(super) fn is_registered(name: &str) -> bool {
    name.starts_with("org_") || REGISTERED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn policy() -> Policy {
        Policy {
            issuer: "https://clerk.example.test".to_owned(),
            authorized_parties: Vec::new(),
            resource: None,
            id_token_audiences: Vec::new(),
            skew: 5,
        }
    }

    /// The verdict on a sound token with these members in addition or instead.
    fn verdict(members: &str) -> Option<Reason> {
        let mut claims = serde_json::json!({
            "iss": "https://clerk.example.test", "sub": "user_1", "exp": NOW + 60, "iat": NOW,
        });
        let more: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&format!("{{{members}}}")).unwrap();
        claims.as_object_mut().unwrap().extend(more);
        let text = claims.to_string();
        let object = Object::read(&text).unwrap();
        Claims::check(&object, &policy(), NOW, 0).err()
    }

    #[test]
    fn times_may_be_fractions_but_not_null_and_not_absurd() {
        assert_eq!(verdict(r#""exp": 1795000060.7, "nbf": 1795000005.9"#), None);
        for members in [
            r#""exp": null"#,
            r#""exp": "1795000060""#,
            r#""exp": 1e18"#,
            r#""nbf": null"#,
            r#""iat": "now""#,
        ] {
            assert_eq!(verdict(members), Some(Reason::Claims), "{members}");
        }
        // The first fault counts: expired before the type of `iat`.
        assert_eq!(verdict(r#""exp": 0, "iat": null"#), Some(Reason::Expired));
        assert_eq!(
            verdict(r#""exp": -8999999999999999"#),
            Some(Reason::Expired)
        );
        assert_eq!(
            verdict(r#""nbf": 1795000006, "iat": 1795000006"#),
            Some(Reason::NotYet)
        );
    }

    #[test]
    fn a_subject_is_short_and_clean() {
        assert_eq!(verdict(&format!(r#""sub": "{}""#, "u".repeat(256))), None);
        for members in [
            r#""sub": 7"#.to_owned(),
            r#""sub": null"#.to_owned(),
            r#""sub": "a\nb""#.to_owned(),
            r#""sub": "a\u0000""#.to_owned(),
            format!(r#""sub": "{}""#, "u".repeat(257)),
        ] {
            assert_eq!(verdict(&members), Some(Reason::Claims), "{members}");
        }
        assert_eq!(verdict(r#""sub": "mch_1""#), Some(Reason::Kind));
    }

    #[test]
    fn an_audience_is_text_or_a_list_of_text() {
        for members in [
            r#""aud": null"#,
            r#""aud": """#,
            r#""aud": []"#,
            r#""aud": ["a"]"#,
        ] {
            assert_eq!(verdict(members), None, "{members}");
        }
        for members in [r#""aud": 7"#, r#""aud": {}"#, r#""aud": ["a", null]"#] {
            assert_eq!(verdict(members), Some(Reason::Claims), "{members}");
        }
        assert_eq!(verdict(r#""cnf": null"#), Some(Reason::SenderConstrained));
    }
}
