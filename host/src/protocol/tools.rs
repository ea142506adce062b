//! `tools/list` and `tools/call`.

mod listing;
mod outcome;

use std::sync::Arc;

use super::dispatch::{Context, Taken};
use super::listing::List;
use super::message::{Params, Request};
use super::meta::{Era, decoded};
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::run::NotRun;
use super::{Headers, Protocol, record};
use crate::catalog::Tool;
use crate::value::{Mirrored, NotDecoded};

pub(super) use listing::Listed;
pub(super) use outcome::Outcome;

/// A tool as a revision knows it.
pub(super) fn listed<'a>(name: &'a str, tool: &'a Tool, revision: Revision) -> Listed<'a> {
    Listed::of(name, tool, revision)
}

impl Protocol {
    /// `tools/list`.
    pub(super) fn list_tools(
        &self,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Error> {
        self.list(List::Tools, request, context)
    }

    /// `tools/call`: find the tool, admit the caller, decode, run, encode.
    pub(super) async fn call_tool(
        self: &Arc<Self>,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Taken, Error> {
        let name = Params::text(request.params.name, "name")?;
        let tool = context.catalog.tool(&name);
        let tool = tool.map_err(|unknown| Error::invalid_params(&unknown.to_string()))?;
        let function = &tool.function;
        let caller = match self.admit_to(function, request, context).await {
            Ok(caller) => caller,
            Err(refused) => return Ok(Taken::Answered(refused)),
        };
        if let (Era::Modern(_), Some(headers)) = (&context.era, &context.origin.declared.headers) {
            for mirrored in function.signature.mirrored(request.params.arguments) {
                check(&mirrored, headers)?;
            }
        }
        let arguments = match function.signature.decode(request.params.arguments) {
            Ok(arguments) => arguments,
            Err(mistakes @ NotDecoded::Mistakes(_)) => {
                if let Some(record) = context.record {
                    record.ended(record::Outcome::Mistaken);
                }
                let outcome = Outcome::mistaken(&name, &mistakes);
                let answer = outcome.answer(request.id, context.era.revision());
                return Ok(Taken::Answered(answer));
            }
            Err(NotDecoded::NotAnObject) => {
                return Err(Error::invalid_params("`arguments` must be an object"));
            }
            Err(NotDecoded::Syntax(cause)) => return Err(Error::parse(&cause)),
        };
        let call = self.call(request, &name, function, caller, context)?;
        let (server, tool) = (Arc::clone(self), Arc::clone(tool));
        Ok(Taken::works(async move {
            let function = &tool.function;
            let outcome = match server.run(function, arguments, &call).await {
                Ok(encoded) => Outcome::of(encoded, function, call.revision),
                Err(NotRun::Failed(cause)) => Outcome::failed(function, &cause),
                Err(NotRun::Refused(error)) => return Err(error),
                Err(NotRun::Asks(answer)) => return Ok(answer),
            };
            Ok(outcome.answer(&call.id, call.revision))
        }))
    }
}

/// Whether a header repeats the argument that it should (MCP 2026-07-28, transports).
fn check(mirrored: &Mirrored<'_>, headers: &Headers) -> Result<(), Error> {
    let name = format!("Mcp-Param-{}", mirrored.header);
    let header = headers
        .params
        .iter()
        .find(|(header, _)| header.eq_ignore_ascii_case(mirrored.header))
        .map(|(_, value)| decoded(&name, value))
        .transpose()?;
    let fits = match (&header, &mirrored.argument) {
        (None, None) => true,
        (Some(header), Some(argument)) => header == argument || is_same_number(header, mirrored),
        (Some(_), None) | (None, Some(_)) => false,
    };
    if fits {
        Ok(())
    } else {
        let problem = if header.is_some() {
            "does not agree with the body"
        } else {
            "is missing"
        };
        Err(Error::header_mismatch(&format!(
            "the header `{name}` {problem}"
        )))
    }
}

/// `42.0` is `42`.
fn is_same_number(header: &str, mirrored: &Mirrored<'_>) -> bool {
    let whole = header
        .split_once('.')
        .filter(|(_, fraction)| !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0'))
        .map_or(header, |(whole, _)| whole);
    mirrored.is_number && mirrored.argument.as_deref() == Some(whole)
}
