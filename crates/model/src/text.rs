//! What is the same wherever text from outside is shown.

/// Whether a character turns text round, so that it looks other than it is: overrides, isolates and
/// the invisible marks.
pub fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// The mark of what was left out. [`Redactor`](crate::Redactor) knows it: what ends before it may be
/// the beginning of a secret.
pub const CUT: char = '…';

/// The first `most` characters, and a mark where there are more.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}{CUT}", &text[..end]),
    }
}
