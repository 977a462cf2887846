//! Durations, summed up.

use std::time::Duration;

/// How durations are spread, in whole milliseconds.
///
/// The median of an even number is the mean of the two in the middle. Another percentile is by the nearest rank: the
/// shortest of the durations that is not shorter than that share of all of them. So it is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationSummary {
    counted: u64,
    total_ms: u128,
    pub median: Duration,
    pub p90: Duration,
    pub longest: Duration,
}

impl DurationSummary {
    /// `None` of nothing.
    pub fn of(mut times: Vec<Duration>) -> Option<DurationSummary> {
        times.sort_unstable();
        Some(DurationSummary {
            counted: times.len().try_into().ok()?,
            total_ms: times.iter().map(Duration::as_millis).sum(),
            median: median(&times)?,
            p90: nearest_rank(&times, 90)?,
            longest: *times.last()?,
        })
    }

    pub fn mean(&self) -> Duration {
        mean(self.total_ms, self.counted)
    }

    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// How the mean compares with a limit, exactly: nothing is cut.
    pub fn cmp_mean(&self, limit: Duration) -> std::cmp::Ordering {
        let limit = limit.as_millis().saturating_mul(self.counted.into());
        self.total_ms.cmp(&limit)
    }
}

/// One number for many durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Mean,
    Median,
}

impl Statistic {
    pub fn of(self, times: &DurationSummary) -> Duration {
        match self {
            Statistic::Mean => times.mean(),
            Statistic::Median => times.median,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::Median => "median",
        }
    }
}

/// A mean in whole milliseconds, where half of one is rounded up.
fn mean(total_ms: u128, counted: u64) -> Duration {
    let counted = u128::from(counted.max(1));
    let millis = (total_ms + counted / 2) / counted;
    Duration::from_millis(millis.try_into().unwrap_or(u64::MAX))
}

/// Of sorted durations.
fn median(times: &[Duration]) -> Option<Duration> {
    let upper = *times.get(times.len() / 2)?;
    let lower = times[(times.len() - 1) / 2];
    Some(mean(lower.as_millis() + upper.as_millis(), 2))
}

/// Of sorted durations.
fn nearest_rank(times: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(millis: &[u64]) -> Option<DurationSummary> {
        DurationSummary::of(millis.iter().copied().map(Duration::from_millis).collect())
    }

    #[test]
    fn a_median_and_a_mean_are_rounded_and_another_percentile_is_one_of_the_durations() {
        let told = |millis: &[u64]| {
            let spread = spread(millis).unwrap();
            [spread.median, spread.p90, spread.longest, spread.mean()].map(|time| time.as_millis())
        };
        assert_eq!(told(&[7]), [7, 7, 7, 7]);
        assert_eq!(told(&[3, 1]), [2, 3, 3, 2]);
        assert_eq!(told(&[5, 1, 3]), [3, 5, 5, 3]);
        assert_eq!(told(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]), [6, 9, 10, 6]);
        assert_eq!(told(&[1, 1, 2]), [1, 2, 2, 1]);
        assert_eq!(told(&[1, 2, 2]), [2, 2, 2, 2]);
        assert_eq!(told(&[1, 4, 9, 100]), [7, 100, 100, 29]);
        assert_eq!(told(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), [6, 10, 11, 6]);
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_mean_that_is_a_little_above_its_limit_is_above_it() {
        let mean = spread(&[1, 1, 2]).unwrap();
        assert_eq!(mean.mean(), Duration::from_millis(1));
        assert!(mean.cmp_mean(Duration::from_millis(1)).is_gt());
        assert!(mean.cmp_mean(Duration::from_millis(2)).is_lt());
    }
}
