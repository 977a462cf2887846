//! Kayenta's judge, and its findings in words.

use std::collections::BTreeMap;

use ::kayenta::{
    Classification, Classified, Direction, Effect, Evaluation, Grade, KayentaStatus, Metric,
    MissingPoints, Outliers, ScoreLimits, Settings, Thresholds, Watch, Watched, Zero,
};
use config::file::{Canary, CanaryMetric, KayentaDirection, KayentaMetric};
use judge::Interval;
use model::text::counted;
use model::{Severity, Verdict};

use crate::finding::Finding;
use crate::number_format::number;
use crate::threshold::measure;

/// What advisory metrics count in: nothing.
const ADVISORY: &str = "advisory";
/// The group of metrics that name none.
const COMMON: &str = "metrics";
/// The factor of Kayenta's own default.
const OUTLIERS: f64 = 3.0;

/// All metrics since the start.
#[derive(Clone, Debug)]
pub(crate) struct Kayenta {
    watch: Watch,
    limits: ScoreLimits,
    intervals: u32,
    /// The interim look that failed the canary, and its interval.
    failed: Option<(Evaluation, u32)>,
}

impl Kayenta {
    pub(crate) fn new(canary: &Canary, metrics: &[CanaryMetric]) -> Kayenta {
        let limits = ScoreLimits {
            pass: canary.kayenta.pass,
            marginal: canary.kayenta.marginal,
        };
        let mut weights: BTreeMap<String, f64> = canary.kayenta.weights.clone();
        if metrics.iter().any(|one| one.severity == Severity::Advisory) {
            weights.insert(ADVISORY.to_owned(), 0.0);
        }
        let watched = metrics.iter().map(|metric| Watched {
            metric: of_config(&metric.kayenta, metric.severity),
            measure: measure(metric),
            groups: match metric.severity {
                Severity::Advisory => vec![ADVISORY.to_owned()],
                Severity::Required if metric.kayenta.groups.is_empty() => vec![COMMON.to_owned()],
                Severity::Required => metric.kayenta.groups.clone(),
            },
        });
        let settings = Settings {
            weights,
            limits,
            ..Settings::new(watched.collect())
        };
        Kayenta {
            watch: Watch::new(settings),
            limits,
            intervals: 0,
            failed: None,
        }
    }

    /// Looks at the end alone, as Kayenta does at data of the past.
    pub(crate) fn judge_end_only(&mut self) {
        self.watch = Watch::new(Settings {
            first_look: None,
            ..self.watch.settings().clone()
        });
    }

    pub(crate) fn observe(&mut self, interval: &Interval) {
        self.intervals += 1;
        let look = self.watch.push(interval);
        if let Some(look) = look.filter(|look| look.grade == Grade::Fail) {
            self.failed = Some((look, self.intervals));
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    pub(crate) fn findings(&self, metrics: &[CanaryMetric]) -> Vec<Finding> {
        let (look, at) = match &self.failed {
            Some((look, at)) => (look.clone(), *at),
            None => (self.watch.evaluate(), self.intervals),
        };
        let standing = match &self.failed {
            Some(_) => KayentaStatus::Failed,
            None => self.watch.at_end(&look),
        };
        let mut findings: Vec<Finding> = look
            .found
            .iter()
            .zip(metrics)
            .enumerate()
            .map(|(nth, (found, metric))| {
                let verdict = verdict(*found, standing, nth, metric.severity);
                let decided = verdict != Verdict::Inconclusive;
                Finding {
                    metric: metric.name.clone(),
                    severity: metric.severity,
                    verdict,
                    decided_at: decided.then_some(at),
                    expected: format!("score at least {}", number(self.limits.pass)),
                    actual: Some(classified(*found)),
                    reason: self.reason(&look, at),
                    hint: (!decided).then(|| {
                        "check that both sides have data; Kayenta counts a metric without it for nothing"
                            .to_owned()
                    }),
                    missing_requests: None,
                }
            })
            .collect();
        // A score that is too low by the weights alone fails, whatever each metric is.
        let has_failed = findings
            .iter()
            .any(|one| one.severity == Severity::Required && one.verdict != Verdict::Pass);
        if standing == KayentaStatus::Failed && !has_failed {
            let mut required = findings.iter_mut();
            if let Some(one) = required.find(|one| one.severity == Severity::Required) {
                one.verdict = Verdict::Fail;
            }
        }
        findings
    }

    fn reason(&self, look: &Evaluation, at: u32) -> String {
        let total = look.score.total;
        let ScoreLimits { pass, marginal } = self.limits;
        let against = match look.grade {
            Grade::Pass => format!(">= pass {}", number(pass)),
            Grade::Marginal => format!("< pass {}", number(pass)),
            Grade::Fail => format!("< marginal {}", number(marginal)),
        };
        let zero = match look.score.zero {
            Some(Zero::Critical) => " (a critical metric did not pass)",
            Some(Zero::Nodata) => " (half of the metrics or more have no data)",
            None => "",
        };
        let after = counted(at as usize, "interval", "intervals");
        format!("score {} {against}{zero} after {after}", number(total))
    }
}

fn verdict(found: Classified, standing: KayentaStatus, nth: usize, severity: Severity) -> Verdict {
    let is_worse = matches!(
        found.classification,
        Classification::High | Classification::Low | Classification::NodataFailMetric
    );
    let is_unknown = matches!(
        found.classification,
        Classification::Nodata | Classification::Error
    );
    match standing {
        _ if is_unknown => Verdict::Inconclusive,
        KayentaStatus::Unknown { metric } if metric == nth => Verdict::Inconclusive,
        KayentaStatus::Failed if is_worse => Verdict::Fail,
        _ if is_worse && severity == Severity::Advisory => Verdict::Fail,
        KayentaStatus::Failed | KayentaStatus::Passed | KayentaStatus::Unknown { .. } => {
            Verdict::Pass
        }
    }
}

fn classified(found: Classified) -> String {
    let word = match found.classification {
        Classification::Pass => "pass",
        Classification::High => "high",
        Classification::Low => "low",
        Classification::Nodata | Classification::NodataFailMetric => "no data",
        Classification::Error => "could not be compared",
    };
    match found.effect {
        Some(effect) => format!("{word}: ratio of the means {}", number(effect)),
        None => word.to_owned(),
    }
}

fn of_config(metric: &KayentaMetric, severity: Severity) -> Metric {
    let thresholds = |increase: Option<f64>, decrease: Option<f64>| {
        (increase.is_some() || decrease.is_some()).then(|| Thresholds {
            increase: increase.unwrap_or(1.0),
            decrease: decrease.unwrap_or(1.0),
        })
    };
    Metric {
        direction: match metric.direction {
            KayentaDirection::Increase => Direction::Increase,
            KayentaDirection::Decrease => Direction::Decrease,
            KayentaDirection::Either => Direction::Either,
        },
        missing: if metric.missing_is_zero {
            MissingPoints::Replace
        } else {
            MissingPoints::Remove
        },
        outliers: if metric.remove_outliers {
            Outliers::Remove { factor: OUTLIERS }
        } else {
            Outliers::Keep
        },
        effect: Effect::MeanRatio,
        allowed: thresholds(metric.allowed_increase, metric.allowed_decrease),
        is_critical: metric.critical && severity == Severity::Required,
        allowed_critically: thresholds(metric.critical_increase, metric.critical_decrease),
        must_have_data: metric.must_have_data,
    }
}
