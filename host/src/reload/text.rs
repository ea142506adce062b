//! The WIT text that comes with a component. No toolchain keeps doc comments in the types, so they
//! travel as text: beside the file, or in a custom section `cloister:wit`.
//!
//! The text is its author's word, not the component's: it is bounded, parsed on its own, and used
//! for names and documentation only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::sections::custom;
use super::{package_docs, requirement};
use wit_parser::{Function, Interface, Resolve, SourceMap, WorldItem};

/// The name of the custom section.
const SECTION: &str = "cloister:wit";

/// The longest text that is read. The largest in use has a few kilobytes.
const LONGEST: usize = 1 << 20;

/// The host's own WIT, for a text that uses it without bringing it along.
const HOST_WIT: [(&str, &str); 8] = [
    ("auth.wit", include_str!("../../../wit/auth.wit")),
    ("client.wit", include_str!("../../../wit/client.wit")),
    ("content.wit", include_str!("../../../wit/content.wit")),
    ("prompts.wit", include_str!("../../../wit/prompts.wit")),
    ("resources.wit", include_str!("../../../wit/resources.wit")),
    ("session.wit", include_str!("../../../wit/session.wit")),
    ("tools.wit", include_str!("../../../wit/tools.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// A text that was found and understood.
pub(super) struct Text {
    pub(super) resolve: Resolve,
}

impl Text {
    /// Finds the text that documents a component: the file beside it, or a section at its top, or
    /// one in a module inside, or else what another tool has put in. None is fine; a text that
    /// cannot be used is an error, and then the component goes without.
    pub(super) fn find(
        wasm: &[u8],
        sidecar: Option<&[u8]>,
        types: &Resolve,
    ) -> Result<Option<Self>, String> {
        if let Some(sidecar) = sidecar {
            return Self::parse(sidecar).map(Some);
        }
        let sections = custom(wasm, SECTION);
        for is_top in [true, false] {
            let mut rank = sections.iter().filter(|section| section.is_top == is_top);
            let Some(first) = rank.next() else { continue };
            if rank.any(|other| other.data != first.data) {
                return Err(format!(
                    "it has several `{SECTION}` sections that differ; keep one"
                ));
            }
            return Self::parse(first.data).map(Some);
        }
        let words = package_docs::words(wasm, types)?;
        Ok(words.map(|resolve| Self { resolve }))
    }

    /// Whether the text of a component restricts who may call, as far as that can be told of one
    /// that cannot be used.
    pub(super) fn may_restrict(wasm: &[u8], sidecar: Option<&[u8]>) -> bool {
        sidecar.map_or_else(
            || {
                [SECTION, package_docs::SECTION]
                    .iter()
                    .flat_map(|name| custom(wasm, name))
                    .any(|section| requirement::is_mentioned(section.data))
            },
            requirement::is_mentioned,
        )
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LONGEST {
            return Err(format!(
                "it has {} bytes; at most {LONGEST} are read",
                bytes.len()
            ));
        }
        let text =
            std::str::from_utf8(bytes).map_err(|cause| format!("it is not UTF-8: {cause}"))?;
        // The parser is not made for hostile text. What it panics on is a text without use.
        catch_unwind(AssertUnwindSafe(|| {
            alone(text).or_else(|cause| beside_the_host(text).map_err(|_unlikelier| cause))
        }))
        .unwrap_or_else(|_panic| Err("the parser gave up on it".into()))
        .map(|resolve| Self { resolve })
    }

    /// An interface by its full name, `acme:weather/weather@1.0.0`.
    pub(super) fn interface(&self, name: &str) -> Option<&Interface> {
        self.resolve
            .interfaces
            .iter()
            .find(|(id, interface)| {
                interface.package.is_some() && self.resolve.id_of(*id).as_deref() == Some(name)
            })
            .map(|(_, interface)| interface)
    }

    /// A function that a world exports itself.
    pub(super) fn root_function(&self, name: &str) -> Option<&Function> {
        self.resolve.worlds.iter().find_map(|(_, world)| {
            world.exports.values().find_map(|item| match item {
                WorldItem::Function(function) if function.name == name => Some(function),
                WorldItem::Function(_) | WorldItem::Interface { .. } | WorldItem::Type { .. } => {
                    None
                }
            })
        })
    }
}

/// Parses a text that has all that it uses.
fn alone(text: &str) -> Result<Resolve, String> {
    let mut resolve = Resolve::default();
    push(&mut resolve, &[("service.wit", text)])?;
    Ok(resolve)
}

/// Parses a text that uses the host's interfaces and does not bring them along.
fn beside_the_host(text: &str) -> Result<Resolve, String> {
    let mut resolve = Resolve::default();
    push(&mut resolve, &HOST_WIT)?;
    push(&mut resolve, &[("service.wit", text)])?;
    Ok(resolve)
}

fn push(resolve: &mut Resolve, files: &[(&str, &str)]) -> Result<(), String> {
    let mut sources = SourceMap::new();
    for (path, text) in files {
        sources.push(Path::new(path), *text);
    }
    let group = sources.parse().map_err(|(_, cause)| cause.to_string())?;
    resolve
        .push_group(group)
        .map(|_package| ())
        .map_err(|cause| cause.to_string())
}
