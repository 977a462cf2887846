//! How much memory the answers of all endpoints take together. Each answer has a limit of its own,
//! but thousands at that limit would add up.
//!
//! A short answer is free. A longer one takes its share of [`TOTAL`] as it grows, and waits while
//! nothing is left. To prevent a deadlock of waiting answers, [`BEYOND`] of them at a time grow
//! without a share, up to their own limits. An endpoint is not at fault if its answer had to wait:
//! [`was_waiting`] distinguishes such a timeout.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::{Semaphore, SemaphorePermit};

/// What nearly every answer to a health check fits in.
pub const FREE: usize = 8 << 10;
/// Memory for all raw answers; parsed answers have the same again.
const TOTAL: usize = 48 << 20;
/// How many answers may exceed the budget at once.
const BEYOND: usize = 2;
/// Shares are counted in these.
const UNIT: usize = 1 << 10;
/// A parsed document, against its text.
const TIMES_PARSED: usize = 24;

static ANSWERS: Semaphore = Semaphore::const_new(TOTAL / UNIT);
static LARGE: Semaphore = Semaphore::const_new(BEYOND);
static PARSED: Semaphore = Semaphore::const_new(TOTAL / UNIT);
/// When an answer was last given up that waits, or had waited and was not whole.
static GIVEN_UP: Mutex<Option<Instant>> = Mutex::new(None);
/// Window in which a caller queries why its answer was dropped; generous for a busy machine.
const CAUSE_WINDOW: Duration = Duration::from_millis(50);

/// The share of one answer, given back when it is dropped.
#[derive(Debug, Default)]
pub struct Share {
    units: usize,
    permit: Option<SemaphorePermit<'static>>,
    beyond: Option<SemaphorePermit<'static>>,
    /// Some of the time went by with waiting.
    waited: bool,
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.waited {
            give_up();
        }
    }
}

impl Share {
    /// Waits until the answer may take so many bytes.
    pub async fn up_to(&mut self, bytes: usize) {
        let units = bytes.div_ceil(UNIT);
        if bytes <= FREE || units <= self.units || self.beyond.is_some() {
            return;
        }
        let more = u32::try_from(units - self.units).unwrap_or(u32::MAX);
        let taken = if let Ok(permit) = ANSWERS.try_acquire_many(more) {
            Either::Left(permit)
        } else {
            self.waited = true;
            let (share, beyond) = (ANSWERS.acquire_many(more), LARGE.acquire());
            match select(pin!(share), pin!(beyond)).await {
                // Neither is ever closed.
                Either::Left((permit, _)) => match permit {
                    Ok(permit) => Either::Left(permit),
                    Err(_) => return,
                },
                Either::Right((permit, _)) => match permit {
                    Ok(permit) => Either::Right(permit),
                    Err(_) => return,
                },
            }
        };
        match taken {
            Either::Left(permit) => {
                self.units = units;
                match &mut self.permit {
                    Some(before) => before.merge(permit),
                    None => self.permit = Some(permit),
                }
            }
            Either::Right(permit) => self.beyond = Some(permit),
        }
    }

    /// The answer is there: from now on its time is not spent with waiting.
    pub fn finish_waiting(&mut self) {
        self.waited = false;
    }

    /// A buffer that may hold these bytes more. It grows as vectors do, but not beyond `limit`.
    pub async fn room(&mut self, buffer: &mut Vec<u8>, more: usize, limit: usize) {
        let needed = buffer.len() + more;
        if needed > buffer.capacity() {
            let size = needed.max((buffer.capacity() * 2).min(limit));
            self.up_to(size).await;
            buffer.reserve_exact(size - buffer.len());
        }
    }
}

/// The right to parse a document of so many bytes, for as long as it is held.
pub async fn parsing(bytes: usize) -> Option<SemaphorePermit<'static>> {
    let units = (bytes.saturating_mul(TIMES_PARSED) / UNIT).min(TOTAL / UNIT);
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    if let Ok(permit) = PARSED.try_acquire_many(units) {
        return Some(permit);
    }
    let mut waiting = Share {
        units: 0,
        permit: None,
        beyond: None,
        waited: true,
    };
    let permit = PARSED.acquire_many(units).await.ok();
    waiting.finish_waiting();
    permit
}

fn give_up() {
    *GIVEN_UP.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Whether the answer that was just given up had to wait for memory; the reason, in words.
pub fn was_waiting() -> Option<String> {
    let given_up = (*GIVEN_UP.lock().unwrap_or_else(PoisonError::into_inner))?;
    (given_up.elapsed() <= CAUSE_WINDOW).then(|| {
        format!(
            "the answers of all endpoints together are larger than the {} MiB that they may take here",
            TOTAL >> 20
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, since all of a process share the memory.
    #[tokio::test]
    async fn answers_wait_for_memory_and_one_of_them_always_goes_on() {
        let mut shares = Vec::new();
        let short = FREE;
        for _ in 0..10_000 {
            let mut share = Share::default();
            share.up_to(short).await;
            shares.push(share);
        }
        assert_eq!(was_waiting(), None);
        for _ in 0..TOTAL >> 20 {
            let mut share = Share::default();
            for kib in [100, 500, 1024] {
                share.up_to(kib << 10).await;
            }
            shares.push(share);
        }
        assert_eq!(was_waiting(), None);
        // Nothing is left: two may go on all the same, as far as they want, the third waits.
        for _ in 0..BEYOND {
            let mut share = Share::default();
            share.up_to(1 << 20).await;
            share.up_to(1 << 30).await;
            shares.push(share);
        }
        assert_eq!(was_waiting(), None);
        let wait = Duration::from_millis(20);
        let mut third = Share::default();
        let waited = tokio::time::timeout(wait, third.up_to(1 << 20)).await;
        assert!(waited.is_err());
        // One that waited, and was not whole when its time was over.
        drop(third);
        assert!(was_waiting().is_some());
        let mut third = Share::default();
        drop(shares);
        third.up_to(1 << 20).await;
        drop(third);
        assert_eq!(ANSWERS.available_permits(), TOTAL / UNIT);
        assert_eq!(LARGE.available_permits(), BEYOND);
        // A large document is parsed alone, and one that is larger than all of it too.
        let one = parsing(TOTAL).await;
        assert!(one.is_some());
        assert!(tokio::time::timeout(wait, parsing(1 << 10)).await.is_err());
        drop(one);
        assert!(parsing(1 << 10).await.is_some());
    }
}
