//! `completion/complete`: what a person may mean who has begun to type an argument.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, json};

use super::Protocol;
use super::dispatch::{Context, Taken};
use super::message::{Request, object};
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::run::{NotRun, completed};
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
        self: &Arc<Self>,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Taken, Error> {
        let reference: Reference = member(request.params.reference, "ref")?;
        let typed: Typed = member(request.params.argument, "argument")?;
        let chosen: Chosen = match request.params.context {
            None => Chosen::default(),
            context => member(context, "context")?,
        };
        let revision = context.era.revision();
        let function = match find(&context.catalog, &reference, &typed.name)? {
            None => return Ok(answered(request.id, Vec::new(), revision)),
            Some(Completion::Fixed(values)) => {
                let values = Completion::beginning(&values, &typed.value).map(str::to_owned);
                return Ok(answered(request.id, values.collect(), revision));
            }
            Some(Completion::By(function)) => function,
        };
        let caller = match self.admit_to(&function, request, context).await {
            Ok(caller) => caller,
            Err(refused) => return Ok(Taken::Answered(refused)),
        };
        let chosen: Vec<(String, String)> = chosen
            .arguments
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
            .collect();
        let arguments = function.signature.completing(&typed.value, &chosen);
        let call = self.call(request, &typed.name, &function, caller, context)?;
        let server = Arc::clone(self);
        Ok(Taken::works(async move {
            match server.run(&function, arguments, &call).await {
                Ok(Encoded::Completions(values)) => Ok(answer(&call.id, values, revision)),
                Ok(Encoded::Failed { text, .. }) => Err(Error::invalid_params(&text)),
                Ok(_) => Err(failed("its completion is none")),
                Err(NotRun::Failed(cause)) => Err(failed(&cause)),
                Err(NotRun::Refused(error)) => Err(error),
                // There is no place for a question here.
                Err(NotRun::Asks(_)) => {
                    Err(failed("its completion asks its client, which it cannot"))
                }
            }
        }))
    }
}

fn answered(id: &RawValue, values: Vec<String>, revision: Revision) -> Taken {
    Taken::Answered(answer(id, values, revision))
}

/// `CompleteResult`.
fn answer(id: &RawValue, values: Vec<String>, revision: Revision) -> Answer {
    let total = values.len();
    let values: Vec<String> = values.into_iter().take(Completion::MOST).collect();
    let mut result = Map::new();
    completed(&mut result, revision);
    result.insert(
        "completion".into(),
        json!({ "values": values, "total": total, "hasMore": total > Completion::MOST }),
    );
    Answer::result(id, &result)
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
