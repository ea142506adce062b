//! `prompts/list` and `prompts/get`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::dispatch::{Context, Taken};
use super::listing::{List, ListedIcon, icons, meta};
use super::message::{Params, Request};
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::run::{NotRun, completed};
use super::{Protocol, blocks};
use crate::catalog::Prompt;
use crate::value::content::Message;
use crate::value::{Encoded, NotDecoded};

/// A prompt as one revision knows it.
#[derive(Serialize)]
pub(super) struct Listed<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<ListedArgument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    icons: Vec<ListedIcon<'a>>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct ListedArgument<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    required: bool,
}

/// A prompt as a revision knows it.
pub(super) fn listed<'a>(name: &'a str, prompt: &'a Prompt, revision: Revision) -> Listed<'a> {
    let function = &prompt.function;
    let arguments = prompt.arguments().map(|argument| ListedArgument {
        name: argument.name,
        title: argument.title.filter(|_| revision.has_structured_content()),
        description: argument.description,
        required: argument.required,
    });
    Listed {
        name,
        title: function
            .title
            .as_deref()
            .filter(|_| revision.has_structured_content()),
        description: function.description.as_deref(),
        arguments: arguments.collect(),
        icons: icons(&function.icons, revision),
        meta: meta(function, revision),
    }
}

impl Protocol {
    /// `prompts/list`.
    pub(super) fn list_prompts(
        &self,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Error> {
        self.list(List::Prompts, request, context)
    }

    /// `prompts/get`: find the prompt, admit the caller, decode, run, encode.
    pub(super) async fn get_prompt(
        self: &Arc<Self>,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Taken, Error> {
        let name = Params::text(request.params.name, "name")?;
        let prompt = context.catalog.prompt(&name);
        let prompt = prompt.map_err(|unknown| Error::invalid_params(&unknown.to_string()))?;
        let function = &prompt.function;
        let caller = match self.admit_to(function, request, context).await {
            Ok(caller) => caller,
            Err(refused) => return Ok(Taken::Answered(refused)),
        };
        let turn = self.turn_to_read(request, context).await;
        let arguments = function
            .signature
            .decode(request.params.arguments)
            .map_err(|mistakes| match mistakes {
                NotDecoded::Mistakes(_) => Error::invalid_params(&format!(
                    "the arguments do not fit the prompt `{name}`\n{mistakes}"
                )),
                NotDecoded::NotAnObject => {
                    Error::invalid_params("`arguments` must be an object of texts")
                }
                NotDecoded::Syntax(cause) => Error::parse(&cause),
            })?;
        drop(turn);
        let call = self.call(request, &name, function, caller, context)?;
        let (server, prompt, name) = (Arc::clone(self), Arc::clone(prompt), name.into_owned());
        Ok(Taken::works(async move {
            let function = &prompt.function;
            let failed = |cause: &str| {
                Error::internal(&format!("the prompt `{name}` gave no result: {cause}"))
            };
            match server.run(function, arguments, &call).await {
                Ok(Encoded::Prompt {
                    description,
                    messages,
                }) => {
                    let description = description.or_else(|| function.description.clone());
                    let result = written(description, messages, call.revision);
                    Ok(Answer::result(&call.id, &result))
                }
                // The author's own word on these arguments.
                Ok(Encoded::Failed { text, .. }) => Err(Error::invalid_params(&text)),
                Ok(_) => Err(failed("it is none")),
                Err(NotRun::Failed(cause)) => Err(failed(&cause)),
                Err(NotRun::Refused(error)) => Err(error),
                Err(NotRun::Asks(answer)) => Ok(answer),
            }
        }))
    }
}

/// `GetPromptResult`.
fn written(
    description: Option<String>,
    messages: Vec<Message>,
    revision: Revision,
) -> Map<String, Value> {
    let messages: Vec<Value> = messages
        .into_iter()
        .map(|message| {
            json!({
                "role": blocks::role(message.role),
                "content": blocks::block(message.content, revision),
            })
        })
        .collect();
    let mut result = Map::new();
    completed(&mut result, revision);
    if let Some(description) = description {
        result.insert("description".into(), json!(description));
    }
    result.insert("messages".into(), Value::Array(messages));
    result
}
