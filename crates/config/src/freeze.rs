//! When windows without deployments hold, and when they end; pure.

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::file::FreezeWindow;
use crate::value::TimeOfDay;

/// What goes on for longer than this without a gap has no end that anyone waits for.
const LONGEST_DAYS: i64 = 2 * 366;
/// Days in a row in which whatever recurs has begun once.
const A_WEEK: i64 = 8;

/// When the windows that hold now, and those that follow them without a gap, are all over; `None`
/// if none holds, the last instant that was looked at where they do not end.
pub fn end(windows: &[&FreezeWindow], now: Timestamp) -> Option<Timestamp> {
    let mut reached = now;
    loop {
        let ends = windows.iter().filter_map(|window| window.ends(reached));
        match ends.max() {
            Some(next) if days_between(now, next) <= LONGEST_DAYS => reached = next,
            Some(next) => return Some(next),
            None => return (reached > now).then_some(reached),
        }
    }
}

/// Whether these windows leave no time open once they have begun.
pub(crate) fn is_endless(windows: &[&FreezeWindow]) -> bool {
    let begins = windows.iter().flat_map(|window| {
        let first = window.first_date.map(crate::value::Date::get);
        [first, steady(windows)]
            .into_iter()
            .flatten()
            .flat_map(|day| window.begins(day))
    });
    begins
        .into_iter()
        .any(|begin| end(windows, begin).is_some_and(|end| days_between(begin, end) > LONGEST_DAYS))
}

/// A day on which all that ever begins recurs, and all that ends is over.
fn steady(windows: &[&FreezeWindow]) -> Option<Date> {
    let dates = windows
        .iter()
        .flat_map(|window| [window.first_date, window.last_date])
        .flatten();
    let last = dates.map(crate::value::Date::get).max();
    last.unwrap_or(Date::constant(2026, 1, 1))
        .checked_add(2.days())
        .ok()
}

fn days_between(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_hours() / 24
}

impl FreezeWindow {
    /// When the window that holds at this instant ends, by itself.
    fn ends(&self, at: Timestamp) -> Option<Timestamp> {
        let here = at.to_zoned(self.time_zone.get().clone());
        let today = here.date();
        let days = [today.checked_sub(1.day()).ok(), Some(today)];
        let spans = days.into_iter().flatten().filter_map(|day| self.span(day));
        spans
            .filter(|(begin, end)| *begin <= at && at < *end)
            .map(|(_, end)| end)
            .max()
    }

    /// When it begins in the week from this day on.
    fn begins(&self, from: Date) -> Vec<Timestamp> {
        let days = (0..A_WEEK).filter_map(|nth| from.checked_add(nth.days()).ok());
        let spans = days.filter_map(|day| self.span(day));
        spans.map(|(begin, _)| begin).collect()
    }

    /// The window that begins on this day, if one does.
    fn span(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let FreezeWindow {
            name: _,
            days,
            from,
            to,
            first_date,
            last_date,
            time_zone: _,
            reason: _,
            severity: _,
            weight: _,
        } = self;
        let weekday = day.weekday();
        let is_meant = days.is_empty()
            || days
                .iter()
                .any(|one| jiff::civil::Weekday::from(*one) == weekday);
        let is_in_time = first_date.is_none_or(|first| day >= first.get())
            && last_date.is_none_or(|last| day <= last.get());
        if !is_meant || !is_in_time {
            return None;
        }
        let from = from.map_or(Time::midnight(), TimeOfDay::get);
        let to = to.map_or(Time::midnight(), TimeOfDay::get);
        let last_day = if to > from {
            day
        } else {
            day.checked_add(1.day()).ok()?
        };
        Some((
            self.at(day, from)?.timestamp(),
            self.at(last_day, to)?.timestamp(),
        ))
    }

