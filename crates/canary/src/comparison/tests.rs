//! Verdicts over short watches, and their words.

use config::file::CanaryKind;
use judge::{Counts, Reading, Sample, Side, Sides};
use proptest::prelude::*;

use super::*;

fn canary(judge: Judge, metrics: Vec<CanaryMetric>) -> Canary {
    Canary {
        judge,
        metrics,
        ..Canary::default()
    }
}

fn errors() -> Vec<CanaryMetric> {
    vec![CanaryMetric::new("errors", CanaryKind::Ratio)]
}

fn ratio(canary: (u64, u64), stable: (u64, u64)) -> Interval {
    let side = |(failed, total)| Side::Whole(Counts::new(failed, total).unwrap());
    let reading = Reading::Ratio(Sides {
        canary: side(canary),
        stable: side(stable),
    });
    Interval {
        metrics: vec![reading.into()],
    }
}

fn nothing() -> Interval {
    Interval {
        metrics: vec![Sample::default()],
    }
}

fn over(judge: Judge, intervals: &[Interval]) -> Finding {
    let mut comparison = Comparison::new(&canary(judge, errors()), 0.0).unwrap();
    for interval in intervals {
        if comparison.is_over() {
            break;
        }
        comparison.observe(interval);
    }
    comparison.findings().remove(0)
}

#[test]
fn the_arithmetic_of_each_verdict_is_told() {
    let bad = vec![ratio((8, 100), (9, 900)); 60];
    let good = vec![ratio((1, 100), (9, 900)); 60];
    let quiet = vec![ratio((0, 2), (0, 18)); 60];
    let told = |judge: Judge, intervals: &[Interval]| {
        let finding = over(judge, intervals);
        format!(
            "{} at {:?}\n  expected {}\n  actual {}\n  reason {}\n  hint {}",
            finding.verdict,
            finding.decided_at,
            finding.expected,
            finding.actual.unwrap_or_default(),
            finding.reason,
            finding.hint.unwrap_or_default()
        )
    };
    let mut all = Vec::new();
    for judge in [Judge::Sequential, Judge::Kayenta, Judge::Threshold] {
        for (name, intervals) in [("bad", &bad), ("good", &good), ("quiet", &quiet)] {
            all.push(format!("{judge:?} {name}: {}", told(judge, intervals)));
        }
        all.push(format!(
            "{judge:?} without data: {}",
            told(judge, &vec![nothing(); 60])
        ));
        all.push(format!("{judge:?} without intervals: {}", told(judge, &[])));
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn nothing_counts_after_the_deadline() {
    let mut settings = canary(Judge::Sequential, errors());
    settings.deadline = settings.interval;
    let mut comparison = Comparison::new(&settings, 0.0).unwrap();
    comparison.observe(&ratio((0, 1), (0, 1)));
    assert!(comparison.is_over());
    comparison.observe(&ratio((100, 100), (0, 1000)));
    assert_eq!(comparison.intervals(), 1);
    assert_eq!(comparison.findings()[0].verdict, Verdict::Inconclusive);
}

#[test]
fn advisory_metrics_alone_decide_nothing() {
    let mut metrics = errors();
    metrics[0].severity = Severity::Advisory;
    for judge in [Judge::Sequential, Judge::Kayenta, Judge::Threshold] {
        let refused = Comparison::new(&canary(judge, metrics.clone()), 0.0);
        assert!(matches!(refused, Err(SettingsError::NothingRequired)));
    }
}

proptest! {
    /// Whatever else there is: with an interval without data before a pass, or none with, nothing passes.
    #[test]
    fn no_data_never_passes(
        before in 0_usize..5,
        gap in 1_usize..4,
        after in 0_usize..60,
        judge in prop::sample::select(vec![Judge::Sequential, Judge::Kayenta, Judge::Threshold]),
    ) {
        let few = vec![ratio((0, 1), (0, 9)); before];
        let gap = vec![nothing(); gap];
        let good = vec![ratio((10, 1000), (90, 9000)); after];
        let all = [few, gap, good].concat();
        prop_assert_ne!(over(judge, &all).verdict, Verdict::Pass);
    }
}
