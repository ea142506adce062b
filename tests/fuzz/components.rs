//! Small components to begin from, and what can happen to one on its way into the folder.

use std::ops::Range;
use std::sync::LazyLock;

use crate::source::Source;

/// The components that edits begin from.
pub(crate) static COMPONENTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    [
        include_str!("seeds/describe/interface.wat"),
        include_str!("seeds/describe/world.wat"),
    ]
    .map(|text| wat::parse_str(text).expect("a component"))
});

/// How long the header of every module and component is.
const HEADER: usize = 8;

/// How large an edited component may grow.
const LARGEST: usize = 64 << 10;

/// Does to a component what the source says, a few times: cut it short, change a byte, put bytes in,
/// swap, repeat or remove a section.
pub(crate) fn edited(source: &mut Source<'_>) -> Vec<u8> {
    let mut wasm = COMPONENTS[source.below(2)].clone();
    for _ in 0..8 {
        if source.is_empty() || wasm.len() > LARGEST {
            break;
        }
        let sections = sections(&wasm);
        let pick = |choice: u32| {
            sections
                .get(choice as usize % sections.len().max(1))
                .cloned()
        };
        let choice = source.byte() % 6;
        let (one, other) = (source.number(), u32::from(source.byte()));
        let place = one as usize % wasm.len().max(1);
        match choice {
            0 => wasm.truncate(place),
            1 => {
                if let Some(byte) = wasm.get_mut(place) {
                    *byte = source.byte();
                }
            }
            2 => drop(wasm.splice(place..place, source.some().iter().copied())),
            3 => {
                if let (Some(one), Some(other)) = (pick(one), pick(other)) {
                    wasm = swapped(&wasm, one, other);
                }
            }
            4 => {
                if let Some(section) = pick(one) {
                    let copy = wasm[section.clone()].to_vec();
                    wasm.splice(section.end..section.end, copy);
                }
            }
            _ => {
                if let Some(section) = pick(one) {
                    wasm.drain(section);
                }
            }
        }
    }
    wasm
}

/// A component with a custom section behind it.
pub(crate) fn with_section(wasm: &[u8], name: &str, contents: &[u8]) -> Vec<u8> {
    let mut body = number(name.len());
    body.extend(name.as_bytes());
    body.extend(contents);
    [wasm, &[0], &number(body.len()), &body].concat()
}

/// Where each section at the top begins and ends, as far as they can be told.
fn sections(wasm: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = HEADER;
    while let Some(end) = section_end(wasm, start) {
        found.push(start..end);
        start = end;
    }
    found
}

fn section_end(wasm: &[u8], start: usize) -> Option<usize> {
    let mut size = 0;
    for (place, byte) in wasm.get(start + 1..)?.iter().enumerate().take(4) {
        size |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let end = start + place + 2 + size;
            return (end <= wasm.len()).then_some(end);
        }
    }
    None
}

fn swapped(wasm: &[u8], one: Range<usize>, other: Range<usize>) -> Vec<u8> {
    let (first, second) = if one.start <= other.start {
        (one, other)
    } else {
        (other, one)
    };
    if first.end > second.start {
        return wasm.to_vec();
    }
    [
        &wasm[..first.start],
        &wasm[second.clone()],
        &wasm[first.end..second.start],
        &wasm[first],
        &wasm[second.end..],
    ]
    .concat()
}

/// A number as sections have it: seven bits to a byte.
fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_cover_a_component_and_swapping_twice_changes_nothing() {
        for wasm in &*COMPONENTS {
            let all = sections(wasm);
            assert_eq!(all.last().unwrap().end, wasm.len());
            let (one, other) = (all[1].clone(), all[3].clone());
            let changed = swapped(wasm, one, other);
            assert_ne!(&changed, wasm);
            let all = sections(&changed);
            assert_eq!(&swapped(&changed, all[1].clone(), all[3].clone()), wasm);
        }
    }
}
