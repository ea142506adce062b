//! `package-docs`: documentation that other tools put into a component, as JSON in a custom
//! section. It names interfaces without their package, so it is applied with care, and it is kept
//! from the decoder of components, which takes its interfaces for its own.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};
use wit_parser::{
    Docs, Function, FunctionKind, IndexMap, Interface, InterfaceId, Resolve, Span, Stability,
    TypeDefKind, TypeId, World, WorldItem, WorldKey,
};

use super::requirement::is_mentioned;
use super::sections::custom;
use super::text::LONGEST;

/// The name of the custom section.
pub(super) const SECTION: &str = "package-docs";

/// The most worlds of a section that are read: each is a copy of what the component exports.
const MOST_WORLDS: usize = 8;

/// The component with the section under another name, so that it decodes as if there were none.
pub(super) fn hide(wasm: &[u8]) -> Cow<'_, [u8]> {
    let mut hidden = Cow::Borrowed(wasm);
    for section in custom(wasm, SECTION) {
        // The name ends where the data begins.
        let end_of_name = section.offset.checked_sub(1);
        if let Some(last) = end_of_name.and_then(|at| hidden.to_mut().get_mut(at)) {
            *last = b'_';
        }
    }
    hidden
}

/// The component's own types, with the words that the section has for them, and a world for each world
/// that the section has. None if there is no section. A section that cannot be used comes back with the
/// reason.
pub(super) fn words<'w>(
    wasm: &'w [u8],
    types: &Resolve,
    world: &World,
) -> Result<Option<Resolve>, (String, &'w [u8])> {
    let sections = custom(wasm, SECTION);
    let Some(data) = sections.iter().find(|it| it.is_top).map(|it| it.data) else {
        return Ok(None);
    };
    read(data, types, world)
        .map(Some)
        .map_err(|cause| (cause, data))
}

fn read(data: &[u8], types: &Resolve, world: &World) -> Result<Resolve, String> {
    let Some((0 | 1, json)) = data.split_first() else {
        return Err("it is of an unknown version".to_owned());
    };
    if json.len() > LONGEST {
        return Err(format!(
            "it has {} bytes; at most {LONGEST} are read",
            json.len()
        ));
    }
    let docs: Value =
        serde_json::from_slice(json).map_err(|cause| format!("it is not JSON: {cause}"))?;
    let mut words = types.clone();
    // What the component exports has no words of its own; the worlds of the section take its place.
    for (_, bare) in &mut words.worlds {
        bare.exports.clear();
    }
    let mut named: HashMap<String, Vec<InterfaceId>> = HashMap::new();
    for (id, interface) in &words.interfaces {
        if let Some(name) = &interface.name {
            named.entry(name.clone()).or_default().push(id);
        }
    }
    for (name, interface) in members(&docs, "interfaces") {
        match named.get(name).map(Vec::as_slice) {
            Some([id]) => describe_interface(&mut words, *id, interface),
            // A name that fits two interfaces documents neither, so neither can be restricted.
            Some(_) if is_mentioned(interface.to_string().as_bytes()) => {
                return Err(format!(
                    "it restricts functions of `{name}`, of which there are two"
                ));
            }
            Some(_) => {}
            None => strangers(&mut words, text(interface), members(interface, "funcs")),
        }
    }
    let described: Vec<_> = members(&docs, "worlds").collect();
    if described.len() > MOST_WORLDS {
        return Err(format!(
            "it has {} worlds; at most {MOST_WORLDS} are read",
            described.len()
        ));
    }
    for (name, docs) in described {
        describe_world(&mut words, world, name, docs);
    }
    Ok(words)
}

fn describe_interface(words: &mut Resolve, id: InterfaceId, docs: &Value) {
    let Some(interface) = words.interfaces.get_mut(id) else {
        return;
    };
    set(&mut interface.docs, text(docs));
    for (name, docs) in members(docs, "funcs") {
        if let Some(function) = interface.functions.get_mut(name) {
            set(&mut function.docs, text(docs));
        }
    }
    let types: Vec<(TypeId, &Value)> = members(docs, "types")
        .filter_map(|(name, docs)| Some((*interface.types.get(name)?, docs)))
        .collect();
    for (id, docs) in types {
        describe_type(words, id, docs);
    }
}

