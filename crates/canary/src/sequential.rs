//! The sequential judge's findings in words.

use config::file::{CanaryKind, CanaryMetric};
use config::value::{Quantity, Unit};
use judge::sequential::{Band, Figures, Margin, NEGLIGIBLE, Reason, Verdict as Found, Watch};
use model::Verdict;
use model::text::{bytes, counted, percent};

use crate::finding::Finding;
use crate::number_format::{evidence, number, seconds};
use crate::reasons::{assumption, hint, missing_requests, reason};
use crate::settings::margin;

/// `is_cut` where the data ended before the deadline: what is missing is counted from there.
pub(crate) fn findings(watch: &Watch, metrics: &[CanaryMetric], is_cut: bool) -> Vec<Finding> {
    let ended = watch.decided_at();
    let mut findings = Vec::with_capacity(metrics.len());
    for (nth, (mut found, metric)) in watch.findings().into_iter().zip(metrics).enumerate() {
        if is_cut
            && ended.is_none()
            && let Some(last @ Reason::Undecided) = found.reasons.last_mut()
        {
            let missing_requests = watch.missing_from_now(nth);
            *last = Reason::Cut { missing_requests };
        }
        findings.push(finding(&found, metric, ended));
    }
    findings
}

fn finding(
    found: &judge::sequential::Finding<'_>,
    metric: &CanaryMetric,
    ended: Option<u32>,
) -> Finding {
    let verdict = match found.verdict {
        Found::Pass => Verdict::Pass,
        Found::Inconclusive => Verdict::Inconclusive,
        Found::Fail => Verdict::Fail,
    };
    let mut parts = Vec::new();
    let compared = compared(&found.figures, metric);
    let limit = tolerance(metric);
    let after = found
        .decided_at
        .map(|at| counted(at as usize, "interval", "intervals"));
    let after = after.unwrap_or_default();
    match verdict {
        Verdict::Fail => parts.push(format!(
            "{compared} > tolerance {limit}: ln evidence {} of {} after {after}",
            evidence(found.fail.ln_e.max(found.fail.limit)),
            evidence(found.fail.limit),
        )),
        Verdict::Pass => parts.push(format!(
            "{compared}, below tolerance {limit}{}: ln evidence of no harm {} of {} after {after}",
            or_at_most(metric),
            evidence(found.pass.ln_e.max(found.pass.limit)),
            evidence(found.pass.limit),
        )),
        _ => {
            parts.extend(found.reasons.iter().map(reason));
            if ended.is_some() {
                // The watch is over; what it would have taken is beside the point.
                parts.retain(|part| *part != reason(&Reason::Undecided));
                parts.push("the other metrics decided before this one".to_owned());
            }
            parts.push(format!(
                "ln evidence of harm {} of {}, of no harm {} of {}",
                evidence(found.fail.ln_e),
                evidence(found.fail.limit),
                evidence(found.pass.ln_e),
                evidence(found.pass.limit),
            ));
        }
    }
    parts.extend(left_out(&found.figures));
    parts.extend(assumption(&found.figures));
    Finding {
        metric: metric.name.clone(),
        severity: metric.severity,
        verdict,
        decided_at: found.decided_at,
        expected: expected(metric),
        actual: actual(&found.figures, metric).filter(|_| found.intervals > 0),
        reason: parts.join("; "),
        hint: if ended.is_some() && found.verdict == Found::Inconclusive {
            Some("look at the metrics that decided: this one changes nothing".to_owned())
        } else {
            hint(found, metric)
        },
        missing_requests: missing_requests(found).filter(|_| ended.is_none()),
    }
}

/// That a canary of another layout is compared at fewer bounds.
fn left_out(figures: &Figures) -> Option<String> {
    match figures {
        Figures::Latency {
            compared,
            of_stable,
            ..
        } if compared < of_stable => Some(format!(
            "the canary's histogram has {compared} of the {of_stable} bounds of stable's"
        )),
        _ => None,
    }
}

