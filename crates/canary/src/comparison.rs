//! A canary against stable, by the judge of the configuration.

use config::file::{Canary, CanaryMetric, Judge};
use judge::sequential;
use judge::{Attendance, Doubt, Interval};
use model::report::Curve;
use model::{Severity, Verdict};

use crate::curve::Points;
use crate::finding::Finding;
use crate::kayenta::Kayenta;
use crate::reasons::{INSTANCE_GONE, LOOK_FOR_INSTANCE, of_doubt};
use crate::settings::{self, SettingsError, intervals};
use crate::threshold::Thresholds;

const CUT_RECORDING: &str = "judge a recording without broken data, or cut it before they begin";

/// Takes intervals in until it is over.
#[derive(Clone, Debug)]
pub struct Comparison {
    metrics: Vec<CanaryMetric>,
    by: By,
    intervals: u32,
    deadline: u32,
    /// Of each metric, the first that was wrong with its numbers.
    problems: Vec<Option<Blocker>>,
    /// Of each metric, the first that was wrong after the verdict, in a recording that goes on.
    later: Vec<Option<String>>,
    /// Intervals after the verdict that were not observed.
    rest: u32,
    /// A recording has ended.
    has_ended: bool,
    /// Of each metric, the intervals without data, and the share of them with which it may pass.
    missing: Vec<u32>,
    most_missing: f64,
    attendance: Vec<Attendance>,
    points: Option<Points>,
}

/// What keeps a metric from passing, and where a person looks for it.
#[derive(Clone, Debug)]
struct Blocker {
    reason: String,
    hint: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum By {
    Sequential(Box<sequential::Watch>),
    Kayenta(Box<Kayenta>),
    Threshold(Thresholds),
}

impl Comparison {
    /// `most_missing` is the share of intervals that may lack data where a metric passes.
    pub fn new(canary: &Canary, most_missing: f64) -> Result<Comparison, SettingsError> {
        let metrics = canary.compared();
        if metrics.iter().all(|one| one.severity == Severity::Advisory) {
            return Err(SettingsError::NothingRequired);
        }
        let by = match canary.judge {
            Judge::Sequential => {
                let settings = settings::sequential(canary, &metrics, most_missing)?;
                By::Sequential(Box::new(sequential::Watch::new(settings)?))
            }
            Judge::Kayenta => By::Kayenta(Box::new(Kayenta::new(canary, &metrics))),
            Judge::Threshold => By::Threshold(Thresholds::new(canary, &metrics)),
        };
        Ok(Comparison {
            problems: vec![None; metrics.len()],
            later: vec![None; metrics.len()],
            rest: 0,
            has_ended: false,
            missing: vec![0; metrics.len()],
            most_missing,
            attendance: vec![Attendance::default(); metrics.len()],
            deadline: intervals(canary.deadline, canary.interval),
            metrics,
            by,
            intervals: 0,
            points: None,
        })
    }

    /// What is compared is also drawn.
    #[must_use]
    pub fn drawn(mut self) -> Comparison {
        self.points = Some(Points::new(self.metrics.len()));
        self
    }

    /// What is compared is over: nothing bad is cut short by looking at it early. The sequential judge
    /// and fixed limits decide as they do live; Kayenta looks once, at all points.
    #[must_use]
    pub fn recorded(mut self) -> Comparison {
        if let By::Kayenta(kayenta) = &mut self.by {
            kayenta.judge_end_only();
        }
        self
    }

    pub fn metrics(&self) -> &[CanaryMetric] {
        &self.metrics
    }

    /// The intervals so far.
    pub fn intervals(&self) -> u32 {
        self.intervals
    }

    /// Takes the next interval, which has a sample for each metric. After the deadline nothing counts.
    pub fn observe(&mut self, interval: &Interval) {
        if self.intervals >= self.deadline {
            return;
        }
        self.intervals += 1;
        self.rest = self.rest.saturating_sub(1);
        self.attend(interval);
        match &mut self.by {
            By::Sequential(watch) => {
                if let Err(error) = watch.observe(interval) {
                    // Nothing of it was taken: without it, the others cannot be trusted either.
                    for problem in &mut self.problems {
                        problem.get_or_insert_with(|| Blocker {
                            reason: error.to_string(),
                            hint: None,
                        });
                    }
                }
                if let Some(points) = &mut self.points {
                    points.add(watch);
                }
            }
            By::Kayenta(kayenta) => kayenta.observe(interval),
            By::Threshold(thresholds) => thresholds.observe(interval),
        }
        if matches!(self.by, By::Sequential(_)) {
            return;
        }
        // The others know of no doubts, and count no gaps.
        for (nth, sample) in interval.metrics.iter().enumerate() {
            match (&sample.reading, sample.doubts.first()) {
                (None, _) => {
                    if let Some(missing) = self.missing.get_mut(nth) {
                        *missing += 1;
                    }
                }
                (Some(_), Some(doubt)) => {
                    let hint = Some(of_doubt(*doubt, self.metrics[nth].kind));
                    let reason = doubt.to_string();
                    self.problems[nth].get_or_insert(Blocker { reason, hint });
                }
                (Some(_), None) => {}
            }
        }
    }

    fn attend(&mut self, interval: &Interval) {
        for (attendance, sample) in self.attendance.iter_mut().zip(&interval.metrics) {
            if let Some(reading) = &sample.reading {
                attendance.note(reading);
            }
        }
    }

