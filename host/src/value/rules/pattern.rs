//! `@pattern`: a regular expression that this host checks and that readers of JSON Schema, who
//! have the expressions of ECMA-262 with its `u` flag, understand the same way.

use std::fmt;

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSetBinaryOp, ClassSetItem,
    ClassUnicodeKind, GroupKind, HexLiteralKind, Literal, LiteralKind, Span, SpecialLiteralKind,
    Visitor,
};

/// A compiled pattern. It matches anywhere in a text unless anchored, as JSON Schema has it, and in
/// time linear in the text: callers choose the text.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

/// A compiled pattern may take as much memory, in bytes; every served function may have several.
const LARGEST: usize = 1 << 20;

impl Pattern {
    /// Compiles a pattern, or says why not.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let ast = Parser::new()
            .parse(text)
            .map_err(|error| format!("not a regular expression: {}", error.kind()))?;
        let ours = ast::visit(
            &ast,
            Portable {
                text,
                ours: String::new(),
                read: 0,
            },
        )?;
        match RegexBuilder::new(&ours)
            .size_limit(LARGEST)
            .dfa_size_limit(LARGEST)
            .build()
        {
            Ok(regex) => Ok(Self {
                text: text.to_owned(),
                regex,
            }),
            Err(regex::Error::CompiledTooBig(limit)) => Err(format!(
                "takes more than {limit} bytes when compiled: repeat less"
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The pattern as its author wrote it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Refuses what is no regular expression in ECMA-262: a client that compiles the schema's patterns
/// would refuse the tool, or the whole list of tools. Writes the pattern anew for what means
/// something else there: `\d`, `\w` and `\b` are about ASCII.
struct Portable<'t> {
    text: &'t str,
    ours: String,
    read: usize,
}

impl Portable<'_> {
    /// Puts `ours` where the author wrote what `span` covers.
    fn replace(&mut self, span: &Span, ours: &str) {
        self.ours.push_str(
            self.text
                .get(self.read..span.start.offset)
                .unwrap_or_default(),
        );
        self.ours.push_str(ours);
        self.read = span.end.offset;
    }

    fn class(&mut self, class: &ClassPerl) {
        match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => self.replace(&class.span, "[0-9]"),
            (ClassPerlKind::Digit, true) => self.replace(&class.span, "[^0-9]"),
            (ClassPerlKind::Word, false) => self.replace(&class.span, "[0-9A-Za-z_]"),
            (ClassPerlKind::Word, true) => self.replace(&class.span, "[^0-9A-Za-z_]"),
            (ClassPerlKind::Space, _) => {}
        }
    }

    fn literal(literal: &Literal, in_class: bool) -> Result<(), String> {
        let foreign = match &literal.kind {
            LiteralKind::Verbatim => !in_class && "]{}".contains(literal.c),
            LiteralKind::Meta => "#&~".contains(literal.c) || literal.c == '-' && !in_class,
            LiteralKind::Superfluous | LiteralKind::Octal => true,
            LiteralKind::HexFixed(kind) => *kind == HexLiteralKind::UnicodeLong,
            LiteralKind::HexBrace(kind) => *kind != HexLiteralKind::UnicodeShort,
            LiteralKind::Special(kind) => {
                matches!(kind, SpecialLiteralKind::Bell | SpecialLiteralKind::Space)
            }
        };
        let c = literal.c;
        match literal.kind {
            _ if !foreign => Ok(()),
            LiteralKind::Verbatim => Err(format!(
                "write `\\{c}` for `{c}`, as readers of the schema need it"
            )),
            LiteralKind::Meta | LiteralKind::Superfluous => Err(format!(
                "write `{c}` without the backslash, as readers of the schema need it"
            )),
            LiteralKind::Octal
            | LiteralKind::HexFixed(_)
            | LiteralKind::HexBrace(_)
            | LiteralKind::Special(_) => Err(foreign_to_ecma(&format!(
                "this escape for {}",
                c.escape_unicode()
            ))),
        }
    }

    fn unicode(kind: &ClassUnicodeKind) -> Result<(), String> {
        match kind {
            ClassUnicodeKind::OneLetter(letter) => {
                Err(format!("write `\\p{{{letter}}}`, with braces"))
            }
            ClassUnicodeKind::Named(_) | ClassUnicodeKind::NamedValue { .. } => Ok(()),
        }
    }
}

fn foreign_to_ecma(what: &str) -> String {
    format!("readers of the schema do not know {what} (patterns are those of ECMA-262)")
}

impl Visitor for Portable<'_> {
    type Output = String;
    type Err = String;

