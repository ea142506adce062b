//! Streams of what changes: `subscriptions/listen` (MCP 2026-07-28, subscriptions), and the stream of
//! a session for what is said unasked (MCP 2025-11-25 and before, transports).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::Protocol;
use super::changes::Changed;
use super::dispatch::{Context, Taken};
use super::exchange::{Events, while_read};
use super::json::{map, notification, object as written};
use super::message::{Params, Request, object};
use super::reply::{Answer, Error};
use super::session::{InUse, MOST_SUBSCRIPTIONS, MOST_WATCHED, Session, Watched};
use super::transcript::Reading;
use crate::auth::{Party, Principal};
use crate::catalog::Catalog;

/// The longest address that is watched, in bytes.
const LONGEST_URI: usize = 2_048;

/// What a client asks to be told.
#[derive(Default)]
struct Wanted {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
    resource_subscriptions: Watched,
}

impl Wanted {
    /// Reads what a client asks for, less what it may not know. It is kept for as long as the subscription,
    /// so it is bounded.
    fn of(notifications: Option<&RawValue>, context: &Context<'_>) -> Result<Self, Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Asked {
            tools_list_changed: bool,
            prompts_list_changed: bool,
            resources_list_changed: bool,
            resource_subscriptions: BTreeSet<String>,
        }
        let Some(notifications) = notifications else {
            return Ok(Self::default());
        };
        let wanted: Asked = object(notifications.get()).map_err(|cause| {
            Error::invalid_params(&format!("`notifications` cannot be read: {cause}"))
        })?;
        let watched = &wanted.resource_subscriptions;
        let is_bounded = notifications.get().len() <= MOST_WATCHED
            && watched.len() <= MOST_SUBSCRIPTIONS
            && watched.iter().all(|uri| uri.len() <= LONGEST_URI);
        if !is_bounded {
            return Err(Error::invalid_params(&format!(
                "`resourceSubscriptions` has at most {MOST_SUBSCRIPTIONS} addresses of at most {LONGEST_URI} bytes each, and `notifications` at most {MOST_WATCHED} bytes; open another subscription for the rest"
            )));
        }
        let caller = context.caller.as_ref();
        // What is not there yet may come, and is looked at then.
        let is_hidden = |uri: &str| {
            context.catalog.resource(uri).is_ok() && !may_watch(&context.catalog, uri, caller)
        };
        Ok(Self {
            tools_list_changed: wanted.tools_list_changed,
            prompts_list_changed: wanted.prompts_list_changed,
            resources_list_changed: wanted.resources_list_changed,
            resource_subscriptions: wanted
                .resource_subscriptions
                .into_iter()
                .filter(|uri| !is_hidden(uri))
                .map(|uri| (uri, caller.cloned()))
                .collect(),
        })
    }

    /// What was asked for and will be told.
    fn accepted(&self) -> Value {
        let told = |wanted: bool| wanted.then(|| Value::from(true));
        let watched = &self.resource_subscriptions;
        written([
            ("toolsListChanged", told(self.tools_list_changed)),
            ("promptsListChanged", told(self.prompts_list_changed)),
            ("resourcesListChanged", told(self.resources_list_changed)),
            (
                "resourceSubscriptions",
                (!watched.is_empty()).then(|| watched.keys().map(|uri| json!(uri)).collect()),
            ),
        ])
    }

    /// The notifications that a change calls for: methods with their params. Of resources, those that their
    /// watcher may read now.
    fn notices(
        &self,
        changed: &Changed,
        catalog: &Catalog,
    ) -> Vec<(&'static str, Map<String, Value>)> {
        let lists = [
            (
                "notifications/tools/list_changed",
                self.tools_list_changed && changed.tools,
            ),
            (
                "notifications/prompts/list_changed",
                self.prompts_list_changed && changed.prompts,
            ),
            (
                "notifications/resources/list_changed",
                self.resources_list_changed && changed.resources,
            ),
        ];
        let watched = self.resource_subscriptions.iter();
        let watched = watched
            .filter(|(uri, caller)| {
                changed.updated.has(uri) && may_watch(catalog, uri, caller.as_ref())
            })
            .map(|(uri, _)| updated(uri));
        lists
            .into_iter()
            .filter(|(_, is_told)| *is_told)
            .map(|(method, _)| (method, Map::new()))
            .chain(watched)
            .collect()
    }
}

/// Where every message of a subscription says which one it belongs to.
#[derive(Serialize)]
struct Tag<'a> {
    /// As the client wrote it.
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    of: &'a RawValue,
}

/// The result that ends a subscription.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ended<'a> {
    result_type: &'a str,
    #[serde(rename = "_meta")]
    meta: Tag<'a>,
}

/// A notification of a subscription.
fn tagged(of: &RawValue, method: &str, params: Map<String, Value>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Tagged<'a> {
        #[serde(rename = "_meta")]
        meta: Tag<'a>,
        #[serde(flatten)]
        params: Map<String, Value>,
    }
    let meta = Tag { of };
    notification(method, Some(&Tagged { meta, params }))
}

fn updated(uri: &str) -> (&'static str, Map<String, Value>) {
    (
        "notifications/resources/updated",
        map([("uri", Some(uri.into()))]),
    )
}

