//! What the official conformance suite expects to find on a server.

cloister_sdk::service!();

mod elicitation;
mod notifications;
mod prompts;
mod resources;
mod results;
mod rounds;
mod sampling;

use cloister::mcp::client::{Response, Unanswered, Value};

struct Conformance;

export!(Conformance);

const PIXEL: &[u8] = include_bytes!("../pixel.png");
const SILENCE: &[u8] = include_bytes!("../silence.wav");

/// The text that the person gave for one field.
fn field(answer: Result<Response, Unanswered>, name: &str) -> Result<String, String> {
    let response = answer.map_err(unanswered)?;
    let text = response.text(name).map(Into::into);
    text.ok_or_else(|| format!("there is no `{name}`"))
}

/// What the person did, in words.
fn told(answer: Result<Response, Unanswered>) -> Result<String, String> {
    Ok(match answer.map_err(unanswered)? {
        Response::Accepted(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", shown(value)))
                .collect();
            format!("action=accept, content={{{}}}", fields.join(", "))
        }
        Response::Declined => "action=decline".into(),
        Response::Cancelled => "action=cancel".into(),
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(answer) => answer.to_string(),
        Value::Choices(choices) => format!("[{}]", choices.join(", ")),
    }
}

fn unanswered(why: Unanswered) -> String {
    match why {
        Unanswered::Refused(reason) => format!("refused: {reason}"),
        Unanswered::Invalid(reason) => format!("not an answer: {reason}"),
        Unanswered::Late => "nobody answered in time".into(),
    }
}
