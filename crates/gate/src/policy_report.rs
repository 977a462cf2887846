//! A policy as the report keeps it, and back again for those that judge once more.

use std::time::Duration;

use config::file::Policy;
use config::value::{Portion, Span};
use model::report::v1::millis;

/// The policy that the report holds.
pub fn to_report(policy: &Policy) -> model::Policy {
    let ms = |span: Span| millis(span.get());
    model::Policy {
        initial_delay_ms: ms(policy.initial_delay),
        interval_ms: ms(policy.interval),
        timeout_ms: ms(policy.timeout),
        success_threshold: policy.success_threshold,
        failure_limit: policy.failure_limit,
        failing_for_ms: policy.failing_for.map(ms),
        startup_ms: ms(policy.startup),
        error_limit: policy.error_limit,
        inconclusive_limit: policy.inconclusive_limit,
        min_samples: policy.min_samples,
        deadline_ms: ms(policy.deadline),
        soak_ms: ms(policy.soak),
        soak_failure_limit: policy.soak_failure_limit.to_string(),
    }
}

/// The policy in a report.
pub fn from_report(policy: &model::Policy) -> Policy {
    let span = |ms| Span::from(Duration::from_millis(ms));
    // What cannot be read allows nothing.
    let soak_failure_limit = policy.soak_failure_limit.parse();
    Policy {
        initial_delay: span(policy.initial_delay_ms),
        interval: span(policy.interval_ms),
        timeout: span(policy.timeout_ms),
        success_threshold: policy.success_threshold,
        failure_limit: policy.failure_limit,
        failing_for: policy.failing_for_ms.map(span),
        startup: span(policy.startup_ms),
        error_limit: policy.error_limit,
        inconclusive_limit: policy.inconclusive_limit,
        min_samples: policy.min_samples,
        deadline: span(policy.deadline_ms),
        soak: span(policy.soak_ms),
        soak_failure_limit: soak_failure_limit.unwrap_or(Portion::Count(0)),
    }
}