pub(crate) fn tolerance(metric: &CanaryMetric) -> String {
    match (metric.kind, margin(metric), metric.tolerance) {
        (CanaryKind::Gauge, Margin::Absolute(_), Some(amount)) => amount.to_string(),
        (CanaryKind::Gauge, Margin::Relative(part), _) => Unit::Percent.show(part),
        _ => number(metric.tolerance()),
    }
}

/// The absolute rate up to which nothing keeps a metric from passing.
fn or_at_most(metric: &CanaryMetric) -> String {
    let floor = || match metric.kind {
        CanaryKind::Histogram => Some(Quantity::percent(100.0 * NEGLIGIBLE)),
        _ => None,
    };
    let most = metric.at_most.or_else(floor);
    most.map_or_else(String::new, |most| format!(", or at most {most}"))
}

fn expected(metric: &CanaryMetric) -> String {
    let limit = tolerance(metric);
    let or = or_at_most(metric);
    match metric.kind {
        CanaryKind::Ratio => format!("at most {limit} times stable's failures{or}"),
        CanaryKind::Histogram if metric.at_most.is_none() => {
            format!("at most {limit} times stable's slow requests; for a pass{or}")
        }
        CanaryKind::Histogram => format!("at most {limit} times stable's slow requests{or}"),
        CanaryKind::Count => format!("at most {limit} times stable's events"),
        CanaryKind::Gauge => format!("at most {limit} above stable"),
    }
}

/// `ratio 3.1 [1.6, 5.9]`.
fn band(band: Band) -> String {
    let estimate = band.estimate.map_or_else(|| "unknown".to_owned(), number);
    format!(
        "ratio {estimate} [{}, {}]",
        number(band.low),
        number(band.high)
    )
}

/// In the unit of the tolerance, where that is an amount.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole bytes are exact enough, and they are not negative"
)]
fn describe_means(canary: f64, stable: f64, metric: &CanaryMetric) -> String {
    let unit = metric.tolerance.map(Quantity::unit);
    let [canary, stable] = [canary, stable].map(|mean| match unit {
        Some(Unit::Bytes) if mean >= 0.0 => bytes(mean as u64),
        Some(Unit::Seconds) if mean.abs() < 1.0 => format!("{}ms", number(mean * 1000.0)),
        Some(Unit::Seconds) => format!("{}s", number(mean)),
        _ => number(mean),
    });
    format!("mean {canary} against {stable}")
}

/// What is held against the tolerance.
fn compared(figures: &Figures, metric: &CanaryMetric) -> String {
    match figures {
        Figures::Rates { ratio, .. } => band(*ratio),
        Figures::Latency { ratio, worst, .. } => {
            format!("above {}: {}", seconds(worst.bound), band(*ratio))
        }
        Figures::Gauge { canary, stable, .. } => describe_means(*canary, *stable, metric),
        Figures::None => "nothing".to_owned(),
    }
}

fn actual(figures: &Figures, metric: &CanaryMetric) -> Option<String> {
    Some(match figures {
        Figures::Rates {
            ratio,
            canary,
            stable,
            ..
        } => {
            let rate = |(failed, of): (f64, f64)| if of > 0.0 { failed / of } else { 0.0 };
            let (canary, stable) = (rate(*canary), rate(*stable));
            let rates = if metric.kind == CanaryKind::Ratio {
                format!("{} against {}", percent(canary), percent(stable))
            } else {
                format!(
                    "{} against {} per request or instance",
                    number(canary),
                    number(stable)
                )
            };
            format!("{rates}, {}", band(*ratio))
        }
        Figures::Latency { worst, ratio, .. } => format!(
            "above {}: {} against {}, {}",
            seconds(worst.bound),
            percent(worst.canary),
            percent(worst.stable),
            band(*ratio)
        ),
        Figures::Gauge {
            canary,
            stable,
            blocks,
            correlation,
            ..
        } => format!(
            "{}, {blocks} blocks, correlation of neighbours {}",
            describe_means(*canary, *stable, metric),
            number(*correlation)
        ),
        Figures::None => return None,
    })
}
