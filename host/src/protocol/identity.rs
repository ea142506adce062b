//! Who a request comes from, and what is said to a caller who is turned away
//! (MCP 2026-07-28, authorization; RFC 6750).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Protocol;
use super::dispatch::Context;
use super::message::{Params, Request, object, present};
use super::origin::{Declared, Origin, Token};
use super::record::Outcome;
use super::reply::{Answer, Error};
use super::tools;
use crate::auth::{Bearer, Credentials, Denied, Presented, Principal, Via, bearer};
use crate::catalog::{Catalog, Function};

/// The methods whose requests may carry a token of their own: those that run what may want to know its
/// caller, or tell of it.
const WITH_TOKEN: [&str; 6] = [
    "tools/call",
    "prompts/get",
    "resources/read",
    "completion/complete",
    "resources/subscribe",
    "subscriptions/listen",
];

/// The token in `params._meta`, which clients use that cannot set headers.
fn presented(request: &Request<'_>) -> Result<Presented, Error> {
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        authorization: Option<&'a RawValue>,
    }
    match request.params.meta {
        Some(meta) if WITH_TOKEN.contains(&&*request.method) => {
            let meta: Meta<'_> = object(meta.get())
                .map_err(|cause| Error::envelope(&format!("`_meta` is malformed: {cause}")))?;
            Ok(bearer::from_meta(meta.authorization))
        }
        Some(_) | None => Ok(Presented::Absent),
    }
}

/// The function that a request is about which turns a caller away, if there is such a one. Nobody gets
/// another verdict for what it demands.
pub(super) fn sought<'c>(request: &Request<'_>, catalog: &'c Catalog) -> Option<&'c Function> {
    let params = &request.params;
    let named = || Params::text(params.name, "name").ok();
    match &*request.method {
        "tools/call" => Some(&catalog.tool(&named()?).ok()?.function),
        "prompts/get" => Some(&catalog.prompt(&named()?).ok()?.function),
        "resources/read" | "resources/subscribe" => {
            let uri = Params::text(params.uri, "uri").ok()?;
            Some(&catalog.resource(&uri).ok()?.resource.function)
        }
        _ => None,
    }
}

/// The same refusal, with what the function demands that was asked for.
pub(super) fn seeking(denied: Denied, function: Option<&Function>) -> Denied {
    match function {
        Some(function) => denied.seeking(&function.access),
        None => denied,
    }
}

impl Protocol {
    /// Whose the token is that a transport found. It is looked at once for each message.
    pub(super) async fn verify(
        &self,
        bearer: Result<Option<Bearer>, Denied>,
        declared: &Declared,
    ) -> Token {
        let bearer = match bearer {
            Ok(Some(bearer)) => bearer,
            Ok(None) => return Token::None,
            Err(denied) => return Token::Bad(denied),
        };
        let credentials = Credentials {
            header: Some(bearer.clone()),
            meta: Presented::Absent,
            peer: declared.peer,
        };
        match self.auth.identify(&credentials).await {
            Ok(Some(caller)) => Token::Good(bearer, caller),
            Ok(None) => Token::None,
            Err(denied) => Token::Bad(denied),
        }
    }

    /// Who makes a request, where the host serves them at all.
    pub(super) async fn identify(
        &self,
        request: &Request<'_>,
        origin: &Origin,
    ) -> Result<Result<Option<Arc<Principal>>, Denied>, Error> {
        let meta = presented(request)?;
        let caller = match &origin.token {
            Token::Bad(denied) => Err(denied.clone()),
            Token::Good(bearer, caller) => bearer.agrees(&meta).map(|()| Some(Arc::clone(caller))),
            Token::None => {
                let credentials = Credentials {
                    header: None,
                    meta,
                    peer: origin.declared.peer,
                };
                self.auth.identify(&credentials).await
            }
        };
        Ok(match caller {
            Ok(None) if self.requires_auth => Err(Denied::missing(Via::Header)),
            caller => caller,
        })
    }

    /// Whom to pass on to a function, or the answer to a caller whom it does not serve.
    pub(super) async fn admit_to(
        &self,
        function: &Function,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Option<Arc<Principal>>, Answer> {
        if let Some(record) = context.record {
            record.function(function, &context.catalog);
        }
        let admitted = match function.access.admit(context.caller.clone()) {
            Ok(Some(caller)) if function.active_session => self
                .auth
                .check_session(&caller)
                .await
                .map(|()| Some(caller)),
            admitted => admitted,
        };
        admitted.map_err(|denied| self.denied(denied, Some(function), request, context))
    }

    /// Notes that a caller is turned away, and answers them, with what that takes which they asked for.
    pub(super) fn denied(
        &self,
        denied: Denied,
        function: Option<&Function>,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Answer {
        if let Some(record) = context.record {
            record.ended(Outcome::Denied(denied.reason.code()));
            if let Some(function) = function {
                record.function(function, &context.catalog);
            }
        }
        self.refuse(seeking(denied, function), request, context)
    }

    /// The answer to a caller who is turned away. A token in the header, or none, is the transport's
    /// business where that has statuses. Everywhere else a tool that was called has failed, in the words
    /// that clients know who carry their token in `_meta`; other methods have an error.
    fn refuse(&self, denied: Denied, request: &Request<'_>, context: &Context<'_>) -> Answer {
        let sign_in = context.origin.declared.sign_in.as_deref();
        if denied.via == Via::Header && sign_in.is_none() {
            return Answer::unauthorized(denied, Some(request.id));
        }
        if request.method == "tools/call" {
            // Without a URL of its own there is nowhere to send a client to.
            let challenge = sign_in
                .is_none()
                .then(|| self.challenge.of(&denied))
                .flatten();
            let advice = sign_in
                .filter(|_| denied.class.wants_token())
                .map(|sign_in| match denied.scopes() {
                    [] => sign_in.to_owned(),
                    scopes => format!("It needs the scopes `{}`; {sign_in}", scopes.join("`, `")),
                });
            return tools::Outcome::denied(denied.class, challenge, advice)
                .answer(request.id, context.era.revision());
        }
        Error::unauthorized(&denied, sign_in).answer(Some(request.id))
    }
}
