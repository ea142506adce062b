//! Which bucket it is.

use std::fmt::Write;
use std::sync::Arc;

use crate::auth::Party;
use crate::sandbox::grants::BucketScope;

/// One bucket, with the bytes that it may have, as somebody has opened it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The service that has it.
    pub(super) service: Arc<str>,
    /// Its name for the service.
    pub(super) bucket: Arc<str>,
    /// Who shares it.
    pub(super) scope: BucketScope,
    /// The user or the organization whose it is; nobody's has the empty one.
    pub(super) owner: Arc<str>,
    /// The bytes that its keys and values may have together.
    pub(super) quota: u64,
    /// Who has opened it: they wait behind themselves.
    pub(super) party: Party,
}

impl Place {
    fn parts(&self) -> [&str; 4] {
        [&self.service, &self.bucket, self.scope.name(), &self.owner]
    }

    /// What no other bucket has. Each part begins with its length, so that parts which together read the
    /// same are different all the same.
    pub(super) fn id(&self) -> Arc<[u8]> {
        let mut id = Vec::new();
        for part in self.parts() {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            id.extend(length.to_be_bytes());
            id.extend(part.as_bytes());
        }
        id.into()
    }

    /// The same for people to read: the parts between slashes, with whatever is no letter, digit, dot,
    /// hyphen or underscore as a percent sign and two hexadecimal digits.
    pub(super) fn name(&self) -> String {
        let mut name = String::new();
        for (number, part) in self.parts().into_iter().enumerate() {
            if number > 0 {
                name.push('/');
            }
            for byte in part.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
                    name.push(char::from(byte));
                } else {
                    // Writing to a string cannot fail.
                    let _infallible = write!(name, "%{byte:02x}");
                }
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_buckets_are_found_by_the_same() {
        let place = |service: &str, bucket: &str, owner: &str| Place {
            service: service.into(),
            bucket: bucket.into(),
            scope: BucketScope::User,
            owner: owner.into(),
            quota: 0,
            party: Party::Local,
        };
        let odd = place("a", "b/user}%", "ü");
        assert_eq!(odd.name(), "a/b%2fuser%7d%25/user/%c3%bc");
        for (one, other) in [
            (place("a", "b", "c"), place("ab", "", "c")),
            (place("a", "b/user/c", ""), place("a", "b", "c/user")),
            (place("a", "%2f", ""), place("a", "/", "")),
        ] {
            assert_ne!(one.id(), other.id());
            assert_ne!(one.name(), other.name());
        }
    }
}
