//! From WIT types to shapes: types come from the component, words from the texts, side by side. Every
//! definition is read once, however often it is used.

mod aliases;
mod native;
mod sameness;

use std::collections::HashMap;
use std::sync::Arc;

use wit_parser::{Docs, Handle, Resolve, Type, TypeDef, TypeDefKind, TypeId};

use self::aliases::{Aliases, Whose, nearest};
use self::sameness::{Both, Sameness};
use super::notes::Notes;
use super::tags::{About, Doc, is_rule};
use super::words::{Said, Words};
use crate::value::{Case, Kind, Member, NameCase, Named, Rules, Scope, Shape, is_key, is_label};

/// The most types, fields and cases that one function may be made of, each counted as often as it is
/// used: this is what its schemas have.
const MOST_PARTS: u32 = 8_000;

/// The most types, fields and cases of one component that are read, each counted once.
const MOST_WORK: u32 = 500_000;

/// The most names of one type that are looked through for words, when each stands for the next.
const MOST_ALIASES: usize = 32;

/// Reads the types of one component. What it notices on the way stays with it until it is taken.
pub(super) struct Shapes<'a> {
    /// The component's types.
    types: &'a Resolve,
    words: &'a Words,
    case: NameCase,
    /// What has been read.
    read: HashMap<Spoken, Result<Part, CannotCross>>,
    sameness: Sameness,
    aliases: Aliases,
    /// How much memory rules may still take.
    room: usize,
    /// How much has been read.
    work: u32,
    /// What is wrong with tags on types, fields and cases.
    mistakes: Notes,
}

/// A type of the component, with the types that texts have in its place: the number of the text, and
/// the type, which may be an alias that says more than what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Spoken {
    ty: Type,
    words: Vec<(usize, Type)>,
}

/// A shape, and of how many types, fields and cases it is made, those inside counted each time.
#[derive(Clone, Debug)]
struct Part {
    shape: Shape,
    parts: u32,
}

/// Why a function cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct CannotCross(pub(super) String);

/// The types of one function, and how many parts they have.
#[derive(Default)]
pub(super) struct Budget(u32);

impl<'a> Shapes<'a> {
    pub(super) fn new(types: &'a Resolve, words: &'a Words, case: NameCase) -> Self {
        Self {
            types,
            words,
            case,
            read: HashMap::new(),
            sameness: Sameness::default(),
            aliases: Aliases::default(),
            room: Rules::ROOM,
            work: 0,
            mistakes: Notes::default(),
        }
    }

    /// Whether a text has the function with the types of the component, so that its words are about it.
    pub(super) fn fits(&mut self, function: &wit_parser::Function, said: &Said<'_>) -> bool {
        let Some(words) = self.words.types(said.text) else {
            return false;
        };
        let both = Both {
            types: self.types,
            text: said.text,
            words,
        };
        let aliases = &mut self.aliases;
        self.sameness
            .functions(both, aliases, function, said.function)
    }

    /// The shape of a type of a function. `words` are the types that texts have in its place.
    pub(super) fn shape(
        &mut self,
        ty: &Type,
        words: Vec<(usize, Type)>,
        budget: &mut Budget,
    ) -> Result<Shape, CannotCross> {
        let part = self.part(ty, words)?;
        budget.0 = budget.0.saturating_add(part.parts);
        if budget.0 > MOST_PARTS {
            return Err(CannotCross(format!(
                "its types have more than {MOST_PARTS} parts, fields and cases among them"
            )));
        }
        Ok(part.shape)
    }

    /// Adds the rule of a tag to the shape of a parameter.
    pub(super) fn rule(&mut self, shape: &mut Shape, tag: &str, value: &str) -> Result<(), String> {
        shape
            .rules
            .add(tag, value, &shape.kind, &mut self.room)
            .map_err(|cause| cause.to_string())
    }

    /// What is wrong with tags, as far as it was not told before.
    pub(super) fn take_mistakes(&mut self) -> Notes {
        std::mem::take(&mut self.mistakes)
    }

    /// How many types, fields and cases were read.
    pub(super) fn work(&self) -> u32 {
        self.work.saturating_add(self.sameness.work())
    }

    fn part(&mut self, ty: &Type, words: Vec<(usize, Type)>) -> Result<Part, CannotCross> {
        let ty = self.aliases.end(Whose::Component, self.types, *ty);
        let spoken = Spoken { ty, words };
        if let Some(part) = self.read.get(&spoken) {
            return part.clone();
        }
        let part = self.read_part(&spoken);
        self.read.insert(spoken, part.clone());
        part
    }

