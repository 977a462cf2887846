//! What was counted within an interval.

use std::collections::BTreeMap;

/// By instance; an empty name where a side is one whole.
pub(crate) type Increases = BTreeMap<String, BTreeMap<Part, f64>>;

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Failed,
    /// Requests, or events of which there is no total.
    Total,
    /// Requests that took at most so long; the bits of its bound.
    Bucket(u64),
}
