//! What did not pass, over time: mermaid charts for the summary, where how long it took or the
//! number that was read has decided. Elsewhere a picture of latencies shows nothing.

use std::time::Duration;

use model::report::{Curve, Stroke};
use model::text::decimals;
use model::{Measurement, Outcome, Verdict};

/// More bars are thinner than a screen shows.
const SLOTS: u32 = 60;
/// More charts are not looked at; the table names the others.
const CHARTS: usize = 3;
/// A title is one line.
const TITLE: usize = 60;
/// Red columns, blue bars, and twice the colour of limits.
const STYLE: &str = r##"%%{init: {"xyChart": {"width": 900, "height": 300}, "themeVariables": {"xyChart": {"plotColorPalette": "#ff8182, #0969da, #9a6700, #9a6700"}}}}%%"##;

/// Charts of the worst outcomes that did not pass by what can be drawn.
pub(crate) fn charts(outcomes: &[Outcome]) -> Vec<String> {
    let mut bad: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.verdict > Verdict::Pass && is_decided_by_size(outcome))
        .collect();
    bad.sort_by_key(|outcome| std::cmp::Reverse((outcome.weighs(), outcome.verdict)));
    bad.into_iter().filter_map(chart).take(CHARTS).collect()
}

/// Whether most of what did not pass was too slow, or a number that was read.
fn is_decided_by_size(outcome: &Outcome) -> bool {
    let limits = outcome.limits;
    let told = |one: &&Measurement| {
        if limits.min.is_some() || limits.max.is_some() {
            let value = one.value.as_deref();
            value.is_some_and(|value| value.parse::<f64>().is_ok())
        } else {
            limits.latency.is_some_and(|limit| one.duration > limit)
        }
    };
    let bad = outcome.measurements.iter();
    let bad = bad.filter(|one| one.verdict != Verdict::Pass);
    let (told, other): (Vec<_>, Vec<_>) = bad.partition(told);
    !told.is_empty() && told.len() >= other.len()
}

/// One bar for each piece of time.
#[derive(Clone, Copy, Default)]
struct Bar {
    height: f64,
    failed: bool,
}

fn chart(outcome: &Outcome) -> Option<String> {
    let limits = outcome.limits;
    let reads_number = limits.min.is_some() || limits.max.is_some();
    let (unit, lines) = if reads_number {
        ("value", vec![limits.min, limits.max])
    } else {
        let limit = limits.latency.map(|limit| limit.as_secs_f64() * 1000.0);
        ("ms", vec![limit])
    };
    let lines: Vec<f64> = lines
        .into_iter()
        .flatten()
        .filter(|limit| limit.is_finite())
        .collect();
    let bars = bars(&outcome.measurements, reads_number)?;
    let heights = || {
        bars.bars
            .iter()
            .map(|bar| bar.height)
            .chain(lines.iter().copied())
    };
    let low = heights().fold(0.0, f64::min);
    let mut high = heights().fold(0.0, f64::max);
    if high <= low {
        high = low + 1.0;
    }
    // mermaid colours a series, not a bar, and draws also what is zero: so failures are columns
    // behind all bars, as high as the chart. A refused connection takes no time, and is seen; the
    // room above the highest bar lets one that failed be seen too.
    high += (high - low) / 10.0;
    let failures = bars
        .bars
        .iter()
        .map(|bar| if bar.failed { high } else { low });
    let failures = series(failures);
    let measured = series(bars.bars.iter().map(|bar| bar.height));
    let mut about = format!("{}: {unit}; red did not pass", plain(outcome.id.as_str()));
    if !lines.is_empty() {
        let limits: Vec<_> = lines.iter().map(|limit| number(*limit)).collect();
        about.push_str(&format!("; line: limit {} {unit}", limits.join(" and ")));
    }
    let mut chart = format!(
        "{STYLE}\nxychart-beta\n    title \"{about}\"\n    x-axis \"seconds since the first measurement\" 0 --> {}\n    y-axis \"{unit}\" {} --> {}\n    bar [{failures}]\n    bar [{measured}]",
        number(bars.seconds),
        number(low),
        number(high),
    );
    for limit in lines {
        let line = vec![number(limit); bars.bars.len()].join(", ");
        chart.push_str(&format!("\n    line [{line}]"));
    }
    Some(chart)
}

fn series(heights: impl Iterator<Item = f64>) -> String {
    heights.map(number).collect::<Vec<_>>().join(", ")
}

struct Bars {
    bars: Vec<Bar>,
    seconds: f64,
}

