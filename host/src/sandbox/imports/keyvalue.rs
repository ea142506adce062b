//! `wasi:keyvalue`: buckets of values by key, for the service, one of its callers or an organization. The
//! two drafts of it that components are built for are the same buckets.

mod change;
mod database;
mod draft;
mod draft2;
mod place;

use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;

use self::change::{Change, Seen};
pub(in crate::sandbox) use self::database::Database;
use self::database::NotDone;
pub use self::database::{BucketServer, BucketState, BucketStore, NoServer};
use self::place::Place;
use crate::auth::Principal;
use crate::sandbox::capability::Capability;
use crate::sandbox::grants::BucketScope;
use crate::sandbox::refusal::quoted;
use crate::sandbox::store::Call;

/// A bucket that a guest has open.
#[expect(
    unreachable_pub,
    reason = "generated code re-exports it within the sandbox"
)]
pub struct Bucket(Place);

/// What a guest has seen of a key, and will change if it is still so.
#[expect(
    unreachable_pub,
    reason = "generated code re-exports it within the sandbox"
)]
pub struct Cas {
    place: Place,
    key: String,
    seen: Seen,
}

/// Why a guest does not get what it asks for, as both drafts have it.
enum Refused {
    NoSuchStore,
    AccessDenied,
    NotDone(NotDone),
}

impl From<NotDone> for Refused {
    fn from(cause: NotDone) -> Self {
        Self::NotDone(cause)
    }
}

/// What a function of an import gives: a result, or a trap.
type Done<T, E> = Result<std::result::Result<T, E>>;

/// What comes of something, in the words of a draft.
fn said<T, E: From<Refused>>(
    done: std::result::Result<T, impl Into<Refused>>,
) -> std::result::Result<T, E> {
    done.map_err(|cause| cause.into().into())
}

/// Links it.
pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> Result<()> {
    draft::add_to_linker(linker)?;
    draft2::add_to_linker(linker)
}

impl Call {
    fn opened(&mut self, bucket: &Resource<Bucket>) -> Result<Place> {
        Ok(self.ctx().table.get(bucket)?.0.clone())
    }

    fn open_bucket<E: From<Refused>>(&mut self, identifier: &str) -> Done<Resource<Bucket>, E> {
        match self.place(identifier) {
            Ok(place) => Ok(Ok(self.ctx().table.push(Bucket(place))?)),
            Err(refused) => Ok(Err(refused.into())),
        }
    }

    async fn change<E: From<Refused>>(
        &mut self,
        bucket: &Resource<Bucket>,
        change: Change,
    ) -> Done<(), E> {
        let place = self.opened(bucket)?;
        let done = self.database.change(place, change).await;
        Ok(said(done.map(|_nothing| ())))
    }

    fn close_bucket(&mut self, bucket: Resource<Bucket>) -> Result<()> {
        self.ctx().table.delete(bucket)?;
        Ok(())
    }

    /// The bucket of this name, if the manifest has it and the call has what its scope goes by.
    fn place(&self, identifier: &str) -> std::result::Result<Place, Refused> {
        let Some(granted) = self.grants.stores.get(identifier) else {
            self.refuse(|service| {
                let shown = quoted(identifier);
                format!(
                    "the bucket {shown} is not granted; the operator grants it {}",
                    Capability::Store.place_for(service, &shown)
                )
            });
            return Err(Refused::NoSuchStore);
        };
        let caller = self.caller.as_deref();
        let owner = match granted.scope {
            BucketScope::Service => Some(""),
            BucketScope::User => caller.map(Principal::id),
            BucketScope::Organization => caller
                .and_then(|caller| caller.organization())
                .map(|organization| &*organization.id),
        };
        let Some(owner) = owner else {
            let scope = granted.scope.name();
            self.refuse(|_| {
                format!(
                    "the bucket {} has the scope `{scope}`, and this call has none; the function must take a parameter `user: borrow<auth-user>`, and its caller have what the scope names",
                    quoted(identifier)
                )
            });
            return Err(Refused::AccessDenied);
        };
        Ok(Place {
            service: Arc::clone(&self.service),
            bucket: identifier.into(),
            scope: granted.scope,
            owner: owner.into(),
            quota: granted.quota,
            party: self.behalf.clone(),
        })
    }
}
