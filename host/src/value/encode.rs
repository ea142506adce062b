//! Component values → JSON text, exactly as the output schema says it.

mod write;

pub(super) use self::write::{base64, text};

use serde_json::value::RawValue;
use wasmtime::component::Val;

use self::write::raw;
use super::content::{self, Block, Document, Message};
use super::signature::Form;
use super::{Answer, Kind, Native, Shape};

/// What a call came to.
#[derive(Clone, Debug)]
pub enum Encoded {
    /// It is done, and there is nothing to return.
    Done,
    /// It returned a value.
    Value {
        /// The value as an object that keeps to the output schema.
        structured: Box<RawValue>,
        /// The same for readers, if it is a `string`; for any other it is the JSON of `structured`.
        text: Option<String>,
    },
    /// It returned content of a media type.
    Media {
        /// The media type.
        media: String,
        /// The bytes, in base64 (RFC 4648 §4).
        data: String,
    },
    /// It returned content in parts.
    Content(Vec<Block>),
    /// It returned a conversation.
    Prompt {
        /// What the conversation is for, if the function says more of it than its doc comment.
        description: Option<String>,
        /// The messages, in order.
        messages: Vec<Message>,
    },
    /// It returned what a resource holds.
    Documents(Vec<Document>),
    /// It returned what a person may mean.
    Completions(Vec<String>),
    /// It failed, in the words of the component: WIT's `err`.
    Failed {
        /// The error for readers: plain text for a `string`, otherwise its JSON.
        text: String,
        /// The error as JSON, if it says anything.
        error: Option<Box<RawValue>>,
    },
}

impl Encoded {
    /// The bytes of its JSON or, where there is none, of its texts.
    pub fn size(&self) -> usize {
        let sum = |sizes: &mut dyn Iterator<Item = usize>| sizes.fold(0, usize::saturating_add);
        match self {
            Self::Done => 0,
            Self::Value { structured, .. } => structured.get().len(),
            Self::Media { data, .. } => data.len(),
            Self::Content(blocks) => sum(&mut blocks.iter().map(Block::size)),
            Self::Prompt {
                description,
                messages,
            } => sum(&mut messages.iter().map(|message| message.content.size()))
                .saturating_add(description.as_ref().map_or(0, String::len)),
            Self::Documents(documents) => sum(&mut documents.iter().map(Document::size)),
            Self::Completions(values) => sum(&mut values.iter().map(String::len)),
            Self::Failed { text, .. } => text.len(),
        }
    }
}

/// Why a result cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEncoded {
    /// It is not of the type the component declares. The engine has checked the types, so this takes a
    /// defect of the host.
    #[error("the result{} is {got} where the type says {expected}", place(.pointer))]
    Odd {
        /// Where in the result, as a JSON pointer.
        pointer: String,
        /// What the type says.
        expected: String,
        /// What the value is.
        got: String,
    },
    /// It is of its type, and says what that type cannot mean: a fault of the component.
    #[error("the `{field}` in its result is {got}, and must be {rule}")]
    Invalid {
        /// The field that says it.
        field: &'static str,
        /// What it may say.
        rule: &'static str,
        /// What it says, in a few words.
        got: String,
    },
    /// It is larger than a result may be. Nothing is written beyond that.
    #[error("the result is larger than a result may be")]
    TooLarge,
}

fn place(pointer: &str) -> String {
    if pointer.is_empty() {
        String::new()
    } else {
        format!(" at {pointer}")
    }
}

/// What stands for an `err` that carries nothing.
const NO_REASON: &str = "the tool failed and gave no reason";

