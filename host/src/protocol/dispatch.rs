//! The methods: which handler takes which request, and what a handler knows of it besides its params.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::message::Request;
use super::meta::Era;
use super::origin::Origin;
use super::record::Record;
use super::reply::{Answer, Error};
use super::{Protocol, lifecycle, logging};
use crate::auth::{Party, Principal, Via};
use crate::catalog::Catalog;

/// What a handler makes of a request.
pub(super) enum Taken {
    /// It is answered.
    Answered(Answer),
    /// It will be, by work that needs nothing of the request any more.
    Works(Working),
}

/// Work on a request.
pub(super) type Working = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

impl Taken {
    pub(super) fn works(
        work: impl Future<Output = Result<Answer, Error>> + Send + 'static,
    ) -> Self {
        Self::Works(Box::pin(work))
    }
}

/// What a handler knows of its request besides the params.
pub(super) struct Context<'a> {
    /// What is served, for the whole of this request.
    pub(super) catalog: Arc<Catalog>,
    pub(super) era: Era,
    pub(super) caller: Option<Arc<Principal>>,
    pub(super) origin: &'a Origin,
    pub(super) record: Option<&'a Arc<Record>>,
}

impl Context<'_> {
    /// Whose share of the host is used.
    pub(super) fn party(&self) -> Party {
        self.origin.party(self.caller.as_deref())
    }

    /// The caller, if their token is in the header: one that only this request carries says nothing of
    /// the session's other requests.
    pub(super) fn in_header(&self) -> Option<&Principal> {
        self.caller
            .as_deref()
            .filter(|caller| caller.via() == Via::Header)
    }
}

impl Protocol {
    /// Has a request of an admitted caller handled.
    pub(super) async fn dispatch(
        self: &Arc<Self>,
        request: &Request<'_>,
        context: Context<'_>,
    ) -> Result<Taken, Error> {
        let answer = match (&*request.method, &context.era) {
            ("tools/call", _) => return self.call_tool(request, &context).await,
            ("prompts/get", _) => return self.get_prompt(request, &context).await,
            ("resources/read", _) => return self.read_resource(request, &context).await,
            ("completion/complete", _) => return self.complete(request, &context).await,
            ("subscriptions/listen", Era::Modern(_)) => return self.listen(request, &context),
            ("tools/list", _) => self.list_tools(request, &context),
            ("prompts/list", _) => self.list_prompts(request, &context),
            ("resources/list", _) => self.list_resources(request, &context),
            ("resources/templates/list", _) => self.list_templates(request, &context),
            ("server/discover", Era::Modern(_)) => Ok(lifecycle::discover(request)),
            ("initialize", Era::Legacy(_)) => self.initialize(request, &context),
            ("ping", Era::Legacy(_)) => Ok(Answer::result(request.id, &serde_json::Map::new())),
            ("logging/setLevel", Era::Legacy(_)) => logging::set_level(request, &context.era),
            ("resources/subscribe", Era::Legacy(_)) => self.subscribe(request, &context).await,
            ("resources/unsubscribe", Era::Legacy(_)) => Self::unsubscribe(request, &context),
            (other, era) => Err(era.no_such_method(other)),
        };
        answer.map(Taken::Answered)
    }
}
