//! A position in a file.

use std::ops::Range;

/// Bytes of the file.
pub type Place = Range<usize>;
