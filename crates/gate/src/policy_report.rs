//! A policy as the report keeps it, and back again for whoever judges once more.

use config::file::Policy;
use config::value::{Portion, Span};

/// The policy that the report holds.
pub fn reported(policy: &Policy) -> model::Policy {
    let Policy {
        initial_delay,
        interval,
        timeout,
        success_threshold,
        failure_limit,
        failing_for,
        startup,
        error_limit,
        inconclusive_limit,
        min_samples,
        deadline,
        soak,
        soak_failure_limit,
    } = *policy;
    model::Policy {
        initial_delay: initial_delay.get(),
        interval: interval.get(),
        timeout: timeout.get(),
        success_threshold,
        failure_limit,
        failing_for: failing_for.map(Span::get),
        startup: startup.get(),
        error_limit,
        inconclusive_limit,
        min_samples,
        deadline: deadline.get(),
        soak: soak.get(),
        soak_failure_limit: soak_failure_limit.to_string(),
    }
}

/// The policy that a report tells of.
pub fn told(policy: &model::Policy) -> Policy {
    let model::Policy {
        initial_delay,
        interval,
        timeout,
        success_threshold,
        failure_limit,
        failing_for,
        startup,
        error_limit,
        inconclusive_limit,
        min_samples,
        deadline,
        soak,
        ref soak_failure_limit,
    } = *policy;
    Policy {
        initial_delay: initial_delay.into(),
        interval: interval.into(),
        timeout: timeout.into(),
        success_threshold,
        failure_limit,
        failing_for: failing_for.map(Span::from),
        startup: startup.into(),
        error_limit,
        inconclusive_limit,
        min_samples,
        deadline: deadline.into(),
        soak: soak.into(),
        // What cannot be read allows nothing.
        soak_failure_limit: soak_failure_limit.parse().unwrap_or(Portion::Count(0)),
    }
}
