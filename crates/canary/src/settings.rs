//! The configuration as the judges take it.

use config::file::{Canary, CanaryKind, CanaryMetric};
use config::value::{Quantity, Span, Unit};
use judge::sequential::{Chance, Margin, Metric, Rule, Settings, Tolerance};
use model::Severity;

/// Why a configuration cannot be judged by.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    #[error(transparent)]
    Sequential(#[from] judge::sequential::SettingsError),
    #[error("every metric is advisory: no metric decides")]
    NothingRequired,
}

/// The share of intervals that may lack data where a metric passes: one without data may hide what
/// was wrong.
pub const MAX_MISSING: f64 = 0.0;

/// How many intervals a time has; at least one.
pub fn intervals(time: Span, interval: Span) -> u32 {
    let interval = interval.get().as_millis().max(1);
    let count = time.get().as_millis().div_ceil(interval).max(1);
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(crate) fn sequential(
    canary: &Canary,
    metrics: &[CanaryMetric],
    most_missing: f64,
) -> Result<Settings, SettingsError> {
    let chance = |quantity: Quantity| Chance::new(quantity.get());
    let metrics = metrics.iter().map(|metric| {
        Ok(Metric {
            name: metric.name.clone(),
            rule: rule(metric)?,
            required: metric.severity == Severity::Required,
        })
    });
    Ok(Settings {
        alpha: chance(canary.alpha)?,
        beta: chance(canary.beta)?,
        deadline: Some(intervals(canary.deadline, canary.interval)),
        most_missing,
        metrics: metrics.collect::<Result<_, SettingsError>>()?,
    })
}

fn rule(metric: &CanaryMetric) -> Result<Rule, SettingsError> {
    let tolerance = Tolerance::new(metric.tolerance());
    let at_most = metric.at_most.map(|most| Chance::new(most.get()));
    let at_most = at_most.transpose()?;
    Ok(match metric.kind {
        CanaryKind::Ratio => Rule::Ratio {
            tolerance: tolerance?,
            at_most,
        },
        CanaryKind::Histogram => Rule::Histogram {
            tolerance: tolerance?,
            at_most,
        },
        CanaryKind::Count => Rule::Count {
            tolerance: tolerance?,
        },
        CanaryKind::Gauge => Rule::Gauge {
            margin: margin(metric),
            before: Vec::new(),
        },
    })
}

pub(crate) fn margin(metric: &CanaryMetric) -> Margin {
    match metric.tolerance {
        Some(amount) if matches!(amount.unit(), Unit::Seconds | Unit::Bytes) => {
            Margin::Absolute(amount.get())
        }
        _ => Margin::Relative(metric.tolerance() - 1.0),
    }
}
