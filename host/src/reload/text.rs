//! The WIT text that comes with a component. No toolchain keeps doc comments in the types, so they
//! travel as text: beside the file, or in a custom section `cloister:wit`.
//!
//! The text is its author's word, not the component's: it is bounded, parsed on its own, and used
//! for names and documentation only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use wasmparser::{Parser, Payload};
use wit_parser::{Function, Interface, Resolve, SourceMap, WorldItem};

/// The name of the custom section.
const SECTION: &str = "cloister:wit";

/// The longest text that is read. The largest in use has a few kilobytes.
const LONGEST: usize = 1 << 20;

/// The host's own WIT, for a text that uses it without bringing it along.
const HOST_WIT: [(&str, &str); 3] = [
    ("auth.wit", include_str!("../../../wit/auth.wit")),
    ("session.wit", include_str!("../../../wit/session.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// A text that was found and understood.
pub(super) struct Text {
    pub(super) resolve: Resolve,
}

impl Text {
    /// Finds the text that documents a component: the file beside it, or a section at its top, or
    /// one in a module inside. None is fine; a text that cannot be used is an error, and then the
    /// component goes without.
    pub(super) fn find(wasm: &[u8], sidecar: Option<&[u8]>) -> Result<Option<Self>, String> {
        if let Some(sidecar) = sidecar {
            return Self::parse(sidecar).map(Some);
        }
        let (top, nested) = sections(wasm);
        for rank in [top, nested] {
            let Some((first, rest)) = rank.split_first() else {
                continue;
            };
            if rest.iter().any(|other| other != first) {
                return Err(format!(
                    "it has {} different `{SECTION}` sections; keep one",
                    rank.len()
                ));
            }
            return Self::parse(first).map(Some);
        }
        Ok(None)
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

/// The sections of a component: those at its top, and those in what it contains.
fn sections(wasm: &[u8]) -> (Vec<&[u8]>, Vec<&[u8]>) {
    let mut top = Vec::new();
    let mut nested = Vec::new();
    let mut depth = 0_u32;
    // A damaged file is no concern here: the component was validated before.
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "only what changes the depth and what is looked for matters"
        )]
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if section.name() == SECTION => {
                if depth == 0 {
                    top.push(section.data());
                } else {
                    nested.push(section.data());
                }
            }
            _ => {}
        }
    }
    (top, nested)
}
