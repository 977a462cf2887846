//! Steps at places, for any operation: the running release is queried, a [`Plan`] is made and
//! never changed, an [`Execution`] makes its steps batch by batch and records each one before and
//! after, and a [`Conclusion`] reports the result. After a kill at any point, the journal shows
//! where the operation was.
//!
//! What may be done at all, what is verified and what is recorded at the end is a stage's.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod conclusion;
pub mod current;
mod execution;
mod plan;
pub mod status;
mod watch;

pub use conclusion::{Conclusion, ExecutionEnd, PlaceRelease, RevertEnd, Reverted};
pub use current::{CurrentRelease, ReleaseAnswer};
pub use execution::{Execution, ExecutionContext, FINISH, Grounds, Settings};
pub use plan::{Plan, PlannedStep};
pub use watch::{Operator, Timer, Watch};
