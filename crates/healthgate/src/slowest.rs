//! Who took longest: a table for the summary.

use std::time::Duration;

use model::{Outcome, Table};

/// Number of rows in the table.
const ROWS: usize = 5;

/// The probes with the slowest measurements; `None` where nothing was measured.
pub(crate) fn slowest(outcomes: &[Outcome]) -> Option<Table> {
    let mut measured: Vec<(Duration, &Outcome)> = outcomes
        .iter()
        .filter_map(|outcome| {
            let slowest = outcome.measurements.iter().map(|one| one.duration).max()?;
            Some((slowest, outcome))
        })
        .collect();
    measured.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.id.cmp(&b.id)));
    measured.truncate(ROWS);
    (!measured.is_empty()).then(|| Table {
        title: "Slowest probes".into(),
        header: vec!["probe", "slowest", "median", "measured"],
        rows: measured
            .into_iter()
            .map(|(slowest, outcome)| {
                let mut times: Vec<_> = outcome
                    .measurements
                    .iter()
                    .map(|one| one.duration)
                    .collect();
                times.sort_unstable();
                vec![
                    outcome.id.to_string(),
                    milliseconds(slowest),
                    milliseconds(times[times.len() / 2]),
                    times.len().to_string(),
                ]
            })
            .collect(),
        only_in_summary: true,
    })
}

fn milliseconds(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 10.0 {
        format!("{ms:.1}ms")
    } else {
        format!("{ms:.0}ms")
    }
}
