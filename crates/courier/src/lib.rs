//! Brings events of the log to the sinks: each event once to each sink, whichever process tells it.
//!
//! An event is in the log before a sink hears of it. [`Courier::deliver`] claims what is not delivered, makes one
//! attempt for each, and writes down how it ended; [`notice`] words an event.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod deliver;
mod notice;

pub use deliver::{Courier, DeliveryMode, SinkLocks, SinkTally};
pub use notice::notice;
