//! Any shape that a component could have, from bytes.

use std::sync::Arc;

use cloister::value::{Case, Kind, Member, NameCase, Rules, Scope, Shape};

use crate::source::Source;

/// The most types that one shape is made of: enough for every nesting, and quick to walk.
const MOST_TYPES: usize = 48;

/// Deeper than a signature may be, so that the limit is met too.
const DEEPEST: usize = 30;

/// Names that look like the mapping's own words, that lose their word boundaries in camelCase, or
/// that WIT has as keywords.
const NAMES: [&str; 16] = [
    "a", "b", "tag", "val", "some", "ok", "err", "key", "value", "user-id", "user1", "user-1",
    "get-HTTP", "list", "x-y-z", "result",
];

/// Reads a shape.
pub(crate) fn shape(source: &mut Source<'_>) -> Shape {
    Reader {
        source,
        left: MOST_TYPES,
        room: Rules::ROOM,
    }
    .shape(0)
}

struct Reader<'s, 'a> {
    source: &'s mut Source<'a>,
    left: usize,
    room: usize,
}

impl Reader<'_, '_> {
    fn shape(&mut self, depth: usize) -> Shape {
        let kind = self.kind(depth);
        let mut shape = Shape::from(kind);
        // One in eight has rules, and most of those do not fit the type.
        if self.source.below(8) == 7 {
            for _ in 0..self.source.below(3) {
                let tag = Rules::TAGS[self.source.below(Rules::TAGS.len())];
                let value = String::from_utf8_lossy(self.source.some()).into_owned();
                let _refused = shape.rules.add(tag, &value, &shape.kind, &mut self.room);
            }
        }
        shape
    }

    fn inner(&mut self, depth: usize) -> Arc<Shape> {
        Arc::new(self.shape(depth + 1))
    }

    fn kind(&mut self, depth: usize) -> Kind {
        let plain = [
            Kind::Bool,
            Kind::S8,
            Kind::S16,
            Kind::S32,
            Kind::S64,
            Kind::U8,
            Kind::U16,
            Kind::U32,
            Kind::U64,
            Kind::F32,
            Kind::F64,
            Kind::Char,
            Kind::String,
            Kind::Bytes,
        ];
        let choice = self.source.below(plain.len() + 10);
        if let Some(kind) = plain.get(choice) {
            return kind.clone();
        }
        if self.left == 0 || depth == DEEPEST {
            return Kind::String;
        }
        self.left -= 1;
        match choice - plain.len() {
            0 => match self.inner(depth) {
                // WIT has one type for both.
                item if matches!(item.kind, Kind::U8) => Kind::Bytes,
                item => Kind::List(item),
            },
            1 => {
                let length = match self.source.byte() {
                    255 => self.source.number(),
                    length => u32::from(length % 5),
                };
                Kind::FixedList(self.inner(depth), length)
            }
            2 => Kind::Tuple(
                (0..=self.source.below(4))
                    .map(|_| self.shape(depth + 1))
                    .collect(),
            ),
            3 => {
                let members = (0..=self.source.below(5))
                    .map(|_| {
                        let (wit, json) = self.name();
                        Member {
                            wit,
                            json,
                            shape: self.shape(depth + 1),
                        }
                    })
                    .collect();
                Scope::new(members).map_or(Kind::Bool, |it| Kind::Record(Arc::new(it)))
            }
            4 => self
                .cases(|reader| (reader.source.below(2) == 1).then(|| reader.shape(depth + 1)))
                .map_or(Kind::Bool, |it| Kind::Variant(Arc::new(it))),
            5 => self
                .cases(|_| None)
                .map_or(Kind::Bool, |it| Kind::Enum(Arc::new(it))),
            6 => self
                .cases(|_| None)
                .map_or(Kind::Bool, |it| Kind::Flags(Arc::new(it))),
            7 => self.shape(depth + 1).optional().kind,
            8 => {
                let sides = self.source.byte();
                Kind::Result {
                    ok: (sides & 1 != 0).then(|| self.inner(depth)),
                    err: (sides & 2 != 0).then(|| self.inner(depth)),
                }
            }
            _ => {
                // What WIT allows as keys.
                let keys = [
                    Kind::String,
                    Kind::Bool,
                    Kind::Char,
                    Kind::U8,
                    Kind::S32,
                    Kind::S64,
                    Kind::U64,
                ];
                let key = keys[self.source.below(keys.len())].clone();
                Kind::Map(Arc::new(key.into()), self.inner(depth))
            }
        }
    }

    fn cases(
        &mut self,
        mut payload: impl FnMut(&mut Self) -> Option<Shape>,
    ) -> Option<Scope<Case>> {
        let cases = (0..=self.source.below(5))
            .map(|_| {
                let (wit, json) = self.name();
                Case {
                    wit,
                    json,
                    docs: None,
                    payload: payload(self),
                }
            })
            .collect();
        // Names that clash are refused before a signature is made of them.
        Scope::new(cases).ok()
    }

    /// A name in WIT and in JSON, sometimes one that an author chose.
    fn name(&mut self) -> (String, String) {
        let wit = NAMES[self.source.below(NAMES.len())];
        let json = match self.source.below(8) {
            6 => NAMES[self.source.below(NAMES.len())].to_owned(),
            7 => String::from_utf8_lossy(self.source.some()).into_owned(),
            _ => NameCase::Camel.of(wit),
        };
        (wit.to_owned(), json)
    }
}
