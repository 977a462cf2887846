//! The figures as a table that a person reads.

use std::fmt::Write as _;

use model::text::span;

use crate::figure::{Figure, TargetStanding, Value};
use crate::measures::Measures;

/// The head of the table.
const HEAD: [&str; 6] = ["figure", "value", "counted", "unknown", "target", "met"];

impl Measures {
    /// A table with a line for each figure, and under it what was counted. Ends with a line break.
    pub fn table(&self) -> String {
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(self.figures.iter().map(row));
        let width = |column: usize| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text + "\n" + &self.counts() + &self.unread()
    }

    /// One line where a part of the log could not be read.
    fn unread(&self) -> String {
        match self.unread_lines {
            0 => String::new(),
            1 => "1 line of the log could not be read: its event is in no figure\n".to_owned(),
            count => format!(
                "{count} lines of the log could not be read: their events are in no figure\n"
            ),
        }
    }

    /// One line: how many deployments, and what became of them.
    fn counts(&self) -> String {
        let tally = &self.tally;
        let kinds = [
            (tally.succeeded, "succeeded"),
            (tally.failed, "failed"),
            (tally.rolled_back, "rolled back"),
            (tally.refused, "refused"),
            (tally.cancelled, "cancelled"),
            (tally.undecided, "undecided"),
            (tally.running, "running"),
        ];
        let parts: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {kind}"))
            .collect();
        let what = match parts.as_slice() {
            [] => String::new(),
            parts => format!(": {}", parts.join(", ")),
        };
        let noun = if tally.started == 1 {
            "deployment"
        } else {
            "deployments"
        };
        format!(
            "{} {noun} from {:.0} until {:.0}{what}\n",
            tally.started, self.window.from, self.window.until
        )
    }
}

fn row(figure: &Figure) -> [String; 6] {
    let goal = figure.kind.goal();
    let met = match figure.standing {
        None => "",
        Some(TargetStanding::Met) => "yes",
        Some(TargetStanding::Open) => "unknown",
        Some(TargetStanding::Missed) => "no",
        Some(TargetStanding::Warning) => "no, warning",
    };
    [
        figure.kind.title().to_owned(),
        figure
            .value
            .map_or_else(|| "unknown".to_owned(), |value| shown(figure, value)),
        figure.counted.to_string(),
        figure.unknown.to_string(),
        goal.map(|goal| goal.target.to_string()).unwrap_or_default(),
        met.to_owned(),
    ]
}

/// The value, and of durations the slower ones too.
fn shown(figure: &Figure, value: Value) -> String {
    match value {
        Value::Ratio(ratio) => {
            format!(
                "{} ({} of {})",
                ratio.percent(),
                ratio.part(),
                ratio.whole()
            )
        }
        Value::Frequency(frequency) => format!("{} per day", frequency.per_day()),
        Value::Errors(errors) => format!("{} of {} requests", errors.failed, errors.total),
        Value::Times(times) => {
            let statistic = figure.kind.statistic();
            format!(
                "{} {}, p90 {}, max {}",
                statistic.as_str(),
                span(statistic.of(&times)),
                span(times.p90),
                span(times.longest)
            )
        }
    }
}
