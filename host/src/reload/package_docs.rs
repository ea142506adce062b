//! `package-docs`: documentation that other tools put into a component, as JSON in a custom
//! section. It names interfaces without their package, so it is applied with care, and it is kept
//! from the decoder of components, which takes its interfaces for its own.

use std::borrow::Cow;

use super::requirement::is_mentioned;
use super::sections::custom;
use serde_json::{Map, Value};
use wit_parser::{Docs, InterfaceId, Resolve, TypeDefKind, TypeId, WorldItem};

/// The name of the custom section.
pub(super) const SECTION: &str = "package-docs";

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

/// The component's own types, with the words that the section has for them. None if there is no
/// section.
pub(super) fn words(wasm: &[u8], types: &Resolve) -> Result<Option<Resolve>, String> {
    let sections = custom(wasm, SECTION);
    let Some(section) = sections.iter().find(|section| section.is_top) else {
        return Ok(None);
    };
    let Some((0 | 1, json)) = section.data.split_first() else {
        return Err(format!("its `{SECTION}` section is of an unknown version"));
    };
    let docs: Value = serde_json::from_slice(json)
        .map_err(|cause| format!("its `{SECTION}` section is not JSON: {cause}"))?;
    let mut words = types.clone();
    for (name, interface) in members(&docs, "interfaces") {
        let mut fitting = words
            .interfaces
            .iter()
            .filter(|(_, it)| it.name.as_deref() == Some(name))
            .map(|(id, _)| id);
        match (fitting.next(), fitting.next()) {
            (Some(id), None) => describe_interface(&mut words, id, interface),
            // A name that fits two interfaces documents neither, so neither can be restricted.
            (Some(_), Some(_)) if is_mentioned(interface.to_string().as_bytes()) => {
                return Err(format!(
                    "its `{SECTION}` section restricts functions of `{name}`, of which there are two"
                ));
            }
            (Some(_), Some(_)) | (None, _) => {}
        }
    }
    for (_, world) in members(&docs, "worlds") {
        describe_root(&mut words, world);
    }
    Ok(Some(words))
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

fn describe_type(words: &mut Resolve, id: TypeId, docs: &Value) {
    let Some(definition) = words.types.get_mut(id) else {
        return;
    };
    set(&mut definition.docs, text(docs));
    for (name, docs) in members(docs, "items") {
        let item = match &mut definition.kind {
            TypeDefKind::Record(record) => {
                let field = record.fields.iter_mut().find(|field| field.name == *name);
                field.map(|field| &mut field.docs)
            }
            TypeDefKind::Variant(variant) => {
                let case = variant.cases.iter_mut().find(|case| case.name == *name);
                case.map(|case| &mut case.docs)
            }
            TypeDefKind::Enum(names) => {
                let case = names.cases.iter_mut().find(|case| case.name == *name);
                case.map(|case| &mut case.docs)
            }
            TypeDefKind::Flags(flags) => {
                let flag = flags.flags.iter_mut().find(|flag| flag.name == *name);
                flag.map(|flag| &mut flag.docs)
            }
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
        };
        if let Some(item) = item {
            set(item, text(docs));
        }
    }
}

/// The functions that a world exports itself.
fn describe_root(words: &mut Resolve, docs: &Value) {
    for (name, docs) in members(docs, "func_exports") {
        let exports = words
            .worlds
            .iter_mut()
            .flat_map(|(_, world)| world.exports.values_mut());
        for item in exports {
            if let WorldItem::Function(function) = item
                && function.name == *name
            {
                set(&mut function.docs, text(docs));
            }
        }
    }
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
