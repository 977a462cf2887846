//! A canary against stable: the judge of the configuration over the intervals of a watch or of recorded
//! data, and its verdict in words.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod comparison;
mod curve;
mod finding;
mod kayenta;
mod number_format;
mod reasons;
mod sequential;
mod settings;
mod threshold;
pub mod trace;

pub use comparison::Comparison;
pub use finding::Finding;
pub use reasons::of_doubt as hint_of_doubt;
pub use settings::{MAX_MISSING, SettingsError, intervals};
