//! Targets and warnings, and whether a value is within them.

use std::time::Duration;

use crate::exact::Ratio;
use crate::spread::DurationSummary;

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// What a good value is.
    pub target: Threshold,
    /// What a value is that a person should look at.
    pub warning: Option<Threshold>,
}

/// A side of a limit. The limit itself is on neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    Above(Limit),
    Below(Limit),
    Exactly(Limit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Percent(u8),
    Time(Duration),
    Count(u64),
}

impl Goal {
    pub(crate) const fn new(target: Threshold, warning: Option<Threshold>) -> Self {
        Goal { target, warning }
    }
}

impl Threshold {
    pub(crate) const fn above_percent(percent: u8) -> Self {
        Threshold::Above(Limit::Percent(percent))
    }

    pub(crate) const fn below_percent(percent: u8) -> Self {
        Threshold::Below(Limit::Percent(percent))
    }

    pub(crate) const fn below_minutes(minutes: u64) -> Self {
        Threshold::Below(Limit::Time(Duration::from_secs(60 * minutes)))
    }

    pub(crate) const fn above_minutes(minutes: u64) -> Self {
        Threshold::Above(Limit::Time(Duration::from_secs(60 * minutes)))
    }

    pub fn limit(self) -> Limit {
        match self {
            Threshold::Above(limit) | Threshold::Below(limit) | Threshold::Exactly(limit) => limit,
        }
    }

    /// Whether a value on this side grows into it.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Threshold::Above(_))
    }

    fn holds(self, compared: std::cmp::Ordering) -> bool {
        match self {
            Threshold::Above(_) => compared.is_gt(),
            Threshold::Below(_) => compared.is_lt(),
            Threshold::Exactly(_) => compared.is_eq(),
        }
    }

    pub(crate) fn holds_ratio(self, ratio: Ratio) -> bool {
        match self.limit() {
            Limit::Percent(percent) => self.holds(ratio.cmp_percent(percent)),
            Limit::Time(_) | Limit::Count(_) => false,
        }
    }

    /// Durations are held against a limit by their mean.
    pub(crate) fn holds_times(self, times: &DurationSummary) -> bool {
        match self.limit() {
            Limit::Time(limit) => self.holds(times.cmp_mean(limit)),
            Limit::Percent(_) | Limit::Count(_) => false,
        }
    }

    pub(crate) fn holds_count(self, count: u64) -> bool {
        match self.limit() {
            Limit::Count(limit) => self.holds(count.cmp(&limit)),
            Limit::Percent(_) | Limit::Time(_) => false,
        }
    }
}

/// As the runbooks have it: `> 95%`, `< 5m`, `0`.
impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Threshold::Above(limit) => write!(f, "> {limit}"),
            Threshold::Below(limit) => write!(f, "< {limit}"),
            Threshold::Exactly(limit) => write!(f, "{limit}"),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Percent(percent) => write!(f, "{percent}%"),
            Limit::Time(time) => f.write_str(&model::text::span(*time)),
            Limit::Count(count) => write!(f, "{count}"),
        }
    }
}
