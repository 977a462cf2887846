//! What one look at a source gives.

use jiff::Timestamp;
use judge::Interval;

use crate::flaw::DataDefect;

/// One interval.
#[derive(Clone, Debug)]
pub struct IntervalCounts {
    /// The source's time.
    pub at: Timestamp,
    /// Something that should be there has not come yet: nothing was taken, and the next look has it
    /// all.
    pub early: bool,
    /// A sample for each metric, as they are declared.
    pub interval: Interval,
    /// What is wrong with each of them.
    pub flaws: Vec<Vec<DataDefect>>,
}
