//! What happened to a service, written down once: an append-only log of events beside the state, and what is
//! told from it.
//!
//! [`Chronicle`] is the log. [`History`] is what was read of it; incidents, deployments, escalations and what
//! sinks have not heard yet are pure functions of it, so that they are the same each time.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod clocks;
mod deployment;
mod error;
mod escalation;
mod eta;
mod event;
mod exposure;
mod history;
mod incident;
mod log;
mod outbox;
mod owner;
mod redact;
#[cfg(test)]
mod sample;
mod serving;
mod severity;
mod timeline;
mod words;

pub use clocks::{CLOCK_HINT, ClockAhead, ClockSkew};
pub use deployment::{Deployment, deployments, served};
pub use error::Error;
pub use escalation::{DueEscalation, Next, due, next};
pub use eta::{Eta, eta};
pub use event::{
    AppliedRule, Conclusion, Delivery, EtaBy, Event, EventId, Evidence, Happening, Hosts,
    IncidentId, RolledBack, SCHEMA, Subject, Undelivered, Writer,
};
pub use exposure::{CountBound, Exposure, Slice, Source};
pub use history::{History, Record};
pub use incident::{Incident, Resolution, Several, incidents, open, open_in};
pub use log::{Chronicle, ReadScope};
pub use model::incident::Phase;
pub use outbox::{Address, DeliveryClaim, Intent, MAX_CLAIM, Pending, claim, deliveries, pending};
pub use owner::Owner;
pub use redact::MAX_TEXT;
pub use serving::serving;
pub use severity::{Classification, Place, Situation, classify, escalated_severity};
pub use timeline::{Entry, timeline};
pub use words::lasted;
