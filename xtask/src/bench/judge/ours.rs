//! Our judge, with the guarantees that the examples have.

use judge::Interval;
use judge::sequential::{Chance, Metric, Rule, Settings, SettingsError, Tolerance, Verdict, Watch};

use super::peers::Judge;
use super::traffic::Minute;

pub(super) struct Ours(Watch);

impl Ours {
    /// For so many minutes at most.
    pub(super) fn errors(tolerance: f64, deadline: Option<u32>) -> Ours {
        let rule = |tolerance| Rule::Ratio {
            tolerance,
            at_most: None,
        };
        Ours(watch(tolerance, deadline, rule).expect("settings in their range"))
    }

    pub(super) fn latency(tolerance: f64, deadline: Option<u32>) -> Ours {
        let rule = |tolerance| Rule::Histogram {
            tolerance,
            at_most: None,
        };
        Ours(watch(tolerance, deadline, rule).expect("settings in their range"))
    }

    pub(super) fn observe(&mut self, interval: &Interval) -> Option<Verdict> {
        self.0.observe(interval).expect("readings of the metric");
        Some(self.0.verdict()).filter(|verdict| *verdict != Verdict::Inconclusive)
    }
}

fn watch(
    tolerance: f64,
    deadline: Option<u32>,
    rule: fn(Tolerance) -> Rule,
) -> Result<Watch, SettingsError> {
    Watch::new(Settings {
        alpha: Chance::new(0.01)?,
        beta: Chance::new(0.05)?,
        deadline,
        most_missing: Settings::MAX_MISSING,
        metrics: vec![Metric {
            name: "canary".to_owned(),
            rule: rule(Tolerance::new(tolerance)?),
            required: true,
        }],
    })
}

impl Judge for Ours {
    fn see(&mut self, minute: &Minute) -> Option<Verdict> {
        self.observe(&minute.against_stable)
    }

    fn end(&mut self) -> Verdict {
        Verdict::Inconclusive
    }
}
