//! Buckets of values by key that a service has.

/// A bucket that a service has, or one for each of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Who shares it.
    pub scope: BucketScope,
    /// The bytes that its keys and values may have together.
    pub quota: u64,
}

/// Who shares a bucket. Services never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketScope {
    /// All callers of the service.
    Service,
    /// Nobody: each caller has their own.
    User,
    /// The callers for whom the same organization is active.
    Organization,
}

impl BucketScope {
    /// As it is written in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::User => "user",
            Self::Organization => "organization",
        }
    }
}