    /// A wall-clock time; one that a change of the clocks skips is the moment after the change.
    fn at(&self, day: Date, time: Time) -> Option<Zoned> {
        day.to_datetime(time)
            .to_zoned(self.time_zone.get().clone())
            .ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn windows(all: &[&str]) -> Vec<FreezeWindow> {
        let parse = |keys: &&str| serde_json::from_str(&format!(r#"{{"name": "w", {keys}}}"#));
        all.iter().map(parse).collect::<Result<_, _>>().unwrap()
    }

    /// When the windows are over, as seen at `now`, in the first one's zone.
    fn ends(all: &[&str], now: &str) -> Option<String> {
        let all = windows(all);
        let end = end(&all.iter().collect::<Vec<_>>(), now.parse().unwrap())?;
        let end = end.to_zoned(all[0].time_zone.get().clone());
        Some(end.strftime("%a %d %H:%M").to_string())
    }

    fn endless(all: &[&str]) -> bool {
        let all = windows(all);
        is_endless(&all.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_window_holds_from_its_start_to_before_its_end() {
        // 2026-11-20 is a Friday.
        let evening = r#""days": ["fri"], "from": "16:00", "to": "20:00""#;
        let at = |now: &str| ends(&[evening], now);
        assert_eq!(at("2026-11-20T15:59:59Z"), None);
        assert_eq!(at("2026-11-20T16:00:00Z").unwrap(), "Fri 20 20:00");
        assert_eq!(at("2026-11-20T19:59:59Z").unwrap(), "Fri 20 20:00");
        assert_eq!(at("2026-11-20T20:00:00Z"), None);
        assert_eq!(at("2026-11-19T17:00:00Z"), None);
    }

    #[test]
    fn a_night_goes_on_into_the_next_day() {
        let night = r#""days": ["friday"], "from": "22:00", "to": "6:00""#;
        let at = |now: &str| ends(&[night], now);
        assert_eq!(at("2026-11-21T05:00:00Z").unwrap(), "Sat 21 06:00");
        assert_eq!(at("2026-11-20T05:00:00Z"), None);
        assert_eq!(at("2026-11-20T23:00:00Z").unwrap(), "Sat 21 06:00");
    }

    #[test]
    fn whole_days_that_follow_one_another_are_one_freeze_however_long() {
        let weekend = r#""days": ["sat", "sun"]"#;
        let at = |now: &str| ends(&[weekend], now);
        assert_eq!(at("2026-11-21T12:00:00Z").unwrap(), "Mon 23 00:00");
        assert_eq!(at("2026-11-23T00:00:00Z"), None);
        let dates = r#""first-date": "2026-12-20", "last-date": "2027-01-03""#;
        let at = |now: &str| ends(&[dates], now);
        assert_eq!(at("2026-12-19T23:59:59Z"), None);
        assert_eq!(at("2026-12-20T00:00:00Z").unwrap(), "Mon 04 00:00");
        assert_eq!(at("2027-01-04T00:00:00Z"), None);
        let half_a_year = r#""first-date": "2026-07-01", "last-date": "2026-12-30""#;
        let end = ends(&[half_a_year], "2026-07-01T12:00:00Z");
        assert_eq!(end.unwrap(), "Thu 31 00:00");
    }

    #[test]
    fn windows_that_touch_or_overlap_end_when_the_last_of_them_does() {
        let friday = r#""days": ["fri"], "from": "16:00""#;
        let weekend = r#""days": ["sat", "sun"]"#;
        let monday = r#""days": ["mon"], "from": "00:00", "to": "08:00""#;
        let at = |all: &[&str]| ends(all, "2026-11-20T17:00:00Z").unwrap();
        assert_eq!(at(&[friday]), "Sat 21 00:00");
        assert_eq!(at(&[friday, weekend]), "Mon 23 00:00");
        assert_eq!(at(&[monday, weekend, friday]), "Mon 23 08:00");
        // A gap of a minute is a gap.
        let later = r#""days": ["mon"], "from": "00:01""#;
        assert_eq!(at(&[friday, weekend, later]), "Mon 23 00:00");
        // Each has its own clock: Saturday in Tokyo begins at 15:00 in UTC.
        let tokyo = r#""days": ["sat"], "time-zone": "Asia/Tokyo""#;
        assert_eq!(at(&[tokyo]), "Sun 22 00:00");
        let night = r#""days": ["fri"], "from": "14:00", "to": "15:30""#;
        let end = ends(&[night, tokyo], "2026-11-20T14:30:00Z");
        assert_eq!(end.unwrap(), "Sat 21 15:00");
    }

    #[test]
    fn times_are_those_of_the_zone_also_when_its_clocks_change() {
        let paris = r#""from": "16:00", "to": "18:00", "time-zone": "Europe/Paris""#;
        let at = |now: &str| ends(&[paris], now);
        assert_eq!(at("2026-07-01T14:30:00Z").unwrap(), "Wed 01 18:00");
        assert_eq!(at("2026-12-01T14:30:00Z"), None);
        assert_eq!(at("2026-12-01T15:30:00Z").unwrap(), "Tue 01 18:00");
        // 02:30 does not exist on 2026-03-29.
        let gap = r#""from": "02:30", "to": "04:00", "time-zone": "Europe/Paris""#;
        assert_eq!(ends(&[gap], "2026-03-29T00:59:00Z"), None);
        assert_eq!(
            ends(&[gap], "2026-03-29T01:45:00Z").unwrap(),
            "Sun 29 04:00"
        );
    }

    #[test]
    fn windows_that_never_open_are_endless() {
        let night = r#""from": "20:00", "to": "08:00""#;
        let day = r#""from": "08:00", "to": "20:00""#;
        for all in [
            &[r#""days": []"#][..],
            &[r#""first-date": "2030-01-01""#],
            &[r#""days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#],
            &[r#""from": "08:00", "to": "08:00""#],
            &[r#""first-date": "2026-01-01", "last-date": "9000-01-01""#],
            &[night, day],
            &[
                night,
                r#""from": "07:00", "to": "21:00", "first-date": "2031-05-01""#,
            ],
            &[
                r#""days": ["sat", "sun"]"#,
                r#""days": ["mon", "tue", "wed", "thu", "fri"]"#,
            ],
        ] {
            assert!(endless(all), "{all:?}");
        }
        for all in [
            &[night][..],
            &[r#""days": ["sat", "sun"]"#],
            &[r#""last-date": "2026-12-31""#],
            &[r#""first-date": "2026-12-20", "last-date": "2027-01-03""#],
            &[night, r#""from": "08:00", "to": "19:59""#],
            &[
                night,
                r#""from": "08:00", "to": "20:00", "last-date": "2026-12-31""#,
            ],
        ] {
            assert!(!endless(all), "{all:?}");
        }
    }
}
