//! Calendar windows in which nothing is deployed: weekends, nights, the week before Christmas.

use config::file::FreezeWindow;
use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan as _, Zoned};
use model::Outcome;

use super::{Planned, Scene};

pub(crate) fn plan<'a>(window: &'a FreezeWindow, scene: &'a Scene<'a>) -> Planned<'a> {
    let id = format!("freeze/{}", window.name);
    Planned {
        id: id.clone(),
        subject: window.name.clone(),
        severity: window.severity,
        weight: window.weight,
        asks: format!("look at the clock in {}", zone(window)),
        needs: None,
        timeout: scene.timeout,
        ask: Box::pin(async move { judge(&id, window, Timestamp::now()) }),
    }
}

fn zone(window: &FreezeWindow) -> &str {
    window.time_zone.get().iana_name().unwrap_or("UTC")
}

fn judge(id: &str, window: &FreezeWindow, now: Timestamp) -> Outcome {
    let now = now.to_zoned(window.time_zone.get().clone());
    let clock = now.strftime("%a %Y-%m-%d %H:%M");
    let zone = zone(window);
    let expected = format!("now is outside of `{}`", window.name);
    let Some(end) = end_of(window, &now) else {
        return Outcome::pass(id, &window.name)
            .expected(expected)
            .actual(format!("{clock} in {zone}"));
    };
    let end = end.strftime("%a %Y-%m-%d %H:%M");
    let why = window
        .reason
        .as_deref()
        .unwrap_or("no deployment in this window");
    Outcome::fail(id, &window.name)
        .expected(expected)
        .actual(format!("{clock} in {zone}, frozen until {end}"))
        .reason(format!("frozen until {end} in {zone}: {why}"))
        .hint(format!(
            "wait until then, or, for a fix that cannot wait, leave it out: `--skip {id}`"
        ))
}

/// When the window that holds `now` ends.
fn end_of(window: &FreezeWindow, now: &Zoned) -> Option<Zoned> {
    let FreezeWindow {
        name: _,
        days: _,
        from,
        to,
        first_date: _,
        last_date: _,
        time_zone: _,
        reason: _,
        severity: _,
        weight: _,
    } = window;
    let from = from.map_or(Time::midnight(), config::value::TimeOfDay::get);
    let to = to.map_or(Time::midnight(), config::value::TimeOfDay::get);
    // Windows that follow one another without a gap end when the last of them does.
    let mut end: Option<Zoned> = None;
    let mut day = now.date().checked_sub(1.day()).ok()?;
    for _ in 0..DAYS {
        let next = day.checked_add(1.day()).ok()?;
        if begins_on(window, day) {
            let last_day = if to > from { day } else { next };
            let begin = at(day, from, now)?;
            let stop = at(last_day, to, now)?;
            let reached = end.as_ref().unwrap_or(now);
            if begin <= *reached && stop > *reached {
                end = Some(stop);
            }
        }
        day = next;
    }
    end
}

/// How far ahead the end of windows that touch each other is looked for.
const DAYS: usize = 60;

/// A wall-clock time; one that a change of the clocks skips is the moment after the change.
fn at(day: Date, time: Time, now: &Zoned) -> Option<Zoned> {
    day.to_datetime(time).to_zoned(now.time_zone().clone()).ok()
}

fn begins_on(window: &FreezeWindow, day: Date) -> bool {
    let weekday = day.weekday();
    (window.days.is_empty()
        || window
            .days
            .iter()
            .any(|one| jiff::civil::Weekday::from(*one) == weekday))
        && window.first_date.is_none_or(|first| day >= first.get())
        && window.last_date.is_none_or(|last| day <= last.get())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// When a window is over, as seen at `now`, in the window's own zone.
    fn end(window: &str, now: &str) -> Option<String> {
        let window: FreezeWindow = serde_json::from_str(window).unwrap();
        let now: Timestamp = now.parse().unwrap();
        let now = now.to_zoned(window.time_zone.get().clone());
        end_of(&window, &now).map(|end| end.strftime("%a %d %H:%M").to_string())
    }

    #[test]
    fn a_window_holds_from_its_start_to_before_its_end() {
        // 2026-11-20 is a Friday.
        let evening = r#"{"name": "w", "days": ["fri"], "from": "16:00", "to": "20:00"}"#;
        assert_eq!(end(evening, "2026-11-20T15:59:59Z"), None);
        assert_eq!(
            end(evening, "2026-11-20T16:00:00Z").unwrap(),
            "Fri 20 20:00"
        );
        assert_eq!(
            end(evening, "2026-11-20T19:59:59Z").unwrap(),
            "Fri 20 20:00"
        );
        assert_eq!(end(evening, "2026-11-20T20:00:00Z"), None);
        assert_eq!(end(evening, "2026-11-19T17:00:00Z"), None);
    }

    #[test]
    fn a_night_goes_on_into_the_next_day() {
        let night = r#"{"name": "w", "days": ["friday"], "from": "22:00", "to": "6:00"}"#;
        assert_eq!(end(night, "2026-11-21T05:00:00Z").unwrap(), "Sat 21 06:00");
        assert_eq!(end(night, "2026-11-20T05:00:00Z"), None);
        assert_eq!(end(night, "2026-11-20T23:00:00Z").unwrap(), "Sat 21 06:00");
    }

    #[test]
    fn whole_days_that_follow_one_another_are_one_freeze() {
        let weekend = r#"{"name": "w", "days": ["sat", "sun"]}"#;
        assert_eq!(
            end(weekend, "2026-11-21T12:00:00Z").unwrap(),
            "Mon 23 00:00"
        );
        assert_eq!(end(weekend, "2026-11-23T00:00:00Z"), None);
        let dates = r#"{"name": "w", "first-date": "2026-12-20", "last-date": "2027-01-03"}"#;
        assert_eq!(end(dates, "2026-12-19T23:59:59Z"), None);
        assert_eq!(end(dates, "2026-12-20T00:00:00Z").unwrap(), "Mon 04 00:00");
        assert_eq!(end(dates, "2027-01-04T00:00:00Z"), None);
    }

    #[test]
    fn times_are_those_of_the_zone_also_when_its_clocks_change() {
        let paris = r#"{"name": "w", "from": "16:00", "to": "18:00", "time-zone": "Europe/Paris"}"#;
        assert_eq!(end(paris, "2026-07-01T14:30:00Z").unwrap(), "Wed 01 18:00");
        assert_eq!(end(paris, "2026-12-01T14:30:00Z"), None);
        assert_eq!(end(paris, "2026-12-01T15:30:00Z").unwrap(), "Tue 01 18:00");
        // 02:30 does not exist on 2026-03-29.
        let gap = r#"{"name": "w", "from": "02:30", "to": "04:00", "time-zone": "Europe/Paris"}"#;
        assert_eq!(end(gap, "2026-03-29T00:59:00Z"), None);
        assert_eq!(end(gap, "2026-03-29T01:45:00Z").unwrap(), "Sun 29 04:00");
    }
}
