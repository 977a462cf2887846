//! Judges an answer: a pure function of the probe, the answer and the age of its samples.

use config::file::{PrometheusProbe, Reduce, Undecided};
use config::value::{Quantity, Unit};
use jiff::Timestamp;
use model::Verdict;
use model::text::excerpt;
use prometheus::age::{Age, PLAUSIBLE};
use prometheus::answer::{QueryResult, Series};

use crate::reading::Reading;

pub(super) fn expected(probe: &PrometheusProbe) -> String {
    match (probe.min, probe.max) {
        (Some(min), Some(max)) => format!("{min} ≤ value ≤ {max}"),
        (Some(min), None) => format!("value ≥ {min}"),
        (None, Some(max)) => format!("value ≤ {max}"),
        (None, None) => "a value".to_owned(),
    }
}

/// What decides nothing comes first: a value within its bounds means nothing where the server
/// says that it saw only a part, or where it is of long ago.
pub(super) fn judge(
    probe: &PrometheusProbe,
    answer: &QueryResult,
    at: Timestamp,
    age: &Age,
) -> Reading {
    let mut notes = Vec::new();
    for (rule, key, texts, word) in [
        (probe.on_warning, "on-warning", &answer.warnings, "warns"),
        (probe.on_info, "on-info", &answer.infos, "remarks"),
    ] {
        let Some(text) = texts.first() else { continue };
        let said = format!("Prometheus {word}: {}", excerpt(text.as_bytes()));
        if rule != Undecided::Pass {
            return undecided(probe, rule, key, said).value(word);
        }
        notes.push(said);
    }
    if answer.series.is_empty() {
        let reason = "the query gives no data".to_owned();
        return undecided(probe, probe.on_no_data, "on-no-data", reason).value("no data");
    }
    if let Some(reason) = stale(probe, answer, at, age) {
        if probe.on_stale != Undecided::Pass {
            return undecided(probe, probe.on_stale, "on-stale", reason).value("stale");
        }
        notes.push(reason);
    }
    let mut reading = match one_number(probe, &answer.series) {
        Ok((value, whose)) => judge_bounds(probe, value, &whose),
        Err(reading) => reading,
    };
    // Any infinite value makes this no measurement, even if another one was chosen.
    let endless = |one: &&Series| one.value.is_some_and(f64::is_infinite);
    if reading.verdict == Verdict::Pass
        && reading.value.is_some()
        && answer.series.len() > 1
        && let Some(one) = answer.series.iter().find(endless)
    {
        let value = one.value.unwrap_or_default();
        let reason = format!("the value of {} is {value}", labels(one));
        reading = undecided(probe, probe.on_nan, "on-nan", reason).value(value.to_string());
    }
    for note in notes {
        reading.actual = format!("{}; {note}", reading.actual);
    }
    reading
}

fn undecided(probe: &PrometheusProbe, rule: Undecided, key: &str, reason: String) -> Reading {
    let verdict = match rule {
        Undecided::Pass => {
            return Reading::pass(expected(probe), format!("{reason}, which {key} accepts"));
        }
        Undecided::Inconclusive => Verdict::Inconclusive,
        Undecided::Fail => Verdict::Fail,
        Undecided::Error => Verdict::Error,
    };
    Reading::unmet(verdict, expected(probe), reason.clone(), reason)
}

/// Why the answer is too old, if it is. Prometheus itself returns the requested instant, but
/// a cache in between may return the time of its answer.
fn stale(
    probe: &PrometheusProbe,
    answer: &QueryResult,
    at: Timestamp,
    age: &Age,
) -> Option<String> {
    let limit = probe.max_age;
    let late = |age: f64| age > limit.get().as_secs_f64();
    let shown = |age: f64| Unit::Seconds.show((age * 10.0).round() / 10.0);
    let now = at.as_duration().as_secs_f64();
    let said = answer.series.iter().filter_map(|series| series.at);
    let said = said.filter(|at| *at > PLAUSIBLE);
    let said = now - said.fold(now, f64::min);
    if late(said) {
        return Some(format!(
            "the answer is {} old > max-age ({limit})",
            shown(said)
        ));
    }
    match age {
        Age::Unproven(why) => Some(format!("how old the samples are is not known: {why}")),
        Age::Oldest(oldest) if late(oldest.age) => Some(format!(
            "the newest sample of `{}` is {} old > max-age ({limit})",
            oldest.selector,
            shown(oldest.age)
        )),
        Age::Oldest(_) | Age::None => None,
    }
}

