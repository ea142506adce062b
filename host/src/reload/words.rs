//! What is said of a component beyond its types: the WIT texts that came with it, the nearest to the
//! operator first. A text fills in what those before it leave out; what one of them restricts is
//! restricted.

use std::collections::{BTreeSet, HashMap, HashSet};

use wit_parser::{
    Docs, Function, Interface, InterfaceId, Resolve, World, WorldId, WorldItem, WorldKey,
};

use super::notes::Notes;
use super::requirement::is_mentioned;
use super::sections::custom;
use super::tags::{About, Doc};
use super::{package_docs, text};

/// The texts of one component.
#[derive(Default)]
pub(super) struct Words {
    pub(super) texts: Vec<Text>,
}

/// One text, with what of it can be about a component.
pub(super) struct Text {
    /// Where it stands, for notes.
    pub(super) place: &'static str,
    /// Whether it names only what it has words for. WIT names everything.
    pub(super) is_partial: bool,
    pub(super) resolve: Resolve,
    /// The interfaces, by the names under which a component exports them.
    interfaces: HashMap<String, Vec<InterfaceId>>,
    /// The worlds that export a function themselves, by its name.
    functions: HashMap<String, Vec<WorldId>>,
}

/// Where a function of a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Interface(InterfaceId),
    World(WorldId),
}

/// What one text says of a function.
#[derive(Clone, Copy)]
pub(super) struct Said<'t> {
    /// Which text it is.
    pub(super) text: usize,
    pub(super) place: Place,
    pub(super) function: &'t Function,
}

/// Where the words of other tools stand.
const PACKAGE_DOCS: &str = "its section `package-docs`";

/// The most sections of modules and components inside that are read.
const MOST_SECTIONS: usize = 16;

impl Words {
    /// Finds the texts: the file beside the component, a section at its top, those of modules and
    /// components inside, and what other tools have put in. One that cannot be used is noted, and the
    /// others count; but if it may restrict who calls, nobody knows what, and that is an error.
    pub(super) fn find(
        wasm: &[u8],
        sidecar: Option<&[u8]>,
        types: &Resolve,
        world: &World,
        notes: &mut Notes,
    ) -> Result<Self, String> {
        let mut found = Finding {
            texts: Vec::new(),
            notes,
            types,
            world,
        };
        if let Some(sidecar) = sidecar {
            found.take("the text beside it", sidecar, text::parse(sidecar))?;
        }
        let sections = custom(wasm, text::SECTION);
        let (top, nested): (Vec<_>, Vec<_>) = sections.iter().partition(|section| section.is_top);
        if let Some(first) = top.first() {
            let differ = top.iter().any(|other| other.data != first.data);
            let all = top.iter().map(|section| section.data);
            if differ {
                let cause = "there are several that differ; keep one".to_owned();
                let all = all.collect::<Vec<_>>().concat();
                found.take("its section `cloister:wit`", &all, Err(cause))?;
            } else {
                found.take(
                    "its section `cloister:wit`",
                    first.data,
                    text::parse(first.data),
                )?;
            }
        }
        let mut seen = HashSet::new();
        let nested = nested.iter().map(|section| section.data);
        let nested = nested.filter(|data| seen.insert(*data));
        let mut left = text::LONGEST;
        for (number, data) in nested.enumerate() {
            left = left.saturating_sub(data.len());
            let read = if number < MOST_SECTIONS && left > 0 {
                text::parse(data)
            } else {
                Err(format!(
                    "at most {MOST_SECTIONS} sections inside, and {} bytes of them, are read",
                    text::LONGEST
                ))
            };
            found.take("a section `cloister:wit` inside it", data, read)?;
        }
        let place = PACKAGE_DOCS;
        match package_docs::words(wasm, types, world) {
            Ok(None) => {}
            Ok(Some(resolve)) => found.take(place, &[], Ok(resolve))?,
            Err((cause, data)) => found.take(place, data, Err(cause))?,
        }
        Ok(Self { texts: found.texts })
    }

