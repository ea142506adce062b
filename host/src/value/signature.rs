//! Signatures: what a function takes and gives, with everything about it worked out at load.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use wasmtime::component::Val;

use super::encode::{self, Encoded, NotEncoded};
use super::mirror::{self, Mirror, Mirrored};
use super::mistakes::NotDecoded;
use super::{Answer, Case, Kind, Member, Scope, Shape, decode, schema};

/// What a function takes and gives, made once when its component is loaded.
#[derive(Clone, Debug)]
pub struct Signature {
    params: Scope<Member>,
    answer: Answer,
    mirrors: Vec<Mirror>,
    input: Arc<RawValue>,
    output: Option<Arc<RawValue>>,
    media: Option<String>,
}

/// How deep types may be nested. Types in use are nested three or four deep; readers of JSON stop
/// at 128 levels, and a level of a type takes up to four in its schema.
const DEEPEST: usize = 24;

/// How large a schema may be, in bytes. Clients hand every schema to a model, which reads a few
/// thousand characters of it well; a shape that is larger grew out of types that use each other many
/// times over.
const LARGEST: usize = 256 << 10;

/// Parameter names that model vendors take; one other name can cost a client its whole list.
const LONGEST_NAME: usize = 64;

impl Signature {
    /// Makes the signature of a function whose callers give `params`, in WIT order, and get
    /// `answer`. The caller's identity is not among the parameters.
    pub fn new(params: Scope<Member>, answer: Answer) -> Result<Self, NotPublishable> {
        let mut survey = Survey::default();
        for param in &params {
            let legal = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
            let name = &param.json;
            if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(legal) {
                return Err(NotPublishable::Name(name.clone()));
            }
        }
        survey.members(&params, 1, true)?;
        let sides = match &answer {
            Answer::Nothing => [None, None],
            Answer::Value(shape) => [Some(shape), None],
            Answer::Fallible { ok, err } => [ok.as_ref(), err.as_ref()],
        };
        for shape in sides.into_iter().flatten() {
            survey.shape(shape, 1, false)?;
        }
        let input = published(&schema::input(&params))?;
        let output = schema::output(&answer)
            .map(|schema| published(&schema))
            .transpose()?;
        Ok(Self {
            mirrors: Mirror::all(&params),
            params,
            answer,
            input,
            output,
            media: None,
        })
    }

    /// The same signature with a result that is content of this media type (RFC 6838), such as
    /// `image/png`, rather than a value. The function must return bytes.
    pub fn with_media(mut self, media: &str) -> Result<Self, NotPublishable> {
        let shape = match &self.answer {
            Answer::Nothing => None,
            Answer::Value(shape) => Some(shape),
            Answer::Fallible { ok, .. } => ok.as_ref(),
        };
        let is_bytes = shape.is_some_and(|shape| matches!(shape.kind, Kind::Bytes));
        let is_name = |name: &str| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c);
            (1..=127).contains(&name.len()) && name.chars().all(legal)
        };
        let is_type = media
            .split_once('/')
            .is_some_and(|(top, sub)| is_name(top) && is_name(sub));
        if !is_bytes || !is_type {
            return Err(NotPublishable::Media(media.to_owned()));
        }
        // Clients demand structured content wherever an output schema promises it.
        self.output = None;
        self.media = Some(media.to_ascii_lowercase());
        Ok(self)
    }

    /// The same signature with an input schema that the author wrote. It says more than types can,
    /// for callers; arguments are decoded as before.
    pub fn with_input_schema(mut self, schema: &str) -> Result<Self, NotPublishable> {
        let schema: Value = serde_json::from_str(schema)
            .map_err(|error| NotPublishable::Schema(error.to_string()))?;
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(NotPublishable::Schema(
                "its root must have `\"type\": \"object\"`".to_owned(),
            ));
        }
        for keyword in ["anyOf", "oneOf", "allOf", "not", "if"] {
            if schema.get(keyword).is_some() {
                return Err(NotPublishable::Schema(format!(
                    "its root must not have `{keyword}`, which clients drop"
                )));
            }
        }
        self.input = published(&schema)?;
        Ok(self)
    }

    /// The schema of the arguments.
    pub fn input_schema(&self) -> &Arc<RawValue> {
        &self.input
    }

    /// The schema of the structured content; none when a call returns none.
    pub fn output_schema(&self) -> Option<&Arc<RawValue>> {
        self.output.as_ref()
    }

    /// Decodes the arguments of a call, the raw text of `params.arguments`, into the values of the
    /// parameters, in their order.
    pub fn decode(&self, arguments: Option<&RawValue>) -> Result<Vec<Val>, NotDecoded> {
        decode::arguments(&self.params, arguments)
    }

    /// Encodes what the function returned. Takes the values, so that long texts move.
    pub fn encode(&self, results: Vec<Val>) -> Result<Encoded, NotEncoded> {
        encode::answer(&self.answer, self.media.as_deref(), results)
    }

    /// The arguments that clients repeat in HTTP headers, and what those must say.
    pub fn mirrored(&self, arguments: Option<&RawValue>) -> Vec<Mirrored<'_>> {
        mirror::read(&self.mirrors, &self.params, arguments)
    }

    /// The parameters that callers see, in WIT order.
    pub fn params(&self) -> &Scope<Member> {
        &self.params
    }

    /// What the function returns.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }
}

