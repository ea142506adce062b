//! Buckets on a Redis or Valkey server, which several hosts may share.
//!
//! Whatever changes a bucket is one script, which the server runs as a whole or not at all. Each bucket has
//! three keys there, which begin with `cloister:` and its name.

mod connections;
mod server;

use std::sync::{Arc, LazyLock};

use redis::{FromRedisValue, Script, ScriptInvocation};

use self::connections::{Connections, Failed};
pub use self::server::{BucketServer, NoServer};
use super::{BATCH, BATCH_BYTES, Change, Delta, MOST_KEYS, NotDone, Place, Seen};

static CHANGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("remote/change.lua")));
static GET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("remote/get.lua")));
static LIST: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("remote/list.lua")));

/// Buckets on a server. Clones are the same ones.
#[derive(Clone)]
pub(super) struct Remote(Arc<Connections>);

/// The keys of one bucket on the server.
struct Keys {
    values: String,
    order: String,
    totals: String,
}

impl Keys {
    fn of(place: &Place) -> Self {
        // What stands in braces is what the parts of a cluster are chosen by: a bucket is never divided.
        let key = |what: &str| format!("cloister:{{{}}}:{what}", place.name());
        Self {
            values: key("values"),
            order: key("order"),
            totals: key("totals"),
        }
    }
}

impl Remote {
    /// Those on this server, which is asked whether it is there from now on.
    pub(super) fn new(server: &BucketServer) -> Self {
        Self(Arc::new(Connections::new(server)))
    }

    /// Whether the server answers.
    pub(super) fn is_there(&self) -> bool {
        self.0.is_there()
    }

    pub(super) async fn exists(&self, place: &Place, key: &str) -> Result<bool, NotDone> {
        let mut asked = redis::cmd("HEXISTS");
        asked.arg(Keys::of(place).values).arg(key);
        let found = self.0.ask(&place.party, async |connection| {
            asked.query_async(connection).await
        });
        found.await.map_err(Failed::of_reading)
    }

    pub(super) async fn get_many(
        &self,
        place: &Place,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, NotDone> {
        let mut asked = GET.prepare_invoke();
        asked.key(Keys::of(place).values).arg(BATCH_BYTES);
        for key in &keys {
            asked.arg(key);
        }
        let found: Option<Vec<Option<Vec<u8>>>> =
            self.run(place, &asked).await.map_err(Failed::of_reading)?;
        let found = found.ok_or(NotDone::BatchTooLarge)?;
        let values = keys.into_iter().zip(found);
        Ok(values
            .map(|(key, value)| value.map(|value| (key, value)))
            .collect())
    }

    pub(super) async fn keys(
        &self,
        place: &Place,
        from: u64,
    ) -> Result<(Vec<String>, Option<u64>), NotDone> {
        let mut asked = LIST.prepare_invoke();
        asked.key(Keys::of(place).order).arg(from).arg(BATCH);
        self.run(place, &asked).await.map_err(Failed::of_reading)
    }

    /// Changes a bucket, as a whole or not at all, and gives the sum if something was added.
    pub(super) async fn change(&self, place: &Place, change: Change) -> Result<i128, NotDone> {
        let Keys {
            values,
            order,
            totals,
        } = Keys::of(place);
        let mut script = CHANGE.prepare_invoke();
        script.key(values).key(order).key(totals);
        let mut with = |what: &str, arguments: &[&[u8]]| {
            script.arg(what).arg(place.quota).arg(MOST_KEYS);
            for argument in arguments {
                script.arg(*argument);
            }
        };
        match &change {
            Change::Set(values) => {
                let values = values.iter().map(|(key, value)| [key.as_bytes(), value]);
                with("set", values.collect::<Vec<_>>().as_flattened());
            }
            Change::Delete(keys) => {
                with(
                    "delete",
                    &keys.iter().map(String::as_bytes).collect::<Vec<_>>(),
                );
            }
            Change::Add { key, delta } => {
                let (what, delta) = match delta {
                    Delta::Unsigned(delta) => ("add", delta.to_string()),
                    Delta::Signed(delta) => ("add-signed", delta.to_string()),
                };
                with(what, &[key.as_bytes(), delta.as_bytes()]);
            }
            Change::Swap { key, seen, value } => {
                // The server cannot tell what was seen by a digest, but whether a value is another by now.
                let now = self.get_many(place, vec![key.clone()]).await?;
                let now = now.into_iter().flatten().next().map(|(_, value)| value);
                if Seen::of(now.as_deref()) != *seen {
                    return Err(NotDone::Changed);
                }
                match &now {
                    Some(now) => with("swap", &[key.as_bytes(), value, now]),
                    None => with("swap", &[key.as_bytes(), value]),
                }
            }
        }
        let done: (u8, Option<String>) =
            self.run(place, &script).await.map_err(Failed::of_writing)?;
        match done {
            (0, None) => Ok(0),
            (0, Some(sum)) => sum.parse().map_err(|_no_number| NotDone::Unknown),
            (1, _) => Err(NotDone::Full { quota: place.quota }),
            (2, _) => Err(NotDone::TooManyKeys),
            (3, _) => Err(NotDone::NotANumber),
            (4, _) => Err(NotDone::Overflow),
            (5, _) => Err(NotDone::Changed),
            (other, _) => {
                tracing::error!(other, "a bucket was changed, and it is not known how");
                Err(NotDone::Unknown)
            }
        }
    }

    async fn run<T: FromRedisValue>(
        &self,
        place: &Place,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Failed> {
        let work = async |connection: &mut _| script.invoke_async(connection).await;
        self.0.ask(&place.party, work).await
    }
}
