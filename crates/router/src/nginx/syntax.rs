//! A text in nginx's own syntax: its statements and blocks, and where their words are.

use std::ops::Range;

/// A directive with its words: one that ends with `;`, or one that opens a block.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) words: Vec<Range<usize>>,
    /// The position of its `;` or `{`.
    pub(super) end: usize,
    pub(super) opens: bool,
    /// The block that it is in, or opens: numbers in the order of the text; 0 is the text itself.
    pub(super) block: usize,
}

/// The statements in their order.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let (mut inside, mut blocks) = (vec![0], 0);
    let mut words: Vec<Range<usize>> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => at += text[at..].find('\n').unwrap_or(text.len() - at),
            b';' | b'{' => {
                let opens = *byte == b'{';
                if opens {
                    blocks += 1;
                    inside.push(blocks);
                }
                found.push(Statement {
                    words: std::mem::take(&mut words),
                    end: at,
                    opens,
                    block: inside.last().copied().unwrap_or_default(),
                });
                at += 1;
            }
            b'}' => {
                inside.pop();
                words.clear();
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let end = word(bytes, at);
                words.push(at..end);
                at = end;
            }
        }
    }
    found
}

/// Where the word ends that begins here.
fn word(bytes: &[u8], start: usize) -> usize {
    let quote = match bytes[start] {
        quote @ (b'"' | b'\'') => Some(quote),
        _ => None,
    };
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            byte if Some(*byte) == quote => return at + 1,
            _ if quote.is_some() => {}
            // `${name}` opens no block.
            b'{' if bytes[at - 1] == b'$' => {
                while bytes.get(at).is_some_and(|byte| *byte != b'}') {
                    at += 1;
                }
            }
            b';' | b'{' | b'}' => return at,
            byte if byte.is_ascii_whitespace() => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// A word without quotes.
pub(super) fn plain<'t>(text: &'t str, word: &Range<usize>) -> &'t str {
    text[word.clone()].trim_matches(['"', '\''])
}

/// What parts a line from the one before it: the line break and the indent. `None` where this place is on the same line.
pub(super) fn line_break_before(text: &str, start: usize) -> Option<&str> {
    let head = &text[..start];
    let space = &head[head.trim_end().len()..];
    let at = space.rfind('\n')?;
    Some(&space[space[..at].trim_end_matches('\r').len()..])
}

/// The text with other words at these places, which do not overlap.
pub(super) fn changed(text: &str, mut changes: Vec<(Range<usize>, String)>) -> String {
    changes.sort_by_key(|(range, _)| range.start);
    let mut text = text.to_owned();
    for (range, new) in changes.into_iter().rev() {
        text.replace_range(range, &new);
    }
    text
}
