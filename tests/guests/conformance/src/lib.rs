//! What the official conformance suite expects to find on a server.

cloister_sdk::service!();

mod elicitation;
mod notifications;
mod prompts;
mod resources;
mod results;
mod rounds;
mod sampling;

use cloister::mcp::client::{Field, Form, Input, Response, TextField, Unanswered, Value};

struct Conformance;

export!(Conformance);

const PIXEL: &[u8] = include_bytes!("../pixel.png");
const SILENCE: &[u8] = include_bytes!("../silence.wav");

/// A form with one field, which must be filled in.
fn form(message: &str, name: &str, input: Input) -> Form {
    Form {
        message: message.into(),
        fields: vec![required(name, None, input)],
    }
}

fn required(name: &str, description: Option<&str>, input: Input) -> Field {
    Field {
        name: name.into(),
        title: None,
        description: description.map(Into::into),
        required: true,
        input,
    }
}

/// A text of any length.
fn text() -> Input {
    Input::Text(TextField {
        min_length: None,
        max_length: None,
        format: None,
        default: None,
    })
}

/// The fields that the person filled in.
fn accepted(answer: Result<Response, Unanswered>) -> Result<Vec<(String, Value)>, String> {
    match answer.map_err(unanswered)? {
        Response::Accepted(fields) => Ok(fields),
        Response::Declined => Err("the person declined".into()),
        Response::Cancelled => Err("the person closed the form".into()),
    }
}

/// The text that the person gave for one field.
fn field(answer: Result<Response, Unanswered>, name: &str) -> Result<String, String> {
    accepted(answer)?
        .into_iter()
        .find(|(field, _)| field == name)
        .map(|(_, value)| shown(&value))
        .ok_or_else(|| format!("the answer has no `{name}`"))
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
