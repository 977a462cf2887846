//! The report of one shard.

use jiff::Timestamp;
use model::Shard;
use model::report::v1;

/// A report that can be counted, and how it is called.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) shard: Shard,
    pub(super) started_at: Timestamp,
    pub(super) report: v1::Report,
}
