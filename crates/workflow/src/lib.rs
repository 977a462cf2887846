//! A workflow of GitHub Actions as it is written: its jobs and steps, each with its place in the text, and the values in
//! it as far as the workflow alone tells them. Nothing of it is run.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod alternatives;
mod contract;
mod document;
pub mod expression;
mod fact;
pub mod inputs;
pub mod matrix;
mod own;
mod program;
pub mod rank;
pub mod release;
mod source;
mod value;

pub use contract::{Contract, INPUTS, STAGES, default_command};
pub use document::{ActionCall, Job, Lines, LocalAction, Step, Text, Workflow, steps_of};
pub use fact::{Fact, Known, Line};
pub use own::{Own, OwnAction, OwnCall};
pub use source::{
    Source, gets_artifacts, gets_own_artifacts, input_of, is_checkout, named_otherwise,
    names_its_run, source,
};
pub use value::Value;
