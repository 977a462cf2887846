//! When windows without deployments hold and end.

use config::file::FreezeWindow;
use config::freeze::{end, is_endless};

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