    fn finish(mut self) -> Result<String, String> {
        self.ours
            .push_str(self.text.get(self.read..).unwrap_or_default());
        Ok(self.ours)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Literal(literal) => Self::literal(literal, false),
            Ast::Flags(_) => Err(foreign_to_ecma("flags such as `(?i)`")),
            Ast::Group(group) => match &group.kind {
                GroupKind::CaptureName {
                    starts_with_p: true,
                    ..
                } => Err("write `(?<name>…)` without the `P`".to_owned()),
                GroupKind::NonCapturing(flags) if !flags.items.is_empty() => {
                    Err(foreign_to_ecma("flags such as `(?i:…)`"))
                }
                GroupKind::CaptureIndex(_)
                | GroupKind::CaptureName { .. }
                | GroupKind::NonCapturing(_) => Ok(()),
            },
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::WordBoundary => {
                    self.replace(&assertion.span, "(?-u:\\b)");
                    Ok(())
                }
                AssertionKind::StartLine | AssertionKind::EndLine => Ok(()),
                AssertionKind::NotWordBoundary => Err("write it without `\\B`".to_owned()),
                AssertionKind::StartText
                | AssertionKind::EndText
                | AssertionKind::WordBoundaryStart
                | AssertionKind::WordBoundaryEnd
                | AssertionKind::WordBoundaryStartAngle
                | AssertionKind::WordBoundaryEndAngle
                | AssertionKind::WordBoundaryStartHalf
                | AssertionKind::WordBoundaryEndHalf => {
                    Err(foreign_to_ecma("anchors but `^`, `$` and `\\b`"))
                }
            },
            Ast::ClassUnicode(class) => Self::unicode(&class.kind),
            Ast::Repetition(repetition) => match &*repetition.ast {
                Ast::Repetition(_) | Ast::Assertion(_) | Ast::Empty(_) => {
                    Err("there is nothing to repeat before a repetition".to_owned())
                }
                Ast::Flags(_)
                | Ast::Literal(_)
                | Ast::Dot(_)
                | Ast::ClassUnicode(_)
                | Ast::ClassPerl(_)
                | Ast::ClassBracketed(_)
                | Ast::Group(_)
                | Ast::Alternation(_)
                | Ast::Concat(_) => Ok(()),
            },
            Ast::ClassPerl(class) => {
                self.class(class);
                Ok(())
            }
            Ast::Empty(_)
            | Ast::Dot(_)
            | Ast::ClassBracketed(_)
            | Ast::Alternation(_)
            | Ast::Concat(_) => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Literal(literal) => Self::literal(literal, true),
            ClassSetItem::Range(range) => {
                Self::literal(&range.start, true)?;
                Self::literal(&range.end, true)
            }
            ClassSetItem::Ascii(_) => Err(foreign_to_ecma("classes such as `[[:alpha:]]`")),
            ClassSetItem::Bracketed(_) => Err(foreign_to_ecma("a class inside a class")),
            ClassSetItem::Unicode(class) => Self::unicode(&class.kind),
            ClassSetItem::Perl(class) => {
                self.class(class);
                Ok(())
            }
            ClassSetItem::Empty(_) | ClassSetItem::Union(_) => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), String> {
        Err(foreign_to_ecma("`&&`, `--` and `~~` in classes"))
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn what_both_sides_read_alike_is_taken() {
        for text in [
            "^[A-Z]{2}\\d{4}$",
            "^[\\w.\\-]+@\\S+$",
            "a|b",
            "(?:x|y)*?",
            "(?<year>\\d{4})",
            "\\p{L}+",
            "[^\\]]",
            "\\{\\}",
            "\\u0041\\x41\\n",
            "^\\w{1,60}$",
            "",
        ] {
            assert!(
                Pattern::new(text).is_ok(),
                "{text}: {:?}",
                Pattern::new(text).err()
            );
        }
        assert!(
            Pattern::new("b").unwrap().matches("abc"),
            "a pattern is not anchored"
        );
    }

    #[test]
    fn classes_are_about_ascii_as_in_ecma() {
        let number = Pattern::new("^[\\d.]+\\b$").unwrap();
        assert_eq!(number.text(), "^[\\d.]+\\b$");
        assert!(
            number.matches("1.5") && !number.matches("١"),
            "Arabic digits are none of `\\d`"
        );
        let words = Pattern::new("^\\w+\\W[^\\w\\d]\\D$").unwrap();
        assert!(words.matches("ab-+é") && !words.matches("é---") && !words.matches("ab-+1"));
    }

    #[test]
    fn what_only_one_side_reads_is_refused() {
        for text in [
            "(",
            "[a",
            "*",
            "(?i)a",
            "(?i:a)",
            "(?P<a>b)",
            "\\Aa\\z",
            "[[:alpha:]]",
            "[a-z&&b]",
            "[a[b]]",
            "\\pL",
            "\\x{41}",
            "\\a",
            "\\%",
            "\\-",
            "\\#",
            "}",
            "a**",
            "^*",
            "(?=a)",
            "(a)\\1",
            "(?:a{1000}){1000}",
        ] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
    }
}
