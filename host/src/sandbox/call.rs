//! One call: a store, an instance, a deadline; and everything dropped at the end.

use std::sync::Arc;

use wasmtime::component::{Resource, ResourceAny, ResourceTable, Val};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::admission::{Claim, Full};
use super::client::Client;
use super::deadline::Deadline;
use super::failure::{Ended, OutOfCpu, OutOfTime};
use super::grants::{Folder, Grants};
use super::imports::auth::AuthUser;
use super::imports::http::Outgoing;
use super::imports::keyvalue::Database;
use super::limits::Meter;
use super::program::{Export, Identity};
use super::questions::Questions;
use super::refusal::Refusal;
use super::stderr::Stderr;
use super::usage::Usage;
use super::{Failure, Limits, Sandbox};
use crate::auth::{Auth, Party, Principal};

/// How many resources a guest may hold at once.
const HANDLES: usize = 1_000;

/// What the host knows of one call: the data of its store.
pub(super) struct Call {
    pub(super) service: Arc<str>,
    pub(super) caller: Option<Arc<Principal>>,
    pub(super) behalf: Party,
    pub(super) grants: Arc<Grants>,
    pub(super) auth: Auth,
    pub(super) client: Arc<dyn Client>,
    pub(super) questions: Questions,
    pub(super) deadline: Deadline,
    pub(super) database: Database,
    pub(super) refusal: Refusal,
    wasi: WasiCtx,
    http: Outgoing,
    table: ResourceTable,
    meter: Meter,
}

impl WasiView for Call {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Call {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.http.view(&mut self.table)
    }
}

/// Everything about a call but the function and its arguments.
pub struct Invocation {
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

impl Sandbox {
    /// Calls an export in a store of its own, and lends it the caller's identity if its signature
    /// asks for one. Dropping the future stops the guest and frees all that it has.
    pub async fn call(
        &self,
        export: &Export,
        arguments: Vec<Val>,
        invocation: Invocation,
    ) -> Result<Vec<Val>, Failure> {
        let mut end = self.end.clone();
        tokio::select! {
            outcome = self.call_in_time(export, arguments, invocation) => outcome,
            Ok(_) = end.wait_for(|end| *end) => Err(Failure::Stopping),
        }
    }

    async fn call_in_time(
        &self,
        export: &Export,
        arguments: Vec<Val>,
        invocation: Invocation,
    ) -> Result<Vec<Val>, Failure> {
        let Invocation {
            service,
            caller,
            behalf,
            client,
            limits,
            usage,
        } = invocation;
        let deadline = Deadline::after(limits.timeout);
        let claim = Claim {
            service: Arc::clone(&service),
            caller: behalf.user().cloned(),
            most: limits.concurrency,
        };
        let _place = match deadline.bound(self.admission.enter(&claim)).await {
            Ok(Ok(place)) => place,
            Ok(Err(Full)) | Err(OutOfTime) => return Err(Failure::Busy),
        };
        let stderr = Stderr::default();
        let refusal = Refusal::default();
        let mut wasi = WasiCtxBuilder::new();
        wasi.stderr(stderr.clone())
            .envs(&export.grants.env)
            // No address is allowed either, but a socket is one of the host's even before it has one.
            .allow_tcp(false)
            .allow_udp(false);
        if !export.grants.files.is_empty() {
            let grants = Arc::clone(&export.grants);
            let opening = tokio::task::spawn_blocking(move || open(wasi, &grants.files));
            wasi = match deadline.bound(opening).await {
                Ok(Ok(opened)) => opened?,
                Ok(Err(panic)) => {
                    return Err(Failure::Folders {
                        detail: panic.to_string(),
                    });
                }
                Err(OutOfTime) => {
                    return Err(Failure::OutOfTime {
                        limit: limits.timeout,
                    });
                }
            };
        }
        let call = Call {
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
                refusal.clone(),
                usage.clone(),
            ),
            database: self.database.clone(),
            refusal: refusal.clone(),
            wasi: wasi.build(),
            table: ResourceTable::new(),
            meter: Meter::new(&limits, usage.clone()),
        };
        let mut store = call.store(export, &limits, usage.clone());
        // Two clocks, because each is blind where the other sees: the store's epoch ends a guest that
        // computes, this timer one that waits.
        let work = usage.count(run(&mut store, export, arguments));
        let outcome = deadline.bound(work).await;
        match outcome {
            Ok(Ok(results)) => Ok(results),
            Ok(Err(error)) => {
                let ended = Ended {
                    ran_out_of_memory: store.data().meter.ran_out(),
                    stderr: stderr.text(),
                    refusal: refusal.text().map(str::to_owned),
                };
                Err(Failure::of(&error, &ended, &limits))
            }
            Err(OutOfTime) => Err(Failure::OutOfTime {
                limit: limits.timeout,
            }),
        }
    }
}

/// Opens the folders that a service is granted.
fn open(mut wasi: WasiCtxBuilder, folders: &[Folder]) -> Result<WasiCtxBuilder, Failure> {
    for folder in folders {
        let perms = if folder.write {
            FsPerms::ReadWrite
        } else {
            FsPerms::ReadOnly
        };
        wasi.preopened_dir(&folder.path, &folder.guest, perms)
            .map_err(|cause| Failure::Folders {
                detail: format!("`{}`: {cause:#}", folder.path.display()),
            })?;
    }
    Ok(wasi)
}

impl Call {
    /// Notes that the call was refused something, and tells the log, once in a call. `what` is given the
    /// name of the service.
    pub(super) fn refuse(&self, what: impl FnOnce(&str) -> String) {
        if self.refusal.note(|| what(&self.service)) {
            let refusal = self.refusal.text().unwrap_or_default();
            tracing::warn!(service = %self.service, "{refusal}");
        }
    }

    fn store(self, export: &Export, limits: &Limits, usage: Usage) -> Store<Self> {
        let deadline = self.deadline.clone();
        let cpu = limits.cpu;
        let mut store = Store::new(export.pre.engine(), self);
        store.limiter(|call| &mut call.meter);
        store.set_hostcall_fuel(limits.crossing());
        store.set_max_component_handles(HANDLES);
        store.epoch_deadline_callback(move |_| {
            if usage.cpu_now() > cpu {
                Err(OutOfCpu.into())
            } else if deadline.has_passed() {
                Err(OutOfTime.into())
            } else {
                Ok(UpdateDeadline::Yield(1))
            }
        });
        store.set_epoch_deadline(1);
        store
    }
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
