//! The part of an answer that is worth keeping: bounded, and without what a terminal would obey.
//!
//! A cut could leave half a secret, which nothing finds. So a piece is kept [`MARGIN`] longer
//! than it is shown, and [`redacted`] takes the margin away after the secrets were replaced.

use crate::Redactor;
use crate::text::is_bidi;

/// What a report shows of one answer, in bytes.
pub const LIMIT: usize = 2048;
/// Longer than what a cut can leave of a secret: up to 63 characters, each escaped as `%41`.
const MARGIN: usize = 256;
/// Marks where text was cut.
const CUT: char = '…';

/// The beginning of an answer.
pub fn head(bytes: &[u8]) -> String {
    let text = printable(&bytes[..bytes.len().min(LIMIT + MARGIN)]);
    let end = text.floor_char_boundary(LIMIT + MARGIN);
    let cut = end < text.len() || bytes.len() > LIMIT + MARGIN;
    let mut text = text;
    text.truncate(end);
    if cut {
        text.push(CUT);
    }
    text
}

/// The end of what a command printed.
pub fn tail(bytes: &[u8]) -> String {
    let text = printable(&bytes[bytes.len().saturating_sub(LIMIT + MARGIN)..]);
    let start = text.ceil_char_boundary(text.len().saturating_sub(LIMIT + MARGIN));
    if start > 0 || bytes.len() > LIMIT + MARGIN {
        format!("{CUT}{}", &text[start..])
    } else {
        text
    }
}

/// What may be shown, at most [`LIMIT`] bytes.
pub fn redacted(text: &str, redactor: &Redactor) -> String {
    let from_end = text.starts_with(CUT);
    let clean = redactor.redact(text.trim_start_matches(CUT).trim_end_matches(CUT));
    let cut = from_end || text.ends_with(CUT);
    let kept = if cut {
        clean.len().saturating_sub(MARGIN)
    } else {
        clean.len()
    };
    if kept == clean.len() && kept <= LIMIT {
        return clean;
    }
    let kept = kept.min(LIMIT - CUT.len_utf8());
    if from_end {
        let start = clean.ceil_char_boundary(clean.len() - kept);
        return format!("{CUT}{}", &clean[start..]);
    }
    format!("{}{CUT}", &clean[..clean.floor_char_boundary(kept)])
}

/// Text in lines; whatever else a terminal would obey, or that turns text round, is written out.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\t' => text.push(c),
            c if c.is_control() || is_bidi(c) => text.extend(c.escape_unicode()),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        let none = Redactor::default();
        let text = head(b"HTTP/1.1 503\r\nx: \x1b[2J\r\n\r\n\xff\0{}\n");
        assert_eq!(text, "HTTP/1.1 503\nx: \\u{1b}[2J\n\n\u{fffd}\\u{0}{}\n");
        assert_eq!(redacted(&text, &none), text);
    }

    #[test]
    fn a_cut_leaves_no_half_of_a_secret() {
        let secret = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV";
        let redactor = Redactor::new([secret]);
        for before in LIMIT - 80..LIMIT + MARGIN {
            let answer = format!("{}{secret}{}", "é".repeat(before / 2), "-".repeat(5000));
            let shown = redacted(&head(answer.as_bytes()), &redactor);
            assert!(shown.len() <= LIMIT && !shown.contains("0123"), "{before}");
            assert!(shown.ends_with(CUT), "{before}");
            let output = format!("{}{secret}{}", "-".repeat(5000), "é".repeat(before / 2));
            let shown = redacted(&tail(output.as_bytes()), &redactor);
            assert!(shown.len() <= LIMIT && !shown.contains("STUV"), "{before}");
            assert!(shown.starts_with(CUT), "{before}");
        }
    }

    #[test]
    fn what_is_written_out_counts() {
        let shown = redacted(&head(&[1; 10_000]), &Redactor::default());
        assert!(shown.len() <= LIMIT && shown.starts_with("\\u{1}\\u{1}"));
        let shown = redacted(&tail(&[1; 10_000]), &Redactor::default());
        assert!(shown.len() <= LIMIT && shown.ends_with("\\u{1}"));
    }
}