/// The number that is judged, and whose it is where several were reduced to it.
fn one_number(probe: &PrometheusProbe, series: &[Series]) -> Result<(f64, String), Reading> {
    if series.len() > 1 && probe.reduce.is_none() {
        let reason = format!(
            "{} series instead of one, such as {}",
            series.len(),
            labels(&series[0])
        );
        let rule = probe.on_many_series;
        return Err(undecided(probe, rule, "on-many-series", reason).value("many"));
    }
    let mut numbers = Vec::with_capacity(series.len());
    for one in series {
        let whose = if series.len() > 1 {
            format!(" of {}", labels(one))
        } else {
            String::new()
        };
        match one.value {
            Some(value) if !value.is_nan() => numbers.push((value, whose)),
            value => {
                let what = value.map_or(
                    "a histogram, no number",
                    |_| "NaN: the query divided 0 by 0, as without traffic",
                );
                let reason = format!("the value{whose} is {what}");
                let value = value.map_or("histogram", |_| "NaN");
                return Err(undecided(probe, probe.on_nan, "on-nan", reason).value(value));
            }
        }
    }
    Ok(reduced(probe, numbers))
}

fn reduced(probe: &PrometheusProbe, numbers: Vec<(f64, String)>) -> (f64, String) {
    let count = numbers.len();
    let sum = || numbers.iter().map(|(value, _)| value).sum::<f64>();
    let most = |badness: &dyn Fn(f64) -> f64| {
        let worse = |a: &&(f64, String), b: &&(f64, String)| badness(a.0).total_cmp(&badness(b.0));
        numbers.iter().max_by(worse).cloned().unwrap_or_default()
    };
    match probe.reduce {
        Some(Reduce::Sum) if count > 1 => (sum(), format!(" of {count} series together")),
        #[expect(clippy::cast_precision_loss, reason = "at most ten thousand series")]
        Some(Reduce::Avg) if count > 1 => (
            sum() / count as f64,
            format!(" on average of {count} series"),
        ),
        Some(Reduce::Min) => most(&|value| -value),
        Some(Reduce::Worst) => most(&|value| {
            let above = probe.max.map(|max| value - max.get());
            let below = probe.min.map(|min| min.get() - value);
            above.into_iter().chain(below).fold(f64::MIN, f64::max)
        }),
        _ => most(&|value| value),
    }
}

fn labels(series: &Series) -> String {
    let labels = series.labels.iter();
    let labels: Vec<_> = labels
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    excerpt(format!("{{{}}}", labels.join(", ")).as_bytes())
}

/// Which bound a value is beyond, if it is; NaN is beyond none.
pub(super) fn exceeded_bound(probe: &PrometheusProbe, value: f64, whose: &str) -> Option<String> {
    let shown = format_value(probe, value, whose);
    match (probe.min, probe.max) {
        (Some(min), _) if value < min.get() => Some(format!("{shown} < min ({min})")),
        (_, Some(max)) if value > max.get() => Some(format!("{shown} > max ({max})")),
        _ => None,
    }
}

fn format_value(probe: &PrometheusProbe, value: f64, whose: &str) -> String {
    let unit = probe.max.or(probe.min).map_or(Unit::Plain, Quantity::unit);
    format!("{}{whose}", unit.show(value))
}