    /// Reads a type, or what an alias says over the type that it stands for.
    fn read_part(&mut self, spoken: &Spoken) -> Result<Part, CannotCross> {
        self.spend(1)?;
        let all = self.words;
        let mut targets = Vec::with_capacity(spoken.words.len());
        let mut aliases: Vec<&TypeDef> = Vec::new();
        let mut definitions: Vec<&TypeDef> = Vec::new();
        for (text, ty) in &spoken.words {
            let Some(types) = all.types(*text) else {
                continue;
            };
            let target = self.aliases.end(Whose::Text(*text), types, *ty);
            definitions.extend(definition(all, *text, target));
            aliases.extend(nearest(types, *ty, MOST_ALIASES));
            targets.push((*text, target));
        }
        let is_alias = !aliases.is_empty();
        let mut part = if is_alias {
            self.part(&spoken.ty, targets)?
        } else {
            self.base(spoken)?
        };
        let said = if is_alias { aliases } else { definitions };
        if let Some(first) = said.first() {
            let what = format!("type `{}`", first.name.as_deref().unwrap_or_default());
            let doc = self.doc(said.iter().map(|it| &it.docs), &what);
            self.describe(&mut part.shape, &doc, &what, false);
        }
        Ok(part)
    }

    /// Counts what is read, so that types which are the same in many ways do not keep the host busy.
    fn spend(&mut self, work: usize) -> Result<(), CannotCross> {
        let work = u32::try_from(work).unwrap_or(u32::MAX);
        self.work = self.work.saturating_add(work);
        if self.work > MOST_WORK {
            return Err(CannotCross(format!(
                "the component has more than {MOST_WORK} types, fields and cases"
            )));
        }
        Ok(())
    }

