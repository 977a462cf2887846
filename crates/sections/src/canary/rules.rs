//! What contradicts itself.

use yaml::Fault;

use super::{Canary, CanaryKind, CanaryMetric, LogFormat};
use crate::prometheus::is_metric;
use crate::spot::KeyPosition;
use values::{Quantity, Unit};

const SIDE: &str = "{side}";

impl Canary {
    pub fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        self.check_amounts(spot)?;
        self.check_source(spot)?;
        self.check_sides(spot)?;
        self.metric_names.check(spot.key("metric-names"))?;
        self.check_judges(spot)?;
        let list = spot.key("metrics");
        list.unique("name")?;
        for (nth, metric) in self.metrics.iter().enumerate() {
            self.check_metric(metric, list.item(nth))?;
        }
        if self.preset.is_some() && !self.metrics.is_empty() {
            return spot.refuse("preset", "`preset` and `metrics` exclude each other");
        }
        Ok(())
    }

    /// What counts where no source is asked: recorded data are judged, or a rollout is planned.
    pub fn check_without_source(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        self.check_amounts(spot)?;
        self.check_judges(spot)?;
        let list = spot.key("metrics");
        list.unique("name")?;
        for (nth, metric) in self.metrics.iter().enumerate() {
            self.check_limits(metric, list.item(nth))?;
        }
        Ok(())
    }

    fn check_amounts(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        for (key, time) in [
            ("interval", self.interval),
            ("deadline", self.deadline),
            ("window", self.thresholds.window),
        ] {
            let spot = if key == "window" {
                spot.key("thresholds")
            } else {
                spot
            };
            spot.key(key).some_time(Some(time))?;
        }
        if self.interval > self.deadline {
            let message = format!(
                "`interval` ({}) is longer than `deadline` ({}): nothing is compared twice",
                self.interval, self.deadline
            );
            let fault = spot.key("interval").fault(message);
            return Err(fault.hint("set a shorter `interval` or a longer `deadline`"));
        }
        if self.warm_up >= self.deadline {
            let message = format!(
                "`warm-up` ({}) is not shorter than `deadline` ({}): a new instance is never compared",
                self.warm_up, self.deadline
            );
            let fault = spot.key("warm-up").fault(message);
            return Err(fault.hint("set a shorter `warm-up` or a longer `deadline`"));
        }
        for (key, chance) in [("alpha", self.alpha), ("beta", self.beta)] {
            chance_of(chance, spot.key(key))?;
        }
        if self.metrics.is_empty() && spot.key("metrics").is_given() {
            let fault = spot
                .key("metrics")
                .fault("`metrics` lists none: nothing is compared");
            return Err(fault.hint("leave it out for the metrics of the preset, or list one"));
        }
        Ok(())
    }

    fn check_source(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.exclusive(&[
            ("server", self.server.is_some()),
            ("access-log", self.access_log.is_some()),
            ("command", self.command.is_some()),
        ])?;
        if let Some(server) = &self.server {
            spot.key("server").http_url(server)?;
        }
        if let Some(access) = &self.access {
            if self.server.is_none() {
                return spot.refuse("access", "`access` needs `server`");
            }
            access.check(spot.key("access"))?;
        }
        if let Some(log) = &self.access_log {
            let spot = spot.key("access-log");
            spot.key("file").a_file(&log.file, true)?;
            if let Some(host) = &log.host {
                spot.key("host").known_host(host)?;
            }
            let fields = [Some(&log.side.field), log.duration.as_ref()];
            let is_number = |field: &&String| field.parse::<u8>().is_ok_and(|nth| nth > 0);
            let mut words = fields.into_iter().flatten();
            if log.format == LogFormat::Combined
                && let Some(word) = words.find(|field| !is_number(field))
            {
                let message = format!(
                    "`{word}` is not the number of a field, from 1: such a log has no names"
                );
                let at = if *word == log.side.field {
                    spot.key("side").key("field")
                } else {
                    spot.key("duration")
                };
                return Err(at
                    .fault(message)
                    .hint("write `format: json` if the lines are JSON objects"));
            }
            if log.side.canary == log.side.stable {
                return spot.key("side").refuse("stable", SAME_SIDES);
            }
        }
        if let Some(command) = &self.command {
            let spot = spot.key("command");
            spot.key("run").some_text(&command.run)?;
            spot.key("timeout").some_time(Some(command.timeout))?;
            if let Some(host) = &command.host {
                spot.key("host").known_host(host)?;
            }
        }
        Ok(())
    }

    fn check_sides(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.exclusive(&[
            ("sides", self.sides.is_some()),
            ("label", self.label.is_some()),
        ])?;
        if let Some(sides) = &self.sides {
            let spot = spot.key("sides");
            for (key, side) in [("canary", &sides.canary), ("stable", &sides.stable)] {
                spot.key(key).some_text(side)?;
            }
            if sides.canary == sides.stable {
                return spot.refuse("stable", SAME_SIDES);
            }
        }
        let labels = self.label.iter().map(|label| ("label", label));
        let labels = labels.chain(self.labels.keys().map(|label| ("labels", label)));
        for (key, label) in labels {
            if !is_metric(label) {
                return spot.refuse(key, format!("`{label}` is not a label name"));
            }
        }
        if self.server.is_some() && self.sides.is_none() && self.label.is_none() {
            return Err(spot
                .key("server")
                .fault("neither `label` nor `sides` distinguishes the series of canary and stable")
                .hint("add `label: release`, the label that holds the release"));
        }
        Ok(())
    }

    fn check_judges(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let (limits, at) = (&self.thresholds, spot.key("thresholds"));
        at.key("failures").not_zero(limits.failures == 0)?;
        for (key, share) in [
            ("error-rate", limits.error_rate),
            ("availability", limits.availability),
        ] {
            share_of(share, at.key(key))?;
        }
        amount(limits.p95, at.key("p95"))?;
        let (score, at) = (&self.kayenta, spot.key("kayenta"));
        let hundred = |score: &f64| (0.0..=100.0).contains(score);
        for (key, score) in [("pass", score.pass), ("marginal", score.marginal)] {
            if !hundred(&score) {
                return at.refuse(key, "a score is from 0 to 100");
            }
        }
        if score.marginal > score.pass {
            return at.refuse("marginal", "`marginal` is more than `pass`");
        }
        if !score.weights.values().all(hundred) || score.weights.values().sum::<f64>() > 100.0 {
            return at.refuse("weights", "the weights are more than 100 percent together");
        }
        Ok(())
    }

    fn check_metric(&self, metric: &CanaryMetric, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("name").plain(&metric.name, "-_.")?;
        let queries = [
            ("failed", &metric.failed),
            ("total", &metric.total),
            ("buckets", &metric.buckets),
            ("query", &metric.query),
        ];
        let (wanted, kind): (&[&str], _) = match metric.kind {
            CanaryKind::Ratio => (&["failed", "total"], "ratio"),
            CanaryKind::Histogram => (&["buckets"], "histogram"),
            CanaryKind::Gauge => (&["query"], "gauge"),
            CanaryKind::Count => (&["query", "total"], "count"),
        };
        let given = queries
            .iter()
            .filter_map(|(key, query)| Some((*key, query.as_ref()?)));
        for (key, query) in given {
            if !wanted.contains(&key) {
                let message = format!("a {kind} has no `{key}`");
                let fault = spot.key(key).fault(message);
                return Err(fault.hint(format!("it has `{}`", wanted.join("` and `"))));
            }
            if self.access_log.is_some() || self.command.is_some() {
                return spot.refuse(key, "a query is for `server`, and there is another source");
            }
            if !query.contains(SIDE) {
                let message = "without `{side}` in it, both sides would get the same query";
                let fault = spot.key(key).fault(message);
                return Err(fault.hint("write it in the selector: `http_requests_total{ {side} }`"));
            }
        }
        if metric.kind == CanaryKind::Ratio && metric.failed.is_some() != metric.total.is_some() {
            let (given, lacking) = match metric.failed {
                Some(_) => ("failed", "total"),
                None => ("total", "failed"),
            };
            return spot.refuse(given, format!("`{given}` needs `{lacking}`"));
        }
        let has_no_preset = matches!(metric.kind, CanaryKind::Gauge | CanaryKind::Count);
        if self.server.is_some() && has_no_preset && metric.query.is_none() {
            let fault = spot.fault(format!("no `query` is given, and a {kind} needs one"));
            return Err(fault.hint("add `query: 'METRIC{ {side} }'`"));
        }
        self.check_limits(metric, spot)
    }

    #[expect(clippy::unused_self, reason = "the rules of a canary")]
    fn check_limits(&self, metric: &CanaryMetric, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let limits = [
            ("at-most", metric.at_most),
            ("max", metric.max),
            ("min", metric.min),
            ("max-increase", metric.max_increase),
        ];
        let has_at_most = matches!(metric.kind, CanaryKind::Ratio | CanaryKind::Histogram);
        if metric.at_most.is_some() && !has_at_most {
            return spot.refuse("at-most", "`at-most` is of a ratio or a histogram");
        }
        let given = limits.into_iter();
        let given = given.filter_map(|(key, limit)| Some((key, limit?)));
        for (key, limit) in given {
            let is_latency = metric.kind == CanaryKind::Histogram && key != "at-most";
            match metric.kind {
                CanaryKind::Ratio | CanaryKind::Histogram if !is_latency => {
                    share_of(limit, spot.key(key))?;
                }
                _ => amount(limit, spot.key(key))?,
            }
        }
        if let Some(quantile) = metric.quantile {
            share_of(quantile, spot.key("quantile"))?;
        }
        let at = spot.key("tolerance");
        let Some(tolerance) = metric.tolerance else {
            return Ok(());
        };
        let is_absolute = matches!(tolerance.unit(), Unit::Seconds | Unit::Bytes);
        if is_absolute && metric.kind == CanaryKind::Gauge {
            return amount(tolerance, at);
        }
        let fault = is_absolute.then_some("a tolerance is a ratio, or a percentage");
        let times = metric.tolerance();
        let fault = fault.or(match times {
            _ if times <= 1.0 => {
                Some("a tolerance is more than 1: with 1, nothing could ever pass")
            }
            _ if times > MAX_TOLERANCE => Some("a tolerance is at most 32"),
            _ => None,
        });
        match fault {
            Some(message) if metric.kind == CanaryKind::Gauge => Err(at
                .fault(message)
                .hint("a number alone is a ratio: `1.2` and `20%` accept a fifth more than stable has; an amount has a unit, such as `64MiB` or `200ms`")),
            Some(message) => Err(at
                .fault(message)
                .hint("`1.5` and `50%` accept half as much again as stable has; `1.01` accepts no increase")),
            None => Ok(()),
        }
    }
}

