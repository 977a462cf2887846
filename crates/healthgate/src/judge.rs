//! `healthgate judge`: the verdict of the configured judge on recorded data, without asking a server.

mod run;
mod worst_runs;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use canary::SettingsError;
use canary::trace::{Item, Trace};
use cli::{Failure, Job, Selection};
use config::file::{Canary, CanaryMetric, Judge};
use jiff::Timestamp;
use model::report::Table;
use model::{Outcome, Report, Verdict};

use run::Run;
use worst_runs::Worst;

/// Of outcomes, in a hint.
const MAX_NAMES: usize = 5;

/// Which data, and by which judge.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// Recorded data: JSON lines, one interval each; `-` is stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How canary and stable are compared: sequential, kayenta or threshold [default: `judge` of the
    /// configuration]
    #[arg(long, value_name = "JUDGE", value_parser = judge)]
    judge: Option<Judge>,
}

#[derive(Debug, thiserror::Error)]
#[error("it is `sequential`, `kayenta` or `threshold`")]
struct ParseJudgeError;

fn judge(text: &str) -> Result<Judge, ParseJudgeError> {
    match text {
        "sequential" => Ok(Judge::Sequential),
        "kayenta" => Ok(Judge::Kayenta),
        "threshold" => Ok(Judge::Threshold),
        _ => Err(ParseJudgeError),
    }
}

impl Flags {
    /// One outcome for each run and metric.
    ///
    /// Reading may block, from a pipe forever, so it runs in a thread, where a signal ends it.
    pub(crate) async fn judge(&self, job: &Job) -> Result<Report, Failure> {
        let canary = config::recorded_canary(&job.config)?;
        let mut canary = canary.ok_or_else(|| {
            Failure::usage("no `healthgate.canary` is configured").hint(
                "add `healthgate: { canary: { metrics: [{ name: errors, kind: ratio }] } }`, or pass `--config FILE`",
            )
        })?;
        if let Some(judge) = self.judge {
            canary.judge = judge;
        }
        let (files, only) = (self.files.clone(), job.only.clone());
        let reading = tokio::task::spawn_blocking(move || judged(&canary, &files, &only));
        tokio::select! {
            judged = reading => judged.map_err(Failure::error)?,
            _ = job.interrupt.wait() => {
                Ok(Report::from_outcomes("healthgate", Timestamp::now(), Vec::new()))
            }
        }
    }
}

fn judged(canary: &Canary, files: &[PathBuf], only: &Selection) -> Result<Report, Failure> {
    let metrics = canary.compared();
    let mut all = JudgedMetrics {
        canary,
        only,
        metrics,
        started_at: Timestamp::now(),
        has_several_files: files.len() > 1,
        names: BTreeSet::new(),
        ids: Vec::new(),
        worst: Worst::default(),
        outcomes: Vec::new(),
        of_metric: Vec::new(),
        runs: [0; 3],
    };
    // A configuration that nothing can be judged by is found before anything is read.
    all.begin(None, String::new())?;
    for file in files {
        let shown = if file == Path::new("-") {
            "stdin".to_owned()
        } else {
            file.display().to_string()
        };
        if file == Path::new("-") {
            all.file(std::io::stdin().lock(), &shown)?;
        } else {
            let opened = File::open(file).map_err(|error| {
                let missing = format!("failed to read `{shown}`: {error}");
                Failure::usage(missing).hint("name a file of recorded data, or `-` for stdin")
            })?;
            all.file(BufReader::with_capacity(1 << 18, opened), &shown)?;
        }
    }
    all.report()
}

/// What was judged so far.
struct JudgedMetrics<'c> {
    canary: &'c Canary,
    only: &'c Selection,
    metrics: Vec<CanaryMetric>,
    started_at: Timestamp,
    has_several_files: bool,
    /// The names of runs that are taken.
    names: BTreeSet<String>,
    /// Of all outcomes, chosen or not.
    ids: Vec<String>,
    worst: Worst,
    outcomes: Vec<Outcome>,
    /// Of each outcome, which metric it is of.
    of_metric: Vec<usize>,
    /// How many runs passed, were inconclusive, and failed.
    runs: [usize; 3],
}