/// The measurements in at most [`SLOTS`] equal slices of time; each shows the worst one in it.
/// `None` if the span is empty.
fn bars(measurements: &[Measurement], reads_number: bool) -> Option<Bars> {
    let first = measurements.first()?.at;
    let since = |measurement: &Measurement| {
        Duration::try_from(measurement.at.duration_since(first)).unwrap_or_default()
    };
    let whole = measurements.iter().map(since).max()?;
    let mut steps: Vec<Duration> = measurements
        .windows(2)
        .map(|pair| since(&pair[1]).saturating_sub(since(&pair[0])))
        .collect();
    steps.sort_unstable();
    let usual = *steps.get(steps.len() / 2)?;
    let step = usual.max(whole / (SLOTS - 1));
    if step.is_zero() {
        return None;
    }
    let slot = |at: Duration| {
        let slot = (at + step / 2).as_nanos() / step.as_nanos();
        usize::try_from(slot).unwrap_or_default()
    };
    let mut bars = vec![Bar::default(); slot(whole) + 1];
    for measurement in measurements {
        let height = if reads_number {
            let value = measurement
                .value
                .as_deref()
                .and_then(|value| value.parse().ok());
            value
                .filter(|value: &f64| value.is_finite())
                .unwrap_or_default()
        } else {
            measurement.duration.as_secs_f64() * 1000.0
        };
        let bar = &mut bars[slot(since(measurement))];
        let failed = measurement.verdict != Verdict::Pass;
        if failed && !bar.failed {
            *bar = Bar { height, failed };
        } else if failed == bar.failed && height.abs() >= bar.height.abs() {
            bar.height = height;
        }
    }
    let seconds = step.as_secs_f64() * f64::from(u32::try_from(bars.len() - 1).ok()?);
    (bars.len() > 1).then_some(Bars { bars, seconds })
}

/// A number as mermaid reads it: without exponent, and short.
fn number(value: f64) -> String {
    // Three digits that say something, of what is not tiny.
    let digits = match value.abs() {
        0.0 | 100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        0.01.. => 4,
        _ => 9,
    };
    decimals(value, digits)
}

/// Blue ratio with its band; red evidence of harm, green of no harm; limits in brown.
const CURVES: &str = r#"%%{init: {"xyChart": {"width": 900, "height": 300}, "themeVariables": {"xyChart": {"plotColorPalette": "PALETTE"}}}}%%"#;
/// The end of a band that is so many times beyond the limits is drawn at the edge: it begins without one.
const BEYOND: f64 = 4.0;

/// A chart of lines with their limits.
pub(crate) fn curve(curve: &Curve) -> String {
    let count = curve.lines.iter().map(|line| line.values.len()).max();
    let count = count.unwrap_or_default();
    let limits = || curve.limits.iter().map(|(_, limit)| *limit);
    let most = curve.reach(BEYOND);
    let values = || {
        let lines = curve.lines.iter();
        let values = lines.flat_map(|line| line.values.iter().flatten());
        values.map(|value| value.clamp(-most, most)).chain(limits())
    };
    let low = values().fold(0.0, f64::min);
    let high = values().fold(low + 1e-3, f64::max);
    let slots = usize::try_from(SLOTS)
        .unwrap_or(count)
        .clamp(1, count.max(1));
    let mut colours = Vec::new();
    let mut lines = String::new();
    for line in &curve.lines {
        colours.push(match line.stroke {
            Stroke::Line => "#0969da",
            Stroke::Edge | Stroke::UpperEdge => "#8ec5ff",
            Stroke::Good => "#1a7f37",
            Stroke::Bad => "#cf222e",
        });
        // mermaid draws no line with holes: what is not known yet is at the edge.
        let mut last = if line.stroke == Stroke::UpperEdge {
            high
        } else {
            low.max(0.0)
        };
        let values = (0..slots).map(|slot| {
            let at = (slot + 1) * count / slots;
            let value = at.checked_sub(1).and_then(|at| *line.values.get(at)?);
            last = value.unwrap_or(last).clamp(low, high);
            last
        });
        lines.push_str(&format!("\n    line [{}]", series(values)));
    }
    let mut about: Vec<String> = curve
        .lines
        .iter()
        .map(|line| line.name.to_owned())
        .collect();
    for (name, limit) in &curve.limits {
        colours.push("#9a6700");
        let flat = std::iter::repeat_n(*limit, slots);
        lines.push_str(&format!("\n    line [{}]", series(flat)));
        about.push(format!("{name} {}", number(*limit)));
    }
    format!(
        "{}\nxychart-beta\n    title \"{} - {}\"\n    x-axis \"{}\" 1 --> {}\n    y-axis \"{}\" {} --> {}{lines}",
        CURVES.replace("PALETTE", &colours.join(", ")),
        plain(&curve.title),
        about.join(", "),
        curve.along,
        count.max(2),
        curve.upwards,
        number(low),
        number(high),
    )
}

