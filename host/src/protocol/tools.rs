//! `tools/list` and `tools/call`.

mod listing;
mod outcome;

use std::sync::Arc;

use super::Protocol;
use super::message::{Request, Text};
use super::meta::Era;
use super::reply::{Answer, Error};
use crate::auth::Principal;
use crate::catalog::Tool;
use crate::sandbox::Failure;
use crate::value::{NotDecoded, Val};

pub(super) use listing::Listings;
pub(super) use outcome::Outcome;

impl Protocol {
    /// `tools/list`: the same list for everybody, in one piece, in the order of the names.
    pub(super) fn list_tools(&self, request: &Request<'_>, era: Era) -> Result<Answer, Error> {
        if request.params.cursor.is_some() {
            return Err(Error::invalid_params(
                "unknown `cursor`: the list comes in one piece, without one",
            ));
        }
        let catalog = self.catalogs.snapshot();
        match self.listings.of(&catalog, era.revision()) {
            Ok(list) => Ok(Answer::result(request.id, &*list)),
            Err(cause) => {
                tracing::error!(%cause, "the list of tools could not be written");
                Err(Error::internal("the list of tools could not be written"))
            }
        }
    }

    /// `tools/call`: find the tool, admit the caller, decode, run, encode.
    pub(super) async fn call_tool(
        &self,
        request: &Request<'_>,
        era: Era,
        caller: Option<Arc<Principal>>,
    ) -> Result<Answer, Error> {
        let Some(Ok(Text(name))) = request
            .params
            .name
            .map(|name| serde_json::from_str(name.get()))
        else {
            return Err(Error::invalid_params("`name` must be a string"));
        };
        let catalog = self.catalogs.snapshot();
        let tool = catalog
            .tool(&name)
            .map_err(|unknown| Error::invalid_params(&unknown.to_string()))?;
        let caller = match tool.access.admit(caller) {
            Ok(caller) => caller,
            Err(denied) => {
                tracing::info!(tool = %tool.origin, service = %tool.service, reason = %denied.reason, "caller refused");
                return Ok(self.refuse(denied, request, era));
            }
        };
        let outcome = match tool.signature.decode(request.params.arguments) {
            Ok(arguments) => self.run(tool, arguments, caller).await,
            Err(mistakes @ NotDecoded::Mistakes(_)) => Outcome::mistaken(&name, &mistakes),
            Err(NotDecoded::NotAnObject) => {
                return Err(Error::invalid_params("`arguments` must be an object"));
            }
            Err(NotDecoded::Syntax(cause)) => return Err(Error::parse(&cause)),
        };
        Ok(outcome.answer(request.id, era))
    }

    async fn run(
        &self,
        tool: &Tool,
        arguments: Vec<Val>,
        caller: Option<Arc<Principal>>,
    ) -> Outcome {
        let call = self
            .sandbox
            .call(&tool.export, arguments, caller, &tool.limits);
        let results = match call.await {
            Ok(results) => results,
            Err(failure) => {
                tracing::warn!(tool = %tool.origin, service = %tool.service, detail = failure.detail(), "a call gave no result: {failure}");
                return Outcome::failed(tool, &failure);
            }
        };
        match tool.signature.encode(results) {
            Ok(encoded) if encoded.size() > tool.limits.output => Outcome::failed(
                tool,
                &Failure::OutputTooLarge {
                    limit: tool.limits.output,
                },
            ),
            Ok(encoded) => Outcome::of(encoded, tool),
            Err(cause) => {
                tracing::error!(tool = %tool.origin, service = %tool.service, %cause, "a result does not fit the type it was published with");
                Outcome::failed(
                    tool,
                    &"its result does not fit the type it was published with",
                )
            }
        }
    }
}
