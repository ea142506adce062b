//! `[store]`: the buckets of values by key that a service has.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Wrong;
use crate::sandbox::{Bucket, BucketScope};
use crate::units::Bytes;

/// The bytes that a bucket may have unless the manifest says otherwise.
const QUOTA: usize = 16 << 20;

/// The longest name of a bucket, in bytes.
const LONGEST_NAME: usize = 128;

/// A bucket, by its name for the guest.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenBucket {
    scope: Scope,
    quota: Option<Bytes>,
}

/// Who shares it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Scope {
    Service,
    User,
    Organization,
}

impl From<Scope> for BucketScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Service => Self::Service,
            Scope::User => Self::User,
            Scope::Organization => Self::Organization,
        }
    }
}

/// The buckets as people are told of them.
pub(super) fn told(given: &BTreeMap<String, GivenBucket>) -> Vec<String> {
    let buckets = given.iter().map(|(name, bucket)| {
        let scope = BucketScope::from(bucket.scope).name();
        format!("{name:?} of the scope `{scope}`")
    });
    buckets.collect()
}

/// The buckets by their names.
pub(super) fn granted(
    given: &BTreeMap<String, GivenBucket>,
) -> Result<BTreeMap<String, Bucket>, Wrong> {
    given
        .iter()
        .map(|(name, bucket)| {
            if name.is_empty() || name.len() > LONGEST_NAME {
                let cause = format!("the name of a bucket has from 1 to {LONGEST_NAME} bytes");
                return Err(Wrong::new(&["store", name], cause));
            }
            let quota = bucket.quota.map_or(QUOTA, |quota| quota.0);
            let bucket = Bucket {
                scope: bucket.scope.into(),
                quota: u64::try_from(quota).unwrap_or(u64::MAX),
            };
            Ok((name.clone(), bucket))
        })
        .collect()
}
