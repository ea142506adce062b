//! One call: a place, a store, an instance, a deadline; and everything dropped at the end.

use std::pin::pin;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Resource, ResourceAny, ResourceTable, Val};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use super::admission::{Claim, Full, Place};
use super::client::Client;
use super::deadline::Deadline;
use super::engine::STACK;
use super::failure::{Cause, Circumstances, Ended, OutOfTime};
use super::grants::Grants;
use super::imports::auth::AuthUser;
use super::imports::files::Opened;
use super::imports::http::Outgoing;
use super::meter::Meter;
use super::program::{Export, Identity};
use super::questions::Questions;
use super::refusal::Refusal;
use super::stderr::{Stderr, last_words};
use super::store::{Call, Course};
use super::turns::compute;
use super::usage::Usage;
use super::weight::Weight;
use super::{Failure, Limits, Sandbox};
use crate::auth::{Party, Principal};

/// How many random bytes a guest may ask for at once. Making them is not interrupted.
pub(super) const RANDOM: usize = 64 << 10;

/// Everything about a call but the function and its arguments.
pub struct Invocation {
    /// The number that the log knows it by.
    pub number: u64,
    /// The service whose function is called.
    pub service: Arc<str>,
    /// The caller, if the function is to know them.
    pub caller: Option<Arc<Principal>>,
    /// On whose behalf it takes a place and asks the issuer: whoever asked, known to the function or not.
    pub behalf: Party,
    /// Where what it says and asks goes.
    pub client: Arc<dyn Client>,
    /// What it may use.
    pub limits: Limits,
    /// What it has used.
    pub usage: Usage,
}

/// What is seen of a guest besides its result.
struct Traces {
    stderr: Stderr,
    refusal: Refusal,
}

impl Sandbox {
    /// Calls an export in a store of its own, and lends it the caller's identity if its signature asks
    /// for one. What it returns is read while the call still has its place: the values in it may be large.
    /// Dropping the future stops the guest and frees all that it has.
    pub async fn call<T>(
        &self,
        export: &Export,
        arguments: Vec<Val>,
        invocation: Invocation,
        read: impl FnOnce(Vec<Val>) -> T,
    ) -> Result<T, Failure> {
        let (number, service) = (invocation.number, Arc::clone(&invocation.service));
        let traces = Traces {
            stderr: Stderr::new(invocation.limits.log),
            refusal: Refusal::default(),
        };
        let mut end = self.end.clone();
        let outcome = tokio::select! {
            outcome = self.admit(export, arguments, invocation, &traces, read) => outcome,
            Ok(_) = end.wait_for(|end| *end) => Err(Cause::Stopping.into()),
        };
        let stderr = traces.stderr.text();
        match outcome {
            Ok(read) => {
                if !stderr.is_empty() {
                    tracing::debug!(call = number, %service, "standard error: {stderr}");
                }
                Ok(read)
            }
            Err(ended) => {
                let said = export.grants.tells_errors.then(|| last_words(&stderr));
                Err(Failure::new(ended, &stderr, said.flatten()))
            }
        }
    }

    /// Finds a place for the call. The time for which it waits for one is not its own.
    async fn admit<T>(
        &self,
        export: &Export,
        arguments: Vec<Val>,
        invocation: Invocation,
        traces: &Traces,
        read: impl FnOnce(Vec<Val>) -> T,
    ) -> Result<T, Ended> {
        let mut share = self.budget.share();
        if !share.take(Weight::of(&arguments).bytes) {
            return Err(Cause::HostFull.into());
        }
        let places = self.places(export);
        let claim = Claim {
            service: Arc::clone(&invocation.service),
            caller: invocation.behalf.clone(),
            most: places.most_of_service(invocation.limits.concurrency),
        };
        let patience = invocation.limits.timeout;
        let entering = places.enter(&claim);
        let place = match tokio::time::timeout(patience, entering).await {
            Ok(Ok(place)) => place,
            Ok(Err(Full)) => return Err(Cause::Busy.into()),
            Err(_elapsed) => return Err(Cause::NoPlace { patience }.into()),
        };
        // Whoever waits has no stack yet. The usual one is in what the host has anyway.
        if !share.take(self.stack.saturating_sub(STACK)) {
            return Err(Cause::HostFull.into());
        }
        let meter = Meter::new(&invocation.limits, share, invocation.usage.clone());
        self.call_in_place(export, arguments, invocation, (place, meter), traces, read)
            .await
    }

