//! Times, spans and numbers in words.

use std::time::Duration;

use jiff::Timestamp;
use model::text::tenths;

/// A span as short as it can be said.
pub(super) fn span(duration: Duration) -> String {
    let ms = duration.as_millis();
    let rounded = match ms {
        0..10_000 => Duration::from_millis(u64::try_from(ms).unwrap_or_default()),
        _ => Duration::from_secs(duration.as_secs()),
    };
    if (1000..10_000).contains(&ms) && !ms.is_multiple_of(1000) {
        return tenths(rounded);
    }
    config::value::Span::from(rounded).to_string()
}

/// The time of day in UTC.
pub(super) fn clock(started_at: Timestamp, since: Duration) -> String {
    let at = started_at.checked_add(since).unwrap_or(started_at);
    at.strftime("%H:%M:%S%.3f").to_string()
}

pub(super) fn plural(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
