//! Lines of bounded length, from an input that may have others.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What stands on a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// All of it, without its end.
    Whole(Bytes),
    /// More than may stand on one.
    TooLong,
}

/// Reads lines.
pub(super) struct Lines<R> {
    input: R,
    longest: usize,
    begun: Vec<u8>,
    /// The rest of the line is not kept.
    is_too_long: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(input: R, longest: usize) -> Self {
        Self {
            input,
            longest,
            begun: Vec::new(),
            is_too_long: false,
        }
    }

    /// The next line that is not blank; none at the end of the input, which also ends a line. What was
    /// read stays when the future is dropped.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let read = self.input.fill_buf().await?;
            let end = read.iter().position(|byte| *byte == b'\n');
            let (part, is_line) = match end.and_then(|end| read.split_at_checked(end)) {
                Some((part, _)) => (part, true),
                None => (read, read.is_empty()),
            };
            let is_input_over = read.is_empty();
            if self.begun.len().saturating_add(part.len()) > self.longest {
                self.is_too_long = true;
                self.begun = Vec::new();
            } else if !self.is_too_long {
                self.begun.extend_from_slice(part);
            }
            let consumed = part.len().saturating_add(usize::from(end.is_some()));
            self.input.consume(consumed);
            if !is_line {
                continue;
            }
            let line = std::mem::take(&mut self.begun);
            if std::mem::take(&mut self.is_too_long) {
                return Ok(Some(Line::TooLong));
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(Line::Whole(line.into())));
            }
            if is_input_over {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_read_whole_and_none_is_kept_that_is_too_long() {
        let text: &[u8] = b"\n  \r\nfour\n12345\nx\r\n123456789\n12345";
        // However the input comes in parts, the lines are the same.
        for size in [1, 3, 64] {
            let input = tokio::io::BufReader::with_capacity(size, text);
            let mut lines = Lines::new(input, 4);
            let mut read = Vec::new();
            while let Some(line) = lines.next().await.unwrap() {
                read.push(line);
            }
            let whole = |text: &'static str| Line::Whole(text.into());
            let expected = [
                whole("four"),
                Line::TooLong,
                whole("x\r"),
                Line::TooLong,
                Line::TooLong,
            ];
            assert_eq!(read, expected, "{size}");
        }
    }
}
