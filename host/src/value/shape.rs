//! The shape of a value: its WIT type, with the names, the words and the rules that callers see.

use std::sync::Arc;

use super::{Named, Rules, Scope};

/// A WIT type as callers meet it. Types are not recursive, so a shape is a finite tree. What is inside
/// is shared: a type that is used a thousand times is kept once, and a copy of a shape costs nothing.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What the type is.
    pub kind: Kind,
    /// What the author wrote about it; doc tags are already taken out.
    pub docs: Option<Arc<str>>,
    /// What must hold beyond the type, checked before a sandbox is made.
    pub rules: Rules,
}

impl From<Kind> for Shape {
    /// A shape of which nothing is said but its type.
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            docs: None,
            rules: Rules::default(),
        }
    }
}

impl Shape {
    /// An option of this shape. What is asked of its value is then asked of the option, where the rules
    /// of a parameter or field are looked for.
    #[must_use]
    pub fn optional(mut self) -> Self {
        let rules = std::mem::take(&mut self.rules).within_option(&self.kind);
        Self {
            kind: Kind::Option(Arc::new(self)),
            docs: None,
            rules,
        }
    }
}

/// The WIT types that can cross. Handles, streams and futures cannot: a function that mentions one
/// is not a tool, except for the caller's own identity, which is no part of a
/// [`Signature`](super::Signature).
#[derive(Clone, Debug)]
pub enum Kind {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `s16`
    S16,
    /// `s32`
    S32,
    /// `s64`
    S64,
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// `string`
    String,
    /// `list<u8>`
    Bytes,
    /// `list<T>`
    List(Arc<Shape>),
    /// `list<T, N>`
    FixedList(Arc<Shape>, u32),
    /// `tuple<…>`
    Tuple(Arc<[Shape]>),
    /// `record`
    Record(Arc<Scope<Member>>),
    /// `variant`
    Variant(Arc<Scope<Case>>),
    /// `enum`
    Enum(Arc<Scope<Case>>),
    /// `flags`
    Flags(Arc<Scope<Case>>),
    /// `option<T>`. Rules stand on the outermost option, and [`Shape::optional`] sees to that.
    Option(Arc<Shape>),
    /// `result<T, E>`, either side possibly empty
    Result {
        /// The payload of `ok`.
        ok: Option<Arc<Shape>>,
        /// The payload of `err`.
        err: Option<Arc<Shape>>,
    },
    /// `map<K, V>`
    Map(Arc<Shape>, Arc<Shape>),
}

impl Kind {
    /// The name of the type in WIT, without what is inside it.
    pub fn wit(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::S8 => "s8",
            Self::S16 => "s16",
            Self::S32 => "s32",
            Self::S64 => "s64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "string",
            Self::Bytes => "list<u8>",
            Self::List(_) | Self::FixedList(..) => "list",
            Self::Tuple(_) => "tuple",
            Self::Record(_) => "record",
            Self::Variant(_) => "variant",
            Self::Enum(_) => "enum",
            Self::Flags(_) => "flags",
            Self::Option(_) => "option",
            Self::Result { .. } => "result",
            Self::Map(..) => "map",
        }
    }

    /// The least and the greatest value of an integer type.
    pub(super) fn range(&self) -> Option<(i128, i128)> {
        Some(match self {
            Self::S8 => (i8::MIN.into(), i8::MAX.into()),
            Self::S16 => (i16::MIN.into(), i16::MAX.into()),
            Self::S32 => (i32::MIN.into(), i32::MAX.into()),
            Self::S64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U8 => (u8::MIN.into(), u8::MAX.into()),
            Self::U16 => (u16::MIN.into(), u16::MAX.into()),
            Self::U32 => (u32::MIN.into(), u32::MAX.into()),
            Self::U64 => (u64::MIN.into(), u64::MAX.into()),
            Self::Bool
            | Self::F32
            | Self::F64
            | Self::Char
            | Self::String
            | Self::Bytes
            | Self::List(_)
            | Self::FixedList(..)
            | Self::Tuple(_)
            | Self::Record(_)
            | Self::Variant(_)
            | Self::Enum(_)
            | Self::Flags(_)
            | Self::Option(_)
            | Self::Result { .. }
            | Self::Map(..) => return None,
        })
    }

    /// Whether a value of this type is written as one piece of text that needs no syntax.
    pub fn is_textual(&self) -> bool {
        match self {
            Self::Bool
            | Self::S8
            | Self::S16
            | Self::S32
            | Self::S64
            | Self::U8
            | Self::U16
            | Self::U32
            | Self::U64
            | Self::F32
            | Self::F64
            | Self::Char
            | Self::String
            | Self::Enum(_) => true,
            Self::Bytes
            | Self::List(_)
            | Self::FixedList(..)
            | Self::Tuple(_)
            | Self::Record(_)
            | Self::Variant(_)
            | Self::Flags(_)
            | Self::Option(_)
            | Self::Result { .. }
            | Self::Map(..) => false,
        }
    }

    /// The type itself, or what is inside an option, however deep.
    pub fn beneath_options(&self) -> &Self {
        let mut kind = self;
        while let Self::Option(inner) = kind {
            kind = &inner.kind;
        }
        kind
    }
}

/// A parameter or a record field.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name in WIT, kebab-case, exactly as the component has it.
    pub wit: String,
    /// The name in JSON.
    pub json: String,
    /// Its type, with the member's own docs and rules.
    pub shape: Shape,
}

impl Member {
    /// Whether callers must give it.
    pub fn is_required(&self) -> bool {
        !matches!(self.shape.kind, Kind::Option(_)) && self.shape.rules.fallback().is_none()
    }

    /// What the author wrote about it, or about what is in its option.
    pub fn docs(&self) -> Option<&str> {
        let inner = if let Kind::Option(inner) = &self.shape.kind {
            inner.docs.as_deref()
        } else {
            None
        };
        self.shape.docs.as_deref().or(inner)
    }
}

impl Named for Member {
    fn wit(&self) -> &str {
        &self.wit
    }
    fn json(&self) -> &str {
        &self.json
    }
}

/// A case of a variant, an enum or a set of flags.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name in WIT, kebab-case, exactly as the component has it.
    pub wit: String,
    /// The name in JSON.
    pub json: String,
    /// What the author wrote about it.
    pub docs: Option<Arc<str>>,
    /// The payload; always none for enums and flags.
    pub payload: Option<Shape>,
}

impl Named for Case {
    fn wit(&self) -> &str {
        &self.wit
    }
    fn json(&self) -> &str {
        &self.json
    }
}

impl Scope<Case> {
    /// Whether no case has a payload, so that a name alone says everything.
    pub(super) fn is_plain(&self) -> bool {
        self.iter().all(|case| case.payload.is_none())
    }
}

/// What a function returns.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing.
    Nothing,
    /// A value.
    Value(Shape),
    /// `result<ok, err>` as the function's whole result: an `err` is a failed call.
    Fallible {
        /// The payload of `ok`.
        ok: Option<Shape>,
        /// The payload of `err`.
        err: Option<Shape>,
    },
}
