//! From WIT types to shapes: types come from the component, words from the text, side by side.

use wit_parser::{Docs, Handle, Resolve, Type, TypeDef, TypeDefKind, TypeOwner};

use super::tags::{Doc, is_rule};
use crate::value::{Case, Kind, Member, NameCase, Named, Native, Rules, Scope, Shape};

/// The most types that one function may be made of, each counted as often as it is used.
const MOST_TYPES: u32 = 8_000;

/// A part of what people and models see.
const CONTENT: (&str, &str) = ("content", "content");

/// A part, with how to treat it.
const ANNOTATED: (&str, &str) = ("content", "annotated");

/// Reads the types of one function. What it notices on the way stays with it.
pub(super) struct Shapes<'a> {
    /// The component's types.
    types: &'a Resolve,
    /// The text's types.
    words: Option<&'a Resolve>,
    case: NameCase,
    /// How many more types may be looked at. Types that use each other twice at every level double in
    /// size with each, so depth alone is no bound.
    budget: u32,
    /// Whether the text describes other types than the component has.
    pub(super) mismatch: bool,
    /// What is wrong with tags on types, fields and cases.
    pub(super) mistakes: Vec<String>,
}

/// Why a function cannot be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct CannotCross(pub(super) String);

/// A resource that the host lends: the caller's identity, and whether the parameter is optional.
pub(super) struct IdentityType {
    pub(super) optional: bool,
}

impl<'a> Shapes<'a> {
    pub(super) fn new(types: &'a Resolve, words: Option<&'a Resolve>, case: NameCase) -> Self {
        Self {
            types,
            words,
            case,
            budget: MOST_TYPES,
            mismatch: false,
            mistakes: Vec::new(),
        }
    }