    async fn call_in_place<T>(
        &self,
        export: &Export,
        arguments: Vec<Val>,
        invocation: Invocation,
        (place, meter): (Place, Meter),
        traces: &Traces,
        read: impl FnOnce(Vec<Val>) -> T,
    ) -> Result<T, Ended> {
        let Invocation {
            number: _,
            service,
            caller,
            behalf,
            client,
            limits,
            usage,
        } = invocation;
        let deadline = Deadline::after(limits.timeout);
        let turn = behalf.clone();
        let out_of_time = |OutOfTime| Cause::OutOfTime {
            limit: limits.timeout,
        };
        let mut call = Call {
            service: Arc::clone(&service),
            caller,
            behalf,
            grants: Arc::clone(&export.grants),
            auth: self.auth.clone(),
            client,
            questions: Questions::default(),
            deadline: deadline.clone(),
            http: Outgoing::new(
                service,
                Arc::clone(&export.grants),
                limits.http,
                traces.refusal.clone(),
                usage.clone(),
            ),
            opened: Opened::new(self.files.share(), limits.handles),
            database: self.database.clone(),
            refusal: traces.refusal.clone(),
            place,
            wasi: wasi(&export.grants, &traces.stderr),
            table: ResourceTable::new(),
            meter,
            course: Course::default(),
        };
        export.grants.files.lend(&mut call);
        let mut store = call.store(export, &limits, usage.clone(), traces.stderr.clone());
        let turn = self.turns.of(turn);
        let outcome = {
            // Where futures are passed on, each holds the one before it twice, and is moved. These stay.
            let work = pin!(async { run(&mut store, export, arguments).await.map(read) });
            // Two clocks, because each is blind where the other sees: the store's epoch ends a guest that
            // computes, this timer one that waits.
            let work = pin!(compute(work, &usage, turn, &export.manners));
            deadline.bound(work).await
        };
        outcome.map_err(out_of_time)?.map_err(|error| {
            Ended::of(
                &error,
                &Circumstances {
                    limits: &limits,
                    stack: self.stack,
                    crossing: export.crossing,
                    memory: store.data().meter.refused(),
                    refusal: traces.refusal.text(),
                },
            )
        })
    }
}

/// What a guest has of the system.
fn wasi(grants: &Grants, stderr: &Stderr) -> WasiCtx {
    WasiCtxBuilder::new()
        .stderr(stderr.clone())
        .envs(&grants.env)
        .max_random_size(u64::try_from(RANDOM).unwrap_or(u64::MAX))
        // No address is allowed either, but a socket is one of the host's even before it has one.
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

async fn run(
    store: &mut Store<Call>,
    export: &Export,
    mut arguments: Vec<Val>,
) -> wasmtime::Result<Vec<Val>> {
    let instance = export.pre.instantiate_async(&mut *store).await?;
    let function = instance
        .get_func(&mut *store, export.index)
        .ok_or_else(|| wasmtime::format_err!("the export was found at load and is gone now"))?;
    if let Some(identity) = export.identity {
        let lent = lend(store, identity)?;
        arguments.insert(identity.position.min(arguments.len()), lent);
    }
    store.data_mut().course = Course::of(&arguments);
    let mut results = vec![Val::Bool(false); export.results];
    function
        .call_async(&mut *store, &arguments, &mut results)
        .await?;
    Ok(results)
}

/// The handle of the caller, for the parameter that asks for it. An owned handle is lent for the
/// call when the parameter is a borrow, and goes with the store.
fn lend(store: &mut Store<Call>, identity: Identity) -> wasmtime::Result<Val> {
    if store.data().caller.is_none() && identity.optional {
        return Ok(Val::Option(None));
    }
    let user = ResourceAny::try_from_resource(Resource::<AuthUser>::new_own(0), &mut *store)?;
    let user = Val::Resource(user);
    Ok(if identity.optional {
        Val::Option(Some(Box::new(user)))
    } else {
        user
    })
}
