//! Series that two Prometheus servers scraped from the same target.
//!
//! A store such as Thanos or Mimir may give both. Counted together they would be twice the
//! traffic, and one may run by another clock than the other.

use std::collections::BTreeMap;

use prometheus::raw::RawSeries;

use crate::flaw::DataDefect;
use crate::series::{Labels, instance};
use crate::side::SideName;

/// The labels by which stores tell replicas apart.
const LABELS: [&str; 5] = [
    "prometheus_replica",
    "replica",
    "__replica__",
    "receive_replica",
    "thanos_replica",
];

/// A series, and which replica scraped it.
pub(crate) struct Deduplicated {
    pub(crate) series: Vec<(RawSeries, Option<String>)>,
    pub(crate) flaws: Vec<DataDefect>,
}

/// Its name, the label that has it, and what it scraped.
type Replica = (String, &'static str, RawSeries);

/// One series of each target. `preferred` is the replica that was used before, so that the same is
/// used from beginning to end and on both sides.
pub(crate) fn one_of_each(
    all: Vec<RawSeries>,
    side: SideName,
    spacing: f64,
    preferred: &mut Option<String>,
) -> Deduplicated {
    let mut groups: BTreeMap<Labels, Vec<Replica>> = BTreeMap::new();
    let mut kept = Vec::new();
    for mut series in all {
        let label = LABELS
            .into_iter()
            .find(|label| series.labels.contains_key(*label));
        match label.and_then(|label| Some((label, series.labels.remove(label)?))) {
            None => kept.push((series, None)),
            Some((label, replica)) => {
                let group = groups.entry(series.labels.clone()).or_default();
                group.push((replica, label, series));
            }
        }
    }
    let mut flaws = Vec::new();
    for (labels, mut group) in groups {
        group.sort_by(|a, b| a.0.cmp(&b.0));
        for pair in group.windows(2) {
            let [(_, label, a), (_, _, b)] = pair else {
                continue;
            };
            flaws.extend(differ(side, label, a, b, instance(&labels), spacing));
        }
        let at = preferred
            .as_ref()
            .and_then(|preferred| group.iter().position(|(replica, ..)| replica == preferred));
        let (replica, _, series) = group.swap_remove(at.unwrap_or(0));
        preferred.get_or_insert_with(|| replica.clone());
        kept.push((series, Some(replica)));
    }
    Deduplicated {
        series: kept,
        flaws,
    }
}

/// Two replicas see a target at different moments of each scrape interval, and else the same.
fn differ(
    side: SideName,
    label: &str,
    a: &RawSeries,
    b: &RawSeries,
    instance: &str,
    spacing: f64,
) -> Option<DataDefect> {
    let ((first_a, last_a), (first_b, last_b)) = (ends(a)?, ends(b)?);
    let seconds = (last_a.0 - last_b.0).abs();
    // One that missed a scrape is two intervals behind.
    if seconds > (spacing * 2.5).max(2.0) {
        return Some(DataDefect::ReplicaClocks {
            label: label.to_owned(),
            seconds,
        });
    }
    // What one of them has counted, the other one is about to.
    let step = (last_a.1 - first_a.1)
        .abs()
        .max((last_b.1 - first_b.1).abs());
    let apart = (last_a.1 - last_b.1).abs();
    if apart > 2.0 * step + 1e-9 * last_a.1.abs() && a.samples.len() > 1 && b.samples.len() > 1 {
        return Some(DataDefect::Replicas {
            side,
            label: label.to_owned(),
            instance: instance.to_owned(),
        });
    }
    None
}

type Point = (f64, f64);

fn ends(series: &RawSeries) -> Option<(Point, Point)> {
    Some((*series.samples.first()?, *series.samples.last()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(replica: &str, samples: &[(f64, f64)]) -> RawSeries {
        RawSeries {
            labels: [("instance", "a"), ("prometheus_replica", replica)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            samples: samples.to_vec(),
            histograms: Vec::new(),
        }
    }

    fn retained_replicas(
        all: Vec<RawSeries>,
        preferred: Option<&str>,
    ) -> (Vec<Option<String>>, Vec<String>) {
        let mut preferred = preferred.map(str::to_owned);
        let Deduplicated { series, flaws } =
            one_of_each(all, SideName::Canary, 5.0, &mut preferred);
        let replicas = series.into_iter().map(|(_, replica)| replica).collect();
        (replicas, flaws.iter().map(DataDefect::to_string).collect())
    }

    #[test]
    fn one_replica_is_counted_and_the_same_one_again() {
        let both = || {
            vec![
                series("a", &[(10.0, 100.0), (15.0, 110.0)]),
                series("b", &[(12.0, 104.0), (17.0, 114.0)]),
            ]
        };
        assert_eq!(
            retained_replicas(both(), None),
            (vec![Some("a".into())], vec![])
        );
        assert_eq!(
            retained_replicas(both(), Some("b")).0,
            [Some("b".to_owned())]
        );
        assert_eq!(
            retained_replicas(both(), Some("gone")).0,
            [Some("a".to_owned())]
        );
    }

    #[test]
    fn replicas_that_disagree_are_told() {
        let (_, flaws) = retained_replicas(
            vec![
                series("a", &[(10.0, 100.0), (15.0, 110.0)]),
                series("b", &[(70.0, 100.0), (75.0, 110.0)]),
            ],
            None,
        );
        assert!(
            flaws[0].contains("clock skew between replicas"),
            "{flaws:?}"
        );
        assert!(flaws[0].contains("60s apart"), "{flaws:?}");
        let (_, flaws) = retained_replicas(
            vec![
                series("a", &[(10.0, 100.0), (15.0, 110.0)]),
                series("b", &[(10.0, 9000.0), (15.0, 9010.0)]),
            ],
            None,
        );
        assert!(flaws[0].contains("not replicas of one"), "{flaws:?}");
    }
}
