//! Custom sections: what toolchains and authors put into a component for others to read.

use wasmparser::{Parser, Payload};

/// A custom section of one name.
pub(super) struct Section<'a> {
    /// What it holds.
    pub(super) data: &'a [u8],
    /// Where in the file that begins.
    pub(super) offset: usize,
    /// Whether it belongs to the component itself, and not to a module or component inside.
    pub(super) is_top: bool,
}

/// All custom sections of a name, in the order of the file.
pub(super) fn custom<'a>(wasm: &'a [u8], name: &str) -> Vec<Section<'a>> {
    let mut found = Vec::new();
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
            Payload::CustomSection(section) if section.name() == name => {
                if let Ok(offset) = usize::try_from(section.data_offset()) {
                    found.push(Section {
                        data: section.data(),
                        offset,
                        is_top: depth == 0,
                    });
                }
            }
            _ => {}
        }
    }
    found
}