/// Only what means nothing to mermaid: a `"` ends a title, `%%{` begins a directive.
fn plain(text: &str) -> String {
    let known = |c: char| c.is_alphanumeric() || " /-._:@#".contains(c);
    text.chars()
        .map(|c| if known(c) { c } else { ' ' })
        .take(TITLE)
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use model::Limits;

    use super::*;

    /// Measurements half a second apart: how long each took, or `None` for one that took too long.
    fn probe(times: &[Option<u64>]) -> Outcome {
        let one = |(n, ms): (usize, &Option<u64>)| Measurement {
            at: Timestamp::UNIX_EPOCH
                + SignedDuration::from_millis(500) * i32::try_from(n).unwrap_or_default(),
            verdict: if ms.is_some() {
                Verdict::Pass
            } else {
                Verdict::Fail
            },
            value: Some(if ms.is_some() { "0.02" } else { "0.5" }.into()),
            reason: None,
            duration: Duration::from_millis(ms.unwrap_or(400)),
            evidence: None,
        };
        let measurements = times.iter().enumerate().map(one).collect();
        let mut outcome = Outcome::fail("http/ready", "x").measurements(measurements);
        outcome.limits.latency = Some(Duration::from_millis(50));
        outcome
    }

    fn drawn(outcome: Outcome) -> String {
        let charts = charts(&[outcome]);
        assert_eq!(charts.len(), 1);
        charts[0].lines().skip(1).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn latency_and_failures_stand_side_by_side_below_the_limit() {
        let outcome = probe(&[Some(20), Some(25), None, Some(100)]);
        insta::assert_snapshot!(drawn(outcome), @r#"
        xychart-beta
            title "http/ready: ms; red did not pass; line: limit 50 ms"
            x-axis "seconds since the first measurement" 0 --> 1.5
            y-axis "ms" 0 --> 440
            bar [0, 0, 440, 0]
            bar [20, 25, 400, 100]
            line [50, 50, 50, 50]
        "#);
    }

    #[test]
    fn a_number_is_drawn_with_its_range() {
        let mut outcome = probe(&[Some(20), None]);
        outcome.limits = Limits {
            min: Some(-0.01),
            max: Some(0.05),
            ..Limits::default()
        };
        insta::assert_snapshot!(drawn(outcome), @r#"
        xychart-beta
            title "http/ready: value; red did not pass; line: limit -0.01 and 0.05 value"
            x-axis "seconds since the first measurement" 0 --> 0.5
            y-axis "value" -0.01 --> 0.551
            bar [-0.01, 0.551]
            bar [0.02, 0.5]
            line [-0.01, -0.01]
            line [0.05, 0.05]
        "#);
    }

    #[test]
    fn a_long_watch_is_drawn_in_few_bars_and_hides_no_failure() {
        let mut times = vec![Some(20); 900];
        times[431] = None;
        let chart = drawn(probe(&times));
        let bars: Vec<Vec<&str>> = chart
            .lines()
            .filter_map(|line| line.trim().strip_prefix("bar [")?.strip_suffix(']'))
            .map(|line| line.split(", ").collect())
            .collect();
        assert!(bars.iter().all(|series| series.len() == 60), "{chart}");
        assert_eq!(bars[0].iter().filter(|height| **height != "0").count(), 1);
    }

    #[test]
    fn latency_is_drawn_only_where_it_has_decided() {
        let status = |mut outcome: Outcome, bad: usize| {
            let failed = outcome.measurements.iter_mut();
            let failed = failed.filter(|one| one.verdict == Verdict::Fail);
            for one in failed.take(bad) {
                one.duration = Duration::from_millis(3);
            }
            charts(&[outcome]).len()
        };
        let three = || probe(&[Some(20), None, None, None]);
        assert_eq!((status(three(), 0), status(three(), 1)), (1, 1));
        assert_eq!((status(three(), 2), status(three(), 3)), (0, 0));
        // Nothing limits it: a refused connection takes no time, a silent one all there is.
        let mut unlimited = three();
        unlimited.limits = Limits::default();
        assert!(charts(&[unlimited.clone()]).is_empty());
        // A number that could not be read is not a point on a chart.
        unlimited.limits.max = Some(1.0);
        assert_eq!(charts(&[unlimited.clone()]).len(), 1);
        for one in &mut unlimited.measurements {
            one.value = Some("no data".into());
        }
        assert!(charts(&[unlimited]).is_empty());
    }

    #[test]
    fn nothing_to_see_is_not_drawn() {
        assert!(charts(&[probe(&[]), probe(&[None]), Outcome::fail("a/b", "x")]).is_empty());
        let good = Outcome {
            verdict: Verdict::Pass,
            ..probe(&[Some(1), Some(1)])
        };
        assert!(charts(&[good]).is_empty());
        let same = |outcome: Outcome| {
            let at = Timestamp::UNIX_EPOCH;
            let measurements = outcome
                .measurements
                .iter()
                .map(|one| Measurement { at, ..one.clone() });
            Outcome {
                measurements: measurements.collect(),
                ..outcome
            }
        };
        assert!(charts(&[same(probe(&[None, None]))]).is_empty());
        assert_eq!(charts(&vec![probe(&[None, None]); 5000]).len(), 3);
    }

    #[test]
    fn numbers_are_written_as_mermaid_reads_them() {
        let written: Vec<_> = [0.0, 0.000_001_2, 0.0501, 1.0, 12.345, 99_999.4, -3.5, 1e20]
            .map(number)
            .into();
        assert_eq!(
            written,
            [
                "0",
                "0.0000012",
                "0.0501",
                "1",
                "12.3",
                "99999",
                "-3.5",
                "100000000000000000000"
            ]
        );
    }
}
