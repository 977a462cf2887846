//! The text format of Prometheus, as node_exporter's textfile collector reads it.
//!
//! A counter is counted anew from the whole history each time, so it does not matter where and how
//! often this is written. What is unknown has no series: there is no number that stands for it.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use values::Share;

use crate::exact::{decimal, quotient, seconds};
use crate::figure::{Figure, Kind, Value};
use crate::goal::Limit;
use crate::history::{Deployment, elapsed};
use crate::labels::Labels;
use crate::measures::{HistoryTotals, Measures, status};
use crate::names;

/// Bounds of the histogram, in seconds: half a minute to two hours, with the targets and warnings
/// of the runbooks (5, 10, 15 and 30 minutes) among them.
const BUCKETS: [u64; 9] = [30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/// Each word that `status` may be. All are written from the start: a counter that appears with its
/// first failure has not increased.
const STATUSES: [&str; 5] = ["success", "failure", "refused", "cancelled", "undecided"];

/// The share of the requests that a canary has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanaryShare {
    pub configured: Share,
    /// What was found; `None` where it was not observed.
    pub observed: Option<Share>,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposition<'a> {
    pub labels: &'a Labels,
    pub measures: &'a Measures,
    /// While a rollout is going on.
    pub canary: Option<CanaryShare>,
}

/// The whole text, with a line break at its end.
impl std::fmt::Display for Exposition<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Text {
            labels: self.labels,
            out: String::new(),
        };
        let whole = &self.measures.whole;
        text.counters(whole);
        text.histogram(&whole.durations);
        text.last(whole);
        text.newest(whole.newest.as_ref());
        text.running(whole.running_since);
        text.incidents(whole);
        text.gauge(
            names::UNREAD_LINES,
            "Lines of the log that could not be read; their events are in no other series.",
            &[(vec![], self.measures.unread_lines.to_string())],
        );
        text.canary(self.canary);
        text.window(self.measures.window.length());
        for figure in &self.measures.figures {
            text.figure(figure);
        }
        text.goals(&self.measures.figures);
        f.write_str(&text.out)
    }
}

struct Text<'a> {
    labels: &'a Labels,
    out: String,
}

/// Labels beside those of the service, and a value.
type Sample<'a> = (Vec<(&'a str, &'a str)>, String);

