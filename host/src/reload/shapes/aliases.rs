//! What aliases stand for. One can stand for another a hundred thousand times over, and be used as
//! often, so where each one leads is found once.

use std::collections::HashMap;

use wit_parser::{Resolve, Type, TypeDef, TypeDefKind, TypeId};

/// Whose types they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Component,
    /// Of the text of this number.
    Text(usize),
}

/// Where aliases lead.
#[derive(Default)]
pub(super) struct Aliases(HashMap<(Whose, TypeId), Type>);

impl Aliases {
    /// The type that is no alias.
    pub(super) fn end(&mut self, whose: Whose, resolve: &Resolve, ty: Type) -> Type {
        let mut ty = ty;
        let mut passed = Vec::new();
        while let Type::Id(id) = ty {
            if let Some(end) = self.0.get(&(whose, id)) {
                ty = *end;
                break;
            }
            let Some(target) = target(resolve, id) else {
                break;
            };
            passed.push(id);
            ty = target;
        }
        self.0
            .extend(passed.into_iter().map(|id| ((whose, id), ty)));
        ty
    }
}

/// The definitions of the aliases on the way to a type, the nearest first and at most so many.
pub(super) fn nearest(resolve: &Resolve, ty: Type, most: usize) -> Vec<&TypeDef> {
    let mut ty = ty;
    let mut aliases = Vec::new();
    while let Type::Id(id) = ty
        && let Some(target) = target(resolve, id)
        && aliases.len() < most
    {
        aliases.extend(resolve.types.get(id));
        ty = target;
    }
    aliases
}

/// What an alias stands for.
fn target(resolve: &Resolve, id: TypeId) -> Option<Type> {
    match resolve.types.get(id)?.kind {
        TypeDefKind::Type(target) => Some(target),
        TypeDefKind::Record(_)
        | TypeDefKind::Resource
        | TypeDefKind::Handle(_)
        | TypeDefKind::Flags(_)
        | TypeDefKind::Tuple(_)
        | TypeDefKind::Variant(_)
        | TypeDefKind::Enum(_)
        | TypeDefKind::Option(_)
        | TypeDefKind::Result(_)
        | TypeDefKind::List(_)
        | TypeDefKind::Map(..)
        | TypeDefKind::FixedLengthList(..)
        | TypeDefKind::Future(_)
        | TypeDefKind::Stream(_)
        | TypeDefKind::Unknown => None,
    }
}
