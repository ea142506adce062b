//! What values take in memory.

use wasmtime::component::Val;

/// What some values take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// About how many bytes the host has of them.
    pub(super) bytes: usize,
    /// How many pieces of memory a guest has to make for them at least: one for each text and list that is
    /// not empty.
    pub(super) pieces: usize,
}

impl Weight {
    pub(super) fn of(values: &[Val]) -> Self {
        let mut weight = Self::default();
        weight.all(values);
        weight
    }

    fn all<'a>(&mut self, values: impl IntoIterator<Item = &'a Val>) {
        for value in values {
            self.add(value);
        }
    }

    fn add(&mut self, value: &Val) {
        self.bytes(size_of::<Val>());
        match value {
            Val::Bool(_)
            | Val::S8(_)
            | Val::U8(_)
            | Val::S16(_)
            | Val::U16(_)
            | Val::S32(_)
            | Val::U32(_)
            | Val::S64(_)
            | Val::U64(_)
            | Val::Float32(_)
            | Val::Float64(_)
            | Val::Char(_)
            | Val::Resource(_)
            | Val::Future(_)
            | Val::Stream(_)
            | Val::ErrorContext(_) => {}
            Val::String(text) => {
                self.piece(text.is_empty());
                self.bytes(text.capacity());
            }
            Val::Enum(name) => self.bytes(name.capacity()),
            Val::Flags(names) => {
                for name in names {
                    self.name(name);
                }
            }
            Val::List(items) => {
                self.piece(items.is_empty());
                self.all(items);
            }
            Val::Tuple(items) | Val::FixedLengthList(items) => {
                self.all(items);
            }
            Val::Map(entries) => {
                self.piece(entries.is_empty());
                for (key, value) in entries {
                    self.add(key);
                    self.add(value);
                }
            }
            Val::Record(fields) => {
                for (name, value) in fields {
                    self.name(name);
                    self.add(value);
                }
            }
            Val::Variant(case, payload) => {
                self.bytes(case.capacity());
                self.all(payload.as_deref());
            }
            Val::Option(payload) | Val::Result(Ok(payload) | Err(payload)) => {
                self.all(payload.as_deref());
            }
        }
    }

    fn name(&mut self, name: &String) {
        self.bytes(size_of::<String>().saturating_add(name.capacity()));
    }

    fn bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn piece(&mut self, is_empty: bool) {
        self.pieces = self.pieces.saturating_add(usize::from(!is_empty));
    }
}
