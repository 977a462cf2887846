//! Verdicts over short watches, and their words.

use config::file::CanaryKind;
use judge::{Buckets, Counts, Events, Reading, Sample, SideData, Sides};
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
    let side = |(failed, total)| SideData::Whole(Counts::new(failed, total).unwrap());
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

/// Reason and hint of a recording of these intervals.
fn recorded(metrics: Vec<CanaryMetric>, intervals: &[Interval]) -> (String, String) {
    let settings = canary(Judge::Sequential, metrics);
    let mut comparison = Comparison::new(&settings, 0.0).unwrap();
    for interval in intervals {
        comparison.observe(interval);
    }
    comparison.end_recording();
    let finding = comparison.findings().remove(0);
    assert_eq!(finding.verdict, Verdict::Inconclusive, "{finding:?}");
    (finding.reason, finding.hint.unwrap())
}

#[test]
fn a_gap_is_told_to_hold_up_a_pass() {
    let mut intervals = vec![ratio((10, 1000), (90, 9000)); 60];
    intervals[1] = nothing();
    let (reason, _) = recorded(errors(), &intervals);
    let told = "a gap: 1 of 60 intervals have no data; the evidence is enough for a pass, and what was not seen holds it up";
    assert!(reason.contains(told), "{reason}");
    assert!(!reason.contains("neither limit"), "{reason}");
}

#[test]
fn a_recording_that_ends_early_tells_how_many_requests_are_missing() {
    let (reason, hint) = recorded(errors(), &vec![ratio((1, 100), (9, 900)); 20]);
    let told = "the recording ends before the deadline, and neither limit is reached: about 35000 more requests are needed";
    assert!(reason.starts_with(told), "{reason}");
    assert_eq!(
        hint,
        "record for longer, with a larger share for the canary"
    );
}

#[test]
fn what_both_sides_never_had_is_told_by_kind() {
    let events = |n| Events::new(n, None).unwrap();
    let count = Reading::Count(Sides {
        canary: SideData::Instances(vec![events(0)]),
        stable: SideData::Instances(vec![events(0); 3]),
    });
    let gauge = Reading::Gauge {
        canary: vec![0.0],
        stable: vec![0.0; 3],
    };
    for (kind, reading, hint) in [
        (CanaryKind::Count, count, "make the metric `advisory`"),
        (CanaryKind::Gauge, gauge, "set an amount as its `tolerance`"),
    ] {
        let metric = CanaryMetric::new("restarts", kind);
        let interval = Interval {
            metrics: vec![reading.into()],
        };
        let (reason, told) = recorded(vec![metric], &vec![interval; 60]);
        assert!(told.contains(hint), "{told}");
        assert!(!told.contains("at-most` below"), "{told}");
        assert!(!reason.contains("estimated from"), "{reason}");
    }
}

#[test]
fn histograms_without_a_common_bound_are_told_first() {
    let side = |bound| SideData::Whole(Buckets::new([(bound, 90), (f64::INFINITY, 100)]).unwrap());
    let reading = Reading::Histogram(Sides {
        canary: side(0.1),
        stable: side(0.5),
    });
    let interval = Interval {
        metrics: vec![reading.into()],
    };
    let metric = CanaryMetric::new("latency", CanaryKind::Histogram);
    let (reason, hint) = recorded(vec![metric], &vec![interval; 60]);
    assert!(
        reason.starts_with("the histograms have no bound in common"),
        "{reason}"
    );
    assert!(!reason.contains("no interval has data"), "{reason}");
    assert!(
        hint.starts_with("give both releases the same buckets"),
        "{hint}"
    );
}

