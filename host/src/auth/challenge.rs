//! What a caller who is turned away must know to come back: the challenge of RFC 6750 §3, with the
//! address of the metadata (RFC 9728 §5.1).

use std::fmt::Write;

use super::{Class, Denied};

/// Writes challenges. They say what class of mistake was made and where to sign in; nothing in them
/// comes from a request.
#[derive(Clone, Debug, Default)]
pub struct Challenge {
    resource_metadata: Option<String>,
}

impl Challenge {
    /// `resource_metadata` is the address of the document that says where to sign in.
    pub fn new(resource_metadata: Option<String>) -> Self {
        Self { resource_metadata }
    }

    /// The challenge for a caller who is turned away. One whose token could not be judged gets none:
    /// it would make clients throw good tokens away. Nor does one whom no other token would help.
    pub fn of(&self, denied: &Denied) -> Option<String> {
        let error = match denied.class {
            Class::Missing => None,
            Class::Expired | Class::Invalid => Some("invalid_token"),
            Class::InsufficientScope => Some("insufficient_scope"),
            Class::Malformed => Some("invalid_request"),
            Class::Forbidden | Class::Unavailable => return None,
        };
        let description = denied.to_string();
        // Whoever asked in a way that has no meaning is not told to sign in.
        let may_sign_in = denied.class != Class::Malformed;
        let metadata = self.resource_metadata.as_deref().filter(|_| may_sign_in);
        let scopes = denied.scopes().join(" ");
        let has_scopes = may_sign_in && !scopes.is_empty();
        let parameters = [
            ("error", error),
            ("error_description", error.map(|_| &*description)),
            ("resource_metadata", metadata),
            ("scope", Some(&*scopes).filter(|_| has_scopes)),
        ];
        let mut challenge = String::from("Bearer");
        let mut separator = " ";
        for (name, value) in parameters {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _infallible = write!(challenge, "{separator}{name}=\"{value}\"");
                separator = ", ";
            }
        }
        Some(challenge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Access, Grants, Reason, Requirement, Via};

    #[test]
    fn each_class_has_its_challenge() {
        let challenge = Challenge::new(Some("https://host.example/metadata".into()));
        let scopes = Grants::try_from(vec!["mail:read".to_owned(), "mail:send".to_owned()]);
        let access = Access::Public.restricted_to(Requirement {
            scopes: scopes.unwrap(),
            ..Requirement::default()
        });
        let missing = Denied::missing(Via::Header);
        let needing = access.admit(None).unwrap_err();
        let of = |reason| Denied::new(Via::Header, reason);
        let insufficient = Denied {
            class: Class::InsufficientScope,
            ..needing.clone()
        };
        for (denied, expected) in [
            (
                &missing,
                Some(r#"Bearer resource_metadata="https://host.example/metadata""#),
            ),
            (
                &needing,
                Some(
                    r#"Bearer resource_metadata="https://host.example/metadata", scope="mail:read mail:send""#,
                ),
            ),
            (
                &insufficient,
                Some(
                    r#"Bearer error="insufficient_scope", error_description="The access token lacks a scope that this operation needs", resource_metadata="https://host.example/metadata", scope="mail:read mail:send""#,
                ),
            ),
            (
                &of(Reason::Expired),
                Some(
                    r#"Bearer error="invalid_token", error_description="The access token expired", resource_metadata="https://host.example/metadata""#,
                ),
            ),
            (&of(Reason::Role), None),
            (&of(Reason::Unavailable), None),
        ] {
            assert_eq!(challenge.of(denied).as_deref(), expected);
        }
        assert_eq!(Challenge::default().of(&missing).as_deref(), Some("Bearer"));
    }
}
