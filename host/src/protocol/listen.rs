//! Streams of what changes: `subscriptions/listen` (MCP 2026-07-28, subscriptions), and the stream of
//! a session for what is said unasked (MCP 2025-11-25 and before, transports).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Protocol;
use super::changes::Changed;
use super::dispatch::{Context, Taken};
use super::exchange::{Events, Exchange, Outlet, while_read};
use super::json::{map, notification, object as written};
use super::message::{Params, Request, object};
use super::reply::{Answer, Error};
use super::session::{InUse, MOST_SUBSCRIPTIONS, MOST_WATCHED, Session};
use super::transcript::Transcript;

/// The longest address that is watched, in bytes.
const LONGEST_URI: usize = 2_048;

/// What a client asks to be told.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wanted {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
    resource_subscriptions: BTreeSet<String>,
}

impl Wanted {
    /// Reads what a client asks for. It is kept for as long as the subscription, so it is bounded.
    fn of(notifications: Option<&RawValue>) -> Result<Self, Error> {
        let Some(notifications) = notifications else {
            return Ok(Self::default());
        };
        let wanted: Self = object(notifications.get()).map_err(|cause| {
            Error::invalid_params(&format!("`notifications` cannot be read: {cause}"))
        })?;
        let watched = &wanted.resource_subscriptions;
        let is_bounded = notifications.get().len() <= MOST_WATCHED
            && watched.len() <= MOST_SUBSCRIPTIONS
            && watched.iter().all(|uri| uri.len() <= LONGEST_URI);
        if is_bounded {
            Ok(wanted)
        } else {
            Err(Error::invalid_params(&format!(
                "`resourceSubscriptions` has at most {MOST_SUBSCRIPTIONS} addresses of at most {LONGEST_URI} bytes each, and `notifications` at most {MOST_WATCHED} bytes; open another subscription for the rest"
            )))
        }
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
                (!watched.is_empty()).then(|| watched.iter().map(|uri| json!(uri)).collect()),
            ),
        ])
    }

    /// The notifications that a change calls for: methods with their params.
    fn notices(&self, changed: &Changed) -> Vec<(&'static str, Map<String, Value>)> {
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
        let watched = self.resource_subscriptions.iter().map(|uri| &**uri);
        lists
            .into_iter()
            .filter(|(_, is_told)| *is_told)
            .map(|(method, _)| (method, Map::new()))
            .chain(changed.updated.among(watched).map(updated))
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
        let wanted = Wanted::of(request.params.notifications)?;
        let (server, id) = (Arc::clone(self), request.id.to_owned());
        Ok(Taken::works(async move {
            let Ok(_stream) = server.streams.try_acquire() else {
                return Err(Error::busy_streams());
            };
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
                for (method, params) in wanted.notices(&changed) {
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

    /// What a session's client is told unasked, until it goes, another stream of its takes over, or the
    /// session or the host ends.
    pub(super) fn unasked(self: &Arc<Self>, session: &Arc<Session>) -> Events {
        let server = Arc::clone(self);
        let listening = Arc::clone(session);
        let exchange = Exchange::new(Some(Transcript::once()), |outlet| {
            Box::pin(async move {
                server.tell(&listening, &outlet).await;
                Answer::accepted()
            })
        });
        while_read(exchange.events(), InUse::of(session))
    }

    async fn tell(&self, session: &Session, outlet: &Outlet) {
        let Ok(_stream) = self.streams.try_acquire() else {
            return;
        };
        let replaced = session.listen();
        let mut closing = self.closing.clone();
        let telling = async {
            // The stream before this one lets go of it.
            let mut listener = session.listener.lock().await;
            loop {
                let changed = listener.next().await;
                let wanted = Wanted {
                    tools_list_changed: true,
                    prompts_list_changed: true,
                    resources_list_changed: true,
                    resource_subscriptions: session.subscriptions(),
                };
                for (method, params) in wanted.notices(&changed) {
                    let params = (!params.is_empty()).then_some(params);
                    if !outlet.say(notification(method, params.as_ref())).await {
                        return;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = replaced => {}
            _ = closing.wait_for(|closing| *closing) => {}
            () = telling => {}
        }
    }

    /// `resources/subscribe` and `resources/unsubscribe` (MCP 2025-11-25 and before, resources).
    pub(super) fn subscribe(
        request: &Request<'_>,
        session: Option<&Arc<Session>>,
        wants: bool,
    ) -> Result<Answer, Error> {
        let uri = Params::text(request.params.uri, "uri")?;
        let Some(session) = session else {
            return Err(Error::invalid_params(
                "subscriptions belong to a session: open one with `initialize`, and send its id",
            ));
        };
        if !wants {
            session.unsubscribe(&uri);
        } else if uri.len() > LONGEST_URI || !session.subscribe(&uri) {
            return Err(Error::invalid_params(&format!(
                "a session watches at most {MOST_SUBSCRIPTIONS} resources, with addresses of at most {LONGEST_URI} bytes each and {MOST_WATCHED} in all; unsubscribe from others first"
            )));
        }
        Ok(Answer::result(request.id, &Map::new()))
    }
}
