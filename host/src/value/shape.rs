//! The shape of a value: its WIT type, with the names, the words and the rules that callers see.

use super::{Rules, Scope};

/// A WIT type as callers meet it. Types are not recursive, so a shape is a finite tree.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What the type is.
    pub kind: Kind,
    /// What the author wrote about it; doc tags are already taken out.
    pub docs: Option<String>,
    /// What must hold beyond the type, checked before a sandbox is made.
    pub rules: Rules,
}

/// The WIT types that can cross. Handles, streams and futures cannot: a function that mentions one
/// is not a tool, except for the caller's own identity, which is no part of a [`Signature`].
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
    List(Box<Shape>),
    /// `list<T, N>`
    FixedList(Box<Shape>, u32),
    /// `tuple<…>`
    Tuple(Vec<Shape>),
    /// `record`
    Record(Scope<Member>),
    /// `variant`
    Variant(Scope<Case>),
    /// `enum`
    Enum(Scope<Case>),
    /// `flags`
    Flags(Scope<Case>),
    /// `option<T>`
    Option(Box<Shape>),
    /// `result<T, E>`, either side possibly empty
    Result {
        /// The payload of `ok`.
        ok: Option<Box<Shape>>,
        /// The payload of `err`.
        err: Option<Box<Shape>>,
    },
    /// `map<K, V>`
    Map(Box<Shape>, Box<Shape>),
}

/// A parameter or a record field.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name in WIT, kebab-case.
    pub wit: String,
    /// The name in JSON.
    pub json: String,
    /// Its type, with the member's own docs and rules.
    pub shape: Shape,
}

/// A case of a variant, an enum or a set of flags.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name in WIT, kebab-case.
    pub wit: String,
    /// The name in JSON.
    pub json: String,
    /// What the author wrote about it.
    pub docs: Option<String>,
    /// The payload; always none for enums and flags.
    pub payload: Option<Shape>,
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
