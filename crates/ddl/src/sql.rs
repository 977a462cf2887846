//! SQL as a tree, within bounds.

use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};
use squawk_syntax::ast::AstNode;
use squawk_syntax::{SourceFile, SyntaxKind};

/// The longest text that is read, in bytes: a migration is a page, and a dump is not one.
pub(crate) const MAX_BYTES: usize = 2 << 20;
/// How deep a tree may become. The parser calls itself for each level.
const MAX_DEPTH: usize = 4000;
/// What a body in quotes counts for, beside what is in it: so bodies within bodies end soon.
const BODY: usize = 100;
/// Enough for that depth in a build without optimisation, several times over; untouched pages cost
/// nothing.
const STACK: usize = 256 << 20;

/// Why a text was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the text is longer than {} MiB", MAX_BYTES >> 20)]
    TooLong,
    #[error("its expressions are nested deeper than the SQL of a migration")]
    TooDeep,
    #[error("no thread could be started to read it")]
    NoThread,
}

/// A place in a file: both count from one, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// The places of a text's bytes.
pub(crate) struct Places<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl Places<'_> {
    pub(crate) fn of(text: &str) -> Places<'_> {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(breaks.map(|(at, _)| at + 1))
            .collect();
        Places { text, starts }
    }

    pub(crate) fn at(&self, byte: usize) -> Place {
        let byte = self.text.floor_char_boundary(byte.min(self.text.len()));
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts[line - 1];
        Place {
            line,
            column: self.text[start..byte].chars().count() + 1,
        }
    }
}

/// Reads the text and has `look` look at the tree, on a stack that is deep enough for it.
pub(crate) fn read<T: Send>(
    text: &str,
    look: impl FnOnce(&squawk_syntax::Parse<SourceFile>) -> T + Send,
) -> Result<T, ReadError> {
    if text.len() > MAX_BYTES {
        return Err(ReadError::TooLong);
    }
    if depth(text, 0) > MAX_DEPTH {
        return Err(ReadError::TooDeep);
    }
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(STACK);
        let reader = reader.spawn_scoped(scope, || look(&SourceFile::parse(text)));
        let looked = reader.map_err(|_| ReadError::NoThread)?.join();
        Ok(looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// No tree of the text is deeper than this: each token may open a level, a bracket's levels end
/// with it, and a comma or a semicolon goes on beside what was before.
fn depth(text: &str, above: usize) -> usize {
    let mut levels = vec![above];
    let (mut depth, mut deepest) = (above, above);
    let (mut at, mut after_as) = (0, false);
    for token in tokenize(text) {
        let said = text.get(at..at + token.len as usize).unwrap_or_default();
        at += token.len as usize;
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => {
                continue;
            }
            TokenKind::OpenParen | TokenKind::OpenBracket => {
                depth += 1;
                levels.push(1);
            }
            TokenKind::CloseParen | TokenKind::CloseBracket if levels.len() > 1 => {
                // The brackets are one operand from here on.
                depth -= levels.pop().unwrap_or_default() - 1;
                *levels.last_mut().expect("the outermost stays") += 1;
            }
            TokenKind::Comma => {
                let least = if levels.len() == 1 { above } else { 1 };
                let level = levels.last_mut().expect("the outermost stays");
                depth -= *level - least;
                *level = least;
            }
            TokenKind::Semi => {
                levels = vec![above];
                depth = above;
            }
            // The body of a function is read, too.
            TokenKind::Literal {
                kind: LiteralKind::DollarQuotedString { .. },
            } => {
                let tag = said[1..].find('$').map_or(said.len(), |end| end + 2);
                let within = said
                    .get(tag..said.len().saturating_sub(tag))
                    .unwrap_or_default();
                deepest = deepest.max(self::depth(within, depth + BODY));
            }
            TokenKind::Literal {
                kind: LiteralKind::Str { .. } | LiteralKind::EscStr { .. },
            } if after_as => {
                let within = said.split_once('\'').map_or("", |(_, within)| within);
                deepest = deepest.max(self::depth(within, depth + BODY));
            }
            _ => {
                depth += 1;
                *levels.last_mut().expect("the outermost stays") += 1;
            }
        }
        after_as = said.eq_ignore_ascii_case("as");
        deepest = deepest.max(depth);
        if deepest > MAX_DEPTH {
            break;
        }
    }
    deepest
}

/// The bytes of a node, without the blanks and comments before it.
pub(crate) fn bytes(node: &impl AstNode) -> Range<usize> {
    let node = node.syntax();
    let first = node
        .descendants_with_tokens()
        .filter_map(squawk_syntax::SyntaxElement::into_token)
        .find(|token| !matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT));
    let range = node.text_range();
    let start = first.map_or(range.start(), |token| token.text_range().start());
    start.into()..range.end().into()
}

/// What a node says, its words parted by one space.
pub(crate) fn node_text(node: &impl AstNode) -> String {
    let tokens = node.syntax().descendants_with_tokens();
    let mut said = String::new();
    let mut apart = false;
    for token in tokens.filter_map(squawk_syntax::SyntaxElement::into_token) {
        if matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT) {
            apart = !said.is_empty();
            continue;
        }
        if std::mem::take(&mut apart) {
            said.push(' ');
        }
        said.push_str(token.text());
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<usize, ReadError> {
        read(text, |parse| parse.errors().len())
    }

    #[test]
    fn a_text_that_is_too_deep_is_refused_before_the_parser_falls() {
        for (before, after) in [
            ("(", ")"),
            ("- ", ""),
            ("not ", ""),
            ("case when ", " then 1 end"),
            ("array[", "]"),
            ("1+", ""),
            ("not 1 = ", ""),
            ("(1, ", ")"),
            ("f(a, ';', ", ")"),
        ] {
            let nested =
                |times: usize| format!("select {}1{};", before.repeat(times), after.repeat(times));
            assert_eq!(parsed(&nested(60_000)), Err(ReadError::TooDeep), "{before}");
            // At the bound itself the stack holds.
            let deepest = (1..MAX_DEPTH)
                .rev()
                .step_by(100)
                .find(|times| depth(&nested(*times), 0) <= MAX_DEPTH);
            parsed(&nested(deepest.expect("some depth is allowed"))).expect("it is read");
        }
        let body = format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000));
        let function = format!("create function f() returns int language sql as $$ {body} $$;");
        assert_eq!(parsed(&function), Err(ReadError::TooDeep));
        assert_eq!(parsed(&" ".repeat(MAX_BYTES + 1)), Err(ReadError::TooLong));
    }

    #[test]
    fn a_long_migration_is_not_a_deep_one() {
        let rows = vec!["(1, 'a', now())"; 20_000].join(", ");
        assert_eq!(parsed(&format!("insert into t values {rows};")), Ok(0));
        assert_eq!(
            parsed(&"update t set a = 1 where b = 2;\n".repeat(20_000)),
            Ok(0)
        );
    }

    #[test]
    fn a_text_that_is_no_sql_is_read_without_a_panic() {
        for text in [
            "",
            "'",
            "$$",
            "$a$ x",
            "/*",
            ")",
            ";;;",
            "\u{0}",
            "é'",
            "$1$",
            "alter table",
        ] {
            let _ = parsed(text);
        }
    }

    #[test]
    fn places_count_characters_from_one() {
        let places = Places::of("é;\nab\n");
        assert_eq!(places.at(2), Place { line: 1, column: 2 });
        assert_eq!(places.at(4), Place { line: 2, column: 1 });
        assert_eq!(places.at(99), Place { line: 3, column: 1 });
    }
}
