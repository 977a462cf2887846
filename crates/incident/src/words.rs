//! The text of a command: words of the command line, or stdin.

use std::io::Read as _;

use cli::Failure;

/// An argument that is not understood, with what to write in its place.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write {0}")]
pub(crate) struct ParseError(pub(crate) &'static str);

/// The most that a text may have, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The words as one text; `-` reads it from stdin.
///
/// # Errors
/// Returns a usage error for an empty text, one that is too large, and one that is not UTF-8.
pub(crate) fn text(words: &[String]) -> Result<String, Failure> {
    let text = match words {
        [only] if only == "-" => stdin()?,
        words => words.join(" "),
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::usage("the text is empty")
            .hint("say what happens, in quotes: `incident note 'the pool is empty'`"));
    }
    if text.len() as u64 > MAX_BYTES {
        return Err(
            Failure::usage(format!("the text has over {} KiB", MAX_BYTES >> 10))
                .hint("put a log into a file, and its address into the text"),
        );
    }
    Ok(text.to_owned())
}

fn stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("failed to read the text from stdin: {error}")))?;
    String::from_utf8(bytes).map_err(|_| Failure::usage("the text on stdin is not UTF-8"))
}
