//! Signatures: what a function takes and gives, with everything about it worked out at load.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use wasmtime::component::Val;

use super::encode::{self, Encoded, NotEncoded};
use super::mirror::{self, Found, Mirror, Mirrored};
use super::mistakes::NotDecoded;
use super::names::{is_key, is_label};
use super::{
    Answer, Case, Kind, LONGEST_NAME, Member, Named, Native, Scope, Shape, authored, content,
    decode, schema,
};

/// What a function takes and gives, made once when its component is loaded.
#[derive(Clone, Debug)]
pub struct Signature {
    params: Scope<Member>,
    answer: Answer,
    mirrors: Vec<Mirror>,
    misplaced: Vec<String>,
    input: Arc<RawValue>,
    output: Option<Arc<RawValue>>,
    form: Form,
}

/// What a result is sent as.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// A value that keeps to the output schema.
    Value,
    /// Content of this media type.
    Media(String),
    /// What MCP has a form of its own for.
    Native(Native),
}

/// How deep types may be nested. Types in use are nested three or four deep; readers of JSON stop
/// at 128 levels, and a level of a type takes up to four in its schema.
const DEEPEST: usize = 24;

/// How large a schema may be, in bytes. Clients hand every schema to a model, which reads a few
/// thousand characters of it well; a shape that is larger grew out of types that use each other many
/// times over.
const LARGEST: usize = 256 << 10;

impl Signature {
    /// Makes the signature of a function whose callers give `params`, in WIT order, and get
    /// `answer`. The caller's identity is not among the parameters.
    pub fn new(params: Scope<Member>, answer: Answer) -> Result<Self, NotPublishable> {
        let mut given = Survey::default();
        for param in &params {
            if !is_key(&param.json) {
                return Err(NotPublishable::Parameter(param.json.clone()));
            }
        }
        given.members(&params, 1)?;
        let mut gotten = Survey::default();
        let sides = match &answer {
            Answer::Nothing => [None, None],
            Answer::Value(shape) => [Some(shape), None],
            Answer::Fallible { ok, err } => [ok.as_ref(), err.as_ref()],
        };
        for shape in sides.into_iter().flatten() {
            gotten.shape(shape, 1)?;
        }
        let Found { mirrors, misplaced } = Found::of(&params);
        let input = published(&schema::input(&params, &mirrors))?;
        let output = schema::output(&answer)
            .map(|schema| published(&schema))
            .transpose()?;
        Ok(Self {
            params,
            answer,
            mirrors,
            misplaced,
            input,
            output,
            form: Form::Value,
        })
    }

    /// The same signature with a result that is content of this media type (RFC 6838), such as
    /// `image/png`, rather than a value. The function must return bytes.
    pub fn with_media(mut self, media: &str) -> Result<Self, NotPublishable> {
        let is_bytes = matches!(self.success(), Some(Kind::Bytes));
        if !is_bytes || media.contains(';') || !is_media_type(media) {
            return Err(NotPublishable::Media(media.to_owned()));
        }
        // Clients demand structured content wherever an output schema promises it.
        self.output = None;
        self.form = Form::Media(media.to_ascii_lowercase());
        Ok(self)
    }

    /// The same signature with a result that MCP has a form of its own for. The types must be those
    /// of this host's WIT, and the arguments such as its clients can give.
    pub fn with_native(mut self, native: Native) -> Result<Self, NotPublishable> {
        if !self.success().is_some_and(|kind| native.fits(kind)) {
            return Err(NotPublishable::Native(native.wit()));
        }
        match native {
            Native::Prompt => {
                for param in &self.params {
                    let mut kind = &param.shape.kind;
                    if let Kind::Option(inner) = kind {
                        kind = &inner.kind;
                    }
                    if !kind.is_textual() {
                        return Err(NotPublishable::Argument {
                            name: param.wit.clone(),
                            kind: param.shape.kind.wit(),
                        });
                    }
                }
            }
            Native::Completions if !content::can_complete(&self.params) => {
                return Err(NotPublishable::Completer);
            }
            Native::Content | Native::Documents | Native::Completions => {}
        }
        self.output = None;
        self.form = Form::Native(native);
        Ok(self)
    }

