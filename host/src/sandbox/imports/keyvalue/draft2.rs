//! The second draft, `0.2.0-draft2`: numbers with a sign, pages by text, and compare-and-swap.

use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::WasiView;

use super::change::{Change, Delta, Seen};
use super::{Bucket, Cas, Done, NotDone, Refused, said};
use crate::sandbox::bindings::keyvalue2::wasi::keyvalue::atomics::CasError;
use crate::sandbox::bindings::keyvalue2::wasi::keyvalue::store::{Error, KeyResponse};
use crate::sandbox::bindings::keyvalue2::wasi::keyvalue::{atomics, batch, store};
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

impl From<Refused> for CasError {
    fn from(refused: Refused) -> Self {
        Self::StoreError(refused.into())
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
        cursor: Option<String>,
    ) -> Done<KeyResponse, Error> {
        let place = self.opened(&bucket)?;
        let from = cursor.map_or(Ok(0), |cursor| cursor.parse());
        let Ok(from) = from else {
            return Ok(said(Err(NotDone::NoCursor)));
        };
        let page = self.database.keys(place, from).await;
        Ok(said(page.map(|(keys, next)| KeyResponse {
            keys,
            cursor: next.map(|next| next.to_string()),
        })))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> Result<()> {
        self.close_bucket(bucket)
    }
}

impl Call {
    /// Reads a key, and gives what was seen of it with the value.
    async fn see(&mut self, cas: &Resource<Cas>) -> Done<Option<Vec<u8>>, NotDone> {
        let Cas { place, key, .. } = self.ctx().table.get(cas)?;
        let (place, key) = (place.clone(), key.clone());
        let value = match self.database.get(place, key).await {
            Ok(value) => value,
            Err(cause) => return Ok(Err(cause)),
        };
        self.ctx().table.get_mut(cas)?.seen = Seen::of(value.as_deref());
        Ok(Ok(value))
    }
}

impl atomics::HostCas for Call {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Done<Resource<Cas>, Error> {
        let place = self.opened(&bucket)?;
        let seen = Seen::of(None);
        let cas = self.ctx().table.push(Cas { place, key, seen })?;
        Ok(match self.see(&cas).await? {
            Ok(_value) => Ok(cas),
            Err(cause) => {
                self.ctx().table.delete(cas)?;
                said(Err(cause))
            }
        })
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Done<Option<Vec<u8>>, Error> {
        Ok(said(self.see(&cas).await?))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> Result<()> {
        self.ctx().table.delete(cas)?;
        Ok(())
    }
}

impl atomics::Host for Call {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> Done<i64, Error> {
        let place = self.opened(&bucket)?;
        let delta = Delta::Signed(delta);
        let sum = self
            .database
            .change(place, Change::Add { key, delta })
            .await;
        Ok(said(sum.and_then(|sum| {
            i64::try_from(sum).map_err(|_too_large| NotDone::Overflow)
        })))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Done<(), CasError> {
        let Cas { place, key, seen } = self.ctx().table.delete(cas)?;
        let swap = Change::Swap {
            key: key.clone(),
            seen,
            value,
        };
        match self.database.change(place.clone(), swap).await {
            Ok(_) => Ok(Ok(())),
            Err(NotDone::Changed) => {
                let cas = self.ctx().table.push(Cas { place, key, seen })?;
                Ok(match self.see(&cas).await? {
                    Ok(_value) => Err(CasError::CasFailed(cas)),
                    Err(cause) => {
                        self.ctx().table.delete(cas)?;
                        said(Err(cause))
                    }
                })
            }
            Err(cause) => Ok(said(Err(cause))),
        }
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
