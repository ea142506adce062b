//! A service that keeps things, where it may and where it may not.

cloister_sdk::service!();

use std::fs;

use cloister::mcp::auth::AuthUser;
use exports::tests::keeper::keeper::{Guest, Step};
use wasi::config::store as config;
use wasi::keyvalue0_2_0_draft::store::{self, Bucket};
use wasi::keyvalue0_2_0_draft::{atomics, batch};
use wasi::keyvalue0_2_0_draft2::atomics::{self as atomics2, Cas, CasError};
use wasi::keyvalue0_2_0_draft2::store as store2;

struct Keeper;

export!(Keeper);

impl Guest for Keeper {
    fn read(path: String) -> Result<String, String> {
        fs::read_to_string(path).map_err(|cause| format!("not read: {cause}"))
    }

    fn write(path: String, text: String) -> Result<String, String> {
        fs::write(path, text).map_err(|cause| format!("not written: {cause}"))?;
        Ok("written".into())
    }

    fn link(target: String, path: String) -> Result<String, String> {
        #[expect(deprecated, reason = "the other one is not stable for this target")]
        let linked = fs::soft_link(target, path);
        linked.map_err(|cause| format!("not linked: {cause}"))?;
        Ok("linked".into())
    }

    fn names(path: String) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(path).map_err(|cause| format!("not read: {cause}"))?;
        let mut names = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(|cause| format!("not read: {cause}"))?;
        names.sort();
        Ok(names)
    }

    fn setting(name: String) -> Result<Option<String>, String> {
        config::get(&name).map_err(|cause| cause.to_string())
    }

    fn settings() -> Result<Vec<String>, String> {
        let all = config::get_all().map_err(|cause| cause.to_string())?;
        let mut names: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    }

    fn variable(name: String) -> Option<String> {
        std::env::var(name).ok()
    }

    fn keep(bucket: String, steps: Vec<Step>) -> Result<Vec<String>, String> {
        keep(&bucket, steps).map_err(said)
    }

    fn keep_mine(
        _user: &AuthUser,
        bucket: String,
        steps: Vec<Step>,
    ) -> Result<Vec<String>, String> {
        keep(&bucket, steps).map_err(said)
    }

    fn exchange(
        bucket: String,
        key: String,
        value: String,
        meddling: Vec<String>,
    ) -> Result<Vec<String>, String> {
        let bucket = store2::open(&bucket).map_err(said2)?;
        let mut cas = Cas::new(&bucket, &key).map_err(said2)?;
        let mut meddling = meddling.into_iter();
        let mut seen = Vec::new();
        loop {
            if let Some(other) = meddling.next() {
                bucket.set(&key, other.as_bytes()).map_err(said2)?;
            }
            match atomics2::swap(cas, value.as_bytes()) {
                Ok(()) => return Ok(seen),
                Err(CasError::CasFailed(anew)) => {
                    seen.push(text(anew.current().map_err(said2)?));
                    cas = anew;
                }
                Err(CasError::StoreError(cause)) => return Err(said2(cause)),
            }
        }
    }

    fn climb(bucket: String, key: String) -> Result<u32, String> {
        let bucket = store2::open(&bucket).map_err(said2)?;
        let mut cas = Cas::new(&bucket, &key).map_err(said2)?;
        loop {
            let before = text(cas.current().map_err(said2)?);
            let after = before.parse::<u32>().unwrap_or_default() + 1;
            match atomics2::swap(cas, after.to_string().as_bytes()) {
                Ok(()) => return Ok(after),
                Err(CasError::CasFailed(anew)) => cas = anew,
                Err(CasError::StoreError(cause)) => return Err(said2(cause)),
            }
        }
    }

    fn tally(bucket: String, key: String, delta: i64) -> Result<i64, String> {
        let bucket = store2::open(&bucket).map_err(said2)?;
        atomics2::increment(&bucket, &key, delta).map_err(said2)
    }

    fn page(bucket: String, cursor: Option<String>) -> Result<(u32, Option<String>), String> {
        let bucket = store2::open(&bucket).map_err(said2)?;
        let page = bucket.list_keys(cursor.as_deref()).map_err(said2)?;
        Ok((u32::try_from(page.keys.len()).unwrap(), page.cursor))
    }

    fn insist(bucket: String) {
        store::open(&bucket).expect("a bucket");
    }
}

fn said(cause: store::Error) -> String {
    match cause {
        store::Error::NoSuchStore => "no such store".into(),
        store::Error::AccessDenied => "access denied".into(),
        store::Error::Other(text) => text,
    }
}

fn said2(cause: store2::Error) -> String {
    match cause {
        store2::Error::NoSuchStore => "no such store".into(),
        store2::Error::AccessDenied => "access denied".into(),
        store2::Error::Other(text) => text,
    }
}

fn keep(name: &str, steps: Vec<Step>) -> Result<Vec<String>, store::Error> {
    let bucket = store::open(name)?;
    steps.into_iter().map(|step| take(&bucket, step)).collect()
}

fn text(value: Option<Vec<u8>>) -> String {
    value.map_or("none".into(), |value| {
        String::from_utf8_lossy(&value).into_owned()
    })
}

fn take(bucket: &Bucket, step: Step) -> Result<String, store::Error> {
    match step {
        Step::Get(key) => Ok(text(bucket.get(&key)?)),
        Step::Set((key, value)) => {
            bucket.set(&key, value.as_bytes())?;
            Ok("set".into())
        }
        Step::Fill((key, bytes)) => {
            bucket.set(&key, &vec![b'.'; bytes as usize])?;
            Ok("filled".into())
        }
        Step::Delete(key) => {
            bucket.delete(&key)?;
            Ok("deleted".into())
        }
        Step::Exists(key) => Ok(bucket.exists(&key)?.to_string()),
        Step::Increment((key, delta)) => Ok(atomics::increment(bucket, &key, delta)?.to_string()),
        Step::Drain(pages) => {
            let mut drained = 0;
            let mut cursor = None;
            for _ in 0..pages {
                let page = bucket.list_keys(cursor)?;
                drained += page.keys.len();
                batch::delete_many(bucket, &page.keys)?;
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            Ok(drained.to_string())
        }
        Step::Count => {
            let mut keys = 0;
            let mut cursor = None;
            loop {
                let page = bucket.list_keys(cursor)?;
                keys += page.keys.len();
                cursor = page.cursor;
                if cursor.is_none() {
                    return Ok(keys.to_string());
                }
            }
        }
        Step::GetMany(keys) => {
            let values = batch::get_many(bucket, &keys)?;
            let values: Vec<String> = values
                .into_iter()
                .map(|value| text(value.map(|(_, value)| value)))
                .collect();
            Ok(values.join(" "))
        }
        Step::SetMany(values) => {
            let values: Vec<(String, Vec<u8>)> = values
                .into_iter()
                .map(|(key, value)| (key, value.into_bytes()))
                .collect();
            batch::set_many(bucket, &values)?;
            Ok("set".into())
        }
        Step::Sow(count) => {
            let values: Vec<(String, Vec<u8>)> = (0..count)
                .map(|at| (at.to_string(), b"seed".to_vec()))
                .collect();
            batch::set_many(bucket, &values)?;
            Ok("sown".into())
        }
        Step::DeleteMany(keys) => {
            batch::delete_many(bucket, &keys)?;
            Ok("deleted".into())
        }
    }
}
