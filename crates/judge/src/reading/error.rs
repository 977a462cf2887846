//! What is wrong with numbers from outside.

/// Why numbers are no reading.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReadingError {
    #[error("{0} is not a whole number of events")]
    Fraction(f64),
    #[error("a count of {0} is negative: a counter was reset")]
    Negative(f64),
    #[error("a count of {0:?} is too large to be exact")]
    TooLarge(f64),
    #[error("{failed} of {total} failed: more failures than requests")]
    MoreFailedThanTotal { failed: u64, total: u64 },
    #[error("some events have a `total`, and others have none")]
    SomeTotals,
    #[error("a histogram without buckets")]
    NoBuckets,
    #[error("a histogram without the bucket `+Inf`")]
    NoInfiniteBucket,
    #[error("{0} is not a bound of a bucket")]
    Bound(f64),
    #[error("two buckets with the bound {0}")]
    SameBound(f64),
    #[error("the bucket of {bound} holds less than the one below it: buckets are cumulative")]
    DecreasingBuckets { bound: f64 },
    #[error("{0:?} is not a value of a gauge")]
    Gauge(f64),
    #[error("a side without instances")]
    NoInstances,
}
