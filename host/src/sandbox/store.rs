//! The store of one call: what the host knows of the call, and what the engine watches over.

use std::sync::Arc;

use wasmtime::component::{ResourceTable, Val};
use wasmtime::{CallHook, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::admission::Place;
use super::client::Client;
use super::crossing::{Crossing, INWARD};
use super::deadline::Deadline;
use super::failure::{HostFull, OutOfCpu, OutOfLog, OutOfTime};
use super::grants::Grants;
use super::imports::files::Opened;
use super::imports::http::Outgoing;
use super::imports::keyvalue::Database;
use super::limits::Limits;
use super::meter::Meter;
use super::program::Export;
use super::questions::Questions;
use super::refusal::Refusal;
use super::stderr::Stderr;
use super::usage::Usage;
use super::weight::Weight;
use crate::auth::{Auth, Party, Principal};

/// How many things the host may keep beside those that a guest has handles of.
const BESIDE_HANDLES: usize = 100;

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
    pub(super) place: Place,
    pub(super) wasi: WasiCtx,
    pub(super) http: Outgoing,
    pub(super) opened: Opened,
    pub(super) table: ResourceTable,
    pub(super) meter: Meter,
    pub(super) course: Course,
}

/// How far a guest is with what it was called for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Course {
    /// How often it was entered at least before its function had returned: for each piece of memory that
    /// its arguments need, and for the function.
    entries_of_call: usize,
    /// How often it has been entered from outside.
    entries: usize,
    /// How deep it is in functions of the host, which may enter it again.
    depth: usize,
}

impl Course {
    /// That of a function that is about to be called.
    pub(super) fn of(arguments: &[Val]) -> Self {
        Self {
            entries_of_call: Weight::of(arguments).pieces.saturating_add(1),
            ..Self::default()
        }
    }

    /// Whether its function may have returned. It is asked to clean up then, and is put aside in that as in
    /// anything else, while the host has its result.
    fn may_have_returned(self) -> bool {
        self.entries > self.entries_of_call
    }
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

impl Call {
    /// Notes that the call was refused something, and tells the log, once in a call. `what` is given the
    /// name of the service.
    pub(super) fn refuse(&self, what: impl FnOnce(&str) -> String) {
        if self.refusal.note(|| what(&self.service)) {
            let refusal = self.refusal.text().unwrap_or_default();
            tracing::warn!(service = %self.service, "{refusal}");
        }
    }

    /// Makes its store.
    pub(super) fn store(
        mut self,
        export: &Export,
        limits: &Limits,
        usage: Usage,
        stderr: Stderr,
    ) -> Store<Self> {
        let deadline = self.deadline.clone();
        let cpu = limits.cpu;
        self.table
            .set_max_capacity(limits.handles.saturating_add(BESIDE_HANDLES));
        let mut store = Store::new(export.pre.engine(), self);
        store.limiter(|call| &mut call.meter);
        store.set_max_component_handles(limits.handles);
        let outward = export.crossing.fuel(limits.output);
        store.set_hostcall_fuel(outward);
        // The result of an asynchronous function crosses like the argument of an import, and is taken as
        // soon as it has.
        if !export.is_async {
            store.call_hook(move |mut store, hook| {
                match hook {
                    CallHook::CallingHost => {
                        let course = &mut store.data_mut().course;
                        course.depth = course.depth.saturating_add(1);
                        store.set_hostcall_fuel(INWARD);
                    }
                    CallHook::ReturningFromHost => {
                        let course = &mut store.data_mut().course;
                        course.depth = course.depth.saturating_sub(1);
                        store.set_hostcall_fuel(outward);
                    }
                    CallHook::CallingWasm => {
                        let course = &mut store.data_mut().course;
                        let entries = usize::from(course.depth == 0);
                        course.entries = course.entries.saturating_add(entries);
                    }
                    CallHook::ReturningFromWasm => {}
                }
                Ok(())
            });
        }
        let mut is_charged = false;
        let result = Crossing::memory(limits.output);
        store.epoch_deadline_callback(move |mut store| {
            if usage.cpu_now() > cpu {
                return Err(OutOfCpu.into());
            }
            if deadline.has_passed() {
                return Err(OutOfTime.into());
            }
            if stderr.is_over() {
                return Err(OutOfLog.into());
            }
            let call = store.data_mut();
            if call.course.may_have_returned() && !is_charged {
                is_charged = true;
                if !call.meter.take(result) {
                    return Err(HostFull.into());
                }
            }
            Ok(UpdateDeadline::Yield(1))
        });
        store.set_epoch_deadline(1);
        store
    }
}
