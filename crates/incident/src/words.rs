//! The text of a command: words of the command line, or stdin.

use std::io::Read as _;

use chronicle::MAX_TEXT;
use cli::Failure;

/// An argument that is not understood, with what to write in its place.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write {0}")]
pub(crate) struct ParseError(pub(crate) &'static str);

/// The most that is read of stdin, in bytes: more than is kept of it.
const MAX_BYTES: usize = 64 << 10;

/// The words as one text; `-` reads it from stdin. Of a longer one the log keeps the beginning, and a person is told so:
/// at night, the beginning of a log is better than no incident.
///
/// # Errors
/// Returns a usage error for an empty text, and for one that is not UTF-8.
pub(crate) fn text(words: &[String]) -> Result<String, Failure> {
    let text = match words {
        [only] if only == "-" => stdin()?,
        words => words.join(" "),
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::usage("the text is empty")
            .hint("describe what happens, in quotes: `incident note 'the pool is empty'`"));
    }
    if text.chars().nth(MAX_TEXT).is_some() {
        tracing::warn!("the text is long: the log keeps its first {MAX_TEXT} characters");
    }
    Ok(text.to_owned())
}

fn stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_BYTES as u64)
        .read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("failed to read the text from stdin: {error}")))?;
    if let Err(error) = std::str::from_utf8(&bytes)
        && bytes.len() == MAX_BYTES
        && error.error_len().is_none()
    {
        // It ended within a character.
        bytes.truncate(error.valid_up_to());
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage("the text on stdin is not UTF-8")
            .hint("describe what happens in your own words, or send it through `iconv -c -t UTF-8`")
    })
}
