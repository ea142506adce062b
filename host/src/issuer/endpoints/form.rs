//! The parameters of an OAuth request, from a form or an address.

use std::collections::HashMap;

use secrecy::zeroize::Zeroizing;
use url::{Url, form_urlencoded};

/// The most parameters.
const MOST: usize = 64;

/// The most servers that may be named in a request, and the most bytes of the name of one.
const MOST_RESOURCES: usize = 8;
const MAX_RESOURCE_BYTES: usize = 2_048;

/// Why a request is refused, as RFC 6749 names it. Nothing of the request is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) description: &'static str,
}

pub(super) fn refusal(code: &'static str, description: &'static str) -> Refusal {
    Refusal { code, description }
}

/// The parameters. Some are secrets, so all are wiped.
pub(super) struct Form {
    single: HashMap<String, Zeroizing<String>>,
    /// `resource` alone may come more than once (RFC 8707 §2).
    resources: Vec<String>,
}

impl Form {
    pub(super) fn read(text: &[u8]) -> Result<Self, Refusal> {
        let mut single = HashMap::new();
        let mut resources = Vec::new();
        for (count, (name, value)) in form_urlencoded::parse(text).enumerate() {
            if count == MOST {
                return Err(refusal(
                    "invalid_request",
                    "there may be at most 64 parameters",
                ));
            }
            if name == "resource" {
                resources.push(value.into_owned());
            } else if value.is_empty() {
                // A parameter without a value counts as left out (RFC 6749 §3.2).
            } else if single
                .insert(name.into_owned(), Zeroizing::new(value.into_owned()))
                .is_some()
            {
                return Err(refusal("invalid_request", "a parameter came twice"));
            }
        }
        Ok(Self { single, resources })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.single.get(name).map(|value| value.as_str())
    }

    /// The servers that tokens are to be for, each an absolute address (RFC 8707 §2).
    pub(super) fn resources(&self) -> Result<&[String], Refusal> {
        let is_good = |resource: &String| {
            resource.len() <= MAX_RESOURCE_BYTES
                && Url::parse(resource).is_ok()
                && !resource.contains('#')
        };
        if self.resources.len() > MOST_RESOURCES || !self.resources.iter().all(is_good) {
            return Err(refusal(
                "invalid_target",
                "`resource` must be an absolute URI without a fragment, of at most 2048 bytes, and come at most 8 times",
            ));
        }
        Ok(&self.resources)
    }
}
