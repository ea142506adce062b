//! WIT text that comes with a component. No toolchain keeps doc comments in the types, so they travel
//! as text: beside the file, or in a custom section `cloister:wit`.
//!
//! The text is its author's word, not the component's: it is bounded, parsed on its own, and used
//! for names and documentation only.

use std::path::Path;

use wit_parser::{Resolve, SourceMap};

/// The name of the custom section.
pub(super) const SECTION: &str = "cloister:wit";

/// The longest text that is read, in bytes. The largest in use has a few kilobytes.
pub(super) const LONGEST: usize = 1 << 20;

/// The host's own WIT, for a text that uses it without bringing it along.
const HOST_WIT: [(&str, &str); 8] = [
    ("auth.wit", include_str!("../../../wit/auth.wit")),
    ("client.wit", include_str!("../../../wit/client.wit")),
    ("content.wit", include_str!("../../../wit/content.wit")),
    ("prompts.wit", include_str!("../../../wit/prompts.wit")),
    ("resources.wit", include_str!("../../../wit/resources.wit")),
    ("session.wit", include_str!("../../../wit/session.wit")),
    ("tools.wit", include_str!("../../../wit/tools.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// Reads a text.
pub(super) fn parse(bytes: &[u8]) -> Result<Resolve, String> {
    if bytes.len() > LONGEST {
        return Err(format!(
            "it has {} bytes; at most {LONGEST} are read",
            bytes.len()
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|cause| format!("it is not UTF-8: {cause}"))?;
    bound(text)?;
    apart(|| alone(text).or_else(|cause| beside_the_host(text).map_err(|_unlikelier| cause)))?
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

/// How much stack the parser has. It goes as deep as interfaces use each other, and the end of the
/// stack is the end of the host: the most interfaces that are read take less than a quarter of this.
const STACK: usize = 64 << 20;

/// Runs a parser that is not made for hostile input, on a thread of its own. What it panics on is of
/// no use.
pub(super) fn apart<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("wit".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, run)
            .map_err(|cause| format!("there is no thread to read it: {cause}"))?;
        thread
            .join()
            .map_err(|_panic| "the parser gave up on it".to_owned())
    })
}

/// How many of each may be in a text: the parser takes time with the square of the number of packages,
/// and stack with the number of interfaces.
const MOST: [(&str, usize); 4] = [
    ("package", 200),
    ("interface", 2_000),
    ("world", 500),
    ("include", 200),
];

/// How many bytes the parser may copy: each `include` copies what other worlds say.
const LARGEST_COPIES: usize = 4 << 20;

/// Whether the parser can be trusted with a text.
fn bound(text: &str) -> Result<(), String> {
    let mut counts = [0_usize; MOST.len()];
    for word in words(text) {
        for ((keyword, _), count) in MOST.iter().zip(&mut counts) {
            *count += usize::from(word == *keyword);
        }
    }
    for ((keyword, most), count) in MOST.iter().zip(counts) {
        if count > *most {
            return Err(format!(
                "it has `{keyword}` {count} times; at most {most} are read"
            ));
        }
    }
    let [.., includes] = counts;
    if includes.saturating_mul(text.len()) > LARGEST_COPIES {
        return Err(format!(
            "it has `include` {includes} times, too often for {} bytes; write out what worlds have",
            text.len()
        ));
    }
    Ok(())
}

/// The identifiers and keywords of a text, without its comments. `%include` is no keyword.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(|c: char| is_word(c) || c == '/')?;
            rest = rest.get(start..)?;
            if let Some(comment) = rest.strip_prefix("//") {
                rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = rest.strip_prefix("/*") {
                rest = behind_comment(comment);
            } else if let Some(other) = rest.strip_prefix('/') {
                rest = other;
            } else {
                let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at_checked(end)?;
                rest = behind;
                return Some(word);
            }
        }
    })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "%-_".contains(c)
}

/// What stands behind a block comment, which can have others in it.
fn behind_comment(mut text: &str) -> &str {
    let mut depth = 1_usize;
    while depth > 0 {
        let Some(found) = text.find("*/").into_iter().chain(text.find("/*")).min() else {
            return "";
        };
        let (mark, behind) = text
            .get(found..)
            .and_then(|text| text.split_at_checked(2))
            .unwrap_or_default();
        depth = if mark == "/*" { depth + 1 } else { depth - 1 };
        text = behind;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of so many lines, with what stands around them.
    fn many(before: &str, count: usize, line: impl Fn(usize) -> String, after: &str) -> String {
        let lines: String = (1..=count).map(line).collect();
        format!("package a:b;\n{before}{lines}{after}")
    }

    #[test]
    fn words_are_those_outside_of_comments() {
        let text =
            "package a:b; // world x {}\n/* include /* a */ b */ world %include { export c-d; }";
        let found: Vec<_> = words(text).collect();
        assert_eq!(
            found,
            ["package", "a", "b", "world", "%include", "export", "c-d"]
        );
    }

    #[test]
    fn what_would_keep_the_parser_busy_is_refused() {
        let chained = |count| {
            let line = |it: usize| format!("world w{it} {{ include w{}; }}\n", it - 1);
            many("world w0 {}\n", count, line, "")
        };
        assert!(parse(chained(20).as_bytes()).is_ok());
        assert!(
            parse(chained(300).as_bytes())
                .unwrap_err()
                .contains("`include` 300 times")
        );
        let padded = format!("{}// {}", chained(20), "x".repeat(1 << 19));
        assert!(parse(padded.as_bytes()).unwrap_err().contains("too often"));
        let packages = many("", 1_000, |it| format!("package a:p{it} {{}}\n"), "");
        assert!(
            parse(packages.as_bytes())
                .unwrap_err()
                .contains("`package` 1001 times")
        );
        assert!(
            parse(&vec![b' '; LONGEST + 1])
                .unwrap_err()
                .contains("bytes")
        );
    }

    /// Each interface uses the one before. The parser follows them, and the host must outlive that.
    #[test]
    fn interfaces_that_use_each_other_do_not_end_the_host() {
        let chain = |count| {
            many(
                "interface i0 { type t = u8; }\n",
                count,
                |it| format!("interface i{it} {{ use i{}.{{t}}; }}\n", it - 1),
                &format!("world w {{ export i{count}; }}"),
            )
        };
        assert!(parse(chain(1_999).as_bytes()).is_ok());
        assert!(
            parse(chain(20_000).as_bytes())
                .unwrap_err()
                .contains("`interface`")
        );
    }
}
