//! Short names for texts of any length, the same each time.

use aws_lc_rs::digest::{SHA256, digest};
use model::text::hex;

/// The SHA-256 of a text, in hexadecimal digits.
pub(crate) fn of(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()))
}
