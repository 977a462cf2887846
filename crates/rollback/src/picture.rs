//! The rollback's steps over time, by host, as a mermaid Gantt chart.

use std::fmt::Write as _;
use std::time::Duration;

use model::Verdict;
use model::report::Bar;

/// A chart that a person can still read.
const MOST: usize = 60;

pub(crate) fn gantt(bars: &[Bar]) -> Option<String> {
    if bars.is_empty() {
        return None;
    }
    // What did not work is seen first where not all can be.
    let mut shown: Vec<&Bar> = bars.iter().collect();
    shown.sort_by_key(|bar| bar.verdict == Verdict::Pass);
    let hidden = shown.len().saturating_sub(MOST);
    shown.truncate(MOST);
    shown.sort_by(|a, b| (&a.place, a.start).cmp(&(&b.place, b.start)));
    let mut chart = String::from("gantt\n    dateFormat x\n    axisFormat %M:%S.%L\n");
    if hidden > 0 {
        // Silence would be taken for hosts at which nothing was done.
        let _ = writeln!(chart, "    title {hidden} more that worked are not shown");
    }
    let mut section = None;
    for bar in shown {
        if section != Some(&bar.place) {
            section = Some(&bar.place);
            let _ = writeln!(chart, "    section {}", plain(&bar.place));
        }
        let state = match bar.verdict {
            Verdict::Pass => "done",
            _ => "crit",
        };
        let end = bar.end.max(bar.start + Duration::from_millis(1));
        let _ = writeln!(
            chart,
            "    {} :{state}, {}, {}",
            bar.what,
            bar.start.as_millis(),
            end.as_millis()
        );
    }
    Some(chart.trim_end().to_owned())
}

/// Colon, comma and semicolon separate a task's parts.
fn plain(name: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || "/-._ ".contains(c);
    name.chars()
        .map(|c| if keep(c) { c } else { ' ' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_under_their_hosts() {
        let bar = |place: &str, start, worked| Bar {
            place: place.to_owned(),
            what: "switch".to_owned(),
            start: Duration::from_millis(start),
            end: Duration::from_millis(start),
            verdict: if worked { Verdict::Pass } else { Verdict::Fail },
        };
        let chart = gantt(&[
            bar("web-02", 5, false),
            bar("web:01", 7, true),
            bar("web-02", 1, true),
        ]);
        assert_eq!(
            chart.as_deref(),
            Some(
                "gantt\n    dateFormat x\n    axisFormat %M:%S.%L\n    section web-02\n    switch :done, 1, 2\n    \
                 switch :crit, 5, 6\n    section web 01\n    switch :done, 7, 8"
            )
        );
        let many: Vec<Bar> = (0..200).map(|n| bar("web", n, n != 199)).collect();
        let chart = gantt(&many).unwrap_or_default();
        assert!(
            chart.contains("crit")
                && chart.contains("title 140 more")
                && chart.lines().count() < 70,
            "{chart}"
        );
    }
}
