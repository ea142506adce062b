//! Where log lines go: standard error, as text for people or as JSON for machines.

use std::fmt::Write as _;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Starts logging for the whole process. A filter that cannot be read is an error, with what is
/// wrong with it; a process that logs already keeps what it has.
pub fn start(filter: &str, json: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|cause| {
        format!("`log` is no filter, such as `info` or `cloister=debug`: {cause}")
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines { json })
        // Colours are control characters, and none of those leave this process.
        .with_ansi(false);
    // The second start in one process, as in tests, changes nothing.
    let _already = if json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_target(false).try_init()
    };
    Ok(())
}

/// Writes each line to standard error.
struct Lines {
    json: bool,
}

impl MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line { json: self.json }
    }
}

/// One line of the log. Parts of it come from guests, files and requests, so nothing in it may end the
/// line early or speak to the reader's terminal.
struct Line {
    json: bool,
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (text, end) = match text.strip_suffix('\n') {
            Some(text) => (text, "\n"),
            None => (&*text, ""),
        };
        if text.contains(is_trick) {
            let mut shown = String::with_capacity(text.len().saturating_mul(2));
            for c in text.chars() {
                if is_trick(c) && self.json {
                    // Only strings have such characters, and all of them are in the first plane (RFC 8259, §7).
                    // Writing to a string cannot fail.
                    let _infallible = write!(shown, "\\u{:04x}", u32::from(c));
                } else if is_trick(c) {
                    shown.extend(c.escape_default());
                } else {
                    shown.push(c);
                }
            }
            shown.push_str(end);
            io::stderr().write_all(shown.as_bytes())?;
        } else {
            io::stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Whether a character does more than to stand there: control characters, and those that turn the
/// direction of text around (Unicode Technical Report 36, §3.1).
fn is_trick(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}
