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
pub fn is_endless(windows: &[&FreezeWindow]) -> bool {
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