    /// The doc comment of one thing, filled in from all texts. What is wrong with it is told once.
    fn doc<'d>(&mut self, docs: impl Iterator<Item = &'d Docs>, what: &str) -> Doc {
        let doc = docs
            .map(|docs| Doc::of(docs, About::Item))
            .reduce(|near, far| near.or(far, About::Item))
            .unwrap_or_default();
        for mistake in &doc.mistakes {
            self.mistakes.add(|| format!("{what}: {mistake}"));
        }
        doc
    }

    /// Puts what a doc comment says over what is said already.
    fn describe(&mut self, shape: &mut Shape, doc: &Doc, what: &str, may_be_named: bool) {
        if let Some(prose) = &doc.prose {
            shape.docs = Some(Arc::from(&**prose));
        }
        for tag in &doc.tags {
            if is_rule(&tag.name) {
                if let Err(cause) = self.rule(shape, &tag.name, &tag.value) {
                    self.mistakes.add(|| format!("{what}: {cause}"));
                }
            } else if !(may_be_named && tag.name == "name") {
                self.mistakes
                    .add(|| format!("{what}: `@{}` has no place here", tag.name));
            }
        }
    }

    /// What a type is that is no alias.
    fn base(&mut self, spoken: &Spoken) -> Result<Part, CannotCross> {
        let plain = |kind: Kind| {
            Ok(Part {
                shape: kind.into(),
                parts: 1,
            })
        };
        let id = match spoken.ty {
            Type::Bool => return plain(Kind::Bool),
            Type::U8 => return plain(Kind::U8),
            Type::U16 => return plain(Kind::U16),
            Type::U32 => return plain(Kind::U32),
            Type::U64 => return plain(Kind::U64),
            Type::S8 => return plain(Kind::S8),
            Type::S16 => return plain(Kind::S16),
            Type::S32 => return plain(Kind::S32),
            Type::S64 => return plain(Kind::S64),
            Type::F32 => return plain(Kind::F32),
            Type::F64 => return plain(Kind::F64),
            Type::Char => return plain(Kind::Char),
            Type::String => return plain(Kind::String),
            Type::ErrorContext => return Err(CannotCross("an error-context cannot cross".into())),
            Type::Id(id) => id,
        };
        self.defined(id, &spoken.words)
    }

    fn defined(&mut self, id: TypeId, words: &[(usize, Type)]) -> Result<Part, CannotCross> {
        let types = self.types;
        let definition = types
            .types
            .get(id)
            .ok_or_else(|| CannotCross("a type that the component does not define".into()))?;
        let mut said = Inside::of(self.words, words);
        let one = |part: Part, kind: fn(Arc<Shape>) -> Kind| Part {
            shape: kind(Arc::new(part.shape)).into(),
            parts: part.parts.saturating_add(1),
        };
        Ok(match &definition.kind {
            TypeDefKind::List(item)
                if self.aliases.end(Whose::Component, types, *item) == Type::U8 =>
            {
                Part {
                    shape: Kind::Bytes.into(),
                    parts: 1,
                }
            }
            TypeDefKind::List(item) => one(self.part(item, said.next())?, Kind::List),
            TypeDefKind::FixedLengthList(item, length) => {
                let item = self.part(item, said.next())?;
                Part {
                    shape: Kind::FixedList(Arc::new(item.shape), *length).into(),
                    parts: item.parts.saturating_add(1),
                }
            }
            TypeDefKind::Option(inner) => {
                let inner = self.part(inner, said.next())?;
                Part {
                    shape: inner.shape.optional(),
                    parts: inner.parts.saturating_add(1),
                }
            }
            TypeDefKind::Map(key, value) => {
                let key = self.part(key, said.next())?;
                let value = self.part(value, said.next())?;
                Part {
                    shape: Kind::Map(Arc::new(key.shape), Arc::new(value.shape)).into(),
                    parts: key.parts.saturating_add(value.parts).saturating_add(1),
                }
            }
            TypeDefKind::Result(sides) => {
                let mut parts = 1_u32;
                let mut side = |ty: &Option<Type>| -> Result<_, CannotCross> {
                    let Some(ty) = ty else { return Ok(None) };
                    let part = self.part(ty, said.next())?;
                    parts = parts.saturating_add(part.parts);
                    Ok(Some(Arc::new(part.shape)))
                };
                let (ok, err) = (side(&sides.ok)?, side(&sides.err)?);
                Part {
                    shape: Kind::Result { ok, err }.into(),
                    parts,
                }
            }
            TypeDefKind::Tuple(tuple) => {
                self.spend(tuple.types.len())?;
                let mut parts = 1_u32;
                let mut items = Vec::with_capacity(tuple.types.len());
                for item in &tuple.types {
                    let item = self.part(item, said.next())?;
                    parts = parts.saturating_add(item.parts);
                    items.push(item.shape);
                }
                Part {
                    shape: Kind::Tuple(items.into()).into(),
                    parts,
                }
            }
            TypeDefKind::Record(record) => {
                self.spend(record.fields.len())?;
                let mut parts = 1_u32;
                let mut fields = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    let docs = said.docs();
                    let part = self.part(&field.ty, said.next())?;
                    parts = parts.saturating_add(part.parts);
                    fields.push(self.field(&field.name, part.shape, &docs));
                }
                Part {
                    shape: Kind::Record(scope(fields)?).into(),
                    parts,
                }
            }
            TypeDefKind::Variant(variant) => {
                self.spend(variant.cases.len())?;
                let mut parts = 1_u32;
                let mut cases = Vec::with_capacity(variant.cases.len());
                for case in &variant.cases {
                    let docs = said.docs();
                    let types = said.next();
                    let payload = match &case.ty {
                        Some(ty) => Some(self.part(ty, types)?),
                        None => None,
                    };
                    let more = payload.as_ref().map_or(0, |payload| payload.parts);
                    parts = parts.saturating_add(more).saturating_add(1);
                    let payload = payload.map(|payload| payload.shape);
                    cases.push(self.case(&case.name, &docs, payload));
                }
                Part {
                    shape: Kind::Variant(scope(cases)?).into(),
                    parts,
                }
            }
            TypeDefKind::Enum(names) => {
                let names = names.cases.iter().map(|case| &*case.name);
                self.plain_cases(names, said, Kind::Enum)?
            }
            TypeDefKind::Flags(flags) => {
                let names = flags.flags.iter().map(|flag| &*flag.name);
                self.plain_cases(names, said, Kind::Flags)?
            }
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                let resource = self
                    .aliases
                    .end(Whose::Component, types, Type::Id(*resource));
                let name = if let Type::Id(id) = resource {
                    types.types.get(id).and_then(|it| it.name.as_deref())
                } else {
                    None
                };
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

    fn field(&mut self, name: &str, mut shape: Shape, docs: &[&Docs]) -> Member {
        let what = format!("field `{name}`");
        let doc = self.doc(docs.iter().copied(), &what);
        self.describe(&mut shape, &doc, &what, true);
        Member {
            wit: name.to_owned(),
            json: self.json_name(name, &doc, is_key, &what),
            shape,
        }
    }

    fn case(&mut self, name: &str, docs: &[&Docs], payload: Option<Shape>) -> Case {
        let what = format!("case `{name}`");
        let doc = self.doc(docs.iter().copied(), &what);
        for tag in doc.tags.iter().filter(|tag| tag.name != "name") {
            self.mistakes
                .add(|| format!("{what}: `@{}` has no place here", tag.name));
        }
        Case {
            wit: name.to_owned(),
            json: self.json_name(name, &doc, is_label, &what),
            docs: doc.prose.map(Arc::from),
            payload,
        }
    }

    /// Cases without payload, of which each is a part of the schema all the same.
    fn plain_cases<'n>(
        &mut self,
        names: impl ExactSizeIterator<Item = &'n str>,
        mut said: Inside<'_>,
        kind: fn(Arc<Scope<Case>>) -> Kind,
    ) -> Result<Part, CannotCross> {
        self.spend(names.len())?;
        let parts = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let mut cases = Vec::with_capacity(names.len());
        for name in names {
            let docs = said.docs();
            said.next();
            cases.push(self.case(name, &docs, None));
        }
        Ok(Part {
            shape: kind(scope(cases)?).into(),
            parts: parts.saturating_add(1),
        })
    }

    /// The name in JSON: what the author says, or else the WIT name in the service's case.
    fn json_name(
        &mut self,
        wit: &str,
        doc: &Doc,
        is_legal: fn(&str) -> bool,
        what: &str,
    ) -> String {
        match doc.tag("name") {
            Some(name) if is_legal(name) => return name.to_owned(),
            Some(name) => self.mistakes.add(|| {
                format!("{what}: `@name {name}` is not used: readers of JSON take no such name")
            }),
            None => {}
        }
        self.case.of(wit)
    }
}

