//! The rollback's steps over time, as a mermaid Gantt chart.

use std::fmt::Write as _;
use std::time::Duration;

/// A step's name, start and end since the rollback's start, and whether it worked.
pub(crate) type Bar = (String, Duration, Duration, bool);

pub(crate) fn gantt(bars: &[Bar]) -> Option<String> {
    if bars.is_empty() {
        return None;
    }
    let mut chart = String::from("gantt\n    dateFormat x\n    axisFormat %M:%S.%L\n");
    for (name, start, end, worked) in bars {
        // Colon, comma and semicolon separate a task's parts.
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_alphanumeric() || "/-._ ".contains(c) {
                    c
                } else {
                    ' '
                }
            })
            .collect();
        let state = if *worked { "done" } else { "crit" };
        let end = (*end).max(*start + Duration::from_millis(1));
        let _ = writeln!(
            chart,
            "    {name} :{state}, {}, {}",
            start.as_millis(),
            end.as_millis()
        );
    }
    Some(chart.trim_end().to_owned())
}
