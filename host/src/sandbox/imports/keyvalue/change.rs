//! What may become of a bucket.

use crate::digest::Digest;

/// A change, which is made as a whole or not at all.
#[derive(Debug)]
pub(super) enum Change {
    /// Keys get values.
    Set(Vec<(String, Vec<u8>)>),
    /// Keys go, if they are there.
    Delete(Vec<String>),
    /// Something is added to a number, which is written in decimal digits; one that is not there is nought.
    Add { key: String, delta: Delta },
    /// A key gets a value, if what it has is what was seen of it.
    Swap {
        key: String,
        seen: Seen,
        value: Vec<u8>,
    },
}

impl Change {
    /// About how many bytes it is.
    pub(super) fn bytes(&self) -> usize {
        let sum = |lengths: &mut dyn Iterator<Item = usize>| lengths.fold(0, usize::saturating_add);
        match self {
            Self::Set(values) => {
                let lengths = values.iter().map(|(key, value)| (key.len(), value.len()));
                sum(&mut lengths.map(|(key, value)| key.saturating_add(value)))
            }
            Self::Delete(keys) => sum(&mut keys.iter().map(String::len)),
            Self::Add { key, .. } => key.len(),
            Self::Swap { key, value, .. } => key.len().saturating_add(value.len()),
        }
    }
}

/// What is added to a number of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delta {
    /// To one that has no sign.
    Unsigned(u64),
    /// To one that may be below nought.
    Signed(i64),
}

impl Delta {
    /// The number in a value, if it is one to which this can be added.
    pub(super) fn read(self, value: &[u8]) -> Option<i128> {
        let digits = std::str::from_utf8(value).ok()?;
        match self {
            Self::Unsigned(_) => digits.parse::<u64>().ok().map(i128::from),
            Self::Signed(_) => digits.parse::<i64>().ok().map(i128::from),
        }
    }

    /// The sum, if it is such a number, too.
    pub(super) fn added_to(self, number: i128) -> Option<i128> {
        match self {
            Self::Unsigned(delta) => {
                let sum = number.checked_add(delta.into())?;
                u64::try_from(sum).ok().map(i128::from)
            }
            Self::Signed(delta) => {
                let sum = number.checked_add(delta.into())?;
                i64::try_from(sum).ok().map(i128::from)
            }
        }
    }
}

/// What was seen of a value: its digest, or that there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(Option<Digest>);

impl Seen {
    pub(super) fn of(value: Option<&[u8]>) -> Self {
        Self(value.map(|value| Digest::of(&[value])))
    }
}
