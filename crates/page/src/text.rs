//! Words and numbers as a person reads them.

use std::time::Duration;

use model::text::is_bidi;

/// Text from outside without what makes it look other than it is.
pub(crate) fn shown(text: &str) -> String {
    let seen = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() || is_bidi(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(seen).collect()
}

/// `87 ms`, `1.5 s`, `2 m 05 s`.
pub(crate) fn span(time: Duration) -> String {
    match time.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} m {:02} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// A number with as many digits as tell something.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
