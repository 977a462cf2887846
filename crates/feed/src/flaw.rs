//! What is wrong with the numbers of a source, so that they prove less than they seem to.

use judge::ReadingError;

use crate::side::SideName;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DataDefect {
    #[error(
        "reset: a counter of {side} fell from {from} to {to} at instance `{instance}`; what it \
         counted before it restarted was not all seen"
    )]
    Reset {
        side: SideName,
        instance: String,
        from: f64,
        to: f64,
    },
    #[error(
        "{value} of `{query}` is not a whole number: a rate or an increase was recorded, and no counter"
    )]
    Fraction { query: String, value: f64 },
    #[error("`{query}` has the value {value}, which no counter has")]
    NoCounter { query: String, value: f64 },
    #[error("`{query}` is NaN at instance `{instance}` of {side}")]
    NotANumber {
        side: SideName,
        query: String,
        instance: String,
    },
    #[error("gap: nothing of {side} was scraped for {seconds:.0}s")]
    Gap { side: SideName, seconds: f64 },
    #[error(
        "instance `{instance}` of {side} is not scraped any more: its newest sample is {seconds:.0}s older than \
         the newest of all"
    )]
    Gone {
        side: SideName,
        instance: String,
        seconds: f64,
    },
    #[error("stale: the newest sample of {side} is {seconds:.0}s old")]
    Stale { side: SideName, seconds: f64 },
    #[error("{side} is not scraped: {why}")]
    NoData { side: SideName, why: String },
    #[error("clock skew: samples of {side} are {seconds:.0}s ahead of the server's clock")]
    Ahead { side: SideName, seconds: f64 },
    #[error(
        "scrape times differ: the newest sample of canary and that of stable are {seconds:.0}s apart"
    )]
    ScrapeTimes { seconds: f64 },
    #[error(
        "clock skew between replicas: the newest samples that differ in `{label}` alone are {seconds:.0}s apart"
    )]
    ReplicaClocks { label: String, seconds: f64 },
    #[error(
        "series that differ in `{label}` alone do not agree (instance `{instance}` of \
         {side}): they are not replicas of one"
    )]
    Replicas {
        side: SideName,
        label: String,
        instance: String,
    },
    #[error("two series where one is expected: instance `{instance}` of {side} has {what}")]
    Duplicate {
        side: SideName,
        instance: String,
        what: String,
    },
    #[error("the same series is on both sides: {0}")]
    BothSides(String),
    #[error("the patterns of both sides fit `{0}`")]
    BothPatterns(String),
    #[error("label sets differ: `{label}` is missing at {side}")]
    LabelSets { side: SideName, label: String },
    #[error(
        "no series of {side} has the label `{label}`, by which `{query}` finds failed requests"
    )]
    LabelMissing {
        side: SideName,
        label: String,
        query: String,
    },
    #[error("no series of `{query}` was ever there, at neither side")]
    NeverThere { query: String },
    #[error("partial data: {0}")]
    Partial(String),
    #[error("a native histogram of {side} cannot be converted: {why}")]
    Native { side: SideName, why: &'static str },
    #[error("{lines} of {of} lines of the log cannot be read, such as `{example}`")]
    Unreadable {
        lines: usize,
        of: usize,
        example: String,
    },
    #[error("the log grows faster than it can be read")]
    Behind,
    #[error("{side}: {error}")]
    Reading { side: SideName, error: ReadingError },
}

impl DataDefect {
    /// What was counted with it is worth nothing.
    pub(crate) fn spoils(&self) -> bool {
        match self {
            DataDefect::Fraction { .. }
            | DataDefect::NoCounter { .. }
            | DataDefect::NotANumber { .. }
            | DataDefect::Native { .. }
            | DataDefect::Reading { .. }
            | DataDefect::Duplicate { .. }
            | DataDefect::Replicas { .. }
            | DataDefect::BothPatterns(_)
            | DataDefect::BothSides(_) => true,
            DataDefect::Reset { .. }
            | DataDefect::Gap { .. }
            | DataDefect::Gone { .. }
            | DataDefect::Stale { .. }
            | DataDefect::NoData { .. }
            | DataDefect::Ahead { .. }
            | DataDefect::ScrapeTimes { .. }
            | DataDefect::ReplicaClocks { .. }
            | DataDefect::LabelSets { .. }
            | DataDefect::LabelMissing { .. }
            | DataDefect::NeverThere { .. }
            | DataDefect::Unreadable { .. }
            | DataDefect::Behind
            | DataDefect::Partial(_) => false,
        }
    }

    /// It is not made good by what comes later.
    pub fn is_lasting(&self) -> bool {
        matches!(
            self,
            DataDefect::Reset { .. }
                | DataDefect::Gap { .. }
                | DataDefect::Gone { .. }
                | DataDefect::Fraction { .. }
        )
    }

    /// While it lasts the sides cannot be compared.
    pub(crate) fn waits(&self) -> bool {
        !self.spoils()
            && !matches!(
                self,
                DataDefect::Reset { .. } | DataDefect::Gap { .. } | DataDefect::Gone { .. }
            )
    }
}
