//! What an author or an operator should know about a component: a line each, and not too many.

/// The most notes on one component; a hostile one could fill the log with them.
const MOST: usize = 100;

/// The longest note, in bytes. It may quote a doc comment.
const LONGEST: usize = 600;

/// Notes, of which only the first are worded: what gives rise to one can occur a million times.
#[derive(Debug, Default)]
pub(super) struct Notes {
    lines: Vec<String>,
    more: usize,
}

impl Notes {
    /// Takes a note down.
    pub(super) fn add(&mut self, note: impl FnOnce() -> String) {
        if self.lines.len() == MOST {
            self.more = self.more.saturating_add(1);
            return;
        }
        let mut note = note().replace(char::is_control, " ");
        if note.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|end| note.is_char_boundary(*end));
            note.truncate(end.unwrap_or_default());
            note.push('…');
        }
        if !self.lines.contains(&note) {
            self.lines.push(note);
        }
    }

    /// Takes notes down about one thing.
    pub(super) fn about(&mut self, what: &str, notes: Self) {
        for line in notes.lines {
            self.add(|| format!("`{what}`: {line}"));
        }
        self.more = self.more.saturating_add(notes.more);
    }

    /// The notes, and how many there are besides.
    pub(super) fn into_lines(self) -> Vec<String> {
        let mut lines = self.lines;
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_are_worded_and_none_is_long() {
        let mut notes = Notes::default();
        for number in 0..1_000 {
            notes.add(|| {
                assert!(number < MOST, "the others are only counted");
                format!("{number}\n{}", "é".repeat(1_000))
            });
        }
        let lines = notes.into_lines();
        assert_eq!(lines.len(), MOST + 1);
        assert_eq!(lines.last().unwrap(), "and 900 more");
        assert!(
            lines
                .iter()
                .all(|line| line.len() < 610 && !line.contains('\n'))
        );
    }
}
