//! A line of an access log: who answered, with what status, in what time.
//!
//! The combined format of nginx and Apache has its columns apart by spaces, some in quotes or
//! brackets; what is added to it comes after them, as a column or as `name=value`. The JSON format
//! is one object a line.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

/// Where a value is in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The column of the combined format, from 1; the first one that is added to it is 10.
    Column(usize),
    /// A key of the JSON object (`a.b` is within another), or `name=` in the combined format.
    Key(String),
}

/// In what the log tells how long a request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Combined,
    Json,
}

/// What is read of each line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub format: Format,
    pub status: Field,
    pub side: Field,
    pub time: Option<(Field, TimeUnit)>,
}

/// One request, and each server that was asked for it: the last one answered, those before it did
/// not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) servers: Vec<String>,
    pub(crate) status: u16,
    pub(crate) took: Option<f64>,
}

/// `None`: it is no line of this layout.
pub(crate) fn parse(layout: &Layout, text: &str) -> Option<Line> {
    read(layout, &fields(layout.format, text)?)
}

/// The same, and when it was written: by the first of these fields that the line has.
pub(crate) fn dated(layout: &Layout, at: &[Field], text: &str) -> Option<(Line, When)> {
    let fields = fields(layout.format, text)?;
    let when = at.iter().find_map(|field| fields.get(field))?;
    Some((read(layout, &fields)?, When::parse(&when)?))
}

fn fields(format: Format, text: &str) -> Option<Fields<'_>> {
    Some(match format {
        Format::Combined => Fields::Columns(columns(text)?),
        Format::Json => Fields::Json(serde_json::from_str(text).ok()?),
    })
}

fn read(layout: &Layout, fields: &Fields<'_>) -> Option<Line> {
    let status = fields.get(&layout.status)?.trim().parse().ok()?;
    if !(100..1000).contains(&status) {
        return None;
    }
    let servers = servers(&fields.get(&layout.side)?);
    let took = match &layout.time {
        None => None,
        Some((field, unit)) => {
            let text = fields.get(field)?;
            seconds(&text, *unit)
        }
    };
    Some(Line {
        servers,
        status,
        took,
    })
}

/// nginx lists the servers that it asked with `, ` between them, and ` : ` where it went on to
/// another group.
fn servers(text: &str) -> Vec<String> {
    let texts = text.split(',').flat_map(|group| group.split(" : "));
    texts
        .map(str::trim)
        .filter(|server| !server.is_empty() && *server != "-")
        .map(str::to_owned)
        .collect()
}

/// Of the last server, where nginx lists one for each. `-` is none.
fn seconds(text: &str, unit: TimeUnit) -> Option<f64> {
    let last = text.rsplit([',', ' ']).find(|part| !part.is_empty())?;
    let number: f64 = last.parse().ok()?;
    let seconds = match unit {
        TimeUnit::Seconds => number,
        TimeUnit::Milliseconds => number / 1e3,
        TimeUnit::Microseconds => number / 1e6,
    };
    let longest = Duration::from_hours(24 * 365).as_secs_f64();
    (0.0..longest).contains(&seconds).then_some(seconds)
}

/// When a line was written, in seconds since 1970: at `from` or later, and before `until`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct When {
    pub(crate) from: f64,
    pub(crate) until: f64,
}

impl When {
    /// Seconds since 1970 (or milliseconds, and smaller units, as their size tells), RFC 3339, or the time of the
    /// combined format.
    fn parse(text: &str) -> Option<When> {
        let text = text.trim();
        if let Ok(number) = text.parse::<f64>() {
            if !number.is_finite() {
                return None;
            }
            let mut unit = [1.0, 1e3, 1e6, 1e9].into_iter().rev();
            let unit = unit.find(|unit| number >= unit * SMALLEST_SECONDS)?;
            let decimals = text.split_once('.').map_or(0, |(_, part)| part.len());
            let decimals = i32::try_from(decimals.min(9)).ok()?;
            let step = 10_f64.powi(-decimals) / unit;
            return Some(When::step(number / unit, step));
        }
        let (at, has_fraction) = match text.parse::<Timestamp>() {
            Ok(at) => (at, text.contains('.')),
            Err(_) => (
                Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text).ok()?,
                false,
            ),
        };
        let step = if has_fraction { 1e-3 } else { 1.0 };
        Some(When::step(at.as_duration().as_secs_f64(), step))
    }

    fn step(from: f64, step: f64) -> When {
        let until = from + step;
        When { from, until }
    }
}