impl Text<'_> {
    /// A family without samples is left out.
    fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[Sample<'_>]) {
        if samples.is_empty() {
            return;
        }
        self.head(name, kind, help);
        for (labels, value) in samples {
            self.sample(name, labels, value);
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let _ = writeln!(self.out, "{name}{{{}}} {value}", self.labels.with(labels));
    }

    fn gauge(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) {
        self.family(name, "gauge", help, samples);
    }

    fn counters(&mut self, whole: &HistoryTotals) {
        let tally = &whole.tally;
        self.family(
            names::STARTED,
            "counter",
            "Deployments that were started, counted from the history.",
            &[(vec![], tally.started.to_string())],
        );
        let counts = [
            tally.succeeded,
            tally.intervened(),
            tally.refused,
            tally.cancelled,
            tally.undecided,
        ];
        let completed: Vec<Sample<'_>> = STATUSES
            .into_iter()
            .zip(counts)
            .map(|(status, count)| (vec![("status", status)], count.to_string()))
            .collect();
        self.family(
            names::COMPLETED,
            "counter",
            "Deployments that came to an end, by how their own run ended, counted from the history; one that rolled back is a failure.",
            &completed,
        );
        self.family(
            names::ROLLBACKS,
            "counter",
            "Rollbacks that were triggered, counted from the history.",
            &[(vec![], tally.rollbacks.to_string())],
        );
    }

    fn histogram(&mut self, durations: &[Duration]) {
        self.head(
            names::DURATION,
            "histogram",
            "Time to complete a deployment whose own run succeeded, failed or rolled back.",
        );
        let bucket = format!("{}_bucket", names::DURATION);
        for bound in BUCKETS {
            let within = durations
                .iter()
                .filter(|time| **time <= Duration::from_secs(bound));
            let count = within.count().to_string();
            self.sample(&bucket, &[("le", &bound.to_string())], &count);
        }
        let all = durations.len().to_string();
        self.sample(&bucket, &[("le", "+Inf")], &all);
        let sum = durations.iter().map(Duration::as_millis).sum();
        self.sample(&format!("{}_sum", names::DURATION), &[], &decimal(sum, 3));
        self.sample(&format!("{}_count", names::DURATION), &[], &all);
    }

    fn last(&mut self, whole: &HistoryTotals) {
        let last: Vec<Sample<'_>> = whole
            .last
            .iter()
            .map(|(status, at)| (vec![("status", *status)], timestamp(*at)))
            .collect();
        self.gauge(
            names::LAST_COMPLETED,
            "When the run of a deployment last came to such an end, in seconds since 1970.",
            &last,
        );
        let rollback: Vec<Sample<'_>> = whole
            .last_rollback
            .iter()
            .map(|at| (vec![], timestamp(*at)))
            .collect();
        self.gauge(
            names::LAST_ROLLBACK,
            "When a rollback was last triggered, in seconds since 1970.",
            &rollback,
        );
    }

    fn newest(&mut self, newest: Option<&Deployment>) {
        let Some(newest) = newest else { return };
        let status = status(newest.conclusion).unwrap_or("running");
        let labels = vec![("release", newest.release.as_str()), ("status", status)];
        self.gauge(
            names::NEWEST,
            "When the newest deployment started, in seconds since 1970.",
            &[(labels, timestamp(newest.started))],
        );
        let duration = newest
            .ended
            .and_then(|ended| elapsed(newest.started, ended));
        let duration: Vec<Sample<'_>> = duration
            .iter()
            .map(|time| (vec![], seconds(*time)))
            .collect();
        self.gauge(
            names::NEWEST_DURATION,
            "How long the newest deployment took.",
            &duration,
        );
        let retries: Vec<Sample<'_>> = newest
            .health_retries
            .iter()
            .map(|retries| (vec![], retries.to_string()))
            .collect();
        self.gauge(
            names::NEWEST_RETRIES,
            "Measurements of the newest deployment's gate that failed, whether the gate passed in the end or not.",
            &retries,
        );
    }

    fn running(&mut self, since: Option<Timestamp>) {
        let samples: Vec<Sample<'_>> = since.iter().map(|at| (vec![], timestamp(*at))).collect();
        self.gauge(
            names::RUNNING_SINCE,
            "When the deployment started that is running, in seconds since 1970.",
            &samples,
        );
    }

    fn incidents(&mut self, whole: &HistoryTotals) {
        fn sample(severity: &str, count: u64) -> Sample<'_> {
            (vec![("severity", severity)], count.to_string())
        }

        let all = whole.incidents.iter();
        // A severity that an incident only has by now may be gone by the next time.
        let opened: Vec<Sample<'_>> = all
            .clone()
            .filter(|(_, of)| of.all > 0)
            .map(|(severity, of)| sample(severity, of.all))
            .collect();
        let open: Vec<Sample<'_>> = all
            .map(|(severity, of)| sample(severity, of.open))
            .collect();
        self.family(
            names::INCIDENTS,
            "counter",
            "Incidents that were opened, by the severity that each was opened with, counted from the log.",
            &opened,
        );
        self.gauge(
            names::OPEN_INCIDENTS,
            "Incidents that are not resolved, by the worst severity that each has had.",
            &open,
        );
    }

    fn canary(&mut self, share: Option<CanaryShare>) {
        let Some(CanaryShare {
            configured,
            observed,
        }) = share
        else {
            return;
        };
        let shares = [("configured", Some(configured)), ("observed", observed)];
        let samples: Vec<Sample<'_>> = shares
            .into_iter()
            .filter_map(|(source, share)| {
                let value = decimal(share?.steps().into(), 4);
                Some((vec![("source", source)], value))
            })
            .collect();
        self.gauge(
            names::CANARY_SHARE,
            "The share of the requests that the release under test has, from 0 to 1.",
            &samples,
        );
    }

    fn window(&mut self, length: Duration) {
        self.gauge(
            names::WINDOW,
            "The time that the figures are over.",
            &[(vec![], seconds(length))],
        );
    }

    fn figure(&mut self, figure: &Figure) {
        let statistic = |name, time| (vec![("statistic", name)], seconds(time));
        let samples = match figure.value {
            None => return,
            Some(Value::Ratio(ratio)) => vec![(vec![], ratio.decimal())],
            Some(Value::Frequency(frequency)) => vec![(vec![], frequency.per_day())],
            Some(Value::Errors(errors)) => vec![(vec![], errors.failed.to_string())],
            Some(Value::Times(times)) => vec![
                statistic("mean", times.mean()),
                statistic("median", times.median),
                statistic("p90", times.p90),
                statistic("max", times.longest),
            ],
        };
        let name = names::of_figure(figure.kind);
        self.gauge(name, figure.kind.definition(), &samples);
    }

    fn goals(&mut self, figures: &[Figure]) {
        let mut of = |name, help, value: &dyn Fn(&Figure) -> Option<String>| {
            let samples: Vec<Sample<'_>> = figures
                .iter()
                .filter_map(|figure| {
                    let labels = vec![("figure", figure.kind.as_str())];
                    Some((labels, value(figure)?))
                })
                .collect();
            self.gauge(name, help, &samples);
        };
        of(
            names::COUNTED,
            "How many deployments or incidents the figure is of.",
            &|figure| Some(figure.counted.to_string()),
        );
        of(
            names::UNKNOWN,
            "How many more there are whose part in the figure is not known.",
            &|figure| Some(figure.unknown.to_string()),
        );
        let limit = |kind: Kind, of: fn(crate::goal::Goal) -> Option<crate::goal::Threshold>| {
            kind.goal().and_then(of).map(|bound| number(bound.limit()))
        };
        of(
            names::TARGET,
            "The limit of the target in the runbook, in the unit of the figure.",
            &|figure| limit(figure.kind, |goal| Some(goal.target)),
        );
        of(
            names::WARNING,
            "The limit from which the runbook warns, in the unit of the figure.",
            &|figure| limit(figure.kind, |goal| goal.warning),
        );
        of(
            names::TARGET_MET,
            "1 where the target is met, 0 where it is missed; missing where it is not known.",
            &|figure| figure.is_met().map(|met| u8::from(met).to_string()),
        );
    }
}

/// In the unit of the series.
fn number(limit: Limit) -> String {
    match limit {
        Limit::Percent(percent) => decimal(quotient(percent.into(), 100, 2), 2),
        Limit::Time(time) => seconds(time),
        Limit::Count(count) => count.to_string(),
    }
}

/// Seconds since 1970, to the millisecond. There is no deployment from before.
fn timestamp(at: Timestamp) -> String {
    decimal(u128::try_from(at.as_millisecond()).unwrap_or(0), 3)
}
