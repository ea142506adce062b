//! Running the function behind a tool, a prompt or a resource, with the client at its other end.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::dispatch::Context;
use super::lifecycle::{SERVER_INFO_KEY, server_info};
use super::message::{Params, Request};
use super::meta::Era;
use super::peer::{Left, Peer};
use super::record::{Outcome, Record};
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::state::{Binding, State};
use super::{Protocol, abilities};
use crate::auth::{Party, Principal};
use crate::catalog::Function;
use crate::sandbox::client::{Capability, NotAsked};
use crate::sandbox::{Cause, Failure, Invocation, Turn};
use crate::value::{Encoded, NotEncoded, Val};

/// What is needed of a request while the function runs that it asked for, and of nothing else.
pub(super) struct Call {
    pub(super) id: Box<RawValue>,
    pub(super) revision: Revision,
    /// The caller, if the function is to know them.
    caller: Option<Arc<Principal>>,
    behalf: Party,
    peer: Arc<Peer>,
    /// What a state is good for that its client is given; none for a client that is given none.
    binding: Option<Binding>,
    record: Option<Arc<Record>>,
}

/// Why a function gave no result.
pub(super) enum NotRun {
    /// It failed; in words for the caller.
    Failed(String),
    /// The request cannot be served.
    Refused(Error),
    /// The client is asked first, and calls again.
    Asks(Answer),
}

/// From how many bytes on arguments take long to read.
const LONG: usize = 64 << 10;

impl Call {
    /// Whether the client was asked something for this result, or the state that it brought back is in it.
    pub(super) fn has_asked(&self) -> bool {
        self.peer.has_asked()
    }
}

