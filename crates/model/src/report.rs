//! What a stage found, and its frozen JSON form.

use std::time::Duration;

use jiff::Timestamp;

use crate::incident::{IncidentState, UnreadLine};
use crate::release::Match;
use crate::shares::{ForeignShare, ShareChange, SideShare};
use crate::{FailedRun, Outcome, Redactor, Verdict};

pub mod v1;

/// Where a report was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    pub tool_version: String,
    pub repository: Option<String>,
    pub sha: Option<String>,
    pub run_id: Option<String>,
    pub run_attempt: Option<u32>,
    pub actor: Option<String>,
}

/// What a stage saw, in rows: shown in text and summary. Not part of the JSON document, where
/// the same facts are measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub title: String,
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// Not on a terminal, where it would be in the way.
    pub only_in_summary: bool,
}

/// What was done at one place, from when until when since the stage's start.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// A host, or what was asked.
    pub place: String,
    pub what: String,
    pub start: Duration,
    pub end: Duration,
    pub verdict: Verdict,
}

/// Numbers over time: lines, and limits that they are held against.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub title: String,
    /// What is counted along the picture, and upwards.
    pub along: &'static str,
    pub upwards: &'static str,
    pub lines: Vec<Line>,
    /// What each is called, and where it is.
    pub limits: Vec<(&'static str, f64)>,
    /// The values of a line lie evenly from 0 to this many of `along`; else each value is one of them.
    pub length: Option<f64>,
    pub moments: Vec<Moment>,
}

/// What happened at one place along a curve of a known length.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    pub at: f64,
    pub told: String,
    pub stroke: Stroke,
}

/// One number over time; `None` where it is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub name: &'static str,
    pub stroke: Stroke,
    pub values: Vec<Option<f64>>,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    Line,
    /// The lower end of a band, or what is neither good nor bad.
    Edge,
    /// The upper end of a band.
    UpperEdge,
    Good,
    Bad,
}

impl Curve {
    pub fn new(title: impl Into<String>, along: &'static str, upwards: &'static str) -> Curve {
        Curve {
            title: title.into(),
            along,
            upwards,
            lines: Vec::new(),
            limits: Vec::new(),
            length: None,
            moments: Vec::new(),
        }
    }

    #[must_use]
    pub fn line(mut self, name: &'static str, stroke: Stroke, values: Vec<Option<f64>>) -> Curve {
        self.lines.push(Line {
            name,
            stroke,
            values,
        });
        self
    }

    /// How far from zero it is drawn: so many times the limits, and whatever a line has but the end of a
    /// band.
    pub fn reach(&self, times: f64) -> f64 {
        let limits = self.limits.iter().map(|(_, limit)| *limit);
        let lines = self.lines.iter();
        let lines = lines.filter(|line| !matches!(line.stroke, Stroke::Edge | Stroke::UpperEdge));
        let values = lines.flat_map(|line| line.values.iter().flatten());
        let values = values.map(|value: &f64| value.abs() * 1.1);
        values.fold(limits.fold(1.0, f64::max) * times, f64::max)
    }

    #[must_use]
    pub fn over(mut self, length: f64) -> Curve {
        self.length = Some(length);
        self
    }

    #[must_use]
    pub fn limit(mut self, name: &'static str, at: f64) -> Curve {
        self.limits.push((name, at));
        self
    }
}

/// A time in which we ourselves were stopped: by a signal, or by a machine that slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub at: Timestamp,
    pub lasted: Duration,
}

