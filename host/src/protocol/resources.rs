//! `resources/list`, `resources/templates/list` and `resources/read`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::dispatch::{Context, Taken};
use super::listing::{List, ListedIcon, icons, meta};
use super::message::{Params, Request};
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::run::{Call, NotRun, completed};
use super::{Protocol, blocks};
use crate::auth::Access;
use crate::catalog::Resource;
use crate::value::Encoded;
use crate::value::content::Document;

/// A resource as one revision knows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_template: Option<&'a str>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    icons: Vec<ListedIcon<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a Map<String, Value>>,
}

/// A resource as a revision knows it.
pub(super) fn listed<'a>(uri: &'a str, resource: &'a Resource, revision: Revision) -> Listed<'a> {
    Listed {
        uri: Some(uri),
        size: resource.held.size,
        ..nowhere(resource, revision)
    }
}

/// A template as a revision knows it.
pub(super) fn listed_template<'a>(
    template: &'a str,
    resource: &'a Resource,
    revision: Revision,
) -> Listed<'a> {
    Listed {
        uri_template: Some(template),
        ..nowhere(resource, revision)
    }
}

fn nowhere(resource: &Resource, revision: Revision) -> Listed<'_> {
    let function = &resource.function;
    Listed {
        uri: None,
        uri_template: None,
        name: &function.name,
        title: function
            .title
            .as_deref()
            .filter(|_| revision.has_structured_content()),
        description: function.description.as_deref(),
        mime_type: resource.held.mime_type.as_deref(),
        icons: icons(&function.icons, revision),
        size: None,
        annotations: blocks::annotations(&resource.held.annotations, revision),
        meta: meta(function, revision),
    }
}

impl Protocol {
    /// `resources/list`.
    pub(super) fn list_resources(
        &self,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Error> {
        self.list(List::Resources, request, context)
    }

    /// `resources/templates/list`.
    pub(super) fn list_templates(
        &self,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Error> {
        self.list(List::Templates, request, context)
    }

    /// `resources/read`: find the resource, admit the caller, decode, run, encode.
    pub(super) async fn read_resource(
        self: &Arc<Self>,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Taken, Error> {
        let uri = Params::text(request.params.uri, "uri")?;
        let revision = context.era.revision();
        let read = context.catalog.resource(&uri);
        let read = read.map_err(|unknown| not_found(&uri, &unknown.to_string(), revision))?;
        let function = &read.resource.function;
        let caller = match self.admit_to(function, request, context).await {
            Ok(caller) => caller,
            Err(refused) => return Ok(Taken::Answered(refused)),
        };
        let arguments = function
            .signature
            .decode_texts(&read.variables)
            .map_err(|mistakes| not_found(&uri, &mistakes.to_string(), revision))?;
        let call = self.call(request, &uri, function, caller, context)?;
        let (server, resource) = (Arc::clone(self), Arc::clone(read.resource));
        let uri = uri.into_owned();
        Ok(Taken::works(async move {
            let failed =
                |cause: &str| Error::internal(&format!("the resource could not be read: {cause}"));
            match server.run(&resource.function, arguments, &call).await {
                Ok(Encoded::Documents(documents)) => {
                    let result = written(&uri, &resource, documents, &call);
                    Ok(Answer::result(&call.id, &result))
                }
                // The author's own word on this address.
                Ok(Encoded::Failed { text, .. }) => Err(not_found(&uri, &text, revision)),
                Ok(_) => Err(failed("it holds none")),
                Err(NotRun::Failed(cause)) => Err(failed(&cause)),
                Err(NotRun::Refused(error)) => Err(error),
                Err(NotRun::Asks(answer)) => Ok(answer),
            }
        }))
    }
}

/// Nothing is read there, with the code that each revision has for it.
pub(super) fn not_found(uri: &str, cause: &str, revision: Revision) -> Error {
    let code = if revision.is_modern() { -32602 } else { -32002 };
    Error::no_resource(code, uri, cause)
}

/// `ReadResourceResult`.
fn written(
    uri: &str,
    resource: &Resource,
    documents: Vec<Document>,
    call: &Call,
) -> Map<String, Value> {
    let contents: Vec<Value> = documents
        .into_iter()
        .map(|document| {
            let mime_type = document
                .mime_type
                .or_else(|| resource.held.mime_type.clone());
            let uri = document.uri.unwrap_or_else(|| uri.to_owned());
            let mut written = blocks::resource(uri, mime_type, document.body);
            let meta = document
                .meta
                .filter(|_| call.revision.has_structured_content());
            if let (Some(meta), Value::Object(members)) = (meta, &mut written) {
                members.insert("_meta".into(), Value::Object(meta));
            }
            written
        })
        .collect();
    let mut result = Map::new();
    completed(&mut result, call.revision);
    if call.revision.is_modern() {
        // What a function says now it may not say again.
        result.insert("ttlMs".into(), json!(0));
        let scope = match resource.function.access {
            // What one client answered is not for the others.
            Access::Public if !call.has_asked() => "public",
            Access::Public | Access::Optional | Access::Required | Access::Restricted(_) => {
                "private"
            }
        };
        result.insert("cacheScope".into(), json!(scope));
    }
    result.insert("contents".into(), Value::Array(contents));
    result
}
