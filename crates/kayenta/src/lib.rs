//! `NetflixACAJudge-v1.0`, the judge of Kayenta, for teams that compare with it or come from it.
//!
//! It takes each metric as two heaps of points, tests whether one is shifted against the other
//! (Mann-Whitney), and sums the metrics up into a score. The rules are those of its sources
//! (`NetflixACAJudge`, `MannWhitney`, `WeightedSumScorer` in spinnaker/kayenta). The tolerance of a
//! quarter and the confidence of 0.98 are fixed there, whatever its configuration says, and here
//! too. It bounds the chance of a wrong verdict for no number of looks.
#![allow(clippy::float_cmp, reason = "ties are of equal numbers")]
#![allow(clippy::cast_precision_loss, reason = "no count is above 2^53")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod brent;
mod classify;
mod mann_whitney;
mod prepare;
mod score;
mod watch;

pub use classify::{Classification, Classified, Direction, Effect, Metric, Thresholds, classify};
pub use mann_whitney::{Shift, ShiftError, Z_98, shift};
pub use prepare::{MissingPoints, Outliers};
pub use score::{Grade, Graded, Score, ScoreLimits, Zero, score};
pub use watch::{Evaluation, KayentaStatus, Settings, Watch, Watched};
