//! Kayenta's judge, interval by interval.

use judge::{Counts, Events, Interval, Measure, Reading, SideData, Sides};
use kayenta::{Grade, KayentaStatus, Metric, MissingPoints, Settings, Watch, Watched};

fn ratio(canary: u64, stable: u64) -> Interval {
    let side = |failed| SideData::Whole(Counts::new(failed, 100).unwrap());
    let reading = Reading::Ratio(Sides {
        canary: side(canary),
        stable: side(stable),
    });
    Interval {
        metrics: vec![reading.into()],
    }
}

fn errors(metric: Metric) -> Settings {
    Settings::new(vec![Watched {
        metric,
        measure: Measure::FailureRate,
        groups: vec!["errors".to_owned()],
    }])
}

fn watched(settings: Settings, intervals: &[Interval]) -> (Option<usize>, KayentaStatus) {
    let mut watch = Watch::new(settings);
    for (at, interval) in intervals.iter().enumerate() {
        let look = watch.push(interval);
        if look.is_some_and(|look| look.grade == Grade::Fail) {
            return (Some(at + 1), KayentaStatus::Failed);
        }
    }
    (None, watch.at_end(&watch.evaluate()))
}

#[test]
fn a_bad_canary_fails_at_the_first_look() {
    let intervals: Vec<Interval> = (0..9).map(|n| ratio(20 + n % 3, 1 + n % 2)).collect();
    let found = watched(errors(Metric::default()), &intervals);
    assert_eq!(found, (Some(5), KayentaStatus::Failed));
}

#[test]
fn a_canary_like_stable_passes_at_the_end_with_any_number_of_points() {
    let intervals: Vec<Interval> = (0..9).map(|n| ratio(1 + n % 3, 1 + n % 2)).collect();
    for length in [3, 5, 9] {
        let found = watched(errors(Metric::default()), &intervals[..length]);
        assert_eq!(found, (None, KayentaStatus::Passed), "{length}");
    }
}

#[test]
fn without_data_nothing_passes() {
    let unknown = (None, KayentaStatus::Unknown { metric: 0 });
    for missing in [MissingPoints::Remove, MissingPoints::Replace] {
        let settings = || {
            errors(Metric {
                missing,
                ..Metric::default()
            })
        };
        assert_eq!(watched(settings(), &[]), unknown);
        let empty = Interval::default();
        assert_eq!(watched(settings(), &[empty.clone(), empty]), unknown);
    }
}

/// The vectors of spinnaker/spinnaker#6278, spinnaker/kayenta#426 and #799: each value an interval,
/// several in one, or all in one.
#[test]
fn values_are_points_however_many_an_interval_has() {
    let seven: Vec<f64> = (0..10).map(|n| if n < 7 { 100.0 } else { 1.0 }).collect();
    let eight: Vec<f64> = (0..10).map(|n| if n < 8 { 100.0 } else { 1.0 }).collect();
    for (canary, stable, wanted) in [
        (&seven[..], &[1.0; 10][..], KayentaStatus::Passed),
        (&eight, &[1.0; 10], KayentaStatus::Failed),
        (
            &[0.0, 1.0, 2.0, 1.0, 0.0, 0.0],
            &[0.0; 6],
            KayentaStatus::Passed,
        ),
        (&[1.0, 4.0, 2.0, 3.0, 1.0], &[0.0; 5], KayentaStatus::Failed),
    ] {
        for an_interval in [1, 2, 3, 10] {
            let settings = Settings {
                first_look: None,
                ..errors(Metric::default())
            };
            let of_gauge = |metrics: Vec<Watched>| -> Vec<Watched> {
                let gauge = |watched| Watched {
                    measure: Measure::Mean,
                    ..watched
                };
                metrics.into_iter().map(gauge).collect()
            };
            let settings = Settings {
                metrics: of_gauge(settings.metrics.clone()),
                ..settings
            };
            let points = canary.chunks(an_interval).zip(stable.chunks(an_interval));
            let gauges: Vec<Interval> = points
                .clone()
                .map(|(canary, stable)| Interval {
                    metrics: vec![
                        Reading::Gauge {
                            canary: canary.to_vec(),
                            stable: stable.to_vec(),
                        }
                        .into(),
                    ],
                })
                .collect();
            let events = |values: &[f64]| {
                let events = values
                    .iter()
                    .map(|n| Events::from_floats(*n, None).unwrap());
                SideData::Instances(events.collect())
            };
            let counts: Vec<Interval> = points
                .map(|(canary, stable)| Interval {
                    metrics: vec![
                        Reading::Count(Sides {
                            canary: events(canary),
                            stable: events(stable),
                        })
                        .into(),
                    ],
                })
                .collect();
            for intervals in [gauges, counts] {
                let found = watched(settings.clone(), &intervals);
                assert_eq!(found, (None, wanted), "{canary:?} {an_interval}");
            }
        }
    }
}

/// Kayenta's score is a hundred where it could not compare one point with one.
#[test]
fn what_could_not_be_compared_does_not_pass() {
    let found = watched(errors(Metric::default()), &[ratio(5, 1)]);
    assert_eq!(found, (None, KayentaStatus::Unknown { metric: 0 }));
}

#[test]
fn a_last_score_between_the_limits_is_no_pass() {
    let mut settings = errors(Metric::default());
    settings.metrics.extend(vec![
        Watched {
            metric: Metric::default(),
            measure: Measure::Availability,
            groups: vec!["errors".to_owned()],
        };
        4
    ]);
    // One of five metrics is high: a score of 80.
    let intervals: Vec<Interval> = (0..9)
        .map(|n| {
            let (bad, good) = (ratio(20 + n % 3, 1 + n % 2), ratio(1 + n % 3, 1 + n % 2));
            let mut metrics = bad.metrics;
            metrics.extend(std::iter::repeat_n(good.metrics[0].clone(), 4));
            Interval { metrics }
        })
        .collect();
    assert_eq!(watched(settings, &intervals), (None, KayentaStatus::Failed));
}