fn judge_bounds(probe: &PrometheusProbe, value: f64, whose: &str) -> Reading {
    let shown = format_value(probe, value, whose);
    let reading = match exceeded_bound(probe, value, whose) {
        Some(reason) => Reading::unmet(Verdict::Fail, expected(probe), shown, reason),
        // Within its bounds, since it is beyond none, and no measurement: `-Inf`, or `+Inf - Inf`
        // of several.
        None if !value.is_finite() => {
            let reason = format!("the value is {shown}");
            undecided(probe, probe.on_nan, "on-nan", reason)
        }
        None => Reading::pass(expected(probe), shown),
    };
    reading.value(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::value::Span;
    use prometheus::age::{AgeError, Oldest};
    use prometheus::query;

    const AT: i64 = 1_800_000_000;

    fn probe(change: impl FnOnce(&mut PrometheusProbe)) -> PrometheusProbe {
        let mut probe = PrometheusProbe {
            name: "p".into(),
            server: "http://x".into(),
            access: None,
            query: "q".into(),
            min: None,
            max: "5%".parse().ok(),
            reduce: None,
            on_no_data: Undecided::Inconclusive,
            on_nan: Undecided::Inconclusive,
            on_many_series: Undecided::Inconclusive,
            on_warning: Undecided::Inconclusive,
            on_info: Undecided::Pass,
            on_stale: Undecided::Inconclusive,
            max_age: Span::from_secs(120),
            scrape_interval: None,
            policy: None,
            severity: model::Severity::Required,
        };
        change(&mut probe);
        probe
    }

    fn answer(values: &[Option<f64>]) -> QueryResult {
        let series = |(n, value): (usize, &Option<f64>)| Series {
            labels: [("instance".to_owned(), n.to_string())].into(),
            value: *value,
            at: Some(1_800_000_000.0),
        };
        QueryResult {
            series: values.iter().enumerate().map(series).collect(),
            ..QueryResult::default()
        }
    }

    fn verdict_text(probe: &PrometheusProbe, answer: &QueryResult, age: Option<f64>) -> String {
        let age = age.map_or(Age::None, |age| {
            let selector = "x".to_owned();
            Age::Oldest(Oldest { selector, age })
        });
        let at = Timestamp::from_second(AT).unwrap_or_default();
        let reading = judge(probe, answer, at, &age);
        let text = reading.reason.unwrap_or(reading.actual);
        format!("{}: {text}", reading.verdict)
    }

    fn plain(values: &[Option<f64>]) -> String {
        verdict_text(&probe(|_| ()), &answer(values), Some(1.0))
    }

    #[test]
    fn only_one_number_within_its_bounds_passes() {
        assert_eq!(plain(&[Some(0.01)]), "pass: 1%");
        assert_eq!(plain(&[Some(0.05)]), "pass: 5%");
        assert_eq!(plain(&[Some(0.0712)]), "fail: 7.12% > max (5%)");
        let low = probe(|p| {
            p.min = "95%".parse().ok();
            p.max = None;
        });
        assert_eq!(
            verdict_text(&low, &answer(&[Some(0.9)]), None),
            "fail: 90% < min (95%)"
        );
        // Infinity is beyond any bound; negative infinity is not a measurement.
        assert_eq!(plain(&[Some(f64::INFINITY)]), "fail: inf > max (5%)");
        assert_eq!(
            plain(&[Some(f64::NEG_INFINITY)]),
            "inconclusive: the value is -inf"
        );
        assert_eq!(
            verdict_text(&low, &answer(&[Some(f64::INFINITY)]), None),
            "inconclusive: the value is inf"
        );
    }

    #[test]
    fn what_decides_nothing_is_what_the_configuration_says() {
        type Case = (
            fn(&mut PrometheusProbe, Undecided),
            QueryResult,
            Option<f64>,
            &'static str,
        );
        let warned = QueryResult {
            warnings: vec!["partial".into()],
            ..answer(&[Some(0.0)])
        };
        let informed = QueryResult {
            infos: vec!["no counter".into()],
            ..answer(&[Some(0.0)])
        };
        let mut old = answer(&[Some(0.0)]);
        old.series[0].at = Some(1_799_999_000.0);
        let cases: [Case; 8] = [
            (|p, rule| p.on_no_data = rule, answer(&[]), None, "no data"),
            (
                |p, rule| p.on_nan = rule,
                answer(&[Some(f64::NAN)]),
                None,
                "NaN",
            ),
            (
                |p, rule| p.on_nan = rule,
                answer(&[None]),
                None,
                "histogram",
            ),
            (
                |p, rule| p.on_many_series = rule,
                answer(&[Some(0.0), Some(0.0)]),
                None,
                "2 series",
            ),
            (
                |p, rule| p.on_warning = rule,
                warned,
                None,
                "warns: partial",
            ),
            (
                |p, rule| p.on_info = rule,
                informed,
                None,
                "remarks: no counter",
            ),
            (
                |p, rule| p.on_stale = rule,
                answer(&[Some(0.0)]),
                Some(303.04),
                "`x` is 303s old > max-age (2m)",
            ),
            (
                |p, rule| p.on_stale = rule,
                old,
                None,
                "answer is 1000s old",
            ),
        ];
        for (set, answer, age, text) in cases {
            for (rule, verdict) in [
                (Undecided::Inconclusive, "inconclusive"),
                (Undecided::Pass, "pass"),
                (Undecided::Fail, "fail"),
                (Undecided::Error, "error"),
            ] {
                let told = verdict_text(&probe(|p| set(p, rule)), &answer, age);
                assert!(told.starts_with(verdict), "{told}");
                assert!(told.contains(text), "{told}");
            }
        }
    }

    #[test]
    fn silence_is_no_pass_unless_somebody_says_so() {
        for silent in [answer(&[]), answer(&[Some(f64::NAN)]), answer(&[None])] {
            assert!(verdict_text(&probe(|_| ()), &silent, None).starts_with("inconclusive"));
        }
        // An accepted warning leaves the verdict to the value.
        let warned = QueryResult {
            warnings: vec!["partial".into()],
            ..answer(&[Some(0.2)])
        };
        let accepts = probe(|p| p.on_warning = Undecided::Pass);
        assert_eq!(
            verdict_text(&accepts, &warned, None),
            "fail: 20% > max (5%)"
        );
    }

    #[test]
    fn endless_series_are_no_number_however_they_are_reduced() {
        let both = answer(&[Some(f64::INFINITY), Some(f64::NEG_INFINITY)]);
        let half = answer(&[Some(0.01), Some(f64::NEG_INFINITY)]);
        for (reduce, series, expected) in [
            (Reduce::Sum, &both, "the value is NaN of 2 series together"),
            (
                Reduce::Avg,
                &both,
                "the value is NaN on average of 2 series",
            ),
            (Reduce::Min, &both, "the value is -inf of {instance=\"1\"}"),
            (Reduce::Max, &half, "the value of {instance=\"1\"} is -inf"),
            (Reduce::Sum, &half, "the value is -inf of 2 series together"),
        ] {
            let probe = |rule| {
                probe(|p| {
                    p.reduce = Some(reduce);
                    p.on_nan = rule;
                })
            };
            let reading = verdict_text(&probe(Undecided::Inconclusive), series, Some(1.0));
            assert_eq!(reading, format!("inconclusive: {expected}"));
            assert!(verdict_text(&probe(Undecided::Fail), series, Some(1.0)).starts_with("fail: "));
        }
        let max = probe(|p| p.reduce = Some(Reduce::Max));
        assert_eq!(
            verdict_text(&max, &both, None),
            "fail: inf of {instance=\"0\"} > max (5%)"
        );
    }

    #[test]
    fn an_age_that_is_not_known_is_no_young_one() {
        let at = Timestamp::from_second(AT).unwrap_or_default();
        let unproven = Age::Unproven(AgeError::from(query::Error::NotUnderstood("x".into())));
        let told = |rule| {
            let probe = probe(|p| p.on_stale = rule);
            let reading = judge(&probe, &answer(&[Some(0.01)]), at, &unproven);
            (reading.verdict, reading.reason.unwrap_or(reading.actual))
        };
        let (verdict, why) = told(Undecided::Inconclusive);
        assert_eq!(verdict, Verdict::Inconclusive);
        assert_eq!(
            why,
            "how old the samples are is not known: `x` is not understood"
        );
        assert_eq!(told(Undecided::Pass).0, Verdict::Pass);
    }

    #[test]
    fn several_series_are_reduced_as_asked_and_the_telling_one_is_named() {
        let three = answer(&[Some(0.01), Some(0.2), Some(0.03)]);
        let with = |reduce| verdict_text(&probe(|p| p.reduce = Some(reduce)), &three, None);
        assert_eq!(
            with(Reduce::Max),
            "fail: 20% of {instance=\"1\"} > max (5%)"
        );
        assert_eq!(
            with(Reduce::Worst),
            "fail: 20% of {instance=\"1\"} > max (5%)"
        );
        assert_eq!(with(Reduce::Min), "pass: 1% of {instance=\"0\"}");
        assert_eq!(
            with(Reduce::Sum),
            "fail: 24% of 3 series together > max (5%)"
        );
        assert_eq!(
            with(Reduce::Avg),
            "fail: 8% on average of 3 series > max (5%)"
        );
        let range = |reduce| {
            let probe = probe(|p| {
                p.min = "0.02".parse().ok();
                p.max = "0.3".parse().ok();
                p.reduce = Some(reduce);
            });
            verdict_text(&probe, &three, None)
        };
        assert_eq!(
            range(Reduce::Worst),
            "fail: 0.01 of {instance=\"0\"} < min (0.02)"
        );
        // One that is not a number is not dropped.
        let holed = answer(&[Some(0.01), Some(f64::NAN)]);
        let told = verdict_text(&probe(|p| p.reduce = Some(Reduce::Max)), &holed, None);
        assert_eq!(
            told,
            "inconclusive: the value of {instance=\"1\"} is NaN: the query divided 0 by 0, as without traffic"
        );
    }
}