    /// The type of a result that is no failure.
    fn success(&self) -> Option<&Kind> {
        match &self.answer {
            Answer::Nothing => None,
            Answer::Value(shape) => Some(&shape.kind),
            Answer::Fallible { ok, .. } => ok.as_ref().map(|shape| &shape.kind),
        }
    }

    /// The same signature with an input schema that the author wrote. It says more than types can,
    /// for callers; arguments are decoded as before.
    pub fn with_input_schema(mut self, schema: &str) -> Result<Self, NotPublishable> {
        let schema = authored::read(schema, &self.params).map_err(NotPublishable::Schema)?;
        if !self.mirrors.is_empty() {
            return Err(NotPublishable::Schema(
                "it says nothing of `@header`; leave one of them out".to_owned(),
            ));
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

    /// The media type of a result that is content rather than a value.
    pub fn media(&self) -> Option<&str> {
        match &self.form {
            Form::Media(media) => Some(media),
            Form::Value | Form::Native(_) => None,
        }
    }

    /// What stands at the root of the input schema and makes some clients drop the function; only
    /// an author's own schema has it.
    pub fn unpopular_keyword(&self) -> Option<&'static str> {
        let schema: Value = serde_json::from_str(self.input.get()).ok()?;
        ["anyOf", "oneOf", "allOf", "not", "if"]
            .into_iter()
            .find(|keyword| schema.get(keyword).is_some())
    }

    /// Decodes the arguments of a call, the raw text of `params.arguments`, into the values of the
    /// parameters, in their order. The arguments of prompts are texts, whatever the parameters are.
    pub fn decode(&self, arguments: Option<&RawValue>) -> Result<Vec<Val>, NotDecoded> {
        let are_texts = matches!(self.form, Form::Native(Native::Prompt));
        decode::arguments(&self.params, arguments, are_texts)
    }

    /// Decodes arguments that came as texts, one for each parameter, in their order.
    pub fn decode_texts(&self, texts: &[String]) -> Result<Vec<Val>, NotDecoded> {
        decode::texts(&self.params, texts)
    }

    /// The arguments of a function that completes: what was typed, and the arguments that were
    /// chosen before, by their names.
    pub fn completing(&self, typed: &str, chosen: &[(String, String)]) -> Vec<Val> {
        let text = |text: &str| Val::String(text.to_owned());
        let chosen = chosen
            .iter()
            .map(|(name, value)| Val::Tuple(vec![text(name), text(value)]));
        [text(typed), Val::List(chosen.collect())]
            .into_iter()
            .take(self.params.len())
            .collect()
    }

    /// Encodes what the function returned, as at most so many bytes. Takes the values, so that long
    /// texts move.
    pub fn encode(&self, results: Vec<Val>, limit: usize) -> Result<Encoded, NotEncoded> {
        encode::answer(&self.answer, &self.form, results, limit)
    }

    /// The headers that were asked for with `@header` where none can be: only parameters and fields
    /// of records that lead there have them, each header once.
    pub fn misplaced_headers(&self) -> &[String] {
        &self.misplaced
    }

    /// How many bytes its schemas take.
    pub fn size(&self) -> usize {
        let output = self.output.as_ref().map_or(0, |schema| schema.get().len());
        self.input.get().len().saturating_add(output)
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

/// Whether a text is a media type (RFC 6838), with or without parameters.
pub fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c);
        (1..=127).contains(&name.len()) && name.chars().all(legal)
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    essence
        .trim_end()
        .split_once('/')
        .is_some_and(|(top, sub)| is_name(top) && is_name(sub))
        && parameters.chars().all(|c| c == ' ' || c.is_ascii_graphic())
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
    Parameter(String),
    /// A field has a name that clients refuse.
    #[error(
        "the name of the field `{0}` must have 1 to {LONGEST_NAME} of A–Z, a–z, 0–9, `_`, `.` and `-`: rename it with `@name`"
    )]
    Field(String),
    /// A case has a name that clients refuse.
    #[error(
        "the name of the case `{0}` must have 1 to {LONGEST_NAME} characters: rename it with `@name`"
    )]
    Case(String),
    /// `@mime` stands where it cannot, or names no media type.
    #[error(
        "`@mime {0}` must be a media type, such as `image/png`, on a function that returns `list<u8>`"
    )]
    Media(String),
    /// A result that is called like one of this host's types and is another.
    #[error("its result is not the `{0}` of this host: build it with the WIT that the host has")]
    Native(&'static str),
    /// A parameter that no prompt can ask for.
    #[error(
        "its parameter `{name}` is a `{kind}`; a prompt asks for texts, numbers, `bool` and enums, or an `option` of one"
    )]
    Argument {
        /// The name of the parameter in WIT.
        name: String,
        /// Its type.
        kind: &'static str,
    },
    /// A function that cannot complete an argument.
    #[error(
        "what `@completes` an argument takes `value: string`, and `context: list<tuple<string, string>>` if it wants, and returns `list<string>`"
    )]
    Completer,
    /// The schema that the author wrote cannot be published.
    #[error("its `@schema` cannot be published: {0}")]
    Schema(String),
}