    /// Whether a parameter asks for the caller: `borrow<auth-user>` of this host's own package, or
    /// an option of it.
    pub(super) fn identity(&self, ty: &Type) -> Option<IdentityType> {
        let (ty, _) = follow(self.types, ty);
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
    pub(super) fn native(&self, result: &Type) -> Option<Native> {
        let (inner, _) = follow(self.types, result);
        if let Some(TypeDefKind::Result(sides)) = self.definition(&inner) {
            return self.native_value(sides.ok.as_ref()?);
        }
        self.native_value(result)
    }

    fn native_value(&self, ty: &Type) -> Option<Native> {
        match self.of_this_host(ty) {
            Some(("prompts", "prompt")) => return Some(Native::Prompt),
            Some(("resources", "contents")) => return Some(Native::Documents),
            Some(CONTENT | ANNOTATED) => return Some(Native::Content),
            Some(_) | None => {}
        }
        let (list, _) = follow(self.types, ty);
        let Some(TypeDefKind::List(item)) = self.definition(&list) else {
            return None;
        };
        matches!(self.of_this_host(item), Some(CONTENT | ANNOTATED)).then_some(Native::Content)
    }

    fn definition(&self, ty: &Type) -> Option<&TypeDefKind> {
        let Type::Id(id) = ty else { return None };
        self.types.types.get(*id).map(|definition| &definition.kind)
    }

    /// The interface and the name of a type that this host's own package defines, in whatever
    /// version, and however it is called here.
    fn of_this_host(&self, ty: &Type) -> Option<(&str, &str)> {
        let (_, definitions) = follow(self.types, ty);
        let definition = definitions.last()?;
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

    /// The shape of a type. `words` is the same type in the text; when it turns out to be another,
    /// its words are not used and [`Shapes::mismatch`] is set.
    pub(super) fn shape(&mut self, ty: &Type, words: Option<&Type>) -> Result<Shape, CannotCross> {
        self.budget = self
            .budget
            .checked_sub(1)
            .ok_or_else(|| CannotCross(format!("its types have more than {MOST_TYPES} parts")))?;
        let (ty, _) = follow(self.types, ty);
        let (words, aliases) = match (self.words, words) {
            (Some(text), Some(words)) => {
                let (words, aliases) = follow(text, words);
                (Some(words), aliases)
            }
            (_, None) | (None, _) => (None, Vec::new()),
        };
        let kind = self.kind(ty, words)?;
        let mut shape = Shape {
            kind,
            docs: None,
            rules: Rules::default(),
        };
        // The nearest words first: an alias says more than what it stands for.
        for alias in aliases {
            let what = format!("type `{}`", alias.name.as_deref().unwrap_or_default());
            self.describe(&mut shape, &Doc::of(&alias.docs), &what);
        }
        Ok(shape)
    }

    /// Adds what a doc comment says to a shape that may have words already.
    fn describe(&mut self, shape: &mut Shape, doc: &Doc, what: &str) {
        if shape.docs.is_none() {
            shape.docs.clone_from(&doc.prose);
        }
        for tag in &doc.tags {
            if is_rule(&tag.name) {
                if let Err(cause) = shape.rules.add(&tag.name, &tag.value, &shape.kind) {
                    self.mistakes
                        .push(format!("{what}: `@{}`: {cause}", tag.name));
                }
            } else if tag.name != "name" {
                self.mistakes
                    .push(format!("{what}: unknown tag `@{}`", tag.name));
            }
        }
    }

    fn kind(&mut self, ty: Type, words: Option<Type>) -> Result<Kind, CannotCross> {
        let id = match ty {
            Type::Bool => return Ok(self.plain(Kind::Bool, ty, words)),
            Type::U8 => return Ok(self.plain(Kind::U8, ty, words)),
            Type::U16 => return Ok(self.plain(Kind::U16, ty, words)),
            Type::U32 => return Ok(self.plain(Kind::U32, ty, words)),
            Type::U64 => return Ok(self.plain(Kind::U64, ty, words)),
            Type::S8 => return Ok(self.plain(Kind::S8, ty, words)),
            Type::S16 => return Ok(self.plain(Kind::S16, ty, words)),
            Type::S32 => return Ok(self.plain(Kind::S32, ty, words)),
            Type::S64 => return Ok(self.plain(Kind::S64, ty, words)),
            Type::F32 => return Ok(self.plain(Kind::F32, ty, words)),
            Type::F64 => return Ok(self.plain(Kind::F64, ty, words)),
            Type::Char => return Ok(self.plain(Kind::Char, ty, words)),
            Type::String => return Ok(self.plain(Kind::String, ty, words)),
            Type::ErrorContext => return Err(CannotCross("an error-context cannot cross".into())),
            Type::Id(id) => id,
        };
        let types = self.types;
        let definition = types
            .types
            .get(id)
            .ok_or_else(|| CannotCross("a type that the component does not define".into()))?;
        let words = match (self.words, words) {
            (Some(text), Some(Type::Id(id))) => text.types.get(id).map(|words| &words.kind),
            (_, Some(_)) => {
                self.mismatch = true;
                None
            }
            (_, None) => None,
        };
        // Each arm takes its words apart like its types; words of another kind are no words.
        macro_rules! words {
            ($pattern:pat => $found:expr) => {
                match words {
                    Some($pattern) => Some($found),
                    Some(_) => {
                        self.mismatch = true;
                        None
                    }
                    None => None,
                }
            };
        }
        Ok(match &definition.kind {
            TypeDefKind::List(item) => {
                let words = words!(TypeDefKind::List(item) => item);
                if follow(types, item).0 == Type::U8 {
                    Kind::Bytes
                } else {
                    Kind::List(Box::new(self.shape(item, words)?))
                }
            }
            TypeDefKind::FixedLengthList(item, length) => {
                let words = words!(TypeDefKind::FixedLengthList(item, _) => item);
                Kind::FixedList(Box::new(self.shape(item, words)?), *length)
            }
            TypeDefKind::Option(inner) => {
                let words = words!(TypeDefKind::Option(inner) => inner);
                Kind::Option(Box::new(self.shape(inner, words)?))
            }
            TypeDefKind::Map(key, value) => {
                let words = words!(TypeDefKind::Map(key, value) => (key, value));
                Kind::Map(
                    Box::new(self.shape(key, words.map(|(key, _)| key))?),
                    Box::new(self.shape(value, words.map(|(_, value)| value))?),
                )
            }
            TypeDefKind::Result(sides) => {
                let words = words!(TypeDefKind::Result(sides) => sides);
                Kind::Result {
                    ok: self.side(sides.ok.as_ref(), words.and_then(|words| words.ok.as_ref()))?,
                    err: self.side(
                        sides.err.as_ref(),
                        words.and_then(|words| words.err.as_ref()),
                    )?,
                }
            }
            TypeDefKind::Tuple(tuple) => {
                let words = words!(TypeDefKind::Tuple(tuple) => &tuple.types);
                let mut items = Vec::with_capacity(tuple.types.len());
                for (index, item) in tuple.types.iter().enumerate() {
                    items.push(self.shape(item, words.and_then(|words| words.get(index)))?);
                }
                Kind::Tuple(items)
            }
            TypeDefKind::Record(record) => {
                let words = words!(TypeDefKind::Record(record) => &record.fields);
                let mut fields = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    let words =
                        words.and_then(|words| words.iter().find(|words| words.name == field.name));
                    let mut shape = self.shape(&field.ty, words.map(|words| &words.ty))?;
                    let doc = words.map(|words| Doc::of(&words.docs)).unwrap_or_default();
                    let what = format!("field `{}`", field.name);
                    // A field's own words say more than those of its type.
                    if doc.prose.is_some() {
                        shape.docs = None;
                    }
                    self.describe(&mut shape, &doc, &what);
                    fields.push(Member {
                        wit: field.name.clone(),
                        json: self.json_name(&field.name, &doc),
                        shape,
                    });
                }
                Kind::Record(scope(fields)?)
            }
            TypeDefKind::Variant(variant) => {
                let words = words!(TypeDefKind::Variant(variant) => &variant.cases);
                let mut cases = Vec::with_capacity(variant.cases.len());
                for case in &variant.cases {
                    let words =
                        words.and_then(|words| words.iter().find(|words| words.name == case.name));
                    let payload = match &case.ty {
                        Some(ty) => {
                            Some(self.shape(ty, words.and_then(|words| words.ty.as_ref()))?)
                        }
                        None => None,
                    };
                    cases.push(self.case(&case.name, words.map(|words| &words.docs), payload));
                }
                Kind::Variant(scope(cases)?)
            }
            TypeDefKind::Enum(names) => {
                let words = words!(TypeDefKind::Enum(names) => &names.cases);
                let cases = names
                    .cases
                    .iter()
                    .map(|case| {
                        let words = words
                            .and_then(|words| words.iter().find(|words| words.name == case.name));
                        self.case(&case.name, words.map(|words| &words.docs), None)
                    })
                    .collect();
                Kind::Enum(scope(cases)?)
            }
            TypeDefKind::Flags(flags) => {
                let words = words!(TypeDefKind::Flags(flags) => &flags.flags);
                let cases = flags
                    .flags
                    .iter()
                    .map(|flag| {
                        let words = words
                            .and_then(|words| words.iter().find(|words| words.name == flag.name));
                        self.case(&flag.name, words.map(|words| &words.docs), None)
                    })
                    .collect();
                Kind::Flags(scope(cases)?)
            }
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                let (_, definitions) = follow(types, &Type::Id(*resource));
                let name = definitions
                    .last()
                    .and_then(|definition| definition.name.as_deref());
                return Err(CannotCross(format!(
                    "a handle of the resource `{}` cannot cross",
                    name.unwrap_or_default()
                )));
            }
            TypeDefKind::Resource => return Err(CannotCross("a resource cannot cross".into())),
            TypeDefKind::Future(_) => return Err(CannotCross("a future cannot cross".into())),
            TypeDefKind::Stream(_) => return Err(CannotCross("a stream cannot cross".into())),
            TypeDefKind::Type(_) | TypeDefKind::Unknown => {
                return Err(CannotCross("a type that the component leaves open".into()));
            }
        })
    }

