//! Which stage of a workflow run failed, and what GitHub tells of why.
//!
//! [`diagnose`] asks GitHub; everything else is arithmetic over names and lines: which job and step
//! is the cause, which stage of a deployment that is, and which lines of the log say it. What could
//! not be asked is a [`Gap`] in the diagnosis, with the permission that it takes.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod cancellation;
mod cause;
mod classify;
mod commands;
mod diagnosis;
mod dockerfile;
mod evidence;
mod fetch;
mod gap;
mod job_needs;
mod log;
mod names;
mod plain;
mod waiting;

pub use cancellation::CancelledBy;
pub use cause::{Cause, Suspect, cause};
pub use classify::{Facts, classify};
pub use diagnosis::Diagnosis;
pub use fetch::{RunQuery, diagnose};
pub use gap::{Error, Gap};
pub use job_needs::{Needed, runs};
pub use log::{StepLog, error_lines};
pub use model::failed_run::{Annotation, DockerfileStep, Ended, OtherJob, Stage};
pub use waiting::Waiting;