#[test]
fn numbers_that_cannot_be_read_are_hinted_at_by_kind() {
    let unreadable = Interval {
        metrics: vec![Sample {
            reading: None,
            doubts: [judge::Doubt::Unreadable].into(),
        }],
    };
    for (kind, hint) in [
        (CanaryKind::Ratio, "no more fail than there are requests"),
        (CanaryKind::Count, "all of them have a `total`, or none"),
        (CanaryKind::Histogram, "look at the buckets"),
        (CanaryKind::Gauge, "each instance has a number"),
    ] {
        let metrics = vec![CanaryMetric::new("it", kind)];
        let (_, told) = recorded(metrics, std::slice::from_ref(&unreadable));
        assert!(told.contains(hint), "{told}");
    }
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

/// A list with these numbers of the canary's instances, one after the other.
fn attended(canary: impl IntoIterator<Item = usize>) -> Vec<Interval> {
    let counts = |failed, total| Counts::new(failed, total).unwrap();
    let interval = |instances| Interval {
        metrics: vec![
            Reading::Ratio(Sides {
                canary: SideData::Instances(vec![counts(1, 100); instances]),
                stable: SideData::Instances(vec![counts(1, 100); 4]),
            })
            .into(),
        ],
    };
    canary.into_iter().map(interval).collect()
}

#[test]
fn a_canary_that_lost_an_instance_passes_by_no_judge() {
    for judge in [Judge::Sequential, Judge::Kayenta, Judge::Threshold] {
        let (back, gone) = ([4, 3, 2], [4, 4, 1]);
        let after =
            |first: [usize; 3], then| over(judge, &attended(first.into_iter().chain([then; 57])));
        // One that had nothing to tell for a while is back.
        assert_eq!(after(back, 4).verdict, Verdict::Pass, "{judge:?}");
        let lost = after(gone, 1);
        assert_eq!(lost.verdict, Verdict::Inconclusive, "{judge:?}: {lost:?}");
        assert!(
            lost.reason.contains(INSTANCE_GONE),
            "{judge:?}: {}",
            lost.reason
        );
        assert_eq!(lost.hint.as_deref(), Some(LOOK_FOR_INSTANCE), "{judge:?}");
    }
}

#[test]
fn an_instance_that_is_lost_after_a_pass_takes_it_back_in_a_recording() {
    let all = attended([4; 58].into_iter().chain([3; 2]));
    let mut comparison = Comparison::new(&canary(Judge::Sequential, errors()), 0.0).unwrap();
    for interval in &all {
        if comparison.is_over() {
            comparison.observe_rest(interval, &[None]);
        } else {
            comparison.observe(interval);
        }
    }
    let finding = comparison.findings().remove(0);
    assert_eq!(finding.verdict, Verdict::Inconclusive, "{finding:?}");
    assert!(finding.reason.starts_with(INSTANCE_GONE), "{finding:?}");
}

#[test]
fn the_hint_of_every_judge_is_about_the_numbers_that_are_wrong() {
    let mut intervals = vec![ratio((1, 100), (9, 900)); 60];
    intervals[3].metrics[0].doubts.insert(Doubt::NotWhole);
    for judge in [Judge::Kayenta, Judge::Threshold] {
        let finding = over(judge, &intervals);
        assert_eq!(finding.verdict, Verdict::Inconclusive, "{judge:?}");
        let hint = finding.hint.unwrap();
        assert!(
            hint.starts_with("count with raw counters"),
            "{judge:?}: {hint}"
        );
    }
}

/// Events with a total are a rate by every judge, whatever query they came from.
#[test]
fn fixed_limits_hold_the_rate_of_events_that_have_a_total() {
    let events = |count, total| SideData::Whole(Events::new(count, total).unwrap());
    let told = |count: u64, total: Option<u64>, limit: &str| {
        let mut restarts = CanaryMetric::new("restarts", CanaryKind::Count);
        restarts.max = Some(limit.parse().unwrap());
        let settings = canary(Judge::Threshold, vec![restarts]);
        let mut comparison = Comparison::new(&settings, 0.0).unwrap();
        let reading = Reading::Count(Sides {
            canary: events(count, total),
            stable: events(count, total),
        });
        for _ in 0..60 {
            let metrics = vec![reading.clone().into()];
            comparison.observe(&Interval { metrics });
        }
        let finding = comparison.findings().remove(0);
        (finding.verdict, finding.actual.unwrap_or_default())
    };
    let rate = told(4, Some(100), "5%");
    assert_eq!(rate, (Verdict::Pass, "4%, limit 5%".to_owned()));
    assert_eq!(told(6, Some(100), "5%").0, Verdict::Fail);
    assert_eq!(told(4, None, "5").1, "4, limit 5");
}

/// Whatever else is seen of a canary that serves nothing, that is why nothing is known of it.
#[test]
fn a_canary_without_requests_is_told_before_all_else() {
    let counts = |failed, total| Counts::new(failed, total).unwrap();
    let reading = Reading::Ratio(Sides {
        canary: SideData::Instances(vec![counts(0, 0)]),
        stable: SideData::Instances(vec![counts(3, 100), counts(2, 100), counts(1, 100)]),
    });
    let interval = Interval {
        metrics: vec![reading.into()],
    };
    let (reason, hint) = recorded(errors(), &vec![interval; 60]);
    assert!(
        reason.starts_with("the canary has had no requests"),
        "{reason}"
    );
    assert!(!reason.contains("requests per instance"), "{reason}");
    assert!(hint.starts_with("send a share of the requests"), "{hint}");
}

fn latency(bounds: &[f64]) -> Interval {
    let of = |total: u64, bounds: &[f64]| {
        let buckets = bounds.iter().map(|bound| (*bound, total * 98 / 100));
        let buckets = buckets.chain([(f64::INFINITY, total)]);
        SideData::Whole(Buckets::new(buckets).unwrap())
    };
    let reading = Reading::Histogram(Sides {
        canary: of(1000, bounds),
        stable: of(9000, &[0.1, 0.5]),
    });
    Interval {
        metrics: vec![reading.into()],
    }
}

#[test]
fn a_bound_that_the_canary_no_longer_has_holds_up_a_pass_and_is_named() {
    let metrics = || vec![CanaryMetric::new("latency", CanaryKind::Histogram)];
    let mut intervals = vec![latency(&[0.1, 0.5]); 2];
    intervals.extend(vec![latency(&[0.1]); 58]);
    let (reason, hint) = recorded(metrics(), &intervals);
    let told = "the histograms no longer have the bound 500ms in common";
    assert!(reason.contains(told), "{reason}");
    assert!(
        hint.starts_with("give both releases the same buckets"),
        "{hint}"
    );
    let mut comparison = Comparison::new(&canary(Judge::Sequential, metrics()), 0.0).unwrap();
    for _ in 0..60 {
        comparison.observe(&latency(&[0.1, 0.5]));
    }
    let finding = comparison.findings().remove(0);
    assert_eq!(finding.verdict, Verdict::Pass);
    // What holds up no pass is part of what is expected.
    for text in [&finding.expected, &finding.reason] {
        assert!(text.contains(", or at most 0.25%"), "{text}");
    }
}