/// Keeps functions that the component does not have: one of them may be restricted, and be in the
/// component under another name.
fn strangers<'d>(
    words: &mut Resolve,
    docs: Option<&str>,
    functions: impl Iterator<Item = (&'d String, &'d Value)>,
) {
    let mut interface = Interface {
        name: None,
        types: IndexMap::new(),
        functions: IndexMap::new(),
        docs: Docs::default(),
        stability: Stability::default(),
        package: None,
        span: Span::default(),
        clone_of: None,
    };
    set(&mut interface.docs, docs);
    for (name, docs) in functions {
        let mut function = Function {
            name: name.clone(),
            kind: FunctionKind::Freestanding,
            params: Vec::new(),
            result: None,
            docs: Docs::default(),
            stability: Stability::default(),
            span: Span::default(),
            external_id: None,
        };
        set(&mut function.docs, text(docs));
        interface.functions.insert(name.clone(), function);
    }
    words.interfaces.alloc(interface);
}

fn describe_type(words: &mut Resolve, id: TypeId, docs: &Value) {
    let Some(definition) = words.types.get_mut(id) else {
        return;
    };
    set(&mut definition.docs, text(docs));
    let items: HashMap<&String, &Value> = members(docs, "items").collect();
    let describe = |name: &String, docs: &mut Docs| {
        set(docs, items.get(name).copied().and_then(text));
    };
    match &mut definition.kind {
        TypeDefKind::Record(record) => record
            .fields
            .iter_mut()
            .for_each(|field| describe(&field.name, &mut field.docs)),
        TypeDefKind::Variant(variant) => variant
            .cases
            .iter_mut()
            .for_each(|case| describe(&case.name, &mut case.docs)),
        TypeDefKind::Enum(names) => names
            .cases
            .iter_mut()
            .for_each(|case| describe(&case.name, &mut case.docs)),
        TypeDefKind::Flags(flags) => flags
            .flags
            .iter_mut()
            .for_each(|flag| describe(&flag.name, &mut flag.docs)),
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
        | TypeDefKind::Unknown => {}
    }
}

/// Makes a world that exports what the component does, with the words that the section has for it: on
/// functions of the world itself, on interfaces that are written in it, and on the world.
fn describe_world(words: &mut Resolve, component: &World, name: &str, docs: &Value) {
    let mut world = component.clone();
    name.clone_into(&mut world.name);
    set(&mut world.docs, text(docs));
    // What is exported stands among what is imported, unless both have something of the name.
    let mut functions = either(docs, "funcs", "func_exports");
    let mut inline = either(docs, "interfaces", "interface_exports");
    let statements: HashMap<&String, &Value> = members(docs, "interface_export_docs").collect();
    let types: HashMap<&String, &Value> = members(docs, "types").collect();
    let items = world.imports.iter().chain(&world.exports);
    let described: Vec<(TypeId, &Value)> = items
        .filter_map(|(key, item)| match (key, item) {
            (WorldKey::Name(name), WorldItem::Type { id, .. }) => Some((*id, *types.get(name)?)),
            _ => None,
        })
        .collect();
    for (id, docs) in described {
        describe_type(words, id, docs);
    }
    for (key, item) in &mut world.exports {
        let name = words.name_world_key(key);
        match item {
            WorldItem::Function(function) => {
                let docs = functions.remove(&function.name);
                set(&mut function.docs, docs.and_then(text));
            }
            WorldItem::Interface { id, docs, .. } => {
                set(docs, statements.get(&name).copied().and_then(text));
                if let Some(docs) = inline.remove(&name)
                    && let Some(interface) = words.interfaces.get(*id).cloned()
                {
                    *id = words.interfaces.alloc(interface);
                    describe_interface(words, *id, docs);
                }
            }
            WorldItem::Type { .. } => {}
        }
    }
    let inside = inline.values().flat_map(|docs| members(docs, "funcs"));
    let others = functions.into_iter().chain(inside);
    strangers(words, None, others.collect::<Vec<_>>().into_iter());
    words.worlds.alloc(world);
}

/// The members of two objects; of one name that of the second.
fn either<'a>(docs: &'a Value, one: &str, other: &str) -> HashMap<&'a String, &'a Value> {
    members(docs, one).chain(members(docs, other)).collect()
}

/// The members of an object within an object; none if either is something else.
fn members<'a>(docs: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    docs.get(name)
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
}

/// The words of an entry: a text, or an object with one.
fn text(docs: &Value) -> Option<&str> {
    docs.as_str()
        .or_else(|| docs.get("docs").and_then(Value::as_str))
}

fn set(docs: &mut Docs, text: Option<&str>) {
    if let Some(text) = text {
        docs.contents = Some(text.to_owned());
    }
}
