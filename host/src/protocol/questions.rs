//! Questions of a guest to its client, as MCP asks them, and what clients answer.
//!
//! The params of a question are the same in all revisions that know it; what an older one does not know
//! is left out. An answer comes from a client: it is checked against what was asked.

mod form;
mod sampling;

use serde_json::{Map, Value, json};

use super::json::object;
use super::revision::Revision;
use crate::sandbox::client::{Answer, Capability, Question, Response, Root, Unanswered};

/// The most folders that are taken from a client.
const MOST_ROOTS: usize = 1_000;

/// A question, ready to be sent.
pub(super) struct Asked {
    /// The method of the request.
    pub(super) method: &'static str,
    /// Its params.
    pub(super) params: Value,
}

/// What a client must have declared to be asked this.
pub(super) fn needs(question: &Question) -> Capability {
    match question {
        Question::Form(_) => Capability::FORM,
        Question::Page(_) => Capability::PAGE,
        Question::Sampling(sampling) if sampling.tools.is_empty() => Capability::SAMPLING,
        Question::Sampling(_) => Capability::SAMPLING | Capability::SAMPLING_TOOLS,
        Question::Roots => Capability::ROOTS,
    }
}

/// Writes a question. The error says what is wrong with it, for the author of the guest.
pub(super) fn ask(question: &Question, revision: Revision) -> Result<Asked, String> {
    Ok(match question {
        Question::Form(form) => Asked {
            method: "elicitation/create",
            params: form::params(form, revision)?,
        },
        Question::Page(page) => {
            if !(page.url.starts_with("https://") || is_local(&page.url)) {
                return Err("a page must have an address that begins with `https://`".into());
            }
            Asked {
                method: "elicitation/create",
                params: object([
                    ("mode", Some("url".into())),
                    ("message", Some(json!(page.message))),
                    ("url", Some(json!(page.url))),
                    // 2025-11-25 wants an id by which a later notification could name it.
                    (
                        "elicitationId",
                        (!revision.is_modern()).then(|| json!(page.url)),
                    ),
                ]),
            }
        }
        Question::Sampling(sampling) => Asked {
            method: "sampling/createMessage",
            params: sampling::params(sampling, revision)?,
        },
        Question::Roots => Asked {
            method: "roots/list",
            params: json!({}),
        },
    })
}

/// A page on the developer's own machine.
fn is_local(url: &str) -> bool {
    ["http://localhost", "http://127.0.0.1", "http://[::1]"]
        .into_iter()
        .filter_map(|local| url.strip_prefix(local))
        .any(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}

/// Reads the result that a client sent.
pub(super) fn answer(question: &Question, result: &Value) -> Result<Answer, Unanswered> {
    let Value::Object(result) = result else {
        return Err(invalid("the answer is not an object"));
    };
    Ok(match question {
        Question::Form(form) => Answer::Form(match action(result)? {
            Action::Accept => Response::Accepted(form::values(form, result.get("content"))?),
            Action::Decline => Response::Declined,
            Action::Cancel => Response::Cancelled,
        }),
        Question::Page(_) => Answer::Page(match action(result)? {
            Action::Accept => Response::Accepted(Vec::new()),
            Action::Decline => Response::Declined,
            Action::Cancel => Response::Cancelled,
        }),
        Question::Sampling(_) => Answer::Sampling(sampling::sampled(result)?),
        Question::Roots => Answer::Roots(roots(result)?),
    })
}

/// What the error means that a client sent instead of a result.
pub(super) fn refused(error: &Value) -> Unanswered {
    let message = error.get("message").and_then(Value::as_str);
    let message: String = message.unwrap_or_default().chars().take(1_024).collect();
    Unanswered::Refused(message)
}

fn invalid(problem: &str) -> Unanswered {
    Unanswered::Invalid(problem.to_owned())
}

enum Action {
    Accept,
    Decline,
    Cancel,
}

fn action(result: &Map<String, Value>) -> Result<Action, Unanswered> {
    match result.get("action").and_then(Value::as_str) {
        Some("accept") => Ok(Action::Accept),
        Some("decline") => Ok(Action::Decline),
        Some("cancel") => Ok(Action::Cancel),
        Some(_) | None => Err(invalid("`action` must be accept, decline or cancel")),
    }
}

fn roots(result: &Map<String, Value>) -> Result<Vec<Root>, Unanswered> {
    let Some(Value::Array(roots)) = result.get("roots") else {
        return Err(invalid("`roots` must be an array"));
    };
    if roots.len() > MOST_ROOTS {
        return Err(invalid("there are more than 1000 `roots`"));
    }
    roots
        .iter()
        .map(|root| {
            let text = |name| root.get(name).and_then(Value::as_str).map(str::to_owned);
            Ok(Root {
                uri: text("uri").ok_or_else(|| invalid("a root has no `uri`"))?,
                name: text("name"),
            })
        })
        .collect()
}
