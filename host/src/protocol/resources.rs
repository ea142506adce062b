//! `resources/list`, `resources/templates/list` and `resources/read`.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::listing::{List, ListedIcon, icons};
use super::message::{Params, Request};
use super::meta::Era;
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::run::{NotRun, Subject, completed};
use super::{Context, Protocol, blocks};
use crate::auth::Access;
use crate::catalog::Resource;
use crate::value::Encoded;

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
}

/// A resource as a revision knows it.
pub(super) fn listed<'a>(uri: &'a str, resource: &'a Resource, revision: Revision) -> Listed<'a> {
    Listed {
        uri: Some(uri),
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
        mime_type: resource.mime_type.as_deref(),
        icons: icons(&function.icons, revision),
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
        &self,
        request: &Request<'_>,
        context: Context<'_>,
    ) -> Result<Answer, Error> {
        let uri = Params::text(request.params.uri, "uri")?;
        let era = context.era;
        let not_found = |cause: &str| {
            // The code that each revision has for it.
            let code = match era {
                Era::Modern(_) => -32602,
                Era::Legacy(_) => -32002,
            };
            Error::no_resource(code, &uri, cause)
        };
        let catalog = self.catalogs.snapshot();
        let read = catalog
            .resource(&uri)
            .map_err(|unknown| not_found(&unknown.to_string()))?;
        let resource = read.resource;
        let function = &resource.function;
        let caller = match self.admit(function, &catalog, request, &context).await {
            Ok(caller) => caller,
            Err(refused) => return Ok(refused),
        };
        let arguments = function
            .signature
            .decode_texts(&read.variables)
            .map_err(|mistakes| not_found(&mistakes.to_string()))?;
        let subject = Subject {
            request,
            name: &uri,
            catalog: &catalog,
        };
        let failed =
            |cause: &str| Error::internal(&format!("the resource could not be read: {cause}"));
        let run = self
            .run(function, arguments, caller, &subject, &context)
            .await;
        let documents = match run {
            Ok(Encoded::Documents(documents)) => documents,
            // The author's own word on this address.
            Ok(Encoded::Failed { text, .. }) => return Err(not_found(&text)),
            Ok(_) => return Err(failed("it holds none")),
            Err(NotRun::Failed(cause)) => return Err(failed(&cause)),
            Err(NotRun::Refused(error)) => return Err(error),
            Err(NotRun::Asks(answer)) => return Ok(answer),
        };
        let contents: Vec<Value> = documents
            .into_iter()
            .map(|document| {
                let mime_type = document.mime_type.or_else(|| resource.mime_type.clone());
                let mut written = blocks::resource(
                    document.uri.unwrap_or_else(|| uri.to_string()),
                    mime_type,
                    document.body,
                );
                let meta = document
                    .meta
                    .filter(|_| era.revision().has_structured_content());
                if let (Some(meta), Value::Object(members)) = (meta, &mut written) {
                    members.insert("_meta".into(), Value::Object(meta));
                }
                written
            })
            .collect();
        let mut result = Map::new();
        completed(&mut result, era);
        if let Era::Modern(_) = era {
            // What a function says now it may not say again.
            result.insert("ttlMs".into(), json!(0));
            let scope = match function.access {
                Access::Public => "public",
                Access::Optional | Access::Required | Access::Restricted(_) => "private",
            };
            result.insert("cacheScope".into(), json!(scope));
        }
        result.insert("contents".into(), Value::Array(contents));
        Ok(Answer::result(request.id, &result))
    }
}