const SAME_SIDES: &str = "both sides are the same: stable would be compared with itself";
/// More is not compared, but only counted.
const MAX_TOLERANCE: f64 = 32.0;

fn chance_of(chance: Quantity, spot: KeyPosition<'_>) -> Result<(), Fault> {
    if 0.0 < chance.get() && chance.get() <= 0.5 {
        return Ok(());
    }
    let fault = spot.fault("a chance is more than 0% and at most 50%");
    let value = chance.get();
    Err(match chance.unit() {
        Unit::Plain if 0.5 < value && value <= 50.0 => fault.hint(format!("write `{value}%`")),
        _ => fault.hint("`1%` is one wrong verdict in a hundred"),
    })
}

/// A share of requests, of which neither none nor all tells anything.
fn share_of(share: Quantity, spot: KeyPosition<'_>) -> Result<(), Fault> {
    if 0.0 < share.get() && share.get() < 1.0 {
        return Ok(());
    }
    let fault = spot.fault("a share is more than 0% and less than 100%");
    let value = share.get();
    Err(match share.unit() {
        Unit::Plain if 1.0 < value && value < 100.0 => fault.hint(format!("write `{value}%`")),
        _ => fault,
    })
}

fn amount(limit: Quantity, spot: KeyPosition<'_>) -> Result<(), Fault> {
    if limit.get() >= 0.0 {
        return Ok(());
    }
    Err(spot.fault("must not be negative"))
}
