//! Both sides' requests as a proxy's access log has them, for a service without metrics.

mod follow;
mod line;
mod past_log;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use judge::{Interval, Sample};
use model::glob;
use probe::shell::Shell;

pub use line::{Field, Format, Layout, TimeUnit};
pub use past_log::{PastLog, PastRequest, PastSettings};

use crate::error::Error;
use crate::flaw::DataDefect;
use crate::increases::{Increases, Part};
use crate::metric::{self, Counting};
use crate::side::{PerSide, SideName};
use crate::source::IntervalCounts;
use follow::Follow;

/// Upper bounds of the buckets in which times are counted, in seconds.
const BOUNDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Percentage of unreadable lines above which the log is refused.
const MAX_UNREADABLE_PERCENT: usize = 1;

/// What is counted of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogMetric {
    /// Requests with one of these statuses.
    Failures(BTreeSet<u16>),
    Times,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub layout: Layout,
    /// The values of the side's field, in which `*` is any text.
    pub sides: PerSide<String>,
    pub metrics: Vec<LogMetric>,
}

/// Reads a log, interval by interval.
pub struct AccessLog {
    follow: Follow,
    settings: LogSettings,
    pending: Vec<PerSide<Increases>>,
    /// Servers in the log that are of neither side.
    others: BTreeMap<String, usize>,
    seen: PerSide<bool>,
    /// A server that both patterns fit.
    both: Option<String>,
}

impl AccessLog {
    pub fn new(shell: Shell, file: String, settings: LogSettings) -> AccessLog {
        let pending = settings.metrics.iter().map(|_| PerSide::default());
        AccessLog {
            follow: Follow::new(shell, file),
            pending: pending.collect(),
            others: BTreeMap::new(),
            seen: PerSide::default(),
            both: None,
            settings,
        }
    }

    /// What was added to the log since the last look; the first one only looks where its end is.
    pub async fn read_interval(&mut self, timeout: Duration) -> Result<IntervalCounts, Error> {
        let added = self.follow.added(timeout).await?;
        let at = Timestamp::now();
        let mut unreadable = added.too_long;
        for text in &added.lines {
            match line::parse(&self.settings.layout, text) {
                Some(line) => self.count(&line),
                None => unreadable += 1,
            }
        }
        let lines = added.lines.len() + added.too_long;
        let mut flaws = Vec::new();
        if unreadable * 100 > lines * MAX_UNREADABLE_PERCENT {
            let of = |text: &&String| line::parse(&self.settings.layout, text).is_none();
            let example = added.lines.iter().find(of);
            flaws.push(DataDefect::Unreadable {
                lines: unreadable,
                of: lines,
                example: example.map_or_else(
                    || "a line that is too long".to_owned(),
                    |text| model::text::excerpt(text.as_bytes()),
                ),
            });
        }
        if added.behind {
            flaws.push(DataDefect::Behind);
        }
        flaws.extend(self.both.clone().map(DataDefect::BothPatterns));
        for side in SideName::BOTH {
            if !self.seen.of(side) && self.both.is_none() {
                let why = self.describe_missing_side(side);
                flaws.push(DataDefect::NoData { side, why });
            }
        }
        let (mut samples, mut all) = (Vec::new(), Vec::new());
        for (metric, pending) in self.settings.metrics.iter().zip(&mut self.pending) {
            let mut flaws = flaws.clone();
            samples.push(taken(metric, pending, &mut flaws));
            all.push(flaws);
        }
        Ok(IntervalCounts {
            at,
            early: false,
            interval: Interval { metrics: samples },
            flaws: all,
        })
    }

    fn describe_missing_side(&self, side: SideName) -> String {
        let wanted = self.settings.sides.of(side);
        let seen: Vec<&str> = self.others.keys().take(5).map(String::as_str).collect();
        if seen.is_empty() {
            format!("no line names `{wanted}`")
        } else {
            format!("no line names `{wanted}`; others are {}", seen.join(", "))
        }
    }

    /// A server that did not answer, so that another one was asked, has failed.
    fn count(&mut self, line: &line::Line) {
        let last = line.servers.len().saturating_sub(1);
        for (nth, server) in line.servers.iter().enumerate() {
            let of = |side: &SideName| glob(self.settings.sides.of(*side), server);
            let Some(side) = SideName::BOTH.iter().find(|side| of(side)).copied() else {
                if self.others.len() < 100 {
                    *self.others.entry(server.clone()).or_default() += 1;
                }
                continue;
            };
            if SideName::BOTH.iter().all(of) {
                self.both.get_or_insert_with(|| server.clone());
            }
            *self.seen.of_mut(side) = true;
            for (metric, pending) in self.settings.metrics.iter().zip(&mut self.pending) {
                let instances = pending.of_mut(side);
                let parts = instances.entry(server.clone()).or_default();
                match metric {
                    LogMetric::Failures(statuses) => {
                        let failed = nth < last || statuses.contains(&line.status);
                        *parts.entry(Part::Total).or_default() += 1.0;
                        *parts.entry(Part::Failed).or_default() += f64::from(u8::from(failed));
                    }
                    LogMetric::Times => {
                        if let Some(took) = line.took.filter(|_| nth == last) {
                            let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
                            for bound in bounds {
                                let within = f64::from(u8::from(took <= bound));
                                let part = Part::Bucket(bound.to_bits());
                                *parts.entry(part).or_default() += within;
                            }
                        }
                    }
                }
            }
        }
    }
}

