//! A change of a schema, tried on a copy: what it locks and rewrites, whether it can be undone, whether what was there is still
//! there, and whether the release before works on.
//!
//! [`rehearse`] goes through it and notes what it sees; [`Trial`]'s verdicts are made of these notes alone.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod locks;
mod picture;
mod rehearse;
mod trial;

pub use locks::Lock;
pub use picture::{Loss, Picture, Rewrite};
pub use rehearse::{Copy, Step, Steps, TrialError, rehearse};
pub use trial::{Again, Compatible, Reversible, Smoke, Trial, WayBack};
