//! The judge that keeps its error bounds although it looks after every interval.
//!
//! A [`Watch`] takes one interval at a time and holds evidence for a fail and for a pass: e-values,
//! of which the true one is ever larger than `1/α` with a chance of at most `α` (Ville 1939;
//! Ramdas, Grünwald, Vovk & Shafer, "Game-theoretic statistics and safe anytime-valid inference",
//! Statistical Science 2023). So the verdict may be taken as soon as a limit is reached, and no
//! schedule of looks has to be known.

mod absolute;
mod band;
mod bursts;
mod clustering;
mod combine;
mod finding;
mod gauge;
mod harm;
mod latency;
mod load;
mod mixture;
mod numbers;
mod outlook;
mod part;
mod placebo;
mod plan;
mod rates;
mod serial;
mod series;
mod settings;
mod spells;
mod state;
mod test;
mod watch;

pub use band::Band;
pub use finding::{Assumption, BoundFigures, Evidence, Figures, Finding, Idle, Reason, Verdict};
pub use gauge::{FEWEST_BLOCKS, Margin};
pub use latency::NEGLIGIBLE;
pub use load::{MAX_RATIO, RequestSpread};
pub use outlook::Outlook;
pub use plan::{IntervalsToVerdict, Plan, Traffic, plan, plan_latency};
pub use serial::BLOCK;
pub use settings::{Chance, Metric, Rule, Settings, SettingsError, Tolerance};
pub use spells::MAX_SPELL;
pub use watch::{Watch, WatchError};