/// The result of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub stage: String,
    pub service: Option<String>,
    pub environment: Option<String>,
    pub verdict: Verdict,
    /// The verdict in one sentence, with its arithmetic.
    pub reason: String,
    /// The verdict in one line, where the stage has better words than its name:
    /// `rolled back v4 → v2`. Not part of the JSON document.
    pub headline: Option<String>,
    /// The next step of a stage that ended before an outcome could name it. stderr has it already, so
    /// only the summary and the page contain it.
    pub hint: Option<String>,
    /// 0 to 10, in preflight only.
    pub score: Option<f64>,
    pub release: Option<String>,
    /// How an answer proved to be of the release, in a gate.
    pub release_match: Option<Match>,
    pub started_at: Timestamp,
    pub duration: Duration,
    pub outcomes: Vec<Outcome>,
    /// What the probes of a gate were watched by, unless an outcome says otherwise.
    pub policy: Option<crate::Policy>,
    /// When the gate itself was stopped and measured nothing.
    pub pauses: Vec<Pause>,
    /// The part of the endpoints that was asked, where others asked the rest.
    pub shard: Option<crate::Shard>,
    /// How many of the hosts do not have what they should, of all; where the stage looked. Not part of the JSON
    /// document.
    pub hosts: Option<(usize, usize)>,
    /// The release that the stage put back, by proof. Not part of the JSON document.
    pub restored: Option<String>,
    /// It finished a rollback that was interrupted.
    pub resumed: bool,
    /// What `rollback decide` found. Not part of the JSON document.
    pub decision: Option<Decision>,
    /// The workflow run that was asked for, where it failed.
    pub failed_run: Option<FailedRun>,
    /// Those that `incident status` and `incident list` show.
    pub incidents: Option<Vec<IncidentState>>,
    /// Of the log of events, where the stage looked.
    pub unread_lines: Vec<UnreadLine>,
    /// Of `traffic status`: what each side has.
    pub shares: Vec<SideShare>,
    /// Of `traffic`: what another made of a share that was set.
    pub foreign_changes: Vec<ForeignShare>,
    /// Of `traffic history`: newest first.
    pub share_changes: Vec<ShareChange>,
    pub context: Context,
    /// What the stage was given.
    pub inputs: Option<crate::Inputs>,
    /// Mermaid diagrams for the summary, without their fences. Not part of the JSON document.
    pub pictures: Vec<String>,
    /// What was done when, of a stage that acts. Not part of the JSON document.
    pub timeline: Vec<Bar>,
    /// Numbers over time, for the page. Not part of the JSON document.
    pub curves: Vec<Curve>,
    /// Not part of the JSON document.
    pub tables: Vec<Table>,
    /// A stage's own values for `$GITHUB_OUTPUT`, such as `runs-on`. Not part of the document.
    pub outputs: Vec<(String, String)>,
    /// What the stage writes in the place of its report. Not part of the JSON document.
    pub written: Option<Written>,
}

/// Whether users are on the release that is to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They are on a good one.
    Safe,
    Critical,
    Unknown,
}

impl Decision {
    /// As `$GITHUB_OUTPUT` has it.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Safe => "safe",
            Decision::Critical => "critical",
            Decision::Unknown => "unknown",
        }
    }
}

/// A document of a stage: what it was asked to write, on stdout and for a browser.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// For `--format text`, and in the summary: Markdown, or a format of another program.
    pub text: String,
    /// The summary shows anything else as it is.
    pub is_markdown: bool,
    /// For `--format json`. `None`: the stage's report.
    pub json: Option<String>,
    /// For `--html`. `None`: the page of the stage's report.
    pub html: Option<String>,
}

impl Written {
    fn redacted(self, redactor: &Redactor) -> Self {
        let Written {
            text,
            is_markdown,
            json,
            html,
        } = self;
        Written {
            text: redactor.redact(&text),
            is_markdown,
            json: json.map(|json| redactor.redact(&json)),
            html: html.map(|html| redactor.redact(&html)),
        }
    }
}

impl Report {
    /// A report whose verdict is the worst of its outcomes; the reason names that outcome.
    pub fn from_outcomes(stage: &str, started_at: Timestamp, outcomes: Vec<Outcome>) -> Self {
        let verdict = Verdict::of(outcomes.iter().map(Outcome::weighs));
        let reason = explain(verdict, &outcomes);
        Report {
            stage: stage.to_owned(),
            service: None,
            environment: None,
            verdict,
            reason,
            headline: None,
            hint: None,
            score: None,
            release: None,
            release_match: None,
            started_at,
            duration: Duration::ZERO,
            outcomes,
            policy: None,
            pauses: Vec::new(),
            shard: None,
            hosts: None,
            restored: None,
            resumed: false,
            decision: None,
            failed_run: None,
            incidents: None,
            unread_lines: Vec::new(),
            shares: Vec::new(),
            foreign_changes: Vec::new(),
            share_changes: Vec::new(),
            context: Context::default(),
            inputs: None,
            pictures: Vec::new(),
            timeline: Vec::new(),
            curves: Vec::new(),
            tables: Vec::new(),
            outputs: Vec::new(),
            written: None,
        }
    }

