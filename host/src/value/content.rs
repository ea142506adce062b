//! Results that MCP has forms of its own for: content, prompts, documents and completions. Which
//! functions have them follows from their types, those of `wit/`; here are their mirrors.

use serde_json::{Map, Value};
use wasmtime::component::Val;

use super::encode::{NotEncoded, base64, noun, odd};
use super::{Kind, Member, Scope};

/// A result that is more to MCP than a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// `content`, `annotated` of `cloister:mcp/content`, or a list of one of them.
    Content,
    /// `prompt` of `cloister:mcp/prompts`. Its arguments arrive as texts.
    Prompt,
    /// `contents` of `cloister:mcp/resources`. Its arguments arrive as texts.
    Documents,
    /// `list<string>`, what a person may mean who has typed the argument.
    Completions,
}

/// One part of what people and models see.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The part.
    pub part: Part,
    /// How a client should treat it, where that is said.
    pub annotations: Option<Annotations>,
    /// What else a client should know, its `_meta`.
    pub meta: Option<Map<String, Value>>,
}

/// What one part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Plain text, or Markdown.
    Text(String),
    /// A picture.
    Image(Media),
    /// A sound.
    Audio(Media),
    /// A resource to read.
    Link(Link),
    /// A resource that is sent along.
    Embedded(Embedded),
}

/// Bytes with their media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The bytes, in base64 (RFC 4648 §4).
    pub data: String,
    /// The media type.
    pub mime_type: String,
}

/// A resource that the client can read for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The address.
    pub uri: String,
    /// A name for programs.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it is, for the model.
    pub description: Option<String>,
    /// Its media type, where known.
    pub mime_type: Option<String>,
    /// Its size in bytes, where known.
    pub size: Option<u64>,
}

/// A resource that is sent along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// The address.
    pub uri: String,
    /// Its media type, where known.
    pub mime_type: Option<String>,
    /// What it holds.
    pub body: Body,
}

/// What a resource holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Text.
    Text(String),
    /// Bytes, in base64 (RFC 4648 §4).
    Blob(String),
}

/// Who speaks, or who a part is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// How a client should treat a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotations {
    /// Whom it is meant for; nobody named means everybody.
    pub audience: Vec<Role>,
    /// How much it matters, from 0 to 1.
    pub priority: Option<f64>,
    /// When it was last changed.
    pub last_modified: Option<String>,
}

/// One message of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: Block,
}

/// One document that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its address; none is the address that was read.
    pub uri: Option<String>,
    /// Its media type; none is what the resource says.
    pub mime_type: Option<String>,
    /// What it holds.
    pub body: Body,
    /// What else a client should know, its `_meta`.
    pub meta: Option<Map<String, Value>>,
}

impl Native {
    /// Whether a result of this type is one. The name of a type says what it is meant to be; this
    /// says that it is that.
    pub(super) fn fits(self, kind: &Kind) -> bool {
        let (content, annotated) = (content(), annotated());
        let kind = structure(kind);
        match self {
            Self::Content => [&content, &annotated]
                .iter()
                .any(|part| kind == **part || kind == format!("list<{part}>")),
            Self::Prompt => {
                let message = format!("record{{role:{ROLE},content:{content}}}");
                kind == format!("record{{description:option<string>,messages:list<{message}>}}")
            }
            Self::Documents => {
                kind == format!(
                    "record{{documents:list<record{{uri:option<string>,mime-type:option<string>,\
                     body:{BODY},meta:option<string>}}>}}"
                )
            }
            Self::Completions => kind == "list<string>",
        }
    }

    /// The name of the type in the WIT of this host.
    pub(super) fn wit(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Prompt => "prompt",
            Self::Documents => "contents",
            Self::Completions => "list<string>",
        }
    }
}

/// Whether a function with these parameters can complete an argument: it is told what was typed and,
/// if it wants, the arguments that were chosen before.
pub(super) fn can_complete(params: &Scope<Member>) -> bool {
    let kinds: Vec<_> = params
        .iter()
        .map(|param| structure(&param.shape.kind))
        .collect();
    match kinds.as_slice() {
        [typed] => typed == "string",
        [typed, chosen] => typed == "string" && chosen == "list<tuple<string,string>>",
        _ => false,
    }
}

const ROLE: &str = "enum{user,assistant}";
const MEDIA: &str = "record{data:list<u8>,mime-type:string}";
const BODY: &str = "variant{text(string),blob(list<u8>)}";
const LINK: &str = "record{uri:string,name:string,title:option<string>,\
                    description:option<string>,mime-type:option<string>,size:option<u64>}";

fn content() -> String {
    format!(
        "variant{{text(string),image({MEDIA}),audio({MEDIA}),link({LINK}),\
         embedded(record{{uri:string,mime-type:option<string>,body:{BODY}}})}}"
    )
}

fn annotated() -> String {
    let content = content();
    format!(
        "record{{part:{content},annotations:record{{audience:list<{ROLE}>,priority:option<f64>,\
         last-modified:option<string>}},meta:option<string>}}"
    )
}

