//! A workflow of GitHub Actions as it is written: its jobs and steps, each with its place in the text, and the values in
//! it as far as the workflow alone tells them. Nothing of it is run.

mod document;
pub mod expression;
mod fact;
mod value;

pub use document::{Job, Lines, Step, Text, Workflow, steps_of};
pub use fact::{Fact, Line};
pub use value::Value;
