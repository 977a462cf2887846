//! Canary against stable: is the new release worse than the one before it?
//!
//! Pure statistics: no input, no output, no clock. One interval's data comes in at a time, and the
//! verdict keeps its error bounds although it is looked at after every interval.
#![allow(clippy::cast_precision_loss, reason = "no count is above 2^53")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod measure;
pub mod random;
pub mod reading;
pub mod sequential;
pub mod threshold;

pub use measure::{Measure, Tallies, Tally};
pub use reading::{
    Attendance, Buckets, Counts, Doubt, Events, Interval, Reading, ReadingError, Sample, SideData,
    Sides, whole,
};