    /// What is said of a function that a component exports, in an interface of this name or by itself.
    /// The nearest comes first.
    pub(super) fn of<'t>(&'t self, interface: Option<&str>, function: &str) -> Vec<Said<'t>> {
        let texts = self.texts.iter().enumerate();
        texts
            .flat_map(|(text, it)| {
                let places = it.places(interface, function);
                places.filter_map(move |place| {
                    let function = it.function(place, function)?;
                    Some(Said {
                        text,
                        place,
                        function,
                    })
                })
            })
            .collect()
    }

    /// What is said of an interface that a component exports under this name.
    pub(super) fn docs<'t>(&'t self, interface: &str) -> impl Iterator<Item = &'t Docs> {
        let texts = self.texts.iter();
        texts
            .flat_map(move |text| text.interfaces(interface))
            .map(|(_, interface)| &interface.docs)
    }

    /// Notes what in the texts is about nothing that the component exports, and tags that stand where
    /// none has a place.
    pub(super) fn review(&self, types: &Resolve, world: &World, notes: &mut Notes) {
        for text in &self.texts {
            // Of what names only what it has words for, whatever is named is about the component.
            let mut is_about_it = text.is_partial;
            for (key, item) in &world.exports {
                let name = types.name_world_key(key);
                match item {
                    WorldItem::Interface { id, .. } => {
                        let component = types.interfaces.get(*id);
                        for (_, interface) in text.interfaces(&name) {
                            is_about_it = true;
                            misplaced(&interface.docs, &format!("interface `{name}`"), notes);
                            for function in interface.functions.keys() {
                                let is_there =
                                    component.is_some_and(|it| it.functions.contains_key(function));
                                if !is_there {
                                    notes.add(|| {
                                        format!(
                                            "`{name}#{function}` is in {}, and the component does not export it",
                                            text.place
                                        )
                                    });
                                }
                            }
                        }
                    }
                    WorldItem::Function(_) => is_about_it |= text.functions.contains_key(&name),
                    WorldItem::Type { .. } => {}
                }
            }
            text.review_world(&exports(types, world), notes);
            if !is_about_it {
                notes.add(|| {
                    format!(
                        "{} is about nothing that the component exports: it must have its package, version and interfaces",
                        text.place
                    )
                });
            }
            for (_, package) in &text.resolve.packages {
                misplaced(&package.docs, &format!("package `{}`", package.name), notes);
            }
            for (_, world) in &text.resolve.worlds {
                misplaced(&world.docs, &format!("world `{}`", world.name), notes);
            }
        }
    }

    /// The types of a text.
    pub(super) fn types(&self, text: usize) -> Option<&Resolve> {
        self.texts.get(text).map(|text| &text.resolve)
    }
}

impl Text {
    fn new(place: &'static str, resolve: Resolve, exported: &BTreeSet<String>) -> Self {
        let mut interfaces: HashMap<String, Vec<InterfaceId>> = HashMap::new();
        let mut functions: HashMap<String, Vec<WorldId>> = HashMap::new();
        for (id, interface) in &resolve.interfaces {
            let named = interface.package.and_then(|_| resolve.id_of(id));
            if let Some(name) = named {
                interfaces.entry(name).or_default().push(id);
            }
        }
        // A text may have a world for each purpose. That which is exported as it stands comes first.
        let mut worlds: Vec<(bool, WorldId, &World)> = resolve
            .worlds
            .iter()
            .map(|(id, world)| (!is_exported(&resolve, world, exported), id, world))
            .collect();
        worlds.sort_by_key(|(is_other, ..)| *is_other);
        for (_, id, world) in worlds {
            for (key, item) in &world.exports {
                match (key, item) {
                    (WorldKey::Name(name), WorldItem::Interface { id, .. }) => {
                        let known = interfaces.entry(name.clone()).or_default();
                        if !known.contains(id) {
                            known.push(*id);
                        }
                    }
                    (_, WorldItem::Function(function)) => {
                        functions.entry(function.name.clone()).or_default().push(id);
                    }
                    (WorldKey::Interface(_), WorldItem::Interface { .. })
                    | (_, WorldItem::Type { .. }) => {}
                }
            }
        }
        Self {
            place,
            is_partial: place == PACKAGE_DOCS,
            resolve,
            interfaces,
            functions,
        }
    }