fn taken(
    metric: &LogMetric,
    pending: &mut PerSide<Increases>,
    flaws: &mut Vec<DataDefect>,
) -> Sample {
    for side in SideName::BOTH {
        // An instance whose requests have no time has no buckets.
        pending.of_mut(side).retain(|_, parts| !parts.is_empty());
    }
    let counting = match metric {
        LogMetric::Failures(_) => Counting::Ratio,
        LogMetric::Times => Counting::Histogram,
    };
    if SideName::BOTH
        .iter()
        .any(|side| pending.of(*side).is_empty())
    {
        // What one side served while the other one served nothing is of another time.
        *pending = PerSide::default();
        return metric::sample(None, flaws);
    }
    if flaws.iter().any(|flaw| flaw.spoils() || flaw.waits()) {
        return metric::sample(None, flaws);
    }
    let PerSide { canary, stable } = std::mem::take(pending);
    match metric::reading(counting, &canary, &stable) {
        Ok(reading) => metric::sample(Some(reading), flaws),
        Err(flaw) => {
            flaws.push(flaw);
            metric::sample(None, flaws)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use judge::Reading;
    use probe::ProbeContext;

    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text, is) in [
            ("10.0.0.7:80", "10.0.0.7:80", true),
            ("10.0.0.7:80", "10.0.0.7:8080", false),
            ("10.0.0.7:*", "10.0.0.7:8080", true),
            ("10.0.0.7:*", "10.0.0.77:80", false),
            ("*:80", "[::1]:80", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1c", false),
            ("*", "", true),
        ] {
            assert_eq!(glob(pattern, text), is, "{pattern} {text}");
        }
    }

    #[tokio::test]
    async fn requests_are_counted_by_the_server_that_answered() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.log");
        fs::write(&file, "").unwrap();
        let shell =
            Shell::new(None, &ProbeContext::default()).unwrap_or_else(|why| panic!("{why}"));
        let settings = LogSettings {
            layout: Layout {
                format: Format::Combined,
                status: Field::Column(6),
                side: Field::Column(10),
                time: Some((Field::Column(11), TimeUnit::Seconds)),
            },
            sides: PerSide {
                canary: "c:1".to_owned(),
                stable: "s:*".to_owned(),
            },
            metrics: vec![LogMetric::Failures((500..600).collect()), LogMetric::Times],
        };
        let mut log = AccessLog::new(shell, file.display().to_string(), settings);
        let mut look = async |lines: &[&str]| {
            let mut file = fs::OpenOptions::new().append(true).open(&file).unwrap();
            for line in lines {
                let begin = "1.2.3.4 - - [29/Nov/2026:03:26:39 +0000] \"GET / HTTP/1.1\"";
                writeln!(file, "{begin} {line}").unwrap();
            }
            log.read_interval(Duration::from_secs(20))
                .await
                .unwrap_or_else(|why| panic!("{why}"))
        };
        look(&[]).await;
        let seen = look(&["200 1 \"-\" \"-\" s:1 0.1", "200 1 \"-\" \"-\" x:1 0.1"]).await;
        assert!(seen.interval.metrics[0].reading.is_none());
        let why = seen.flaws[0][0].to_string();
        assert_eq!(
            why,
            "canary is not scraped: no line names `c:1`; others are x:1"
        );
        // The canary did not answer one, and stable did.
        let seen = look(&[
            "200 1 \"-\" \"-\" c:1 0.1",
            "200 1 \"-\" \"-\" c:1, s:2 0.9",
            "502 1 \"-\" \"-\" s:1 0.1",
        ])
        .await;
        assert_eq!(seen.flaws, [vec![], vec![]]);
        let Some(Reading::Ratio(sides)) = &seen.interval.metrics[0].reading else {
            panic!("{seen:?}");
        };
        let counts = |side: &judge::SideData<judge::Counts>| {
            let parts = side.parts().iter();
            parts
                .map(|it| (it.failed(), it.total()))
                .collect::<Vec<_>>()
        };
        assert_eq!(counts(&sides.canary), [(1, 2)]);
        // Before the canary served, stable did at another time.
        assert_eq!(counts(&sides.stable), [(1, 1), (0, 1)]);
        let Some(Reading::Histogram(sides)) = &seen.interval.metrics[1].reading else {
            panic!("{seen:?}");
        };
        assert_eq!(sides.canary.parts()[0].total(), 1);
        assert_eq!(sides.stable.parts()[1].above(0.75), Some(1));
        // Another format than was said.
        let seen = look(&["nothing of the kind"]).await;
        let why = seen.flaws[0][0].to_string();
        assert!(
            why.starts_with("1 of 1 lines of the log cannot be read"),
            "{why}"
        );
    }
}