fn published(schema: &Value) -> Result<Arc<RawValue>, NotPublishable> {
    let text = to_raw_value(schema).map_err(|error| NotPublishable::Schema(error.to_string()))?;
    match text.get().len() {
        size if size > LARGEST => Err(NotPublishable::TooLarge { size }),
        _ => Ok(text.into()),
    }
}

/// A signature of which no schema can be published; the function is not a tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPublishable {
    /// Types are nested too deep.
    #[error("its types are nested more than {DEEPEST} deep")]
    TooDeep,
    /// A schema is too large.
    #[error(
        "its schema takes {size} bytes, and {LARGEST} are the limit: types that use each other are written out each time"
    )]
    TooLarge {
        /// The size of the schema in bytes.
        size: usize,
    },
    /// A parameter has a name that clients refuse.
    #[error(
        "the parameter name `{0}` must have 1 to {LONGEST_NAME} of A–Z, a–z, 0–9, `_`, `.` and `-`: rename it with `@param … as …`"
    )]
    Name(String),
    /// `@header` stands where MCP has no place for it.
    #[error(
        "`@header {0}` stands where it cannot: only on parameters and fields of records, each header once"
    )]
    Header(String),
    /// `@mime` stands where it cannot, or names no media type.
    #[error(
        "`@mime {0}` must be a media type, such as `image/png`, on a function that returns `list<u8>`"
    )]
    Media(String),
    /// The schema that the author wrote cannot be published.
    #[error("its `@schema` cannot be published: {0}")]
    Schema(String),
}

/// Looks through all shapes before schemas are made of them.
#[derive(Default)]
struct Survey {
    headers: HashSet<String>,
}

impl Survey {
    /// `direct` tells whether only properties lead here, which is where headers may stand.
    fn members(
        &mut self,
        members: &Scope<Member>,
        depth: usize,
        direct: bool,
    ) -> Result<(), NotPublishable> {
        members
            .iter()
            .try_for_each(|member| self.shape(&member.shape, depth, direct))
    }

    fn cases(&mut self, cases: &Scope<Case>, depth: usize) -> Result<(), NotPublishable> {
        cases
            .iter()
            .filter_map(|case| case.payload.as_ref())
            .try_for_each(|shape| self.shape(shape, depth, false))
    }

    fn shape(&mut self, shape: &Shape, depth: usize, direct: bool) -> Result<(), NotPublishable> {
        if depth > DEEPEST {
            return Err(NotPublishable::TooDeep);
        }
        if let Some(header) = shape.rules.header()
            && !(direct && self.headers.insert(header.to_ascii_lowercase()))
        {
            return Err(NotPublishable::Header(header.to_owned()));
        }
        let below = depth.saturating_add(1);
        match &shape.kind {
            Kind::Record(fields) => self.members(fields, below, direct),
            Kind::Variant(cases) | Kind::Enum(cases) | Kind::Flags(cases) => {
                self.cases(cases, below)
            }
            // An option of a parameter or field is the property itself.
            Kind::Option(inner) => self.shape(
                inner,
                below,
                direct && !matches!(inner.kind, Kind::Option(_)),
            ),
            Kind::List(item) | Kind::FixedList(item, _) => self.shape(item, below, false),
            Kind::Tuple(shapes) => shapes
                .iter()
                .try_for_each(|shape| self.shape(shape, below, false)),
            Kind::Result { ok, err } => [ok, err]
                .into_iter()
                .flatten()
                .try_for_each(|shape| self.shape(shape, below, false)),
            Kind::Map(key, value) => {
                self.shape(key, below, false)?;
                self.shape(value, below, false)
            }
            Kind::Bool
            | Kind::S8
            | Kind::S16
            | Kind::S32
            | Kind::S64
            | Kind::U8
            | Kind::U16
            | Kind::U32
            | Kind::U64
            | Kind::F32
            | Kind::F64
            | Kind::Char
            | Kind::String
            | Kind::Bytes => Ok(()),
        }
    }
}