/// Encodes what a function returned, as at most so many bytes.
pub(super) fn answer(
    answer: &Answer,
    form: &Form,
    results: Vec<Val>,
    limit: usize,
) -> Result<Encoded, NotEncoded> {
    let mut results = results.into_iter();
    match (answer, results.next(), results.next()) {
        (Answer::Nothing, None, None) => Ok(Encoded::Done),
        (Answer::Value(shape), Some(value), None) => success(shape, form, value, limit),
        (Answer::Fallible { ok, .. }, Some(Val::Result(Ok(value))), None) => match (ok, value) {
            (None, None) => Ok(Encoded::Done),
            (Some(shape), Some(value)) => success(shape, form, *value, limit),
            (Some(_), None) | (None, Some(_)) => Err(odd("`ok` as declared", "another `ok`")),
        },
        (Answer::Fallible { err, .. }, Some(Val::Result(Err(value))), None) => match (err, value) {
            (None, None) => Ok(Encoded::Failed {
                text: NO_REASON.to_owned(),
                error: None,
            }),
            (Some(shape), Some(value)) => failure(shape, *value, limit),
            (Some(_), None) | (None, Some(_)) => Err(odd("`err` as declared", "another `err`")),
        },
        (Answer::Fallible { .. }, Some(value), None) => Err(odd("`result`", noun(&value))),
        (Answer::Nothing, Some(_), _) => Err(odd("nothing", "a value")),
        (Answer::Value(_) | Answer::Fallible { .. }, None, _) => Err(odd("one value", "missing")),
        (_, _, Some(_)) => Err(odd("one value", "several values")),
    }
}

pub(super) fn odd(expected: &str, got: &str) -> NotEncoded {
    NotEncoded::Odd {
        pointer: String::new(),
        expected: expected.to_owned(),
        got: got.to_owned(),
    }
}

fn success(shape: &Shape, form: &Form, value: Val, limit: usize) -> Result<Encoded, NotEncoded> {
    let encoded = match form {
        Form::Value => {
            let structured = raw(shape, &value, !is_object(shape), limit)?;
            let text = if let Val::String(text) = value {
                Some(text)
            } else {
                None
            };
            return Ok(Encoded::Value { structured, text });
        }
        Form::Media(media) => Encoded::Media {
            media: media.clone(),
            data: content::bytes(value)?,
        },
        Form::Native(Native::Content) => Encoded::Content(content::blocks(value)?),
        Form::Native(Native::Prompt) => {
            let (description, messages) = content::prompt(value)?;
            Encoded::Prompt {
                description,
                messages,
            }
        }
        Form::Native(Native::Documents) => Encoded::Documents(content::documents(value)?),
        Form::Native(Native::Completions) => Encoded::Completions(content::texts(value)?),
    };
    if encoded.size() > limit {
        return Err(NotEncoded::TooLarge);
    }
    Ok(encoded)
}

fn failure(shape: &Shape, value: Val, limit: usize) -> Result<Encoded, NotEncoded> {
    let error = raw(shape, &value, false, limit)?;
    let text = if let Val::String(text) = value {
        text
    } else {
        error.get().to_owned()
    };
    Ok(Encoded::Failed {
        text,
        error: Some(error),
    })
}

/// Whether a result of this shape is an object already, and needs no `result` around it. Others
/// that happen to be objects in JSON are not: one shape for all is simpler to explain.
pub(super) fn is_object(shape: &Shape) -> bool {
    matches!(shape.kind, Kind::Record(_))
}

/// What a value is, in a message.
pub(super) fn noun(value: &Val) -> &'static str {
    match value {
        Val::Bool(_) => "a `bool`",
        Val::S8(_) => "an `s8`",
        Val::U8(_) => "a `u8`",
        Val::S16(_) => "an `s16`",
        Val::U16(_) => "a `u16`",
        Val::S32(_) => "an `s32`",
        Val::U32(_) => "a `u32`",
        Val::S64(_) => "an `s64`",
        Val::U64(_) => "a `u64`",
        Val::Float32(_) => "an `f32`",
        Val::Float64(_) => "an `f64`",
        Val::Char(_) => "a `char`",
        Val::String(_) => "a `string`",
        Val::List(_) => "a `list`",
        Val::FixedLengthList(_) => "a `list` of fixed length",
        Val::Map(_) => "a `map`",
        Val::Record(_) => "a `record`",
        Val::Tuple(_) => "a `tuple`",
        Val::Variant(..) => "a `variant`",
        Val::Enum(_) => "an `enum`",
        Val::Option(_) => "an `option`",
        Val::Result(_) => "a `result`",
        Val::Flags(_) => "`flags`",
        Val::Resource(_) => "a resource",
        Val::Future(_) => "a `future`",
        Val::Stream(_) => "a `stream`",
        Val::ErrorContext(_) => "an `error-context`",
    }
}