    /// The report with every secret in every text replaced.
    pub fn redacted(self, redactor: &Redactor) -> Self {
        // No `..` below: a new field must be thought of here.
        let clean = |text: String| redactor.redact(&text);
        let maybe = |text: Option<String>| text.map(clean);
        let Report {
            stage,
            service,
            environment,
            verdict,
            reason,
            headline,
            hint,
            score,
            release,
            release_match,
            started_at,
            duration,
            outcomes,
            policy,
            pauses,
            shard,
            hosts,
            restored,
            resumed,
            decision,
            failed_run,
            incidents,
            unread_lines,
            shares,
            foreign_changes,
            share_changes,
            context,
            inputs,
            pictures,
            timeline,
            curves,
            tables,
            outputs,
            written,
        } = self;
        Report {
            stage,
            service: maybe(service),
            environment: maybe(environment),
            verdict,
            reason: clean(reason),
            headline: maybe(headline),
            hint: maybe(hint),
            score,
            release: maybe(release),
            release_match,
            started_at,
            duration,
            outcomes: outcomes
                .into_iter()
                .map(|outcome| outcome.redacted(redactor))
                .collect(),
            policy: policy.map(crate::Policy::redacted),
            pauses,
            shard,
            hosts,
            restored: restored.map(clean),
            resumed,
            decision,
            failed_run: failed_run.map(|run| run.redacted(redactor)),
            incidents: incidents.map(|all| {
                let all = all.into_iter();
                all.map(|incident| incident.redacted(redactor)).collect()
            }),
            unread_lines: { unread_lines.into_iter() }
                .map(|line| line.redacted(redactor))
                .collect(),
            shares: { shares.into_iter() }
                .map(|share| share.redacted(redactor))
                .collect(),
            foreign_changes: { foreign_changes.into_iter() }
                .map(|change| change.redacted(redactor))
                .collect(),
            share_changes: { share_changes.into_iter() }
                .map(|change| change.redacted(redactor))
                .collect(),
            context: context.redacted(redactor),
            inputs: inputs.map(|inputs| inputs.redacted(redactor)),
            pictures: pictures.into_iter().map(clean).collect(),
            timeline: timeline
                .into_iter()
                .map(|bar| bar.redacted(redactor))
                .collect(),
            curves: curves
                .into_iter()
                .map(|curve| curve.redacted(redactor))
                .collect(),
            tables: tables
                .into_iter()
                .map(|table| table.redacted(redactor))
                .collect(),
            outputs: outputs
                .into_iter()
                .map(|(name, value)| (clean(name), clean(value)))
                .collect(),
            written: written.map(|written| written.redacted(redactor)),
        }
    }
}

impl Context {
    fn redacted(self, redactor: &Redactor) -> Self {
        let maybe = |text: Option<String>| text.map(|text| redactor.redact(&text));
        let Context {
            tool_version,
            repository,
            sha,
            run_id,
            run_attempt,
            actor,
        } = self;
        Context {
            tool_version,
            repository: maybe(repository),
            sha: maybe(sha),
            run_id: maybe(run_id),
            run_attempt,
            actor: maybe(actor),
        }
    }
}

impl Curve {
    fn redacted(self, redactor: &Redactor) -> Self {
        let Curve {
            title,
            along,
            upwards,
            lines,
            limits,
            length,
            moments,
        } = self;
        let moments = moments
            .into_iter()
            .map(|Moment { at, told, stroke }| Moment {
                at,
                told: redactor.redact(&told),
                stroke,
            });
        Curve {
            title: redactor.redact(&title),
            along,
            upwards,
            lines,
            limits,
            length,
            moments: moments.collect(),
        }
    }
}

impl Table {
    fn redacted(self, redactor: &Redactor) -> Self {
        let Table {
            title,
            header,
            rows,
            only_in_summary,
        } = self;
        let clean = |row: Vec<String>| row.iter().map(|cell| redactor.redact(cell)).collect();
        Table {
            title: redactor.redact(&title),
            header,
            rows: rows.into_iter().map(clean).collect(),
            only_in_summary,
        }
    }
}

impl Bar {
    fn redacted(self, redactor: &Redactor) -> Self {
        let Bar {
            place,
            what,
            start,
            end,
            verdict,
        } = self;
        Bar {
            place: redactor.redact(&place),
            what: redactor.redact(&what),
            start,
            end,
            verdict,
        }
    }
}

/// One sentence for a verdict: the worst outcome by name, and how many share its fate.
fn explain(verdict: Verdict, outcomes: &[Outcome]) -> String {
    let weighed: Vec<_> = outcomes
        .iter()
        .filter(|o| o.weighs() != Verdict::Skipped)
        .collect();
    if weighed.is_empty() {
        return match outcomes.len() {
            0 => "nothing was checked".to_owned(),
            skipped => format!("nothing was checked: {skipped} skipped"),
        };
    }
    if verdict == Verdict::Pass {
        let passed = weighed
            .iter()
            .filter(|o| o.verdict == Verdict::Pass)
            .count();
        let advisory = weighed.len() - passed;
        return match advisory {
            0 => format!("{passed} of {passed} passed"),
            _ => format!("{passed} passed, {advisory} advisory did not"),
        };
    }
    let worst: Vec<_> = weighed.iter().filter(|o| o.weighs() == verdict).collect();
    let first = worst.first().map_or_else(String::new, |o| {
        format!(
            "{}: {}",
            o.id,
            o.reason.as_deref().unwrap_or(o.verdict.as_str())
        )
    });
    match worst.len() {
        0 | 1 => first,
        more => format!("{first} (and {} more {verdict})", more - 1),
    }
}
