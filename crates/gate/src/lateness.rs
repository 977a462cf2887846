//! How well the schedule was kept.

use std::time::Duration;

/// Counts of measurements by how late they were started, in milliseconds. The last counts all that
/// were later.
pub(crate) struct Lateness {
    counts: Vec<u64>,
    most: Duration,
}

impl Default for Lateness {
    fn default() -> Self {
        Lateness {
            counts: vec![0; 2001],
            most: Duration::ZERO,
        }
    }
}

impl Lateness {
    pub(crate) fn push(&mut self, late: Duration) {
        let last = self.counts.len() - 1;
        let place = usize::try_from(late.as_millis()).unwrap_or(last).min(last);
        self.counts[place] += 1;
        self.most = self.most.max(late);
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The milliseconds within which this many of a thousand were started, rounded up.
    fn quantile(&self, of_a_thousand: u64) -> usize {
        let wanted = (self.total() * of_a_thousand).div_ceil(1000);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return place + 1;
            }
        }
        self.counts.len()
    }

    /// Logs how it was, and warns where the machine was too slow for what it was asked to do.
    pub(crate) fn log(&self) {
        let (total, median, nearly_all) = (self.total(), self.quantile(500), self.quantile(999));
        if total == 0 {
            return;
        }
        let text = format!(
            "{total} measurements, started late by {median}ms in the median, {nearly_all}ms at 99.9 %, {}ms at most",
            self.most.as_millis()
        );
        if nearly_all > 1000 {
            tracing::warn!("the schedule was not kept: {text}; measure less often, or use --shard");
        } else {
            tracing::info!("{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_all_leaves_out_one_of_a_thousand() {
        let mut lateness = Lateness::default();
        for n in 0..1000 {
            lateness.push(Duration::from_micros(n));
        }
        lateness.push(Duration::from_millis(70));
        assert_eq!(lateness.quantile(500), 1);
        assert_eq!(lateness.quantile(999), 1);
        assert_eq!(lateness.quantile(1000), 71);
        lateness.push(Duration::from_secs(90));
        assert_eq!(lateness.quantile(1000), 2001);
        assert_eq!(lateness.most, Duration::from_secs(90));
    }
}