/// 2001: no log is older, and no count of milliseconds is smaller.
const SMALLEST_SECONDS: f64 = 1e9;

enum Fields<'l> {
    Columns(Vec<&'l str>),
    Json(Value),
}

impl Fields<'_> {
    fn get(&self, field: &Field) -> Option<String> {
        match (self, field) {
            (Fields::Columns(columns), Field::Column(nth)) => {
                columns.get(nth.checked_sub(1)?).map(|it| (*it).to_owned())
            }
            (Fields::Columns(columns), Field::Key(key)) => columns.iter().find_map(|column| {
                let value = column.strip_prefix(key.as_str())?;
                let value = value.strip_prefix('=').or(value.strip_prefix(':'))?;
                Some(value.trim_matches('"').to_owned())
            }),
            (Fields::Json(object), Field::Key(key)) => {
                let value = match object.get(key) {
                    Some(value) => value,
                    None => key
                        .split('.')
                        .try_fold(object, |value, key| value.get(key))?,
                };
                match value {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                }
            }
            (Fields::Json(_), Field::Column(_)) => None,
        }
    }
}

/// The columns, without their quotes and brackets. nginx and Apache escape a quote inside one as
/// `\x22` or `\"`.
fn columns(text: &str) -> Option<Vec<&str>> {
    let mut columns = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (column, after) = match rest.as_bytes()[0] {
            b'"' => {
                let end = closing(&rest[1..])?;
                (&rest[1..=end], &rest[end + 2..])
            }
            b'[' => {
                let end = rest.find(']')?;
                (&rest[1..end], &rest[end + 1..])
            }
            _ => {
                let end = ends(rest)?;
                (&rest[..end], &rest[end..])
            }
        };
        columns.push(column);
        rest = after.trim_start();
    }
    Some(columns)
}

/// The end of a word; `name="two words"` is one, and so is a list `a, b`.
fn ends(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let word = &text[at..];
        let end = word.find([' ', '"']).unwrap_or(word.len());
        if word[end..].starts_with('"') {
            let open = at + end + 1;
            return Some(open + closing(&text[open..])? + 1);
        }
        let goes_on = if word[..end].ends_with(',') {
            1
        } else if word[end..].starts_with(" : ") {
            3
        } else {
            return Some(at + end);
        };
        if at + end + goes_on > text.len() {
            return Some(at + end);
        }
        at += end + goes_on;
    }
}

