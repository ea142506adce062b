//! Running the function behind a tool, a prompt or a resource, with the client at its other end.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::lifecycle::{SERVER_INFO_KEY, server_info};
use super::message::{Params, Request};
use super::meta::Era;
use super::peer::{Left, Peer};
use super::record::{Outcome, Record};
use super::reply::{Answer, Error};
use super::state::{Binding, State};
use super::{Context, Protocol, abilities};
use crate::auth::Principal;
use crate::catalog::{Catalog, Function};
use crate::sandbox::client::NotAsked;
use crate::sandbox::{Cause, Failure, Invocation, Turn};
use crate::value::{Encoded, Val};

/// What a request is about.
pub(super) struct Subject<'a> {
    pub(super) request: &'a Request<'a>,
    /// The name or address that was asked for.
    pub(super) name: &'a str,
    pub(super) catalog: &'a Arc<Catalog>,
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

    /// Runs a function for an admitted caller.
    pub(super) async fn run(
        &self,
        function: &Function,
        arguments: Vec<Val>,
        caller: Option<Arc<Principal>>,
        subject: &Subject<'_>,
        context: &Context<'_>,
    ) -> Result<Encoded, NotRun> {
        let request = subject.request;
        let known = self.known(subject, context).map_err(NotRun::Refused)?;
        let peer = Peer::of(
            request,
            context.era,
            context.outlet,
            known,
            &self.changes,
            subject.catalog,
            &function.service,
        );
        let peer = Arc::new(peer.map_err(NotRun::Refused)?);
        let client = Arc::clone(&peer);
        let invocation = Invocation {
            number: context.record.map(Record::number).unwrap_or_default(),
            service: Arc::clone(&function.service),
            caller,
            behalf: context.party(),
            client,
            limits: function.limits,
            usage: context.record.map(Record::usage).unwrap_or_default(),
        };
        let read = |results| function.signature.encode(results);
        let encoded = match self
            .sandbox
            .call(&function.export, arguments, invocation, read)
            .await
        {
            Ok(encoded) => encoded,
            Err(failure) => {
                let not_run = self.not_run(&failure, function, &peer, subject, context);
                if let Some(record) = context.record {
                    record.ended(match not_run {
                        NotRun::Asks(_) => Outcome::Asks,
                        NotRun::Failed(_) | NotRun::Refused(_) => {
                            Outcome::Failed(failure.cause.name())
                        }
                    });
                }
                return Err(not_run);
            }
        };
        match encoded {
            Ok(encoded) if encoded.size() > function.limits.output => {
                let limit = function.limits.output;
                Err(NotRun::Failed(Cause::OutputTooLarge { limit }.to_string()))
            }
            Ok(encoded) => {
                if let (Some(record), Encoded::Failed { .. }) = (context.record, &encoded) {
                    record.ended(Outcome::Error);
                }
                Ok(encoded)
            }
            Err(cause) => {
                tracing::error!(tool = %function.origin, service = %function.service, %cause, "a result does not fit the type it was published with");
                Err(NotRun::Failed(
                    "its result does not fit the type it was published with".into(),
                ))
            }
        }
    }

    /// What it means that the sandbox gave no result.
    fn not_run(
        &self,
        failure: &Failure,
        function: &Function,
        peer: &Peer,
        subject: &Subject<'_>,
        context: &Context<'_>,
    ) -> NotRun {
        match &failure.cause {
            Cause::NotAsked(NotAsked::Later) => self.asks(peer, subject, context),
            Cause::NotAsked(unable @ NotAsked::Unable(missing)) => match context.era {
                Era::Modern(_) => NotRun::Refused(Error::missing_capability(
                    &unable.to_string(),
                    &abilities::write(*missing),
                )),
                Era::Legacy(_) => NotRun::Failed(unable.to_string()),
            },
            Cause::Busy | Cause::NoPlace { .. } | Cause::HostFull => {
                NotRun::Refused(Error::busy(&failure.to_string()))
            }
            Cause::Stopping
            | Cause::OutOfTime { .. }
            | Cause::OutOfCpu { .. }
            | Cause::OutOfMemory { .. }
            | Cause::OutOfTables { .. }
            | Cause::OutOfStack
            | Cause::OutOfHandles { .. }
            | Cause::OutOfLog { .. }
            | Cause::OutputTooLarge { .. }
            | Cause::ResultTooLarge { .. }
            | Cause::ArgumentTooLarge
            | Cause::TooRandom
            | Cause::Folders
            | Cause::KeptIdentity
            | Cause::BadQuestion(_)
            | Cause::TooManyAsk(_)
            | Cause::Refused(_)
            | Cause::Fault { .. } => {
                tracing::warn!(
                    call = context.record.map(Record::number),
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
    fn known(&self, subject: &Subject<'_>, context: &Context<'_>) -> Result<Option<State>, Error> {
        let request = subject.request;
        if !matches!(context.era, Era::Modern(_)) || request.params.request_state.is_none() {
            return Ok(None);
        }
        let sealed = Params::text(request.params.request_state, "requestState")?;
        let arguments = arguments(request);
        self.seals
            .open(&sealed, &binding(subject, context, arguments.as_ref()))
            .map(Some)
            .map_err(|cause| Error::invalid_params(&cause.to_string()))
    }

    /// The answer that asks the client (MCP 2026-07-28, multi round-trip requests).
    fn asks(&self, peer: &Peer, subject: &Subject<'_>, context: &Context<'_>) -> NotRun {
        let Some(Left { state, requests }) = peer.left() else {
            return NotRun::Failed("its client cannot be asked".into());
        };
        let arguments = arguments(subject.request);
        let binding = binding(subject, context, arguments.as_ref());
        let Some(state) = self.seals.seal(state, &binding) else {
            return NotRun::Failed(
                "the answers that it was given are too much to be kept for its next question"
                    .into(),
            );
        };
        NotRun::Asks(Answer::result(
            subject.request.id,
            &json!({
                "resultType": "input_required",
                "inputRequests": requests,
                "requestState": state,
                "_meta": { SERVER_INFO_KEY: server_info() },
            }),
        ))
    }
}

fn arguments(request: &Request<'_>) -> Option<Value> {
    // They were read as JSON before.
    serde_json::from_str(request.params.arguments?.get()).ok()
}

fn binding<'a>(
    subject: &'a Subject<'_>,
    context: &'a Context<'_>,
    arguments: Option<&'a Value>,
) -> Binding<'a> {
    Binding {
        method: &subject.request.method,
        subject: subject.name,
        arguments,
        caller: context.caller.as_deref().map(Principal::id),
    }
}

/// The members that every complete result of revision 2026-07-28 has.
pub(super) fn completed(result: &mut Map<String, Value>, era: &Era) {
    if let Era::Modern(_) = era {
        result.insert("resultType".into(), json!("complete"));
        result.insert("_meta".into(), json!({ SERVER_INFO_KEY: server_info() }));
    }
}