impl Protocol {
    /// Waits until the arguments of a request may be read, where that takes long.
    pub(super) async fn turn_to_read(
        &self,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Option<Turn> {
        let is_long = |arguments: &RawValue| arguments.get().len() > LONG;
        if request.params.arguments.is_some_and(is_long) {
            Some(self.sandbox.turn(context.party()).await)
        } else {
            None
        }
    }

    /// Takes down what is needed of a request to run this function for an admitted caller. `subject` is the
    /// name or address that was asked for.
    pub(super) fn call(
        &self,
        request: &Request<'_>,
        subject: &str,
        function: &Function,
        caller: Option<Arc<Principal>>,
        context: &Context<'_>,
    ) -> Result<Call, Error> {
        let binding = binding(request, subject, context);
        let known = self.known(request, binding.as_ref())?;
        let peer = Peer::of(request, context, known, self, &function.service)?;
        Ok(Call {
            id: request.id.to_owned(),
            revision: context.era.revision(),
            caller,
            behalf: context.party(),
            peer: Arc::new(peer),
            binding,
            record: context.record.map(Arc::clone),
        })
    }

    /// Runs a function.
    pub(super) async fn run(
        &self,
        function: &Function,
        arguments: Vec<Val>,
        call: &Call,
    ) -> Result<Encoded, NotRun> {
        let record = call.record.as_deref();
        let client = Arc::clone(&call.peer);
        let invocation = Invocation {
            number: record.map(Record::number).unwrap_or_default(),
            service: Arc::clone(&function.service),
            caller: call.caller.clone(),
            behalf: call.behalf.clone(),
            client,
            limits: function.limits,
            usage: record.map(Record::usage).unwrap_or_default(),
        };
        let limit = function.limits.output;
        let read = |results| function.signature.encode(results, limit);
        let failed = |failure: &Failure| {
            let not_run = self.not_run(failure, function, call);
            if let Some(record) = record {
                record.ended(match not_run {
                    NotRun::Asks(_) => Outcome::Asks,
                    NotRun::Failed(_) | NotRun::Refused(_) => Outcome::Failed(failure.cause.name()),
                });
            }
            not_run
        };
        let encoded = self
            .sandbox
            .call(&function.export, arguments, invocation, read)
            .await
            .map_err(|failure| failed(&failure))?;
        match encoded {
            Ok(encoded) => {
                if let (Some(record), Encoded::Failed { .. }) = (record, &encoded) {
                    record.ended(Outcome::Error);
                }
                Ok(encoded)
            }
            Err(NotEncoded::TooLarge) => Err(failed(&Cause::OutputTooLarge { limit }.into())),
            Err(invalid @ NotEncoded::Invalid { .. }) => {
                Err(failed(&Cause::InvalidResult(invalid.to_string()).into()))
            }
            Err(cause @ NotEncoded::Odd { .. }) => {
                if let Some(record) = record {
                    record.ended(Outcome::Failed("mistyped_result"));
                }
                tracing::error!(
                    call = record.map(Record::number),
                    function = %function.origin,
                    service = %function.service,
                    %cause,
                    "a result does not fit the type it was published with"
                );
                Err(NotRun::Failed(
                    "its result does not fit the type it was published with".into(),
                ))
            }
        }
    }

    /// What it means that the sandbox gave no result.
    fn not_run(&self, failure: &Failure, function: &Function, call: &Call) -> NotRun {
        match &failure.cause {
            Cause::NotAsked(NotAsked::Later) => self.asks(call),
            Cause::NotAsked(unable @ NotAsked::Unable(missing)) if call.revision.is_modern() => {
                NotRun::Refused(Error::missing_capability(
                    &unable.to_string(),
                    &abilities::write(*missing),
                ))
            }
            Cause::NotAsked(unable @ NotAsked::Unable(_)) => NotRun::Failed(unable.to_string()),
            Cause::Busy | Cause::NoPlace { .. } | Cause::HostFull | Cause::NoDescriptors => {
                NotRun::Refused(Error::busy(&failure.to_string()))
            }
            Cause::Stopping
            | Cause::OutOfTime { .. }
            | Cause::OutOfCpu { .. }
            | Cause::OutOfMemory { .. }
            | Cause::OutOfTables { .. }
            | Cause::OutOfStack { .. }
            | Cause::OutOfHandles { .. }
            | Cause::OutOfLog { .. }
            | Cause::OutputTooLarge { .. }
            | Cause::ResultTooLarge { .. }
            | Cause::InvalidResult(_)
            | Cause::ArgumentTooLarge
            | Cause::TooRandom
            | Cause::TooManyMade
            | Cause::KeptIdentity
            | Cause::BadQuestion(_)
            | Cause::TooManyAsk(_)
            | Cause::Refused(_)
            | Cause::Fault { .. } => {
                tracing::warn!(
                    call = call.record.as_deref().map(Record::number),
                    function = %function.origin,
                    service = %function.service,
                    detail = failure.detail,
                    "a call gave no result: {failure}"
                );
                NotRun::Failed(failure.to_string())
            }
        }
    }

    /// What a client brought back that was asked before.
    fn known(
        &self,
        request: &Request<'_>,
        binding: Option<&Binding>,
    ) -> Result<Option<State>, Error> {
        let Some(binding) = binding.filter(|_| request.params.request_state.is_some()) else {
            return Ok(None);
        };
        let sealed = Params::text(request.params.request_state, "requestState")?;
        self.seals
            .open(&sealed, binding)
            .map(Some)
            .map_err(|cause| Error::invalid_params(&cause.to_string()))
    }

    /// The answer that asks the client (MCP 2026-07-28, multi round-trip requests).
    fn asks(&self, call: &Call) -> NotRun {
        let (Some(Left { state, requests }), Some(binding)) = (call.peer.left(), &call.binding)
        else {
            return NotRun::Failed("its client cannot be asked".into());
        };
        let Some(state) = self.seals.seal(state, binding) else {
            return NotRun::Failed(
                "the answers that it was given are too much to be kept for its next question"
                    .into(),
            );
        };
        NotRun::Asks(Answer::result(
            &call.id,
            &json!({
                "resultType": "input_required",
                "inputRequests": requests,
                "requestState": state,
                "_meta": { SERVER_INFO_KEY: server_info() },
            }),
        ))
    }
}

/// What a state of this request is good for, if its client can be asked or brings one back.
fn binding(request: &Request<'_>, subject: &str, context: &Context<'_>) -> Option<Binding> {
    let Era::Modern(envelope) = &context.era else {
        return None;
    };
    let is_of_use =
        envelope.capabilities != Capability::empty() || request.params.request_state.is_some();
    is_of_use.then(|| {
        // They were read as JSON before.
        let arguments: Option<Value> = request
            .params
            .arguments
            .and_then(|arguments| serde_json::from_str(arguments.get()).ok());
        let caller = context.caller.as_deref().map(Principal::id);
        Binding::of(&request.method, subject, arguments, caller)
    })
}

/// The members that every complete result of revision 2026-07-28 has.
pub(super) fn completed(result: &mut Map<String, Value>, revision: Revision) {
    if revision.is_modern() {
        result.insert("resultType".into(), json!("complete"));
        result.insert("_meta".into(), json!({ SERVER_INFO_KEY: server_info() }));
    }
}