/// Where a quoted text ends.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMBINED: &str = r#"10.0.0.1 - - [29/Nov/2026:03:26:39 +0000] "GET /a?q=\"x\" HTTP/1.1" 200 512 "https://a/" "curl/8 (a; b)""#;

    fn combined(side: Field, time: Option<(Field, TimeUnit)>) -> Layout {
        Layout {
            format: Format::Combined,
            status: Field::Column(6),
            side,
            time,
        }
    }

    fn parsed_text(layout: &Layout, text: &str) -> String {
        match parse(layout, text) {
            Some(line) => format!("{} {} {:?}", line.servers.join("|"), line.status, line.took),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn a_line_has_the_time_of_its_format() {
        for (text, from, step) in [
            ("29/Nov/2026:03:26:39 +0000", 1_795_922_799.0, 1.0),
            ("29/Nov/2026:05:26:39 +0200", 1_795_922_799.0, 1.0),
            ("2026-11-29T03:26:39+00:00", 1_795_922_799.0, 1.0),
            ("2026-11-29T03:26:39.250Z", 1_795_922_799.25, 0.001),
            ("1795922799.250", 1_795_922_799.25, 0.001),
            ("1795922799", 1_795_922_799.0, 1.0),
            ("1795922799250", 1_795_922_799.25, 0.001),
        ] {
            let when = When::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert!((when.from - from).abs() < 1e-4, "{text}: {when:?}");
            let seen = when.until - when.from;
            assert!((seen - step).abs() < 1e-4, "{text}: {when:?}");
        }
        for text in [
            "",
            "-",
            "7",
            "NaN",
            "inf",
            "yesterday",
            "99/Nov/2026:03:26:39 +0000",
        ] {
            assert_eq!(When::parse(text), None, "{text}");
        }
        let layout = combined(Field::Column(6), None);
        let (line, when) = dated(&layout, &[Field::Column(4)], COMBINED).unwrap();
        assert_eq!((line.status, when.from), (200, 1_795_922_799.0));
        assert_eq!(dated(&layout, &[Field::Column(5)], COMBINED), None);
    }

    #[test]
    fn combined_formats_with_what_is_added_to_them() {
        let named = combined(
            Field::Key("upstream".into()),
            Some((Field::Key("rt".into()), TimeUnit::Seconds)),
        );
        let placed = combined(
            Field::Column(10),
            Some((Field::Column(11), TimeUnit::Microseconds)),
        );
        for (layout, added, expected) in [
            (
                &named,
                "upstream=10.0.0.2:80 rt=0.250",
                "10.0.0.2:80 200 Some(0.25)",
            ),
            (
                &named,
                r#"rt="0.250" upstream="a:1, b:2""#,
                "a:1|b:2 200 Some(0.25)",
            ),
            (
                &named,
                "upstream=a:1, b:2 : c:3 rt=1",
                "a:1|b:2|c:3 200 Some(1.0)",
            ),
            (&named, "upstream=- rt=0.1", " 200 Some(0.1)"),
            (&named, "rt=0.1", "none"),
            (&placed, "10.0.0.2:80 250000", "10.0.0.2:80 200 Some(0.25)"),
            (&placed, "a:1, b:2 5", "a:1|b:2 200 Some(5e-6)"),
            (&placed, "10.0.0.2:80 -", "10.0.0.2:80 200 None"),
            (&placed, "10.0.0.2:80", "none"),
        ] {
            assert_eq!(
                parsed_text(layout, &format!("{COMBINED} {added}")),
                expected,
                "{added}"
            );
        }
    }

    #[test]
    fn json_lines() {
        let layout = Layout {
            format: Format::Json,
            status: Field::Key("status".into()),
            side: Field::Key("upstream.address".into()),
            time: Some((Field::Key("request_time".into()), TimeUnit::Seconds)),
        };
        for (text, expected) in [
            (
                r#"{"status":"503","upstream":{"address":"a:1"},"request_time":"0.5"}"#,
                "a:1 503 Some(0.5)",
            ),
            (
                r#"{"status":200,"upstream.address":"a:1","request_time":0.5}"#,
                "a:1 200 Some(0.5)",
            ),
            (r#"{"status":200,"request_time":0.5}"#, "none"),
            (
                r#"{"status":20,"upstream.address":"a:1","request_time":0.5}"#,
                "none",
            ),
            ("{", "none"),
            ("[]", "none"),
        ] {
            assert_eq!(parsed_text(&layout, text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_line_or_none(text in "\\PC{0,80}", spoilt in 0_usize..100) {
            let layout = combined(Field::Column(10), None);
            let _ = parse(&layout, &text);
            let whole = format!("{COMBINED} a:1");
            let cut: String = whole.chars().take(spoilt).chain(text.chars()).collect();
            let _ = parse(&layout, &cut);
        }
    }
}
