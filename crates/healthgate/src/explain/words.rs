//! Times, spans and numbers in words.

use std::time::Duration;

use jiff::Timestamp;

/// The time of day in UTC.
pub(super) fn clock(started_at: Timestamp, since: Duration) -> String {
    let at = started_at.checked_add(since).unwrap_or(started_at);
    at.strftime("%H:%M:%S%.3f").to_string()
}
