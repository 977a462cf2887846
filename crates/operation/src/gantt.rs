//! The steps of an operation over time, by host, as a mermaid Gantt chart.

use std::fmt::Write as _;
use std::time::Duration;

use model::Verdict;
use model::report::Bar;

/// A chart that a person can still read.
const MAX_BARS: usize = 60;

/// Green means done, red failed, yellow unknown, grey not done: mermaid has a colour for each state
/// of a task, which distinguishes the verdicts.
const STYLE: &str = r##"%%{init: {"themeVariables": {"doneTaskBkgColor": "#2da44e", "doneTaskBorderColor": "#1a7f37", "critBkgColor": "#ff8182", "critBorderColor": "#cf222e", "activeTaskBkgColor": "#eac54f", "activeTaskBorderColor": "#9a6700", "taskBkgColor": "#afb8c1", "taskBorderColor": "#57606a", "taskTextColor": "#1f2328", "taskTextDarkColor": "#1f2328"}}}%%"##;

/// The state of a task with the verdict's colour, and what ends it.
fn state(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "done, ",
        Verdict::Fail | Verdict::Refused => "crit, ",
        Verdict::Error | Verdict::Partial | Verdict::Inconclusive => "active, ",
        Verdict::Skipped => "",
    }
}

/// The chart; `None` where nothing was done.
pub fn drawn(bars: &[Bar]) -> Option<String> {
    if bars.is_empty() {
        return None;
    }
    // What did not work is seen first where not all can be.
    let mut shown: Vec<&Bar> = bars.iter().collect();
    shown.sort_by_key(|bar| bar.verdict == Verdict::Pass);
    let hidden = shown.len().saturating_sub(MAX_BARS);
    shown.truncate(MAX_BARS);
    shown.sort_by(|a, b| (&a.place, a.start).cmp(&(&b.place, b.start)));
    let mut chart = format!("{STYLE}\ngantt\n    dateFormat x\n    axisFormat %M:%S.%L\n");
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
        let end = bar.end.max(bar.start + Duration::from_millis(1));
        let _ = writeln!(
            chart,
            "    {} :{}{}, {}",
            bar.what,
            state(bar.verdict),
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
        let bar = |place: &str, start, verdict| Bar {
            place: place.to_owned(),
            what: "switch".to_owned(),
            start: Duration::from_millis(start),
            end: Duration::from_millis(start),
            verdict,
        };
        let chart = drawn(&[
            bar("web-02", 5, Verdict::Fail),
            bar("web:01", 7, Verdict::Pass),
            bar("web:01", 9, Verdict::Inconclusive),
            bar("web-02", 1, Verdict::Pass),
        ]);
        let chart = chart.as_deref().and_then(|chart| chart.split_once('\n'));
        assert_eq!(chart.map(|(style, _)| style), Some(STYLE));
        assert_eq!(
            chart.map(|(_, chart)| chart),
            Some(
                "gantt\n    dateFormat x\n    axisFormat %M:%S.%L\n    section web-02\n    switch :done, 1, 2\n    \
                 switch :crit, 5, 6\n    section web 01\n    switch :done, 7, 8\n    switch :active, 9, 10"
            )
        );
        let last = |n| match n {
            199 => Verdict::Fail,
            _ => Verdict::Pass,
        };
        let many: Vec<Bar> = (0..200).map(|n| bar("web", n, last(n))).collect();
        let chart = drawn(&many).unwrap_or_default();
        assert!(
            chart.contains("crit")
                && chart.contains("title 140 more")
                && chart.lines().count() < 70,
            "{chart}"
        );
    }
}