    /// Notes functions of the world that the component does not export. A text with several worlds has
    /// them for several components.
    fn review_world(&self, exported: &BTreeSet<String>, notes: &mut Notes) {
        let worlds = self.resolve.worlds.iter().map(|(_, world)| world);
        let mut worlds = worlds.filter(|world| !world.exports.is_empty());
        let (Some(world), None) = (worlds.next(), worlds.next()) else {
            return;
        };
        for item in world.exports.values() {
            if let WorldItem::Function(function) = item
                && !exported.contains(&function.name)
            {
                notes.add(|| {
                    format!(
                        "`{}` is in {}, and the component does not export it",
                        function.name, self.place
                    )
                });
            }
        }
    }

    /// The interfaces that a component exports under this name.
    pub(super) fn interfaces(&self, name: &str) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        let ids = self.interfaces.get(name).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.resolve.interfaces.get(*id)?)))
    }

    fn places(&self, interface: Option<&str>, function: &str) -> impl Iterator<Item = Place> {
        let interfaces = interface.and_then(|name| self.interfaces.get(name));
        let worlds = match interface {
            Some(_) => None,
            None => self.functions.get(function),
        };
        let interfaces = interfaces.into_iter().flatten().copied();
        let worlds = worlds.into_iter().flatten().copied();
        interfaces
            .map(Place::Interface)
            .chain(worlds.map(Place::World))
    }

    fn function(&self, place: Place, name: &str) -> Option<&Function> {
        match place {
            Place::Interface(id) => self.resolve.interfaces.get(id)?.functions.get(name),
            Place::World(id) => {
                let key = WorldKey::Name(name.to_owned());
                match self.resolve.worlds.get(id)?.exports.get(&key)? {
                    WorldItem::Function(function) => Some(function),
                    WorldItem::Interface { .. } | WorldItem::Type { .. } => None,
                }
            }
        }
    }

    /// All functions of the text that a component could export.
    pub(super) fn functions(&self) -> impl Iterator<Item = (Place, &Function)> {
        let interfaces = self.resolve.interfaces.iter();
        let inside = interfaces.flat_map(|(id, interface)| {
            let functions = interface.functions.values();
            functions.map(move |function| (Place::Interface(id), function))
        });
        let worlds = self.resolve.worlds.iter();
        let at_the_root = worlds.flat_map(|(id, world)| {
            let exports = world.exports.values();
            exports.filter_map(move |item| match item {
                WorldItem::Function(function) => Some((Place::World(id), function)),
                WorldItem::Interface { .. } | WorldItem::Type { .. } => None,
            })
        });
        inside.chain(at_the_root)
    }
}

/// Notes tags above what has no place for any. Those that restrict leave functions out, and that is said
/// there.
fn misplaced(docs: &Docs, what: &str, notes: &mut Notes) {
    let doc = Doc::of(docs, About::Item);
    for tag in doc.tags {
        notes.add(|| {
            format!(
                "`@{}` stands above the {what}, where no tag has a place",
                tag.name
            )
        });
    }
    for mistake in doc.mistakes {
        notes.add(|| format!("the {what}: {mistake}"));
    }
}

/// Whether a world exports what a component does.
fn is_exported(resolve: &Resolve, world: &World, exported: &BTreeSet<String>) -> bool {
    exports(resolve, world) == *exported
}

/// The names of what a world exports.
fn exports(resolve: &Resolve, world: &World) -> BTreeSet<String> {
    let items = world.exports.iter();
    items
        .filter(|(_, item)| !matches!(item, WorldItem::Type { .. }))
        .map(|(key, _)| resolve.name_world_key(key))
        .collect()
}

/// Collects texts.
struct Finding<'a> {
    texts: Vec<Text>,
    notes: &'a mut Notes,
    types: &'a Resolve,
    world: &'a World,
}

impl Finding<'_> {
    /// Takes a text in, or notes why not.
    fn take(
        &mut self,
        place: &'static str,
        data: &[u8],
        read: Result<Resolve, String>,
    ) -> Result<(), String> {
        match read {
            Ok(resolve) => {
                let exported = exports(self.types, self.world);
                self.texts.push(Text::new(place, resolve, &exported));
                Ok(())
            }
            Err(cause) if is_mentioned(data) => Err(format!("{place}: {cause}")),
            Err(cause) => {
                self.notes.add(|| {
                    format!("{place} cannot be used, so it goes without its words: {cause}")
                });
                Ok(())
            }
        }
    }
}
