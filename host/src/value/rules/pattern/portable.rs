//! What regular expressions of ECMA-262 (with `u`) and of this host have in common, and how the
//! host writes what the two mean differently.

use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSetBinaryOp, ClassSetItem,
    ClassUnicode, ClassUnicodeKind, ClassUnicodeOpKind, GroupKind, HexLiteralKind, Literal,
    LiteralKind, RepetitionKind, RepetitionOp, Span, SpecialLiteralKind, Visitor,
};

use crate::value::rules::property;

/// Writes a pattern for this host, or says what readers of the schema would not understand.
pub(super) fn translate(text: &str, ast: &Ast) -> Result<String, String> {
    let portable = Portable {
        text,
        ours: String::new(),
        read: 0,
    };
    ast::visit(ast, portable)
}

/// Refuses what is no regular expression in ECMA-262: a client that compiles the schema's patterns
/// would refuse the tool, or the whole list of tools. Writes anew what means something else there:
/// `\d`, `\w` and `\b` are about ASCII, and lines and spaces are counted otherwise.
struct Portable<'t> {
    text: &'t str,
    ours: String,
    read: usize,
}

/// `.`: what ends no line (ECMA-262, `LineTerminator`).
const DOT: &str = r"[^\n\r\x{2028}\x{2029}]";

/// `\s`: ECMA-262, `WhiteSpace` and `LineTerminator`.
const SPACE: &str =
    r"[\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]";

/// `\S`.
const NO_SPACE: &str =
    r"[^\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]";

impl Portable<'_> {
    /// Puts `ours` where the author wrote what `span` covers.
    fn replace(&mut self, span: &Span, ours: &str) {
        let between = self.text.get(self.read..span.start.offset);
        self.ours.push_str(between.unwrap_or_default());
        self.ours.push_str(ours);
        self.read = span.end.offset;
    }

    fn written(&self, span: &Span) -> &str {
        let written = self.text.get(span.start.offset..span.end.offset);
        written.unwrap_or_default()
    }

    fn class(&mut self, class: &ClassPerl) {
        let ours = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
            (ClassPerlKind::Space, false) => SPACE,
            (ClassPerlKind::Space, true) => NO_SPACE,
        };
        self.replace(&class.span, ours);
    }

    fn literal(literal: &Literal, in_class: bool) -> Result<(), String> {
        let c = literal.c;
        let without_backslash =
            || format!("write `{c}` without the backslash, as readers of the schema need it");
        match &literal.kind {
            LiteralKind::Verbatim if c == ']' || !in_class && "{}".contains(c) => Err(format!(
                "write `\\{c}` for `{c}`, as readers of the schema need it"
            )),
            LiteralKind::Meta if "#&~".contains(c) || c == '-' && !in_class => {
                Err(without_backslash())
            }
            LiteralKind::Superfluous if c != '/' => Err(without_backslash()),
            LiteralKind::Verbatim
            | LiteralKind::Meta
            | LiteralKind::Superfluous
            | LiteralKind::HexFixed(HexLiteralKind::X | HexLiteralKind::UnicodeShort)
            | LiteralKind::HexBrace(HexLiteralKind::UnicodeShort)
            | LiteralKind::Special(
                SpecialLiteralKind::FormFeed
                | SpecialLiteralKind::Tab
                | SpecialLiteralKind::LineFeed
                | SpecialLiteralKind::CarriageReturn
                | SpecialLiteralKind::VerticalTab,
            ) => Ok(()),
            LiteralKind::Octal
            | LiteralKind::HexFixed(HexLiteralKind::UnicodeLong)
            | LiteralKind::HexBrace(HexLiteralKind::X | HexLiteralKind::UnicodeLong)
            | LiteralKind::Special(SpecialLiteralKind::Bell | SpecialLiteralKind::Space) => Err(
                foreign_to_ecma(&format!("this escape for {}", c.escape_unicode())),
            ),
        }
    }

    fn unicode(&self, class: &ClassUnicode) -> Result<(), String> {
        let is_known = match &class.kind {
            ClassUnicodeKind::OneLetter(letter) => {
                return Err(format!("write `\\p{{{letter}}}`, with braces"));
            }
            ClassUnicodeKind::Named(name) => property::is_category(name),
            ClassUnicodeKind::NamedValue { op, name, value } => {
                *op == ClassUnicodeOpKind::Equal && property::is_property(name, value)
            }
        };
        // A name may be in the tree as it was not written.
        let is_plain = self
            .written(&class.span)
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "\\{}_=".contains(c));
        if is_known && is_plain {
            Ok(())
        } else {
            Err(format!(
                "write `{}` as a general category, `\\p{{Lu}}`, or a script, `\\p{{Script=Greek}}`, exactly as Unicode spells it",
                self.written(&class.span)
            ))
        }
    }

    fn repetition(&self, operator: &RepetitionOp) -> Result<(), String> {
        match operator.kind {
            RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => {
                Ok(())
            }
            RepetitionKind::Range(_) => {
                let written = self.written(&operator.span);
                let inside = written.strip_suffix('?').unwrap_or(written);
                let inside = inside.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
                let inside = inside.unwrap_or_default();
                let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
                let is_count = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
                if !least.is_empty() && is_count(least) && is_count(most) {
                    Ok(())
                } else {
                    Err(format!(
                        "write `{written}` as `{{2}}`, `{{2,}}` or `{{2,5}}`, as readers of the schema need it"
                    ))
                }
            }
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
        let rest = self.text.get(self.read..);
        self.ours.push_str(rest.unwrap_or_default());
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
                GroupKind::CaptureName { name, .. } => {
                    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    if name.name.chars().all(is_word) {
                        Ok(())
                    } else {
                        Err(foreign_to_ecma(
                            "the name of a group unless it is made of letters, digits and `_`",
                        ))
                    }
                }
                GroupKind::NonCapturing(flags) if !flags.items.is_empty() => {
                    Err(foreign_to_ecma("flags such as `(?i:…)`"))
                }
                GroupKind::CaptureIndex(_) | GroupKind::NonCapturing(_) => Ok(()),
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
            Ast::ClassUnicode(class) => self.unicode(class),
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
                | Ast::Concat(_) => self.repetition(&repetition.op),
            },
            Ast::ClassPerl(class) => {
                self.class(class);
                Ok(())
            }
            Ast::Dot(span) => {
                self.replace(span, DOT);
                Ok(())
            }
            Ast::Empty(_) | Ast::ClassBracketed(_) | Ast::Alternation(_) | Ast::Concat(_) => Ok(()),
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
            ClassSetItem::Unicode(class) => self.unicode(class),
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