/// What texts say of the parts of a type, one part after another. The texts have the type of the
/// component, so theirs have the same parts in the same order.
struct Inside<'w> {
    definitions: Vec<(usize, &'w TypeDefKind)>,
    place: usize,
}

impl<'w> Inside<'w> {
    fn of(words: &'w Words, said: &[(usize, Type)]) -> Self {
        let definitions = said
            .iter()
            .filter_map(|(text, ty)| Some((*text, &definition(words, *text, *ty)?.kind)));
        Self {
            definitions: definitions.collect(),
            place: 0,
        }
    }

    /// The doc comments of the next field or case, which is not passed.
    fn docs(&self) -> Vec<&'w Docs> {
        let place = self.place;
        let docs = self.definitions.iter().filter_map(|(_, kind)| match kind {
            TypeDefKind::Record(record) => record.fields.get(place).map(|it| &it.docs),
            TypeDefKind::Variant(variant) => variant.cases.get(place).map(|it| &it.docs),
            TypeDefKind::Enum(names) => names.cases.get(place).map(|it| &it.docs),
            TypeDefKind::Flags(flags) => flags.flags.get(place).map(|it| &it.docs),
            TypeDefKind::Resource
            | TypeDefKind::Handle(_)
            | TypeDefKind::Tuple(_)
            | TypeDefKind::Option(_)
            | TypeDefKind::Result(_)
            | TypeDefKind::List(_)
            | TypeDefKind::Map(..)
            | TypeDefKind::FixedLengthList(..)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Type(_)
            | TypeDefKind::Unknown => None,
        });
        docs.collect()
    }

    /// The types of the next part.
    fn next(&mut self) -> Vec<(usize, Type)> {
        let place = self.place;
        self.place += 1;
        let types = self.definitions.iter().filter_map(|(text, kind)| {
            let ty = match kind {
                TypeDefKind::Record(record) => record.fields.get(place).map(|it| it.ty),
                TypeDefKind::Variant(variant) => variant.cases.get(place).and_then(|it| it.ty),
                TypeDefKind::Tuple(tuple) => tuple.types.get(place).copied(),
                TypeDefKind::Option(inner)
                | TypeDefKind::List(inner)
                | TypeDefKind::FixedLengthList(inner, _) => Some(*inner),
                TypeDefKind::Map(key, value) => Some(if place == 0 { *key } else { *value }),
                TypeDefKind::Result(sides) => {
                    let sides = [sides.ok, sides.err];
                    sides.into_iter().flatten().nth(place)
                }
                TypeDefKind::Enum(_)
                | TypeDefKind::Flags(_)
                | TypeDefKind::Resource
                | TypeDefKind::Handle(_)
                | TypeDefKind::Future(_)
                | TypeDefKind::Stream(_)
                | TypeDefKind::Type(_)
                | TypeDefKind::Unknown => None,
            };
            Some((*text, ty?))
        });
        types.collect()
    }
}

fn scope<T: Named>(items: Vec<T>) -> Result<Arc<Scope<T>>, CannotCross> {
    Scope::new(items)
        .map(Arc::new)
        .map_err(|clash| CannotCross(clash.to_string()))
}

/// The definition of a type of a text; primitive types have none.
fn definition(words: &Words, text: usize, ty: Type) -> Option<&TypeDef> {
    let Type::Id(id) = ty else { return None };
    words.types(text)?.types.get(id)
}