impl Protocol {
    /// `subscriptions/listen`: acknowledges, tells what changes, and answers when the host stops. Nothing of
    /// the request is kept but what is to be told.
    pub(super) fn listen(
        self: &Arc<Self>,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Taken, Error> {
        let outlet = context.origin.outlet.clone();
        if !outlet.is_open() {
            return Err(Error::needs_stream());
        }
        let wanted = Wanted::of(request.params.notifications, context)?;
        let place = self.streams.take(&context.party());
        let place = place.map_err(Error::busy_streams)?;
        let (server, id) = (Arc::clone(self), request.id.to_owned());
        Ok(Taken::works(async move {
            let _place = place;
            // Told before the acknowledgement, so that nothing after it is missed.
            let mut listener = server.changes.listen();
            let acknowledged = tagged(
                &id,
                "notifications/subscriptions/acknowledged",
                map([("notifications", Some(wanted.accepted()))]),
            );
            let mut closing = server.closing.clone();
            let mut is_there = outlet.say(acknowledged).await;
            while is_there {
                let changed = tokio::select! {
                    changed = listener.next() => changed,
                    _ = closing.wait_for(|closing| *closing) => break,
                };
                for (method, params) in wanted.notices(&changed, &server.catalogs.snapshot()) {
                    is_there = is_there && outlet.say(tagged(&id, method, params)).await;
                }
            }
            let ended = Ended {
                result_type: "complete",
                meta: Tag { of: &id },
            };
            Ok(Answer::result(&id, &ended))
        }))
    }

    /// What a session's client is told unasked, after an event or after what it has read, until it goes,
    /// another stream of its takes over, or the session or the host ends. None if that event is not known.
    pub(super) fn unasked(
        self: &Arc<Self>,
        session: &Arc<Session>,
        party: &Party,
        after: Option<u64>,
    ) -> Result<Option<Events>, Error> {
        // One that takes over has the place of the one before.
        let place = session.stream_place(|| self.streams.take(party));
        let place = place.map_err(Error::busy_streams)?;
        let Some(Reading { reader, events, .. }) = session.read_unasked(after) else {
            return Ok(None);
        };
        let (server, listening) = (Arc::clone(self), Arc::clone(session));
        let mut telling = JoinSet::new();
        telling.spawn(async move { server.tell(&listening, reader).await });
        let kept = (telling, InUse::of(session), place);
        Ok(Some(while_read(events, kept)))
    }

    async fn tell(&self, session: &Session, reader: u64) {
        let unasked = &session.unasked;
        let mut closing = self.closing.clone();
        let telling = async {
            // The stream before this one lets go of it.
            let mut listener = session.listener.lock().await;
            if session.has_missed.swap(false, Ordering::AcqRel) {
                listener.forget();
            }
            loop {
                // Nothing is taken from the listener that cannot be said at once: whoever takes over would
                // not find it there any more.
                unasked.caught_up().await;
                let changed = listener.next().await;
                let wanted = Wanted {
                    tools_list_changed: true,
                    prompts_list_changed: true,
                    resources_list_changed: true,
                    resource_subscriptions: session.subscriptions(),
                };
                for (method, params) in wanted.notices(&changed, &self.catalogs.snapshot()) {
                    let params = (!params.is_empty()).then_some(params);
                    unasked.put(notification(method, params.as_ref()));
                }
            }
        };
        tokio::select! {
            biased;
            () = unasked.is_over_for(reader) => {}
            _ = closing.wait_for(|closing| *closing) => unasked.end(None),
            () = telling => {}
        }
    }

    /// `resources/subscribe` (MCP 2025-11-25 and before, resources). Whoever may not read a resource may
    /// not watch it either; one that is not there yet may come.
    pub(super) async fn subscribe(
        &self,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Error> {
        let uri = Params::text(request.params.uri, "uri")?;
        let session = session_of(context)?;
        if let Ok(read) = context.catalog.resource(&uri)
            && let Err(refused) = self
                .admit_to(&read.resource.function, request, context)
                .await
        {
            return Ok(refused);
        }
        if uri.len() > LONGEST_URI || !session.subscribe(&uri, context.caller.clone()) {
            return Err(Error::invalid_params(&format!(
                "a session watches at most {MOST_SUBSCRIPTIONS} resources, with addresses of at most {LONGEST_URI} bytes each and {MOST_WATCHED} in all; unsubscribe from others first"
            )));
        }
        Ok(Answer::result(request.id, &Map::new()))
    }

    /// `resources/unsubscribe` (MCP 2025-11-25 and before, resources).
    pub(super) fn unsubscribe(
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Error> {
        let uri = Params::text(request.params.uri, "uri")?;
        session_of(context)?.unsubscribe(&uri);
        Ok(Answer::result(request.id, &Map::new()))
    }
}

/// The session that watches.
fn session_of<'c>(context: &'c Context<'_>) -> Result<&'c Arc<Session>, Error> {
    context.era.session().ok_or_else(|| {
        Error::invalid_params(
            "subscriptions belong to a session: open one with `initialize`, and send its id",
        )
    })
}

/// Whether a caller may know that a resource has changed: if they could read it now.
fn may_watch(catalog: &Catalog, uri: &str, caller: Option<&Arc<Principal>>) -> bool {
    catalog.resource(uri).is_ok_and(|read| {
        let access = &read.resource.function.access;
        access.admit(caller.cloned()).is_ok()
    })
}
