//! What holds of every history.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use measures::{
    Conclusion, Deployment, Errors, Exposition, Figure, Incident, Kind, Measures, Rollback,
};
use proptest::prelude::*;

use crate::support::{bare, labels, november};

/// A time before or after the start, or none.
fn time() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(-100_000_i64..10_000_000)
}

prop_compose! {
    fn deployments()(
        start in 0_i64..2_000_000_000,
        conclusion in prop::sample::select(Conclusion::ALL.to_vec()),
        times in prop::array::uniform6(time()),
        rework in any::<Option<bool>>(),
        restored in any::<Option<bool>>(),
        errors in proptest::option::of((0_u64..5, 5_u64..50)),
    ) -> Deployment {
        let started = november().from + SignedDuration::from_millis(start);
        let [ended, committed, failed_at, restored_at, from, until] =
            times.map(|time| time.map(|time| started + SignedDuration::from_millis(time)));
        Deployment {
            ended,
            committed,
            rework,
            failed_at,
            restored_at,
            rollback: from.map(|started| Rollback { started, ended: until, restored }),
            errors_after: errors.map(|(failed, total)| Errors { failed, total }),
            ..bare(started, conclusion)
        }
    }
}

prop_compose! {
    fn incidents()(start in 0_i64..2_000_000_000, lasts in time()) -> Incident {
        let opened = november().from + SignedDuration::from_millis(start);
        Incident {
            opened,
            resolved: lasts.map(|time| opened + SignedDuration::from_millis(time)),
            opened_as: "high".into(),
            severity: "critical".into(),
            is_opening_known: true,
        }
    }
}

fn figures(deployments: &[Deployment], incidents: &[Incident]) -> Vec<Figure> {
    Measures::of(deployments, incidents, november()).figures
}

/// The samples of every counter, by name and labels.
fn counters(deployments: &[Deployment], incidents: &[Incident]) -> BTreeMap<String, f64> {
    let text = Exposition {
        labels: &labels(),
        measures: &Measures::of(deployments, incidents, november()),
        canary: None,
    }
    .to_string();
    let mut found = BTreeMap::new();
    let mut counts = false;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            counts = kind.ends_with(" counter") || kind.ends_with(" histogram");
        } else if let Some((name, value)) = line.rsplit_once(' ').filter(|_| counts)
            && !line.starts_with('#')
        {
            found.insert(name.to_owned(), value.parse().unwrap());
        }
    }
    found
}

proptest! {
    /// Prometheus takes a fall for a restart, and counts the whole value once more.
    #[test]
    fn no_counter_falls_whatever_becomes_of_what_was_counted(
        deployments in prop::collection::vec(deployments(), 0..30),
        incidents in prop::collection::vec(incidents(), 0..10),
        later in prop::collection::vec((prop::sample::select(Conclusion::ALL.to_vec()), deployments()), 0..40),
    ) {
        let mut after = deployments.clone();
        for (one, (conclusion, other)) in after.iter_mut().zip(&later) {
            one.rollback = other.rollback.or(one.rollback);
            // A rollback that is known of by its conclusion alone is not forgotten.
            if one.rollback.is_some() || one.conclusion != Conclusion::RolledBack {
                one.conclusion = *conclusion;
            }
            if one.ended_as.is_none() {
                (one.ended_as, one.ended) = (other.ended_as, other.ended);
            }
        }
        after.extend(later.into_iter().skip(deployments.len()).map(|(_, one)| one));
        let mut worse = incidents.clone();
        for incident in &mut worse {
            incident.severity = "worse".into();
            incident.resolved = None;
        }
        let (before, after) = (counters(&deployments, &incidents), counters(&after, &worse));
        for (name, value) in before {
            prop_assert!(after[&name] >= value, "{} {} -> {}", name, value, after[&name]);
        }
    }

    #[test]
    fn order_does_not_matter(
        deployments in prop::collection::vec(deployments(), 0..30),
        incidents in prop::collection::vec(incidents(), 0..10),
        seed in any::<u64>(),
    ) {
        let mut other = deployments.clone();
        let length = other.len().max(1);
        for at in 0..other.len() {
            let to = usize::try_from(seed >> (at % 60)).unwrap_or(at) % length;
            other.swap(at, to);
        }
        let mut late: Vec<Incident> = incidents.clone();
        late.reverse();
        prop_assert_eq!(
            Measures::of(&deployments, &incidents, november()),
            Measures::of(&other, &late, november())
        );
    }

    #[test]
    fn what_never_reached_production_changes_no_figure(
        deployments in prop::collection::vec(deployments(), 0..30),
        another in deployments(),
        conclusion in prop::sample::select(
            vec![Conclusion::Refused, Conclusion::Cancelled, Conclusion::Running]
        ),
    ) {
        let mut more = deployments.clone();
        more.push(Deployment { conclusion, ..another });
        prop_assert_eq!(figures(&deployments, &[]), figures(&more, &[]));
    }

    /// Whatever is not known of one: no value changes for the better, and no target is met by it.
    #[test]
    fn what_is_unknown_makes_no_figure_better(
        deployments in prop::collection::vec(deployments(), 0..30),
        incidents in prop::collection::vec(incidents(), 0..10),
        start in 0_i64..2_000_000_000,
    ) {
        let started = november().from + SignedDuration::from_millis(start);
        let mut more = deployments.clone();
        more.push(bare(started, Conclusion::Undecided));
        let mut open = incidents.clone();
        open.push(Incident {
            opened: started,
            resolved: None,
            opened_as: "high".into(),
            severity: "critical".into(),
            is_opening_known: true,
        });
        for (before, after) in figures(&deployments, &incidents).iter().zip(figures(&more, &open)) {
            prop_assert_eq!(before.value, after.value);
            prop_assert_eq!(before.counted, after.counted);
            prop_assert!(before.unknown <= after.unknown);
            prop_assert!(after.is_met() != Some(true) || before.is_met() == Some(true));
            prop_assert!(!before.warns() || after.warns());
        }
    }

    /// To forget something of one never makes a target met that was not.
    #[test]
    fn a_target_that_is_met_with_unknown_ones_is_met_whatever_they_were(
        known in prop::collection::vec(deployments(), 1..30),
        forgotten in 0_usize..30,
    ) {
        let mut told = known.clone();
        let at = forgotten % told.len();
        let was = told[at].conclusion;
        prop_assume!(was.needed_intervention().is_some());
        told[at] = bare(told[at].started, Conclusion::Undecided);
        for (before, after) in figures(&known, &[]).iter().zip(figures(&told, &[])) {
            if matches!(after.kind, Kind::SuccessRate | Kind::RollbackRate)
                && after.is_met() == Some(true)
            {
                prop_assert_eq!(before.is_met(), Some(true));
            }
        }
    }

    #[test]
    fn success_and_failure_are_all_that_was_decided(
        deployments in prop::collection::vec(deployments(), 0..30),
    ) {
        let tally = Measures::of(&deployments, &[], november()).tally;
        let apart = tally.refused + tally.cancelled + tally.undecided + tally.running;
        prop_assert_eq!(tally.decided() + apart, tally.started);
    }
}
