//! `completion/complete`: what a person may mean who has begun to type an argument.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, json};

use super::message::{Request, object};
use super::reply::{Answer, Error};
use super::run::{NotRun, Subject, completed};
use super::{Context, Protocol};
use crate::catalog::{Catalog, Completion};
use crate::value::Encoded;

/// What an argument belongs to.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Reference {
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
}

/// What was typed.
#[derive(Deserialize)]
struct Typed {
    name: String,
    value: String,
}

/// What was chosen before.
#[derive(Default, Deserialize)]
struct Chosen {
    #[serde(default)]
    arguments: Map<String, serde_json::Value>,
}

impl Protocol {
    /// `completion/complete`.
    pub(super) async fn complete(
        &self,
        request: &Request<'_>,
        context: Context<'_>,
    ) -> Result<Answer, Error> {
        let reference: Reference = member(request.params.reference, "ref")?;
        let typed: Typed = member(request.params.argument, "argument")?;
        let chosen: Chosen = match request.params.context {
            None => Chosen::default(),
            context => member(context, "context")?,
        };
        let catalog = self.catalogs.snapshot();
        let values = match find(&catalog, &reference, &typed.name)? {
            None => Vec::new(),
            Some(Completion::Fixed(values)) => Completion::beginning(&values, &typed.value)
                .map(str::to_owned)
                .collect(),
            Some(Completion::By(function)) => {
                let caller = match self.admit(&function, &catalog, request, &context).await {
                    Ok(caller) => caller,
                    Err(refused) => return Ok(refused),
                };
                let chosen: Vec<(String, String)> = chosen
                    .arguments
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
                    .collect();
                let arguments = function.signature.completing(&typed.value, &chosen);
                let subject = Subject {
                    request,
                    name: &typed.name,
                    catalog: &catalog,
                };
                let run = self
                    .run(&function, arguments, caller, &subject, &context)
                    .await;
                match run {
                    Ok(Encoded::Completions(values)) => values,
                    Ok(Encoded::Failed { text, .. }) => return Err(Error::invalid_params(&text)),
                    Ok(_) => return Err(failed("its completion is none")),
                    Err(NotRun::Failed(cause)) => return Err(failed(&cause)),
                    Err(NotRun::Refused(error)) => return Err(error),
                    // There is no place for a question here.
                    Err(NotRun::Asks(_)) => {
                        return Err(failed("its completion asks its client, which it cannot"));
                    }
                }
            }
        };
        let total = values.len();
        let values: Vec<String> = values.into_iter().take(Completion::MOST).collect();
        let mut result = Map::new();
        completed(&mut result, context.era);
        result.insert(
            "completion".into(),
            json!({ "values": values, "total": total, "hasMore": total > Completion::MOST }),
        );
        Ok(Answer::result(request.id, &result))
    }
}

fn failed(cause: &str) -> Error {
    Error::internal(&format!("the argument could not be completed: {cause}"))
}

fn member<'a, T: Deserialize<'a>>(member: Option<&'a RawValue>, name: &str) -> Result<T, Error> {
    let text = member.map_or("null", RawValue::get);
    object(text)
        .map_err(|cause| Error::invalid_params(&format!("`{name}` cannot be read: {cause}")))
}

/// What completes an argument; none if nothing does.
fn find(
    catalog: &Arc<Catalog>,
    reference: &Reference,
    argument: &str,
) -> Result<Option<Completion>, Error> {
    match reference {
        Reference::Prompt { name } => {
            let prompt = catalog
                .prompt(name)
                .map_err(|unknown| Error::invalid_params(&unknown.to_string()))?;
            Ok(prompt.completion(argument))
        }
        Reference::Resource { uri } => {
            if let Some(template) = catalog.template(uri) {
                return Ok(template.completion(argument));
            }
            let read = catalog
                .resource(uri)
                .map_err(|unknown| Error::invalid_params(&unknown.to_string()))?;
            Ok(read.resource.completion(argument))
        }
    }
}
