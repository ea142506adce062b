//! `wasi:keyvalue`: buckets of values by key, for the service, one of its callers or an organization.

mod database;

use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::WasiView;

pub(in crate::sandbox) use self::database::Database;
use self::database::{NotDone, Place};
use crate::auth::Principal;
use crate::sandbox::bindings::keyvalue::wasi::keyvalue::store::{Error, KeyResponse};
use crate::sandbox::bindings::keyvalue::wasi::keyvalue::{atomics, batch, store};
use crate::sandbox::grants::BucketScope;
use crate::sandbox::store::Call;

/// The longest part of a name that is repeated in a text.
const SHOWN: usize = 64;

/// A bucket that a guest has open.
#[expect(
    unreachable_pub,
    reason = "generated code re-exports it within the sandbox"
)]
pub struct Bucket(Place);

type Done<T> = Result<std::result::Result<T, Error>>;

/// Links it.
pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> Result<()> {
    store::add_to_linker::<Call, HasSelf<Call>>(linker, |call| call)?;
    atomics::add_to_linker::<Call, HasSelf<Call>>(linker, |call| call)?;
    batch::add_to_linker::<Call, HasSelf<Call>>(linker, |call| call)
}

impl store::Host for Call {
    async fn open(&mut self, identifier: String) -> Done<Resource<Bucket>> {
        match self.place(&identifier) {
            Ok(place) => Ok(Ok(self.ctx().table.push(Bucket(place))?)),
            Err(refused) => Ok(Err(refused)),
        }
    }
}

impl store::HostBucket for Call {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Done<Option<Vec<u8>>> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.get(place, key).await))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Done<()> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.set(place, vec![(key, value)]).await))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Done<()> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.delete(place, vec![key]).await))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Done<bool> {
        let place = self.opened(&bucket)?;
        let value = self.database.get(place, key).await;
        Ok(said(value.map(|value| value.is_some())))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Done<KeyResponse> {
        let place = self.opened(&bucket)?;
        let page = self.database.keys(place, cursor.unwrap_or_default()).await;
        Ok(said(
            page.map(|(keys, cursor)| KeyResponse { keys, cursor }),
        ))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> Result<()> {
        self.ctx().table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Call {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: u64) -> Done<u64> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.increment(place, key, delta).await))
    }
}

impl batch::Host for Call {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Done<Vec<Option<(String, Vec<u8>)>>> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.get_many(place, keys).await))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        values: Vec<(String, Vec<u8>)>,
    ) -> Done<()> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.set(place, values).await))
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Done<()> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.delete(place, keys).await))
    }
}

impl Call {
    fn opened(&mut self, bucket: &Resource<Bucket>) -> Result<Place> {
        Ok(self.ctx().table.get(bucket)?.0.clone())
    }

    /// The bucket of this name, if the manifest has it and the call has what its scope goes by.
    fn place(&self, identifier: &str) -> std::result::Result<Place, Error> {
        let Some(granted) = self.grants.stores.get(identifier) else {
            self.refuse(|service| {
                let shown = shown(identifier);
                format!(
                    "the bucket {shown} is not granted; the operator grants it in `mcp/{service}.toml`, under `[store]`: {shown} = {{ scope = \"user\" }}"
                )
            });
            return Err(Error::NoSuchStore);
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
                    shown(identifier)
                )
            });
            return Err(Error::AccessDenied);
        };
        Ok(Place {
            id: id([&self.service, identifier, granted.scope.name(), owner]),
            quota: granted.quota,
        })
    }
}

/// What no other bucket has. Each part begins with its length, so that parts which together read the
/// same are different all the same.
fn id(parts: [&str; 4]) -> Arc<[u8]> {
    let mut id = Vec::new();
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        id.extend(length.to_be_bytes());
        id.extend(part.as_bytes());
    }
    id.into()
}

/// The beginning of a name, in quotes as in a manifest.
fn shown(name: &str) -> String {
    format!(
        "{:?}",
        name.get(..name.floor_char_boundary(SHOWN))
            .unwrap_or_default()
    )
}

fn said<T>(done: std::result::Result<T, NotDone>) -> std::result::Result<T, Error> {
    done.map_err(|cause| Error::Other(cause.to_string()))
}
