//! What a caller who is turned away must know to come back: the challenge of RFC 6750 §3, with the
//! address of the metadata (RFC 9728 §5.1).

use std::fmt::Write;

use super::Class;

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

    /// The challenge for a class. A caller whose token could not be judged gets none: it would make
    /// clients throw good tokens away.
    pub fn of(&self, class: Class) -> Option<String> {
        let error = match class {
            Class::Missing => None,
            Class::Expired | Class::Invalid => Some("invalid_token"),
            Class::Malformed => Some("invalid_request"),
            Class::Unavailable => return None,
        };
        let description = class.to_string();
        let metadata = self
            .resource_metadata
            .as_deref()
            .filter(|_| class != Class::Malformed);
        let parameters = [
            ("error", error),
            ("error_description", error.map(|_| &*description)),
            ("resource_metadata", metadata),
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

    #[test]
    fn each_class_has_its_challenge() {
        let challenge = Challenge::new(Some("https://host.example/metadata".into()));
        assert_eq!(
            challenge.of(Class::Missing).as_deref(),
            Some(r#"Bearer resource_metadata="https://host.example/metadata""#)
        );
        assert_eq!(
            challenge.of(Class::Expired).as_deref(),
            Some(
                r#"Bearer error="invalid_token", error_description="The access token expired", resource_metadata="https://host.example/metadata""#
            )
        );
        assert_eq!(
            Challenge::default().of(Class::Missing).as_deref(),
            Some("Bearer")
        );
        assert_eq!(challenge.of(Class::Unavailable), None);
    }
}
