//! Whether a thing was started again while we watched: by its counter, and by what each start
//! makes new, because a start by hand sets the counter back. And whether it has been up for long:
//! what was started again just before may end again just after.

use std::time::Duration;

use config::value::Span;

/// One life of a service: what it looked like in a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// Different for each start; empty while it has not been started.
    pub(crate) id: String,
    /// How often its supervisor restarted it.
    pub(crate) count: u64,
    /// How long it has been up; `None` if it is down or if that is unknown.
    pub(crate) up: Option<Duration>,
}

/// What was started again before we watched must have been up this long: Docker, too, holds a
/// start for a success after ten seconds.
const MIN_UPTIME: Duration = Duration::from_secs(10);

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    last: Option<Life>,
    /// How often it was started again since the first measurement.
    pub(crate) restarts: u64,
    /// How it ended when it last was seen to have ended.
    pub(crate) end: Option<String>,
}

impl std::fmt::Display for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.restarts {
            0 => f.write_str("not restarted")?,
            1 => f.write_str("restarted once")?,
            times => write!(f, "restarted {times} times")?,
        }
        match &self.end {
            Some(end) => write!(f, ", last end: {end}"),
            None => Ok(()),
        }
    }
}

impl Watch {
    /// What a probe wants, in words.
    pub(crate) fn expected(most: u32) -> String {
        match most {
            0 => "not restarted".to_owned(),
            most => format!("restarted at most {most} times"),
        }
    }

    /// Why the service does not stay up, with the arithmetic.
    pub(crate) fn too_many(&self, most: u32) -> Option<String> {
        let Watch { restarts, end, .. } = self;
        let end = end.as_ref().map(|end| format!(": {end}"));
        (*restarts > u64::from(most)).then(|| {
            format!(
                "restarted ({restarts}) > max-restarts ({most}) while we watched{}",
                end.unwrap_or_default()
            )
        })
    }

    /// Why it has not been up long enough. What never crashed is believed at once, unless `least`
    /// is given; between two crashes everything looks well.
    pub(crate) fn young(&self, least: Option<Span>) -> Option<String> {
        let life = self.last.as_ref()?;
        let least = match least {
            Some(least) => least.get(),
            None if life.count > 0 => MIN_UPTIME,
            None => Duration::ZERO,
        };
        let up = life.up.unwrap_or_default();
        (up < least).then(|| {
            let before = match life.count {
                0 => String::new(),
                1 => ", restarted once".to_owned(),
                times => format!(", restarted {times} times"),
            };
            format!(
                "up {} < min-uptime ({}){before}",
                Span::from(Duration::from_secs(up.as_secs())),
                Span::from(least)
            )
        })
    }

    pub(crate) fn see(&mut self, now: Life) {
        if let Some(before) = &self.last {
            let grown = now.count.saturating_sub(before.count);
            let other = !before.id.is_empty() && !now.id.is_empty() && before.id != now.id;
            self.restarts += grown.max(u64::from(other));
        }
        let id = if now.id.is_empty() {
            self.last.take().map(|before| before.id).unwrap_or_default()
        } else {
            now.id
        };
        self.last = Some(Life { id, ..now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restarts(lives: &[(&str, u64)]) -> u64 {
        let mut watch = Watch::default();
        for (id, count) in lives {
            watch.see(Life {
                id: (*id).to_owned(),
                count: *count,
                up: None,
            });
        }
        watch.restarts
    }

    #[test]
    fn what_was_started_again_must_stay_up_for_a_while() {
        let young = |count, seconds: Option<u64>, least: Option<u64>| {
            let mut watch = Watch::default();
            watch.see(Life {
                id: "a".to_owned(),
                count,
                up: seconds.map(Duration::from_secs),
            });
            watch.young(least.map(Span::from_secs))
        };
        assert_eq!(young(0, Some(0), None), None);
        assert_eq!(young(3, Some(10), None), None);
        assert_eq!(
            young(3, Some(9), None).unwrap(),
            "up 9s < min-uptime (10s), restarted 3 times"
        );
        assert!(young(1, None, None).is_some(), "nobody knows");
        assert_eq!(young(3, Some(0), Some(0)), None);
        assert_eq!(
            young(0, Some(9), Some(30)).unwrap(),
            "up 9s < min-uptime (30s)"
        );
    }

    #[test]
    fn each_start_after_the_first_counts_whoever_made_it() {
        assert_eq!(restarts(&[]), 0);
        assert_eq!(restarts(&[("a", 7), ("a", 7)]), 0, "before we watched");
        assert_eq!(restarts(&[("a", 0), ("b", 1), ("b", 1)]), 1);
        assert_eq!(restarts(&[("a", 0), ("c", 5)]), 5, "between two looks");
        assert_eq!(
            restarts(&[("a", 5), ("b", 0)]),
            1,
            "by hand, the counter is back"
        );
        assert_eq!(
            restarts(&[("a", 5), ("b", 5)]),
            1,
            "by hand, and it crashed as often"
        );
        assert_eq!(
            restarts(&[("", 0), ("a", 0)]),
            0,
            "it was started for the first time"
        );
        assert_eq!(
            restarts(&[("a", 0), ("", 0), ("b", 0)]),
            1,
            "stopped, and started"
        );
    }
}