/// How many bytes the schema of a type takes at the very least, the share of an option included.
const SMALLEST: usize = 8;

/// Looks through all shapes before a schema is made of them.
#[derive(Default)]
struct Survey {
    /// About how many bytes of words and names the schema would have. The rest of it is no more than
    /// some hundred bytes for each part of a type.
    size: usize,
}

impl Survey {
    fn members(&mut self, members: &Scope<Member>, depth: usize) -> Result<(), NotPublishable> {
        for member in members {
            if !is_key(&member.json) {
                return Err(NotPublishable::Field(member.wit().to_owned()));
            }
            self.take(member.json.len())?;
            self.shape(&member.shape, depth)?;
        }
        Ok(())
    }

    fn cases(&mut self, cases: &Scope<Case>, depth: usize) -> Result<(), NotPublishable> {
        for case in cases {
            if !is_label(&case.json) {
                return Err(NotPublishable::Case(case.wit().to_owned()));
            }
            self.take(case.json.len())?;
            self.take(case.docs.as_ref().map_or(0, |docs| docs.len()))?;
            if let Some(payload) = &case.payload {
                self.shape(payload, depth)?;
            }
        }
        Ok(())
    }

    /// Counts what a schema would have. What cannot fit is not written first to find that out; what
    /// may fit is measured when it is written.
    fn take(&mut self, bytes: usize) -> Result<(), NotPublishable> {
        self.size = self.size.saturating_add(bytes);
        if self.size > LARGEST * 2 {
            return Err(NotPublishable::TooLarge { size: self.size });
        }
        Ok(())
    }

    fn shape(&mut self, shape: &Shape, depth: usize) -> Result<(), NotPublishable> {
        if depth > DEEPEST {
            return Err(NotPublishable::TooDeep);
        }
        self.take(SMALLEST)?;
        self.take(shape.docs.as_ref().map_or(0, |docs| docs.len()))?;
        self.take(shape.rules.size())?;
        let below = depth.saturating_add(1);
        match &shape.kind {
            Kind::Record(fields) => self.members(fields, below),
            Kind::Variant(cases) | Kind::Enum(cases) | Kind::Flags(cases) => {
                self.cases(cases, below)
            }
            Kind::Option(inner) | Kind::List(inner) | Kind::FixedList(inner, _) => {
                self.shape(inner, below)
            }
            Kind::Tuple(shapes) => shapes.iter().try_for_each(|shape| self.shape(shape, below)),
            Kind::Result { ok, err } => [ok, err]
                .into_iter()
                .flatten()
                .try_for_each(|shape| self.shape(shape, below)),
            Kind::Map(key, value) => {
                self.shape(key, below)?;
                self.shape(value, below)
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