impl JudgedMetrics<'_> {
    fn file(&mut self, from: impl BufRead, shown: &str) -> Result<(), Failure> {
        let mut trace = Trace::new(from, &self.metrics, self.canary.interval.get());
        let mut run: Option<Run> = None;
        let mut has_runs = false;
        let stem = Path::new(shown).file_stem();
        let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
        let stem = stem.filter(|_| self.has_several_files);
        let named = |name: Option<String>| match (&stem, name) {
            (Some(stem), Some(name)) => Some(format!("{stem}/{name}")),
            (Some(stem), None) => Some(stem.clone()),
            (None, name) => name,
        };
        loop {
            let item = trace.read().map_err(|error| {
                let broken = format!("failed to read {shown}:{}: {error}", error.line);
                Failure::usage(broken).hint(
                    "a line is `{\"at\": …, \"metrics\": {NAME: {\"canary\": …, \"stable\": …}}}`, or `{\"run\": NAME}`",
                )
            })?;
            match item {
                None => break,
                Some(Item::Run { name, line }) => {
                    self.end(run.take());
                    has_runs = true;
                    run = Some(self.begin(named(Some(name)), format!("{shown}:{line}"))?);
                }
                Some(Item::Interval(recorded)) => {
                    let run = match &mut run {
                        Some(run) => run,
                        none => none
                            .insert(self.begin(named(None), format!("{shown}:{}", recorded.line))?),
                    };
                    run.observe(recorded);
                }
            }
        }
        if run.is_none() && !has_runs {
            run = Some(self.begin(named(None), shown.to_owned())?);
        }
        self.end(run);
        Ok(())
    }

    fn begin(&self, name: Option<String>, place: String) -> Result<Run, Failure> {
        Run::new(self.canary, name, place).map_err(|error| {
            let hint = match &error {
                SettingsError::NothingRequired => "leave `severity: advisory` out for one metric at least",
                SettingsError::Sequential(_) => {
                    "`alpha`, `beta` and `at-most` lie between 0% and 100%, a `tolerance` above 1; a gauge's is a percentage or an amount"
                }
            };
            Failure::usage(error).hint(hint)
        })
    }

    fn end(&mut self, run: Option<Run>) {
        let Some(mut run) = run else { return };
        run.end();
        // A name that comes again is another run.
        if let Some(name) = run
            .name
            .clone()
            .filter(|name| !self.names.insert(name.clone()))
        {
            let mut others = (2_u32..).map(|nth| format!("{name}#{nth}"));
            run.name = others.find(|name| self.names.insert(name.clone()));
        }
        let mut places = Vec::with_capacity(self.metrics.len());
        let first = self.outcomes.len();
        for (nth, outcome) in run.outcomes(self.started_at).into_iter().enumerate() {
            let is_chosen = self.only.selects(outcome.id.as_str());
            self.ids.push(outcome.id.to_string());
            places.push(is_chosen.then_some(self.outcomes.len()));
            if is_chosen {
                self.outcomes.push(outcome);
                self.of_metric.push(nth);
            }
        }
        let chosen = &self.outcomes[first..];
        if chosen.is_empty() {
            return;
        }
        let verdict = Verdict::of(chosen.iter().map(Outcome::weighs));
        self.runs[match verdict {
            Verdict::Pass => 0,
            Verdict::Fail => 2,
            _ => 1,
        }] += 1;
        self.worst.add(verdict, places, run);
    }

    fn report(mut self) -> Result<Report, Failure> {
        let curves = self.worst.draw(self.canary, &mut self.outcomes)?;
        let [passed, inconclusive, failed] = self.runs;
        let runs = passed + inconclusive + failed;
        let table = (runs > 1).then(|| self.counted());
        let unknown = self.only.unknown(&self.ids).into_iter();
        let names: Vec<String> = self
            .ids
            .iter()
            .take(MAX_NAMES)
            .map(|id| format!("`{id}`"))
            .collect();
        let hint = format!("there is {}", names.join(", "));
        let unmatched = |pattern: &str| crate::only::unmatched_pattern(pattern).hint(&hint);
        self.outcomes.extend(unknown.map(unmatched));
        let mut report = Report::from_outcomes("healthgate", self.started_at, self.outcomes);
        if let Some(table) = table {
            report.tables.push(table);
            report.headline = Some(format!(
                "{runs} runs: {passed} passed, {failed} failed, {inconclusive} inconclusive"
            ));
        }
        report.pictures = curves.iter().map(crate::picture::curve).collect();
        report.curves = curves;
        Ok(report)
    }

    /// How many runs each metric decided, and after how many intervals.
    fn counted(&self) -> Table {
        let row = |nth: usize, metric: &CanaryMetric| {
            let all = self.outcomes.iter().zip(&self.of_metric);
            let own: Vec<&Outcome> = all
                .filter(|(_, of)| **of == nth)
                .map(|(outcome, _)| outcome)
                .collect();
            let count = |verdict| own.iter().filter(|one| one.verdict == verdict).count();
            let mut times: Vec<usize> = own
                .iter()
                .filter(|one| matches!(one.verdict, Verdict::Pass | Verdict::Fail))
                .map(|one| one.measurements.len())
                .collect();
            times.sort_unstable();
            let at = |percent: usize| {
                let time = times.get(times.len() * percent / 100);
                time.map_or_else(|| "–".to_owned(), ToString::to_string)
            };
            vec![
                metric.name.clone(),
                count(Verdict::Pass).to_string(),
                count(Verdict::Fail).to_string(),
                count(Verdict::Inconclusive).to_string(),
                at(50),
                at(90),
            ]
        };
        let is_chosen = |nth: &usize| self.of_metric.contains(nth);
        let rows = self.metrics.iter().enumerate();
        Table {
            title: "Runs".to_owned(),
            header: vec![
                "metric",
                "pass",
                "fail",
                "inconclusive",
                "median intervals",
                "90%",
            ],
            rows: rows
                .filter(|(nth, _)| is_chosen(nth))
                .map(|(nth, metric)| row(nth, metric))
                .collect(),
            only_in_summary: false,
        }
    }
}
