//! How long a server asks to be left alone.

use std::time::Duration;

use jiff::Timestamp;

/// The value of a `Retry-After` header: seconds, or a date.
/// <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()?;
    let wait = date.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let retry_after = |text: &str| retry_after(text, now);
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("-1"), None);
        let told = retry_after("Sun, 29 Nov 2026 12:01:30 GMT");
        assert_eq!(told, Some(Duration::from_secs(90)));
        let past = retry_after("Sat, 01 Jan 2000 00:00:00 GMT");
        assert_eq!(past, Some(Duration::ZERO));
        assert_eq!(
            retry_after("99999999999999"),
            Some(Duration::from_secs(99_999_999_999_999))
        );
    }
}