/// A type written out, with all that is in it. What no native result has in it is only named.
fn structure(kind: &Kind) -> String {
    let all = |items: Vec<String>| items.join(",");
    match kind {
        Kind::List(item) => format!("list<{}>", structure(&item.kind)),
        Kind::Option(inner) => format!("option<{}>", structure(&inner.kind)),
        Kind::Tuple(items) => {
            let items = items.iter().map(|item| structure(&item.kind)).collect();
            format!("tuple<{}>", all(items))
        }
        Kind::Record(fields) => {
            let field = |field: &Member| format!("{}:{}", field.wit, structure(&field.shape.kind));
            format!("record{{{}}}", all(fields.iter().map(field).collect()))
        }
        Kind::Variant(cases) | Kind::Enum(cases) => {
            let cases = cases.iter().map(|case| match &case.payload {
                Some(payload) => format!("{}({})", case.wit, structure(&payload.kind)),
                None => case.wit.clone(),
            });
            format!("{}{{{}}}", kind.wit(), all(cases.collect()))
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
        | Kind::Bytes
        | Kind::FixedList(..)
        | Kind::Flags(_)
        | Kind::Result { .. }
        | Kind::Map(..) => kind.wit().to_owned(),
    }
}

/// Reads `content`, `annotated`, or a list of one of them.
pub(super) fn blocks(value: Val) -> Result<Vec<Block>, NotEncoded> {
    let mut room = LONGEST_META;
    if let Val::List(items) = value {
        let blocks = items.into_iter().map(|item| block(item, &mut room));
        return blocks.collect();
    }
    Ok(vec![block(value, &mut room)?])
}

/// Reads a `prompt`: its description and its messages.
pub(super) fn prompt(value: Val) -> Result<(Option<String>, Vec<Message>), NotEncoded> {
    let [description, messages] = fields(value)?;
    let message = |value| {
        let [role, content] = fields(value)?;
        Ok(Message {
            role: speaker(role)?,
            content: Block {
                part: part(content)?,
                annotations: None,
                meta: None,
            },
        })
    };
    let messages = list(messages)?.into_iter().map(message);
    Ok((
        option(description, text)?,
        messages.collect::<Result<_, _>>()?,
    ))
}

/// How long the `meta` of all documents or parts of one answer may be, in bytes: it is read to a tree, which takes
/// many times more.
const LONGEST_META: usize = 256 << 10;

/// Reads `contents`.
pub(super) fn documents(value: Val) -> Result<Vec<Document>, NotEncoded> {
    let [documents] = fields(value)?;
    let mut room = LONGEST_META;
    let mut object = |value| object(value, &mut room);
    let mut document = |value| {
        let [uri, mime_type, body, meta] = fields(value)?;
        Ok(Document {
            uri: option(uri, text)?,
            mime_type: option(mime_type, text)?,
            body: holding(body)?,
            meta: option(meta, &mut object)?,
        })
    };
    list(documents)?.into_iter().map(&mut document).collect()
}

/// Reads a `list<string>`.
pub(super) fn texts(value: Val) -> Result<Vec<String>, NotEncoded> {
    list(value)?.into_iter().map(text).collect()
}

fn block(value: Val, room: &mut usize) -> Result<Block, NotEncoded> {
    let Val::Record(_) = value else {
        return Ok(Block {
            part: part(value)?,
            annotations: None,
            meta: None,
        });
    };
    let [content, annotations, meta] = fields(value)?;
    let [audience, priority, last_modified] = fields(annotations)?;
    Ok(Block {
        part: part(content)?,
        annotations: Some(Annotations {
            audience: list(audience)?
                .into_iter()
                .map(speaker)
                .collect::<Result<_, _>>()?,
            priority: option(priority, |value| weight(&value))?,
            last_modified: option(last_modified, text)?,
        }),
        meta: option(meta, |meta| object(meta, room))?,
    })
}

fn part(value: Val) -> Result<Part, NotEncoded> {
    let (name, payload) = case(value)?;
    Ok(match &*name {
        "text" => Part::Text(text(payload)?),
        "image" => Part::Image(media(payload)?),
        "audio" => Part::Audio(media(payload)?),
        "link" => {
            let [uri, name, title, description, mime_type, size] = fields(payload)?;
            Part::Link(Link {
                uri: text(uri)?,
                name: text(name)?,
                title: option(title, text)?,
                description: option(description, text)?,
                mime_type: option(mime_type, text)?,
                size: option(size, |value| whole(&value))?,
            })
        }
        "embedded" => {
            let [uri, mime_type, body] = fields(payload)?;
            Part::Embedded(Embedded {
                uri: text(uri)?,
                mime_type: option(mime_type, text)?,
                body: holding(body)?,
            })
        }
        other => return Err(odd("a case of `content`", other)),
    })
}

fn media(value: Val) -> Result<Media, NotEncoded> {
    let [data, mime_type] = fields(value)?;
    Ok(Media {
        data: bytes(data)?,
        mime_type: text(mime_type)?,
    })
}

fn holding(value: Val) -> Result<Body, NotEncoded> {
    let (name, payload) = case(value)?;
    match &*name {
        "text" => Ok(Body::Text(text(payload)?)),
        "blob" => Ok(Body::Blob(bytes(payload)?)),
        other => Err(odd("a case of `body`", other)),
    }
}

fn speaker(value: Val) -> Result<Role, NotEncoded> {
    let Val::Enum(name) = value else {
        return Err(odd("a `role`", noun(&value)));
    };
    match &*name {
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        other => Err(odd("a `role`", other)),
    }
}

fn weight(value: &Val) -> Result<f64, NotEncoded> {
    let Val::Float64(weight) = value else {
        return Err(odd("an `f64`", noun(value)));
    };
    if (0.0..=1.0).contains(weight) {
        Ok(*weight)
    } else {
        Err(NotEncoded::Invalid {
            field: "priority",
            rule: "from 0 to 1",
            got: format!("{weight:?}"),
        })
    }
}

fn whole(value: &Val) -> Result<u64, NotEncoded> {
    let Val::U64(number) = value else {
        return Err(odd("a `u64`", noun(value)));
    };
    Ok(*number)
}

fn object(value: Val, room: &mut usize) -> Result<Map<String, Value>, NotEncoded> {
    let text = text(value)?;
    *room = room
        .checked_sub(text.len())
        .ok_or_else(|| NotEncoded::Invalid {
            field: "meta",
            rule: "at most that",
            got: "more than 256 KiB in all".into(),
        })?;
    let invalid = |got: String| NotEncoded::Invalid {
        field: "meta",
        rule: "a JSON object as text",
        got,
    };
    // Why it is none is told without what is in it, which may be long.
    match serde_json::from_str(&text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(invalid("JSON of another kind".into())),
        Err(cause) => Err(invalid(format!("not JSON ({cause})"))),
    }
}

fn text(value: Val) -> Result<String, NotEncoded> {
    let Val::String(text) = value else {
        return Err(odd("a `string`", noun(&value)));
    };
    Ok(text)
}

/// Reads a `list<u8>`, and writes it in base64.
pub(super) fn bytes(value: Val) -> Result<String, NotEncoded> {
    base64(&list(value)?).ok_or_else(|| odd("a `list<u8>`", "another list"))
}

fn list(value: Val) -> Result<Vec<Val>, NotEncoded> {
    let Val::List(items) = value else {
        return Err(odd("a `list`", noun(&value)));
    };
    Ok(items)
}

fn option<T>(
    value: Val,
    read: impl FnOnce(Val) -> Result<T, NotEncoded>,
) -> Result<Option<T>, NotEncoded> {
    let Val::Option(value) = value else {
        return Err(odd("an `option`", noun(&value)));
    };
    value.map(|value| read(*value)).transpose()
}

fn case(value: Val) -> Result<(String, Val), NotEncoded> {
    let Val::Variant(name, Some(payload)) = value else {
        return Err(odd("a case with a payload", noun(&value)));
    };
    Ok((name, *payload))
}

/// The fields of a record, which come in the order of its type.
fn fields<const N: usize>(value: Val) -> Result<[Val; N], NotEncoded> {
    let Val::Record(fields) = value else {
        return Err(odd("a `record`", noun(&value)));
    };
    let fields: Vec<Val> = fields.into_iter().map(|(_, value)| value).collect();
    <[Val; N]>::try_from(fields).map_err(|_others| odd("a `record` as declared", "another one"))
}

impl Block {
    /// The bytes of its texts.
    pub(super) fn size(&self) -> usize {
        size_of(self.meta.as_ref()).saturating_add(self.size_of_part())
    }

    fn size_of_part(&self) -> usize {
        match &self.part {
            Part::Text(text) => text.len(),
            Part::Image(media) | Part::Audio(media) => all([&media.data, &media.mime_type]),
            Part::Link(link) => {
                let Link {
                    uri,
                    name,
                    title,
                    description,
                    mime_type,
                    size: _,
                } = link;
                all([title, description, mime_type].into_iter().flatten())
                    .saturating_add(all([uri, name]))
            }
            Part::Embedded(Embedded {
                uri,
                mime_type,
                body,
            }) => all([Some(uri), mime_type.as_ref(), Some(body.as_text())]
                .into_iter()
                .flatten()),
        }
    }
}

impl Document {
    /// The bytes of its texts.
    pub(super) fn size(&self) -> usize {
        let texts = [&self.uri, &self.mime_type];
        all(texts.into_iter().flatten())
            .saturating_add(size_of(self.meta.as_ref()))
            .saturating_add(self.body.as_text().len())
    }
}

/// The bytes of a `_meta` as it is written.
fn size_of(meta: Option<&Map<String, Value>>) -> usize {
    meta.and_then(|meta| serde_json::to_string(meta).ok())
        .map_or(0, |meta| meta.len())
}

impl Body {
    /// The text, or the base64 of the bytes.
    fn as_text(&self) -> &String {
        match self {
            Self::Text(text) | Self::Blob(text) => text,
        }
    }
}

fn all<'t>(texts: impl IntoIterator<Item = &'t String>) -> usize {
    texts
        .into_iter()
        .fold(0, |size, text| size.saturating_add(text.len()))
}
