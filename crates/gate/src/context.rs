//! What a gate receives from outside, and its observers.

use std::pin::Pin;

use model::Shard;
use probe::ProbeContext;

use crate::observer::Observer;

/// What a gate receives from outside.
pub struct GateContext<'a> {
    /// Which outcome ids are asked.
    pub selects: &'a dyn Fn(&str) -> bool,
    /// Receives each measurement, and the standing of each probe.
    pub observer: &'a dyn Observer,
    /// Gives a future that ends when the gate must stop.
    pub interrupted: &'a dyn Fn() -> Interrupted,
    /// What failed beside the probes, so that the gate was stopped for it.
    pub failed_beside: &'a dyn Fn() -> Option<String>,
    /// What the probes find around them.
    pub around: ProbeContext,
    /// The part of the endpoints that is asked here.
    pub shard: Option<Shard>,
    /// Go on after the decision, until interrupted.
    pub forever: bool,
}

/// Ends when the gate must stop.
pub type Interrupted = Pin<Box<dyn Future<Output = ()>>>;
