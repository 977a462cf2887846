//! The schema of the file as it is committed. The code that makes it from the types takes half a megabyte, so a release has
//! the text alone.

use std::io::{self, Read as _};

use document::Paths;
use flate2::read::GzDecoder;
use serde_json::Value;

/// `build.rs` compresses it.
const COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/deploy-guard.schema.json.gz"));

/// The keys whose text a shell runs.
pub(crate) const SHELL_TEXTS: Paths = include!(concat!(env!("OUT_DIR"), "/shell_texts.rs"));

/// `schema/deploy-guard.schema.json`.
pub fn committed_schema() -> io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(COMPRESSED).read_to_string(&mut text)?;
    Ok(text)
}

/// The same as a value; null where this program is damaged.
pub(crate) fn value() -> Value {
    let text = committed_schema().unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
