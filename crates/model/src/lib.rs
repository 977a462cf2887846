//! The words every stage shares: verdict, outcome, report, exit code.
//!
//! Wire types and pure functions only; nothing here reads a file, a clock or the environment.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

pub mod address;
pub mod env;
pub mod evidence;
pub mod failed_run;
mod glob;
mod hinted_error;
pub mod id;
pub mod incident;
pub mod inputs;
mod members;
pub mod outcome;
pub mod planned;
pub mod proxy;
pub mod redact;
pub mod release;
pub mod report;
mod retry_after;
pub mod secret;
pub mod shares;
mod stage_name;
pub mod text;
pub mod verdict;
mod watched;
pub mod written;

pub use address::Address;
pub use env::Env;
pub use failed_run::FailedRun;
pub use glob::glob;
pub use hinted_error::HintedError;
pub use id::Id;
pub use inputs::Inputs;
pub use members::{Member, MemberCounts, Shard, ShardError, Tally};
pub use outcome::{FoundAt, Measurement, NotableMeasurements, Outcome, Severity};
pub use redact::Redactor;
pub use report::{Context, Decision, Report, Table};
pub use retry_after::retry_after;
pub use secret::Secret;
pub use stage_name::StageName;
pub use verdict::{ExitCode, Verdict};
pub use watched::{Limits, Policy};
