//! What GitHub has answered already, and what its rate limit still allows.
//!
//! A repeated request names the answer that we have. If nothing changed, GitHub answers 304, which
//! does not count against the rate limit ("Best practices for using the REST API").

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ETAG, HeaderMap, HeaderValue};

/// Answers that are kept, in bytes: some dozen pages.
const MAX_KEPT_BYTES: usize = 16 << 20;
/// The secondary limit is 900 points a minute, shared with all who use the token.
const PER_REQUEST: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    known: BTreeMap<String, (HeaderMap, Bytes)>,
    size: usize,
    /// Answers that counted.
    spent: u64,
    /// What the last answer said is left.
    left: Option<u64>,
}

impl Ledger {
    /// Nothing in it can be half-written.
    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What names the answer that is known to a question.
    pub(crate) fn etag(&self, path: &str) -> Option<HeaderValue> {
        self.lock().known.get(path)?.0.get(ETAG).cloned()
    }

    /// The answer that GitHub says is still the same.
    pub(crate) fn same(&self, path: &str) -> Option<(HeaderMap, Bytes)> {
        self.lock().known.get(path).cloned()
    }

    pub(crate) fn keep(&self, path: &str, headers: &HeaderMap, body: &Bytes) {
        if headers.get(ETAG).is_none() || body.len() > MAX_KEPT_BYTES {
            return;
        }
        let mut pages = self.lock();
        if pages.size + body.len() > MAX_KEPT_BYTES {
            pages.known.clear();
            pages.size = 0;
        }
        let old = pages
            .known
            .insert(path.to_owned(), (headers.clone(), body.clone()));
        pages.size -= old.map_or(0, |(_, body)| body.len());
        pages.size += body.len();
    }

    /// Counts an answer.
    pub(crate) fn count(&self, status: u16, headers: &HeaderMap) {
        let left = headers.get("x-ratelimit-remaining");
        let left = left.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut pages = self.lock();
        pages.left = left.or(pages.left);
        pages.spent += u64::from(status != 304);
    }

    /// Requests so far that counted.
    pub(crate) fn spent(&self) -> u64 {
        self.lock().spent
    }

    /// How long to pause between two looks that cost `each`, for another `time`.
    pub(crate) fn pause(&self, wanted: Duration, each: u64, time: Duration) -> Duration {
        pause(wanted, each, time, self.lock().left)
    }
}

/// As long as wanted, but no more than half of what is left is spent in that time: others ask with
/// the same token.
fn pause(wanted: Duration, each: u64, time: Duration, left: Option<u64>) -> Duration {
    let each = u32::try_from(each).unwrap_or(u32::MAX);
    let share = left.map_or(Duration::ZERO, |left| {
        let half = u32::try_from(left / 2).unwrap_or(u32::MAX).max(1);
        time.saturating_mul(each) / half
    });
    wanted.max(share).max(PER_REQUEST.saturating_mul(each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_spaced_so_that_others_can_ask_too() {
        let secs = |wanted, each, time, left| {
            let seconds = Duration::from_secs;
            pause(seconds(wanted), each, seconds(time), left).as_secs()
        };
        assert_eq!(secs(5, 19, 120, Some(1000)), 5);
        // Half an hour of looks at 19 requests each would take more than a workflow's token has.
        assert_eq!(secs(5, 19, 1800, Some(1000)), 68);
        assert_eq!(secs(5, 0, 1800, Some(0)), 5);
        assert_eq!(secs(5, 3, 60, Some(0)), 180);
        assert_eq!(secs(5, 360, 60, None), 36);
        assert!(secs(5, u64::MAX, u64::MAX, Some(1)) > 1_000_000);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let ledger = Ledger::default();
        let headers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("\"a\""))]);
        let body = Bytes::from(vec![0; MAX_KEPT_BYTES / 2]);
        for path in ["/a", "/a", "/b"] {
            ledger.keep(path, &headers, &body);
        }
        assert!(ledger.etag("/a").is_some() && ledger.same("/b").is_some());
        ledger.keep("/c", &headers, &body);
        assert!(ledger.etag("/a").is_none() && ledger.etag("/c").is_some());
        ledger.keep("/d", &HeaderMap::new(), &body);
        assert!(ledger.etag("/d").is_none());
    }
}
