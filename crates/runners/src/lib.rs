//! What is known of self-hosted runners, and whether a pool of them takes a job.
//!
//! Used by `runner-check` and by preflight's check `runners`, so that both know the same.
//! [`gather`] asks every source side by side; [`merge`] and [`judge`] are pure and know no clock;
//! [`outcome`] puts the judgement into words.
//!
//! The sources are known to be wrong, GitHub's own list in both directions, so none of them is
//! taken for the truth: each says something, of some age, and contradictions are shown.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod evidence;
pub mod gather;
pub mod host;
pub mod jobs;
pub mod judge;
pub mod merge;
pub mod metric;
pub mod outcome;
pub mod pool;
pub mod table;

pub use evidence::{Evidence, Source, State, Trust, age};
pub use gather::{Knowledge, Sources};
pub use judge::{Judgement, Rules, judge};
pub use pool::{Pool, Supply};
