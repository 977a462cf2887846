//! A histogram of one interval: how many were at most so slow.

use crate::reading::counts::{exact, whole};
use crate::reading::error::ReadingError;

/// Cumulative buckets by their upper bounds, which rise; the last one is infinite and holds all.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets(Vec<(f64, u64)>);

impl Buckets {
    /// From bounds in any order, each with how many were at most as large.
    pub fn new(buckets: impl IntoIterator<Item = (f64, u64)>) -> Result<Buckets, ReadingError> {
        let mut buckets: Vec<(f64, u64)> = buckets.into_iter().collect();
        if let Some((bound, _)) = buckets
            .iter()
            .find(|(bound, _)| bound.is_nan() || *bound == f64::NEG_INFINITY)
        {
            return Err(ReadingError::Bound(*bound));
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some(&(last, total)) = buckets.last() else {
            return Err(ReadingError::NoBuckets);
        };
        if last != f64::INFINITY {
            return Err(ReadingError::NoInfiniteBucket);
        }
        exact(total)?;
        for pair in buckets.windows(2) {
            let ((below, fewer), (bound, more)) = (pair[0], pair[1]);
            if below >= bound {
                return Err(ReadingError::SameBound(bound));
            }
            if fewer > more {
                return Err(ReadingError::DecreasingBuckets { bound });
            }
        }
        Ok(Buckets(buckets))
    }

    pub fn from_floats(
        buckets: impl IntoIterator<Item = (f64, f64)>,
    ) -> Result<Buckets, ReadingError> {
        let buckets = buckets.into_iter();
        let buckets = buckets.map(|(bound, count)| Ok((bound, whole(count)?)));
        Buckets::new(buckets.collect::<Result<Vec<_>, ReadingError>>()?)
    }

    pub fn total(&self) -> u64 {
        self.0.last().map_or(0, |(_, total)| *total)
    }

    /// The finite bounds.
    pub fn bounds(&self) -> impl Iterator<Item = f64> {
        self.0
            .iter()
            .map(|(bound, _)| *bound)
            .filter(|bound| bound.is_finite())
    }

    /// How many were slower than a bound; `None` where there is no such bound.
    pub fn above(&self, bound: f64) -> Option<u64> {
        let at = self
            .0
            .binary_search_by(|(own, _)| own.total_cmp(&bound))
            .ok()?;
        Some(self.total() - self.0[at].1)
    }
}
