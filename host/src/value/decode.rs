//! JSON → component values: liberal where the meaning is plain, strict where it is not, and all
//! mistakes at once.

mod choice;
mod scalar;
mod sequence;

pub(super) use self::scalar::{EXACT, read};

use std::borrow::Cow;

use serde_json::value::RawValue;
use wasmtime::component::Val;

use super::json::Json;
use super::mistakes::{Mistakes, NotDecoded};
use super::pointer::Pointer;
use super::words;
use super::{Kind, Member, Scope, Shape};

/// Decodes the arguments of a call, in the order of the parameters. Missing arguments and `null`
/// count as none given. Where callers can send nothing but texts, a `bool` may be one.
pub(super) fn arguments(
    params: &Scope<Member>,
    arguments: Option<&RawValue>,
    are_texts: bool,
) -> Result<Vec<Val>, NotDecoded> {
    let given = match arguments {
        None => Vec::new(),
        Some(text) => match Json::parse(text.get()) {
            Ok(Json::Null) => Vec::new(),
            Ok(Json::Object(given)) => given,
            Ok(Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => {
                return Err(NotDecoded::NotAnObject);
            }
            Err(invalid) => return Err(NotDecoded::Syntax(invalid.to_string())),
        },
    };
    Decoder::new(are_texts).arguments(params, given)
}

/// Decodes arguments that came as texts, one for each parameter, in their order.
pub(super) fn texts(params: &Scope<Member>, texts: &[String]) -> Result<Vec<Val>, NotDecoded> {
    let given = params.iter().zip(texts).map(|(param, text)| {
        (
            Cow::from(param.json.as_str()),
            Json::String(Cow::from(text.as_str())),
        )
    });
    Decoder::new(true).arguments(params, given.collect())
}

/// Decodes one value that stands alone, such as a default in a doc tag, and tells how much memory
/// it takes of the `room` that it may.
pub(super) fn value(
    shape: &Shape,
    json: Json<'_>,
    room: usize,
) -> Result<(Val, usize), NotDecoded> {
    let mut decoder = Decoder {
        room,
        most: room,
        ..Decoder::new(false)
    };
    let value = decoder.value(shape, json, &Pointer::Root);
    let taken = room.saturating_sub(decoder.room);
    decoder.finish(value.map(|value| (value, taken)))
}

/// How much memory the values of one call may take. A component value is many times larger than
/// its JSON (a byte of `list<u8>` takes 40), and `{}` can stand for a record of a hundred absent
/// fields: without a limit of its own, a small request could fill the host.
const ROOM: usize = 128 << 20;

/// An object as the caller wrote it.
type Object<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// Walks a shape and a document together.
struct Decoder {
    mistakes: Mistakes,
    /// Whether texts are all that callers can send.
    are_texts: bool,
    /// How much memory values may take, and how much of it is left.
    most: usize,
    room: usize,
    is_full: bool,
}

impl Decoder {
    fn new(are_texts: bool) -> Self {
        Self {
            mistakes: Mistakes::default(),
            are_texts,
            most: ROOM,
            room: ROOM,
            is_full: false,
        }
    }

    /// What was decoded, if nothing at all was wrong.
    fn finish<T>(self, decoded: Option<T>) -> Result<T, NotDecoded> {
        match decoded {
            Some(decoded) if self.mistakes.is_empty() => Ok(decoded),
            Some(_) | None => Err(NotDecoded::Mistakes(self.mistakes.into_list())),
        }
    }

    fn arguments(
        mut self,
        params: &Scope<Member>,
        given: Object<'_>,
    ) -> Result<Vec<Val>, NotDecoded> {
        let members = self.members(params, given, &Pointer::Root, "parameter");
        self.finish(members.map(|members| members.into_iter().map(|(_, value)| value).collect()))
    }

    /// Decodes a value. None means that a mistake has been noted.
    fn value(&mut self, shape: &Shape, json: Json<'_>, at: &Pointer<'_>) -> Option<Val> {
        self.take_room(size_of::<Val>(), at)?;
        let value = match &shape.kind {
            Kind::Bool => self.bool(shape, &json, at),
            Kind::S8 => self.integer(shape, &json, at, Val::S8),
            Kind::S16 => self.integer(shape, &json, at, Val::S16),
            Kind::S32 => self.integer(shape, &json, at, Val::S32),
            Kind::S64 => self.integer(shape, &json, at, Val::S64),
            Kind::U8 => self.integer(shape, &json, at, Val::U8),
            Kind::U16 => self.integer(shape, &json, at, Val::U16),
            Kind::U32 => self.integer(shape, &json, at, Val::U32),
            Kind::U64 => self.integer(shape, &json, at, Val::U64),
            Kind::F32 => self.float32(shape, &json, at),
            Kind::F64 => self.float64(shape, &json, at),
            Kind::Char => self.char(shape, &json, at),
            Kind::String => self.string(shape, json, at),
            Kind::Bytes => self.bytes(shape, json, at),
            Kind::List(item) => self.list(shape, item, None, json, at).map(Val::List),
            Kind::FixedList(item, length) => self
                .list(shape, item, Some(*length), json, at)
                .map(Val::FixedLengthList),
            Kind::Tuple(shapes) => self.tuple(shape, shapes, json, at),
            Kind::Record(fields) => self.record(shape, fields, json, at),
            Kind::Variant(cases) => self.variant(shape, cases, json, at),
            Kind::Enum(cases) => self.enumeration(shape, cases, &json, at),
            Kind::Flags(flags) => self.flags(shape, flags, json, at),
            Kind::Option(inner) => self.option(shape, inner, json, at),
            Kind::Result { ok, err } => self.result(shape, ok.as_deref(), err.as_deref(), json, at),
            Kind::Map(key, value) => self.map(shape, key, value, json, at),
        }?;
        let mut kept = true;
        shape.rules.check(&value, &mut |problem| {
            kept = false;
            self.mistakes.add(at, || problem);
        });
        kept.then_some(value)
    }

    fn record(
        &mut self,
        shape: &Shape,
        fields: &Scope<Member>,
        json: Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        if let Json::Object(given) = json {
            self.members(fields, given, at, "field").map(Val::Record)
        } else {
            self.unexpected(shape, &json, at)
        }
    }

    /// Decodes parameters or fields by name: every one at most once, none unknown, none missing.
    fn members(
        &mut self,
        scope: &Scope<Member>,
        given: Object<'_>,
        at: &Pointer<'_>,
        what: &str,
    ) -> Option<Vec<(String, Val)>> {
        let mut slots: Vec<Option<(Cow<'_, str>, Json<'_>)>> = Vec::new();
        slots.resize_with(scope.len(), || None);
        let mut sound = true;
        for (key, json) in given {
            let Some(slot) = scope.position(&key).and_then(|index| slots.get_mut(index)) else {
                sound = false;
                self.mistakes
                    .add(&at.key(&key), || unknown(scope, &key, what));
                continue;
            };
            if let Some((first, _)) = slot {
                sound = false;
                self.mistakes
                    .add(&at.key(&key), || given_twice(first, &key));
            } else {
                *slot = Some((key, json));
            }
        }

        let mut members = Vec::with_capacity(scope.len());
        for (member, slot) in scope.iter().zip(slots) {
            self.take_room(
                size_of::<(String, Val)>().saturating_add(member.wit.len()),
                at,
            )?;
            match self.member(member, slot, at) {
                Some(value) => members.push((member.wit.clone(), value)),
                None => sound = false,
            }
        }
        sound.then_some(members)
    }

    /// Decodes one parameter or field. `null` means the same as leaving it out.
    fn member(
        &mut self,
        member: &Member,
        given: Option<(Cow<'_, str>, Json<'_>)>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        let null = match given {
            Some((key, Json::Null)) => Some(key),
            Some((key, json)) => return self.value(&member.shape, json, &at.key(&key)),
            None => None,
        };
        if let Some(default) = member.shape.rules.fallback() {
            self.take_room(default.room, at)?;
            return Some(default.value.clone());
        }
        if let Kind::Option(_) = member.shape.kind {
            return Some(Val::Option(None));
        }
        if let Some(key) = null {
            return self.unexpected(&member.shape, &Json::Null, &at.key(&key));
        }
        self.refuse(&at.key(&member.json), || {
            format!("missing; expected {}", words::expected(&member.shape))
        })
    }

    /// Notes that a value is not of the kind its shape asks for.
    fn unexpected<T>(&mut self, shape: &Shape, json: &Json<'_>, at: &Pointer<'_>) -> Option<T> {
        self.unexpected_because(shape, json, at, hint(shape, json))
    }

    fn unexpected_because<T>(
        &mut self,
        shape: &Shape,
        json: &Json<'_>,
        at: &Pointer<'_>,
        hint: &str,
    ) -> Option<T> {
        self.mistakes.add(at, || {
            format!(
                "expected {}; got {}{hint}",
                words::expected(shape),
                words::got(json)
            )
        });
        None
    }

    /// Notes a mistake in words of its own.
    fn refuse<T>(&mut self, at: &Pointer<'_>, problem: impl FnOnce() -> String) -> Option<T> {
        self.mistakes.add(at, problem);
        None
    }

    /// Counts memory that a value is about to take.
    fn take_room(&mut self, bytes: usize, at: &Pointer<'_>) -> Option<()> {
        if let Some(left) = self.room.checked_sub(bytes) {
            self.room = left;
            return Some(());
        }
        // Noted once: whatever follows has no room either, but is not what is wrong.
        self.room = 0;
        let most = self.most;
        if !std::mem::replace(&mut self.is_full, true) {
            self.mistakes.add(at, || {
                format!(
                    "the values take more than {} KiB of memory; send less",
                    most >> 10
                )
            });
        }
        None
    }
}

fn unknown(scope: &Scope<Member>, key: &str, what: &str) -> String {
    let proposal = words::proposal(scope, key);
    if !proposal.is_empty() {
        format!("unknown {what}{proposal}")
    } else if scope.is_empty() {
        format!("unknown {what}; there are none")
    } else {
        format!("unknown {what}; expected {}", words::all_of(scope))
    }
}

fn given_twice(first: &str, second: &str) -> String {
    if first == second {
        "given twice".to_owned()
    } else {
        format!("given twice, here and as {}", words::quoted(first))
    }
}

/// What models do in place of what they mean, and how to say it right.
fn hint(shape: &Shape, json: &Json<'_>) -> &'static str {
    match (&shape.kind, json) {
        (Kind::Option(inner), json) => hint(inner, json),
        (Kind::Bool, Json::String(text)) if matches!(&**text, "true" | "false") => {
            " (send it without quotes)"
        }
        (Kind::String | Kind::Char, Json::Number(_) | Json::Bool(_)) => " (send it in quotes)",
        (
            Kind::List(_)
            | Kind::FixedList(..)
            | Kind::Tuple(_)
            | Kind::Record(_)
            | Kind::Variant(_)
            | Kind::Result { .. }
            | Kind::Map(..),
            Json::String(text),
        ) if text.starts_with(['[', '{']) => " (send the value itself, not its JSON as text)",
        (
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
            | Kind::List(_)
            | Kind::FixedList(..)
            | Kind::Tuple(_)
            | Kind::Record(_)
            | Kind::Variant(_)
            | Kind::Enum(_)
            | Kind::Flags(_)
            | Kind::Result { .. }
            | Kind::Map(..),
            _,
        ) => "",
    }
}
