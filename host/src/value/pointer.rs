//! Where in a document a value stands, kept on the stack while walking and written as a JSON
//! pointer (RFC 6901) only when somebody must be told.

use std::fmt;

/// A place in a JSON document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pointer<'a> {
    /// The document itself.
    Root,
    /// The value of a key.
    Key(&'a Pointer<'a>, &'a str),
    /// An item of an array.
    Item(&'a Pointer<'a>, usize),
}

impl Pointer<'_> {
    pub(super) fn key<'a>(&'a self, key: &'a str) -> Pointer<'a> {
        Pointer::Key(self, key)
    }

    pub(super) fn item(&self, index: usize) -> Pointer<'_> {
        Pointer::Item(self, index)
    }
}

/// Keys are chosen by the caller: longer ones are cut in messages.
const LONGEST_KEY: usize = 60;

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pointer::Root => Ok(()),
            Pointer::Item(parent, index) => write!(f, "{parent}/{index}"),
            Pointer::Key(parent, key) => {
                write!(f, "{parent}/")?;
                for (place, letter) in key.chars().enumerate() {
                    match letter {
                        _ if place == LONGEST_KEY => return f.write_str("…"),
                        '~' => f.write_str("~0")?,
                        '/' => f.write_str("~1")?,
                        // A line break in a key must not look like the next mistake.
                        letter if letter.is_control() => write!(f, "{}", letter.escape_default())?,
                        letter => write!(f, "{letter}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pointer;

    #[test]
    fn pointers_are_escaped_and_keep_to_one_line() {
        let root = Pointer::Root;
        let list = root.key("a/b~c");
        let item = list.item(3);
        assert_eq!(root.to_string(), "");
        assert_eq!(item.key("x\ny").to_string(), "/a~1b~0c/3/x\\ny");
        assert_eq!(root.key(&"k".repeat(1000)).to_string().chars().count(), 62);
    }
}
