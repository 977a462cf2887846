//! Judges a history of measurements: a pure function of policy, samples and elapsed time.
//!
//! Words after Argo Rollouts' analysis. Where Argo lets a later rule overwrite an earlier one (an
//! inconclusive masks a failure), the sequence here ends at the first rule that is broken, and a
//! failure that counts is never masked by errors or silence that come after it.

mod assessor;
mod standing;
#[cfg(test)]
mod tests;

pub use assessor::{Assessor, soak_budget};
pub use standing::{Conclusion, ProbeProgress, RemainingToPass, Sample};
