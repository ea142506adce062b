//! The first draft, `0.2.0-draft`: numbers without a sign, and pages by number.

use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker, Resource};

use super::change::{Change, Delta};
use super::{Bucket, Done, NotDone, Refused, said};
use crate::sandbox::bindings::keyvalue::wasi::keyvalue::store::{Error, KeyResponse};
use crate::sandbox::bindings::keyvalue::wasi::keyvalue::{atomics, batch, store};
use crate::sandbox::store::Call;

pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> Result<()> {
    store::add_to_linker::<Call, HasSelf<Call>>(linker, |call| call)?;
    atomics::add_to_linker::<Call, HasSelf<Call>>(linker, |call| call)?;
    batch::add_to_linker::<Call, HasSelf<Call>>(linker, |call| call)
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoSuchStore => Self::NoSuchStore,
            Refused::AccessDenied => Self::AccessDenied,
            Refused::NotDone(cause) => Self::Other(cause.to_string()),
        }
    }
}

impl store::Host for Call {
    async fn open(&mut self, identifier: String) -> Done<Resource<Bucket>, Error> {
        self.open_bucket(&identifier)
    }
}

impl store::HostBucket for Call {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Done<Option<Vec<u8>>, Error> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.get(place, key).await))
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Done<(), Error> {
        self.change(&bucket, Change::Set(vec![(key, value)])).await
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Done<(), Error> {
        self.change(&bucket, Change::Delete(vec![key])).await
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Done<bool, Error> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.exists(place, key).await))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Done<KeyResponse, Error> {
        let place = self.opened(&bucket)?;
        let page = self.database.keys(place, cursor.unwrap_or_default()).await;
        Ok(said(
            page.map(|(keys, cursor)| KeyResponse { keys, cursor }),
        ))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> Result<()> {
        self.close_bucket(bucket)
    }
}

impl atomics::Host for Call {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Done<u64, Error> {
        let place = self.opened(&bucket)?;
        let delta = Delta::Unsigned(delta);
        let sum = self
            .database
            .change(place, Change::Add { key, delta })
            .await;
        Ok(said(sum.and_then(|sum| {
            u64::try_from(sum).map_err(|_too_large| NotDone::Overflow)
        })))
    }
}

impl batch::Host for Call {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Done<Vec<Option<(String, Vec<u8>)>>, Error> {
        let place = self.opened(&bucket)?;
        Ok(said(self.database.get_many(place, keys).await))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        values: Vec<(String, Vec<u8>)>,
    ) -> Done<(), Error> {
        self.change(&bucket, Change::Set(values)).await
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Done<(), Error> {
        self.change(&bucket, Change::Delete(keys)).await
    }
}
