//! When a refusal is a rate limit, and how long to wait; pure.

use std::time::Duration;

use http::HeaderMap;

/// Where GitHub names no time ("Rate limits for the REST API").
const DEFAULT_RESET: Duration = Duration::from_secs(60);
/// A reset that is further away than any that GitHub makes is not believed.
const MAX_RESET: Duration = Duration::from_hours(24);

/// How long to wait after this answer; `None` if it is not a rate limit.
///
/// The primary limit comes with its headers, the secondary one perhaps with nothing but its
/// message. Any other 403 is a missing permission. `before` counts the waits of this question so
/// far, `now` is in seconds since 1970.
pub(crate) fn wait(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    before: u32,
    now: i64,
) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let retry_after = number("retry-after");
    let empty = number("x-ratelimit-remaining") == Some(0);
    let says_so = || {
        String::from_utf8_lossy(body)
            .to_lowercase()
            .contains("rate limit")
    };
    let limited = status == 429 || status == 403 && (empty || retry_after.is_some() || says_so());
    if !limited {
        return None;
    }
    let reset = || {
        let reset = i64::try_from(number("x-ratelimit-reset")?).ok()?;
        // A second more: the header is cut to whole seconds. A time that is over is asked again
        // soon, and ever more slowly: the clocks may differ.
        let left = u64::try_from(reset.saturating_sub(now).saturating_add(1)).unwrap_or(0);
        Some(left.max(2_u64.saturating_pow(before)))
    };
    let named = retry_after.or_else(|| if empty { reset() } else { None });
    let wait = match named {
        Some(seconds) => Duration::from_secs(seconds.max(1)),
        None => DEFAULT_RESET.saturating_mul(2_u32.saturating_pow(before)),
    };
    Some(wait.min(MAX_RESET))
}

/// A pause before the `nth` retry (from 0), at random between nothing and twice the last bound.
pub(crate) fn jitter(nth: u32, random: f64) -> Duration {
    const FIRST_DELAY: Duration = Duration::from_millis(200);
    const MAX_DELAY: Duration = Duration::from_secs(5);
    FIRST_DELAY
        .saturating_mul(2_u32.saturating_pow(nth))
        .min(MAX_DELAY)
        .mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| {
                let value = http::HeaderValue::from_str(value).unwrap_or_else(|_| unreachable!());
                (http::HeaderName::from_static(name), value)
            })
            .collect()
    }

    #[test]
    fn each_sign_of_a_limit_has_its_wait() {
        let seconds = |status, of: &[(&'static str, &str)], body: &str, before| {
            wait(status, &headers(of), body.as_bytes(), before, 1000).map(|time| time.as_secs())
        };
        let empty = ("x-ratelimit-remaining", "0");
        let reset = ("x-ratelimit-reset", "1030");
        assert_eq!(
            seconds(429, &[("retry-after", "7"), empty, reset], "", 0),
            Some(7)
        );
        assert_eq!(seconds(403, &[empty, reset], "", 0), Some(31));
        assert_eq!(
            seconds(403, &[empty, ("x-ratelimit-reset", "900")], "", 3),
            Some(8)
        );
        assert_eq!(
            seconds(
                403,
                &[("x-ratelimit-remaining", "9"), reset],
                "secondary rate limit",
                0
            ),
            Some(60)
        );
        assert_eq!(seconds(429, &[], "", 2), Some(240));
        assert_eq!(
            seconds(
                403,
                &[("x-ratelimit-remaining", "9")],
                "Resource not accessible",
                0
            ),
            None
        );
        assert_eq!(seconds(403, &[], "", 0), None);
        assert_eq!(seconds(500, &[("retry-after", "7")], "", 0), None);
        assert_eq!(
            seconds(429, &[("retry-after", "99999999999")], "", 40),
            Some(86_400)
        );
        assert_eq!(
            seconds(
                429,
                &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")],
                "",
                0
            ),
            Some(60)
        );
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        assert_eq!(jitter(0, 0.0), Duration::ZERO);
        assert_eq!(jitter(0, 1.0), Duration::from_millis(200));
        assert_eq!(jitter(2, 1.0), Duration::from_millis(800));
        assert_eq!(jitter(99, 1.0), Duration::from_secs(5));
    }
}