    fn plain(&mut self, kind: Kind, ty: Type, words: Option<Type>) -> Kind {
        self.mismatch |= words.is_some_and(|words| words != ty);
        kind
    }

    fn side(
        &mut self,
        ty: Option<&Type>,
        words: Option<&Type>,
    ) -> Result<Option<Box<Shape>>, CannotCross> {
        ty.map(|ty| self.shape(ty, words).map(Box::new)).transpose()
    }

    fn case(&mut self, name: &str, docs: Option<&Docs>, payload: Option<Shape>) -> Case {
        let doc = docs.map(Doc::of).unwrap_or_default();
        for tag in doc.tags.iter().filter(|tag| tag.name != "name") {
            self.mistakes
                .push(format!("case `{name}`: unknown tag `@{}`", tag.name));
        }
        Case {
            wit: name.to_owned(),
            json: self.json_name(name, &doc),
            docs: doc.prose,
            payload,
        }
    }

    /// The name in JSON: what the author says, or else the WIT name in the service's case.
    fn json_name(&self, wit: &str, doc: &Doc) -> String {
        match doc.tag("name") {
            Some(name) if !name.is_empty() => name.to_owned(),
            Some(_) | None => self.case.of(wit),
        }
    }
}

fn scope<T: Named>(items: Vec<T>) -> Result<Scope<T>, CannotCross> {
    Scope::new(items).map_err(|clash| CannotCross(clash.to_string()))
}

/// What a type stands for, and the definitions on the way there, the nearest first.
fn follow<'r>(resolve: &'r Resolve, ty: &Type) -> (Type, Vec<&'r TypeDef>) {
    let mut ty = *ty;
    let mut passed = Vec::new();
    while let Type::Id(id) = ty {
        let Some(definition) = resolve.types.get(id) else {
            break;
        };
        passed.push(definition);
        match definition.kind {
            TypeDefKind::Type(target) => ty = target,
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
            | TypeDefKind::Unknown => break,
        }
    }
    (ty, passed)
}
