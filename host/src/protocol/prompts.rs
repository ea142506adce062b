//! `prompts/list` and `prompts/get`.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::listing::{List, ListedIcon, icons};
use super::message::{Params, Request};
use super::reply::{Answer, Error};
use super::revision::Revision;
use super::run::{NotRun, Subject, completed};
use super::{Context, Protocol, blocks};
use crate::catalog::Prompt;
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
}

#[derive(Serialize)]
struct ListedArgument<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    required: bool,
}

/// A prompt as a revision knows it.
pub(super) fn listed<'a>(name: &'a str, prompt: &'a Prompt, revision: Revision) -> Listed<'a> {
    let function = &prompt.function;
    let arguments = prompt.arguments().map(|argument| ListedArgument {
        name: argument.name,
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
        &self,
        request: &Request<'_>,
        context: Context<'_>,
    ) -> Result<Answer, Error> {
        let name = Params::text(request.params.name, "name")?;
        let catalog = self.catalogs.snapshot();
        let prompt = catalog
            .prompt(&name)
            .map_err(|unknown| Error::invalid_params(&unknown.to_string()))?;
        let function = &prompt.function;
        let caller = match self.admit(function, &catalog, request, &context).await {
            Ok(caller) => caller,
            Err(refused) => return Ok(refused),
        };
        let turn = self.turn_to_read(request, &context).await;
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
        let subject = Subject {
            request,
            name: &name,
            catalog: &catalog,
        };
        let failed =
            |cause: &str| Error::internal(&format!("the prompt `{name}` gave no result: {cause}"));
        let run = self
            .run(function, arguments, caller, &subject, &context)
            .await;
        let (description, messages) = match run {
            Ok(Encoded::Prompt {
                description,
                messages,
            }) => (description, messages),
            // The author's own word on these arguments.
            Ok(Encoded::Failed { text, .. }) => return Err(Error::invalid_params(&text)),
            Ok(_) => return Err(failed("it is none")),
            Err(NotRun::Failed(cause)) => return Err(failed(&cause)),
            Err(NotRun::Refused(error)) => return Err(error),
            Err(NotRun::Asks(answer)) => return Ok(answer),
        };
        let revision = context.era.revision();
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
        completed(&mut result, context.era);
        if let Some(description) = description.or_else(|| function.description.clone()) {
            result.insert("description".into(), json!(description));
        }
        result.insert("messages".into(), Value::Array(messages));
        Ok(Answer::result(request.id, &result))
    }
}
