//! Whether a text has the types that the component has. Words of other types are about something else.

use std::collections::HashMap;

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId};

use super::aliases::{Aliases, Whose};

/// What was compared. Types that use each other many times over are compared once.
#[derive(Default)]
pub(super) struct Sameness {
    known: HashMap<(usize, TypeId, TypeId), bool>,
    work: u32,
}

/// The most fields and cases of one component that are compared with those of texts.
const MOST_WORK: u32 = 2_000_000;

/// A component's types, and those of the text of this number.
#[derive(Clone, Copy)]
pub(super) struct Both<'a> {
    pub(super) types: &'a Resolve,
    pub(super) text: usize,
    pub(super) words: &'a Resolve,
}

/// One comparison.
struct Comparison<'a> {
    both: Both<'a>,
    aliases: &'a mut Aliases,
    sameness: &'a mut Sameness,
}

impl Sameness {
    /// Whether two functions have the same parameters and the same result.
    pub(super) fn functions(
        &mut self,
        both: Both<'_>,
        aliases: &mut Aliases,
        function: &Function,
        said: &Function,
    ) -> bool {
        let mut comparison = Comparison {
            both,
            aliases,
            sameness: self,
        };
        let params = function.params.iter().zip(&said.params);
        function.params.len() == said.params.len()
            && { params }
                .all(|(one, other)| one.name == other.name && comparison.types(one.ty, other.ty))
            && comparison.maybe(function.result, said.result)
    }

    /// How much was compared.
    pub(super) fn work(&self) -> u32 {
        self.work
    }
}

impl Comparison<'_> {
    fn maybe(&mut self, one: Option<Type>, other: Option<Type>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => self.types(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    fn types(&mut self, one: Type, other: Type) -> bool {
        let Both { types, text, words } = self.both;
        let one = self.aliases.end(Whose::Component, types, one);
        let other = self.aliases.end(Whose::Text(text), words, other);
        let (Type::Id(one), Type::Id(other)) = (one, other) else {
            return one == other;
        };
        if let Some(known) = self.sameness.known.get(&(text, one, other)) {
            return *known;
        }
        let is_same = self.defined(one, other);
        self.sameness.known.insert((text, one, other), is_same);
        is_same
    }

    fn defined(&mut self, one: TypeId, other: TypeId) -> bool {
        let both = self.both;
        let (Some(one), Some(other)) = (both.types.types.get(one), both.words.types.get(other))
        else {
            return false;
        };
        if !self.spend(length(&one.kind)) {
            return false;
        }
        match (&one.kind, &other.kind) {
            (TypeDefKind::Record(one), TypeDefKind::Record(other)) => {
                let fields = one.fields.iter().zip(&other.fields);
                one.fields.len() == other.fields.len() && { fields }
                    .all(|(one, other)| one.name == other.name && self.types(one.ty, other.ty))
            }
            (TypeDefKind::Variant(one), TypeDefKind::Variant(other)) => {
                let cases = one.cases.iter().zip(&other.cases);
                one.cases.len() == other.cases.len() && { cases }
                    .all(|(one, other)| one.name == other.name && self.maybe(one.ty, other.ty))
            }
            (TypeDefKind::Enum(one), TypeDefKind::Enum(other)) => {
                let names = one.cases.iter().map(|case| &case.name);
                names.eq(other.cases.iter().map(|case| &case.name))
            }
            (TypeDefKind::Flags(one), TypeDefKind::Flags(other)) => {
                let names = one.flags.iter().map(|flag| &flag.name);
                names.eq(other.flags.iter().map(|flag| &flag.name))
            }
            (TypeDefKind::Tuple(one), TypeDefKind::Tuple(other)) => {
                let items = one.types.iter().zip(&other.types);
                one.types.len() == other.types.len() && { items }
                    .all(|(one, other)| self.types(*one, *other))
            }
            (TypeDefKind::Option(one), TypeDefKind::Option(other))
            | (TypeDefKind::List(one), TypeDefKind::List(other)) => self.types(*one, *other),
            (
                TypeDefKind::FixedLengthList(one, length),
                TypeDefKind::FixedLengthList(other, other_length),
            ) => length == other_length && self.types(*one, *other),
            (TypeDefKind::Map(key, value), TypeDefKind::Map(other_key, other_value)) => {
                self.types(*key, *other_key) && self.types(*value, *other_value)
            }
            (TypeDefKind::Result(one), TypeDefKind::Result(other)) => {
                self.maybe(one.ok, other.ok) && self.maybe(one.err, other.err)
            }
            (TypeDefKind::Future(one), TypeDefKind::Future(other))
            | (TypeDefKind::Stream(one), TypeDefKind::Stream(other)) => self.maybe(*one, *other),
            (TypeDefKind::Handle(Handle::Own(one)), TypeDefKind::Handle(Handle::Own(other)))
            | (
                TypeDefKind::Handle(Handle::Borrow(one)),
                TypeDefKind::Handle(Handle::Borrow(other)),
            ) => self.resources(*one, *other),
            (TypeDefKind::Resource, TypeDefKind::Resource) => one.name == other.name,
            (
                TypeDefKind::Record(_)
                | TypeDefKind::Variant(_)
                | TypeDefKind::Enum(_)
                | TypeDefKind::Flags(_)
                | TypeDefKind::Tuple(_)
                | TypeDefKind::Option(_)
                | TypeDefKind::List(_)
                | TypeDefKind::FixedLengthList(..)
                | TypeDefKind::Map(..)
                | TypeDefKind::Result(_)
                | TypeDefKind::Future(_)
                | TypeDefKind::Stream(_)
                | TypeDefKind::Handle(_)
                | TypeDefKind::Resource
                | TypeDefKind::Type(_)
                | TypeDefKind::Unknown,
                _,
            ) => false,
        }
    }

    /// Whether two resources have the same name where they are defined.
    fn resources(&mut self, one: TypeId, other: TypeId) -> bool {
        let Both { types, text, words } = self.both;
        let one = self.aliases.end(Whose::Component, types, Type::Id(one));
        let other = self.aliases.end(Whose::Text(text), words, Type::Id(other));
        name(types, one) == name(words, other)
    }

    /// Counts what is compared; false when it is too much, and nothing more is the same.
    fn spend(&mut self, work: usize) -> bool {
        let work = u32::try_from(work).unwrap_or(u32::MAX);
        self.sameness.work = self.sameness.work.saturating_add(work);
        self.sameness.work <= MOST_WORK
    }
}

fn name(resolve: &Resolve, ty: Type) -> Option<&str> {
    let Type::Id(id) = ty else { return None };
    resolve.types.get(id)?.name.as_deref()
}

/// How many parts a type has.
fn length(kind: &TypeDefKind) -> usize {
    let parts = match kind {
        TypeDefKind::Record(record) => record.fields.len(),
        TypeDefKind::Variant(variant) => variant.cases.len(),
        TypeDefKind::Enum(names) => names.cases.len(),
        TypeDefKind::Flags(flags) => flags.flags.len(),
        TypeDefKind::Tuple(tuple) => tuple.types.len(),
        TypeDefKind::Option(_)
        | TypeDefKind::List(_)
        | TypeDefKind::FixedLengthList(..)
        | TypeDefKind::Map(..)
        | TypeDefKind::Result(_)
        | TypeDefKind::Future(_)
        | TypeDefKind::Stream(_)
        | TypeDefKind::Handle(_)
        | TypeDefKind::Resource
        | TypeDefKind::Type(_)
        | TypeDefKind::Unknown => 0,
    };
    parts.saturating_add(1)
}
