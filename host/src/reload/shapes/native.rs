//! Types that mean something to this host: the caller's identity, and results that MCP has forms of
//! its own for.

use wit_parser::{Handle, Type, TypeDefKind, TypeOwner};

use super::{Shapes, Whose};
use crate::value::Native;

/// A part of what people and models see.
const CONTENT: (&str, &str) = ("content", "content");

/// A part, with how to treat it.
const ANNOTATED: (&str, &str) = ("content", "annotated");

/// A resource that the host lends: the caller's identity, and whether the parameter is optional.
pub(in crate::reload) struct IdentityType {
    pub(in crate::reload) optional: bool,
}

impl<'a> Shapes<'a> {
    /// Whether a parameter asks for the caller: `borrow<auth-user>` of this host's own package, or
    /// an option of it.
    pub(in crate::reload) fn identity(&mut self, ty: &Type) -> Option<IdentityType> {
        let ty = self.end(*ty);
        let Type::Id(id) = ty else { return None };
        match &self.types.types.get(id)?.kind {
            TypeDefKind::Handle(Handle::Borrow(resource)) => {
                let named = self.of_this_host(&Type::Id(*resource));
                (named == Some(("auth", "auth-user"))).then_some(IdentityType { optional: false })
            }
            TypeDefKind::Option(inner) => self
                .identity(inner)
                .filter(|inner| !inner.optional)
                .map(|_| IdentityType { optional: true }),
            TypeDefKind::Record(_)
            | TypeDefKind::Resource
            | TypeDefKind::Handle(Handle::Own(_))
            | TypeDefKind::Flags(_)
            | TypeDefKind::Tuple(_)
            | TypeDefKind::Variant(_)
            | TypeDefKind::Enum(_)
            | TypeDefKind::Result(_)
            | TypeDefKind::List(_)
            | TypeDefKind::Map(..)
            | TypeDefKind::FixedLengthList(..)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Type(_)
            | TypeDefKind::Unknown => None,
        }
    }

    /// What MCP has a form of its own for, if a result is of a type of this host's own package that
    /// means so. The `ok` of a `result` counts.
    pub(in crate::reload) fn native(&mut self, result: &Type) -> Option<Native> {
        let inner = self.end(*result);
        if let Some(TypeDefKind::Result(sides)) = self.definition(inner) {
            return self.native_value(sides.ok.as_ref()?);
        }
        self.native_value(result)
    }

    fn native_value(&mut self, ty: &Type) -> Option<Native> {
        match self.of_this_host(ty) {
            Some(("prompts", "prompt")) => return Some(Native::Prompt),
            Some(("resources", "contents")) => return Some(Native::Documents),
            Some(CONTENT | ANNOTATED) => return Some(Native::Content),
            Some(_) | None => {}
        }
        let list = self.end(*ty);
        let Some(TypeDefKind::List(item)) = self.definition(list) else {
            return None;
        };
        matches!(self.of_this_host(item), Some(CONTENT | ANNOTATED)).then_some(Native::Content)
    }

    fn end(&mut self, ty: Type) -> Type {
        self.aliases.end(Whose::Component, self.types, ty)
    }

    fn definition(&self, ty: Type) -> Option<&'a TypeDefKind> {
        let Type::Id(id) = ty else { return None };
        self.types.types.get(id).map(|definition| &definition.kind)
    }

    /// The interface and the name of a type that this host's own package defines, in whatever
    /// version, and however it is called here.
    fn of_this_host(&mut self, ty: &Type) -> Option<(&'a str, &'a str)> {
        let Type::Id(id) = self.end(*ty) else {
            return None;
        };
        let definition = self.types.types.get(id)?;
        let TypeOwner::Interface(owner) = definition.owner else {
            return None;
        };
        let interface = self.types.interfaces.get(owner)?;
        let package = self.types.packages.get(interface.package?)?;
        if package.name.namespace != "cloister" || package.name.name != "mcp" {
            return None;
        }
        Some((interface.name.as_deref()?, definition.name.as_deref()?))
    }
}
