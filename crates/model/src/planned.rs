//! How long something is planned to take: figures that a program can compare with what came.

use std::time::Duration;

/// Of a judge's verdicts, before the rollout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// Requests a minute of both sides, the part of them that fails, where it is about failures, and the
    /// canary's part of them.
    pub requests_per_minute: f64,
    pub error_rate: Option<f64>,
    pub share: f64,
    /// Until a good release passes.
    pub pass: TimeToVerdict,
    /// Until a release with twice the errors is found, and one with five times.
    pub twice: TimeToVerdict,
    pub five_times: TimeToVerdict,
}

/// Until a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeToVerdict {
    Within {
        /// Half to twice of it is the time that most rollouts take.
        typical: Duration,
        /// How many of a hundred rollouts do: no other time covers more of them.
        near_typical: u32,
        median: Duration,
        /// `None` where more than one of ten take longer than could be simulated.
        ninety_percent: Option<Duration>,
        /// At least eight of ten rollouts end in between; `None` as above.
        earliest: Duration,
        latest: Option<Duration>,
    },
    /// Not before the deadline; the median where it is known, and the requests that are missing
    /// until then.
    Beyond {
        median: Option<Duration>,
        missing_requests: Option<u64>,
    },
    /// So much worse is tolerated.
    Tolerated,
}