    /// Notes why a metric's numbers were not what it counts: it can no longer pass.
    pub fn note(&mut self, metric: usize, reason: String) {
        if let Some(noted) = self.problems.get_mut(metric) {
            noted.get_or_insert(Blocker { reason, hint: None });
        }
    }

    /// Takes an interval that was recorded after the verdict. It decides nothing, and where its data are
    /// broken, those before it are not trusted with a pass. `problems` are what is wrong with the
    /// numbers, for each metric.
    pub fn observe_rest(&mut self, interval: &Interval, problems: &[Option<String>]) {
        if self.intervals + self.rest >= self.deadline {
            return;
        }
        self.rest += 1;
        self.attend(interval);
        let samples = interval.metrics.iter().zip(problems);
        for (later, (sample, problem)) in self.later.iter_mut().zip(samples) {
            let doubt = || {
                let doubts: Vec<String> = sample.doubts.iter().map(ToString::to_string).collect();
                (!doubts.is_empty()).then(|| doubts.join(", "))
            };
            let missing = || {
                let is_missing = sample.reading.is_none();
                is_missing.then(|| "an interval has no data".to_owned())
            };
            if later.is_none() {
                *later = problem.clone().or_else(doubt).or_else(missing);
            }
        }
    }

    /// The deadline has come, with as many intervals as there were.
    pub fn end(&mut self) {
        if let By::Sequential(watch) = &mut self.by
            && watch.decided_at().is_none()
        {
            watch.end();
        }
    }

    /// A recording has no more intervals. What it would have shown until the deadline is not known, so
    /// nothing is decided by that.
    pub fn end_recording(&mut self) {
        self.has_ended = true;
    }

    /// Whether the required metrics have decided, or the deadline has come.
    pub fn is_over(&self) -> bool {
        let is_decided = match &self.by {
            By::Sequential(watch) => watch.decided_at().is_some(),
            By::Kayenta(kayenta) => kayenta.has_failed(),
            By::Threshold(thresholds) => {
                let mut metrics = self.metrics.iter().enumerate();
                metrics.any(|(nth, metric)| {
                    metric.severity == Severity::Required && thresholds.has_failed(nth)
                })
            }
        };
        is_decided || self.intervals >= self.deadline
    }

    /// The metric for which nothing that comes before the deadline can decide.
    pub fn futile(&self) -> Option<usize> {
        match &self.by {
            By::Sequential(watch) => watch.futile(),
            By::Kayenta(_) | By::Threshold(_) => None,
        }
    }

    /// The verdict on each metric.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = match &self.by {
            By::Sequential(watch) => {
                let is_cut = self.has_ended && self.intervals < self.deadline;
                crate::sequential::findings(watch, &self.metrics, is_cut)
            }
            By::Kayenta(kayenta) => kayenta.findings(&self.metrics),
            By::Threshold(thresholds) => thresholds.findings(&self.metrics),
        };
        for (nth, finding) in findings.iter_mut().enumerate() {
            let Some(problem) = self.obstacle(nth) else {
                continue;
            };
            if finding.verdict == Verdict::Pass && !matches!(self.by, By::Sequential(_)) {
                finding.verdict = Verdict::Inconclusive;
                finding.decided_at = None;
            }
            // What was decided before the first of them stands.
            if finding.verdict == Verdict::Inconclusive {
                finding.reason = format!("{}; {}", problem.reason, finding.reason);
                let hint = problem.hint.map(str::to_owned);
                let own = finding.hint.take();
                // What is wrong with the numbers explains more than the judge can.
                finding.hint = if self.problems[nth].is_some() {
                    hint.or(own)
                } else {
                    own.or(hint)
                };
            }
        }
        for (nth, finding) in findings.iter_mut().enumerate() {
            let later = self.later[nth]
                .as_deref()
                .map(|later| (later, CUT_RECORDING));
            let is_gone = self.attendance[nth].is_one_gone();
            let gone = is_gone.then_some((INSTANCE_GONE, LOOK_FOR_INSTANCE));
            if let Some((later, hint)) = later.or(gone)
                && finding.verdict == Verdict::Pass
            {
                finding.verdict = Verdict::Inconclusive;
                finding.decided_at = None;
                finding.reason = format!("{later}, after what would pass: {}", finding.reason);
                finding.hint = Some(hint.to_owned());
            }
        }
        findings
    }

    /// What keeps a metric from passing. The sequential judge knows by itself what is missing.
    fn obstacle(&self, nth: usize) -> Option<Blocker> {
        let noted = self.problems[nth].clone();
        if noted.is_some() || matches!(self.by, By::Sequential(_)) {
            return noted;
        }
        let (missing, of) = (self.missing[nth], self.intervals);
        let is_gap = f64::from(missing) > self.most_missing * f64::from(of);
        // The rules with fixed limits have counted them.
        let (reason, hint) = if is_gap && !matches!(self.by, By::Threshold(_)) {
            let hint = of_doubt(Doubt::Stale, self.metrics[nth].kind);
            let reason = format!("a gap: {missing} of {of} intervals have no data");
            (reason, hint)
        } else if self.attendance[nth].is_one_gone() {
            (INSTANCE_GONE.to_owned(), LOOK_FOR_INSTANCE)
        } else {
            return None;
        };
        let hint = Some(hint);
        Some(Blocker { reason, hint })
    }

    /// The pictures of a metric, where it is drawn; `of` is what they are called after.
    pub fn curves(&self, metric: usize, of: &str) -> Vec<Curve> {
        match (&self.points, &self.by, self.metrics.get(metric)) {
            (Some(points), By::Sequential(watch), Some(config)) => {
                points.curves(metric, config, of, watch)
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
