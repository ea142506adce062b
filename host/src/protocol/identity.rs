//! Who a request comes from, and what is said to a caller who is turned away
//! (MCP 2026-07-28, authorization; RFC 6750).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::{Params, Request, object, present};
use super::meta::Era;
use super::record::Outcome;
use super::reply::{Answer, Error};
use super::tools;
use super::{Context, Declared, Protocol};
use crate::auth::{Bearer, Credentials, Denied, Presented, Principal, Via, bearer};
use crate::catalog::{Catalog, Function};

/// The token that the transport found, and for a call also the one in `params._meta`, which clients
/// use that cannot set headers.
pub(super) fn credentials(
    request: &Request<'_>,
    header: Option<Bearer>,
    declared: &Declared,
) -> Result<Credentials, Error> {
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        authorization: Option<&'a RawValue>,
    }
    let meta = match request.params.meta {
        Some(meta) if request.method == "tools/call" => {
            let meta: Meta<'_> = object(meta.get())
                .map_err(|cause| Error::envelope(&format!("`_meta` is malformed: {cause}")))?;
            bearer::from_meta(meta.authorization)
        }
        Some(_) | None => Presented::Absent,
    };
    Ok(Credentials {
        meta,
        ..of_header(header, declared)
    })
}

/// The token that the transport found, for what carries none itself.
pub(super) fn of_header(header: Option<Bearer>, declared: &Declared) -> Credentials {
    Credentials {
        header,
        meta: Presented::Absent,
        peer: declared.peer,
    }
}

impl Protocol {
    /// Who is calling, where the host serves them at all.
    pub(super) async fn identify(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<Arc<Principal>>, Denied> {
        let caller = self.auth.identify(credentials).await?;
        if caller.is_none() && self.requires_auth {
            return Err(Denied::missing(Via::Header));
        }
        Ok(caller)
    }

    /// Whom to pass on to a function, or the answer to a caller whom it does not serve.
    pub(super) async fn admit(
        &self,
        function: &Function,
        catalog: &Catalog,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Option<Arc<Principal>>, Answer> {
        if let Some(record) = context.record {
            record.function(function, catalog);
        }
        let admitted = match function.access.admit(context.caller.clone()) {
            Ok(Some(caller)) if function.active_session => self
                .auth
                .check_session(&caller)
                .await
                .map(|()| Some(caller)),
            admitted => admitted,
        };
        admitted.map_err(|denied| {
            if let Some(record) = context.record {
                record.ended(Outcome::Denied(denied.reason.code()));
            }
            self.refuse(denied.seeking(&function.access), request, context.era)
        })
    }

    /// The same refusal, with what the function demands that the request is about. It is looked up when the
    /// verdict is there: nobody gets another one for it.
    pub(super) fn seeking(&self, denied: Denied, request: &Request<'_>) -> Denied {
        let catalog = self.catalogs.snapshot();
        let named = |member| Params::text(member, "name").ok();
        let params = &request.params;
        let function = match &*request.method {
            "tools/call" => named(params.name)
                .and_then(|name| catalog.tool(&name).ok())
                .map(|tool| &tool.function),
            "prompts/get" => named(params.name)
                .and_then(|name| catalog.prompt(&name).ok())
                .map(|prompt| &prompt.function),
            "resources/read" => named(params.uri)
                .and_then(|uri| catalog.resource(&uri).ok())
                .map(|read| &read.resource.function),
            _ => None,
        };
        match function {
            Some(function) => denied.seeking(&function.access),
            None => denied,
        }
    }

    /// The answer to a caller who is turned away. A token in the header, or none, is the transport's
    /// business; one in `_meta` is answered as a failed call, which is what such clients understand.
    pub(super) fn refuse(&self, denied: Denied, request: &Request<'_>, era: &Era) -> Answer {
        match denied.via {
            Via::Header => Answer::unauthorized(denied),
            Via::Meta => {
                let challenge = self.challenge.of(&denied);
                tools::Outcome::denied(denied.class, challenge).answer(request.id, era)
            }
        }
    }
}
