//! What one probe measured, over time: its latency, or the number that it reads, with the limits.

use maud::{Markup, html};
use model::{Measurement, Outcome, Verdict};

use crate::axes::{self, HEIGHT, WIDTH};
use crate::mark::class;
use crate::scale::Scale;
use crate::text::{number, shown, span};

/// More points are not distinguishable: of points that lie close together, the worst is drawn.
const POINTS: usize = 350;

struct Point<'m> {
    seconds: f64,
    value: f64,
    measurement: &'m Measurement,
}

/// What is drawn upwards.
struct Series<'m> {
    name: &'static str,
    unit: &'static str,
    points: Vec<Point<'m>>,
    limits: Vec<(&'static str, f64)>,
}

pub(crate) fn of(outcome: &Outcome) -> Markup {
    let series = numbers(outcome).unwrap_or_else(|| latency(outcome));
    let values = || series.points.iter().map(|point| point.value);
    let limits = || series.limits.iter().map(|(_, limit)| *limit);
    let highest = values().chain(limits()).fold(0.0, f64::max);
    let lowest = values().chain(limits()).fold(0.0, f64::min);
    let last = series
        .points
        .iter()
        .map(|point| point.seconds)
        .fold(0.0, f64::max);
    let x = axes::along(0.0, last);
    let y = axes::upwards(lowest, highest);
    let count = outcome.measurements.len();
    let bad = outcome
        .measurements
        .iter()
        .filter(|one| one.verdict != Verdict::Pass)
        .count();
    let told = format!(
        "{} over {last:.1}s: {count} measurements, {bad} of them no pass, at most {}{}",
        series.name,
        number(values().fold(f64::MIN, f64::max)),
        series.unit
    );
    let line: Vec<String> = series
        .points
        .iter()
        .map(|point| format!("{:.1},{:.1}", x.at(point.seconds), y.at(point.value)))
        .collect();
    html! {
        figure {
            div.drawing tabindex="0" role="region" aria-label={ "Chart of " (shown(outcome.id.as_str())) } {
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(told) {
                    (axes::drawn((x, "s"), (y, series.unit), &series.limits))
                    polyline.value points=(line.join(" ")) {}
                    @for point in &series.points { (dot(point, x, y)) }
                }
            }
            figcaption { (told) }
        }
    }
}

/// A pass is a small round point; everything else has corners, a colour and a word.
fn dot(point: &Point<'_>, x: Scale, y: Scale) -> Markup {
    let (x, y) = (x.at(point.seconds), y.at(point.value));
    let measurement = point.measurement;
    let class = class(measurement.verdict);
    if measurement.verdict == Verdict::Pass {
        return html! { circle class=(class) cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2" {} };
    }
    let reason = measurement.reason.as_deref().map(shown).unwrap_or_default();
    let path = format!("M{x:.1} {:.1}l5 5l-5 5l-5 -5z", y - 5.0);
    html! {
        path class=(class) d=(path) {
            title {
                (format!("{:.1}s: ", point.seconds)) (measurement.verdict) ", "
                (span(measurement.duration)) " " (reason)
            }
        }
    }
}

fn latency(outcome: &Outcome) -> Series<'_> {
    let limit = outcome
        .limits
        .latency
        .map(|limit| limit.as_secs_f64() * 1000.0);
    Series {
        name: "Latency",
        unit: "ms",
        points: points(outcome, |one| Some(one.duration.as_secs_f64() * 1000.0)),
        limits: limit.map(|limit| ("limit", limit)).into_iter().collect(),
    }
}

/// `None` where the probe reads no number.
fn numbers(outcome: &Outcome) -> Option<Series<'_>> {
    let limits = [("min", outcome.limits.min), ("max", outcome.limits.max)];
    let limits: Vec<_> = limits
        .into_iter()
        .filter_map(|(name, limit)| Some((name, limit?)))
        .collect();
    let read = |one: &Measurement| {
        one.value
            .as_deref()?
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
    };
    let points = points(outcome, read);
    (!limits.is_empty() && !points.is_empty()).then_some(Series {
        name: "Value",
        unit: "",
        points,
        limits,
    })
}

/// At most [`POINTS`]: the worst, and of those the highest, of neighbours.
fn points<'m>(outcome: &'m Outcome, read: impl Fn(&Measurement) -> Option<f64>) -> Vec<Point<'m>> {
    let all = &outcome.measurements;
    let Some(first) = all.first() else {
        return Vec::new();
    };
    let point = |measurement: &'m Measurement| {
        Some(Point {
            seconds: measurement
                .at
                .duration_since(first.at)
                .as_secs_f64()
                .max(0.0),
            value: read(measurement)?,
            measurement,
        })
    };
    let close = all.len().div_ceil(POINTS).max(1);
    let worst = |near: &'m [Measurement]| {
        near.iter().filter_map(point).max_by(|a, b| {
            let verdicts = a.measurement.verdict.cmp(&b.measurement.verdict);
            verdicts.then(a.value.total_cmp(&b.value))
        })
    };
    all.chunks(close).filter_map(worst).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn measured(count: u32, value: Option<&str>) -> Outcome {
        let one = |n: u32| Measurement {
            at: jiff::Timestamp::UNIX_EPOCH + Duration::from_secs(n.into()),
            verdict: if n == 7 { Verdict::Fail } else { Verdict::Pass },
            value: value.map(str::to_owned),
            reason: (n == 7).then(|| "<b>".to_owned()),
            duration: Duration::from_millis(n.into()),
            evidence: None,
        };
        Outcome::fail("http/a", "x").measurements((0..count).map(one).collect())
    }

    #[test]
    fn the_limit_is_drawn_in_and_a_failure_is_named() {
        let mut outcome = measured(20, None);
        outcome.limits.latency = Some(Duration::from_millis(800));
        let chart = of(&outcome).into_string();
        assert!(
            chart.contains("limit 800ms")
                && chart.contains(
                    "Latency over 19.0s: 20 measurements, 1 of them no pass, at most 19ms"
                )
        );
        assert_eq!(chart.matches("<circle").count(), 19);
        assert!(chart.contains("7.0s: fail, 7ms &lt;b&gt;"), "{chart}");
    }

    #[test]
    fn of_thousands_the_worst_are_drawn() {
        let chart = of(&measured(100_000, None)).into_string();
        assert!(chart.len() < 60_000, "{}", chart.len());
        assert_eq!(chart.matches("<path").count(), 1);
    }

    #[test]
    fn a_probe_that_reads_a_number_is_drawn_by_it() {
        let mut outcome = measured(3, Some("0.02"));
        outcome.limits.max = Some(0.05);
        let chart = of(&outcome).into_string();
        assert!(
            chart.contains("max 0.05<") && chart.contains("at most 0.02"),
            "{chart}"
        );
    }
}
