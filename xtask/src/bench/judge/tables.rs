//! The results as Markdown.

use judge::sequential::Verdict;

use super::{Contender, Run};

/// The runs of one situation, for each contender.
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    /// The new release is like the old one: a fail is false. Otherwise a pass is.
    pub(super) is_same: bool,
    pub(super) results: Vec<Vec<Run>>,
}

/// Three tables: what failed and when, what else became of the runs, and what it cost.
pub(super) fn print(what: &str, contenders: &[Contender], rows: &[Row<'_>]) {
    println!("Failed (minutes until half / nine tenths of all runs had failed):\n");
    table(what, contenders, rows.iter(), failed);
    println!("Passed / inconclusive:\n");
    table(what, contenders, rows.iter(), others);
    println!("Requests that the bad release served, on average:\n");
    let bad = rows.iter().filter(|row| !row.is_same);
    table(what, contenders, bad, served);
}

fn table<'a>(
    what: &str,
    contenders: &[Contender],
    rows: impl Iterator<Item = &'a Row<'a>>,
    cell: fn(&Row<'a>, &[Run]) -> String,
) {
    let names: Vec<&str> = contenders.iter().map(|it| it.name).collect();
    println!("| {what} | {} |", names.join(" | "));
    println!("|---|{}", "--:|".repeat(names.len()));
    for row in rows {
        let cells: Vec<String> = row.results.iter().map(|runs| cell(row, runs)).collect();
        println!("| {} | {} |", row.name, cells.join(" | "));
    }
    println!();
}

fn failed(row: &Row<'_>, runs: &[Run]) -> String {
    let share = share(runs, Verdict::Fail);
    if row.is_same {
        return if is_often(runs) {
            format!("**{share}**")
        } else {
            share
        };
    }
    let mut minutes: Vec<usize> = runs
        .iter()
        .filter(|run| run.verdict == Verdict::Fail)
        .map(|run| run.minute)
        .collect();
    minutes.sort_unstable();
    let until = |part: f64| {
        let needed = (part * runs.len() as f64).ceil() as usize;
        let minute = needed.checked_sub(1).and_then(|at| minutes.get(at));
        minute.map_or_else(|| "–".to_owned(), usize::to_string)
    };
    format!("{share} ({} / {})", until(0.5), until(0.9))
}

/// Whether more than one in a hundred failed, which is the `alpha` of the comparison.
fn is_often(runs: &[Run]) -> bool {
    let failed = runs
        .iter()
        .filter(|run| run.verdict == Verdict::Fail)
        .count();
    failed * 100 > runs.len()
}

fn others(_: &Row<'_>, runs: &[Run]) -> String {
    let (passed, open) = (
        share(runs, Verdict::Pass),
        share(runs, Verdict::Inconclusive),
    );
    format!("{passed} / {open}")
}

fn served(_: &Row<'_>, runs: &[Run]) -> String {
    let all: u64 = runs.iter().map(|run| run.served).sum();
    (all / runs.len().max(1) as u64).to_string()
}

/// In percent, to a tenth where that says something.
fn share(runs: &[Run], verdict: Verdict) -> String {
    let with = runs.iter().filter(|run| run.verdict == verdict).count();
    let percent = 100.0 * with as f64 / runs.len().max(1) as f64;
    if with == 0 || with == runs.len() {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(verdict: Verdict, minute: usize) -> Run {
        Run {
            verdict,
            minute,
            served: 100,
        }
    }

    #[test]
    fn times_are_of_all_runs_and_not_of_those_that_failed() {
        let row = Row {
            name: "",
            is_same: false,
            results: Vec::new(),
        };
        let mut runs = vec![run(Verdict::Fail, 3); 6];
        runs.extend(vec![run(Verdict::Pass, 60); 3]);
        runs.push(run(Verdict::Inconclusive, 60));
        assert_eq!(failed(&row, &runs), "60.0 % (3 / –)");
        assert_eq!(others(&row, &runs), "30.0 % / 10.0 %");
        assert_eq!(served(&row, &runs), "100");
        let good = Row {
            is_same: true,
            ..row
        };
        assert_eq!(failed(&good, &runs), "**60.0 %**");
    }
}
