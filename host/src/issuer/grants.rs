//! What clients were granted, by refresh token. A refresh token works once: using it replaces it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The grants that can be refreshed.
#[derive(Default)]
pub(super) struct Grants(Mutex<HashMap<String, Grant>>);

/// What a user granted to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) scopes: Vec<String>,
}

impl Grants {
    pub(super) fn add(&self, token: &str, grant: Grant) {
        self.lock().insert(token.to_owned(), grant);
    }

    /// The grant of a refresh token, when this client may use it.
    pub(super) fn find(&self, token: &str, client_id: &str) -> Option<Grant> {
        self.lock()
            .get(token)
            .filter(|grant| grant.client_id == client_id)
            .cloned()
    }

    /// Replaces a refresh token; false when somebody else was faster.
    pub(super) fn rotate(&self, old: &str, new: &str) -> bool {
        let mut grants = self.lock();
        match grants.remove(old) {
            Some(grant) => {
                grants.insert(new.to_owned(), grant);
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Grant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
