//! Native histograms as classic buckets.
//!
//! A native histogram lists only the buckets that hold something, and its bounds are powers of a
//! root of two. Powers of two are bounds in every schema from 0 on, so at those the counts are
//! exact; a coarser schema has buckets that reach across them and is refused.

use prometheus::raw::Native;

/// 61 µs to 131,072: seconds and milliseconds alike.
const EXPONENTS: std::ops::RangeInclusive<i32> = -14..=17;
/// Bounds come as decimal texts.
const SAME: f64 = 1e-9;

pub(crate) const NEGATIVE: &str = "it has values below zero";
pub(crate) const COARSE: &str =
    "its buckets are wider than from one power of two to the next (its schema is below 0)";

/// How many were at most as large, for each bound; the last one is infinite.
pub(crate) fn classic(native: &Native) -> Result<Vec<(f64, f64)>, &'static str> {
    let mut cumulative = Vec::new();
    for bound in EXPONENTS.map(|exponent| f64::from(exponent).exp2()) {
        let mut below = 0.0;
        for (from, to, count) in &native.buckets {
            // The bucket of zero reaches a hair below it.
            if *to < -SAME {
                return Err(NEGATIVE);
            }
            if *to <= bound * (1.0 + SAME) {
                below += count;
            } else if *from < bound * (1.0 - SAME) && !is_zero(*from, *to) {
                return Err(COARSE);
            }
        }
        cumulative.push((bound, below));
    }
    cumulative.push((f64::INFINITY, native.count));
    Ok(cumulative)
}

/// The bucket around zero may be as wide as its owner likes, below the smallest bound.
fn is_zero(from: f64, to: f64) -> bool {
    from <= 0.0 && to <= f64::from(*EXPONENTS.start()).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(buckets: &[(f64, f64, f64)]) -> Native {
        Native {
            count: buckets.iter().map(|(.., count)| count).sum(),
            buckets: buckets.to_vec(),
        }
    }

    fn at(classic: &[(f64, f64)], bound: f64) -> String {
        let found = classic
            .iter()
            .find(|(own, _)| own.total_cmp(&bound).is_eq());
        found.map_or_else(String::new, |(_, count)| count.to_string())
    }

    #[test]
    fn counts_at_powers_of_two_are_exact() {
        // Schema 1: bounds are powers of the root of two.
        let root = std::f64::consts::SQRT_2;
        let histogram = native(&[
            (-1e-128, 1e-128, 2.0),
            (0.25, 0.25 * root, 5.0),
            (0.25 * root, 0.5, 3.0),
            (1.0, root, 1.0),
        ]);
        let classic = classic(&histogram).unwrap_or_default();
        assert_eq!(at(&classic, 0.25), "2");
        assert_eq!(at(&classic, 0.5), "10");
        assert_eq!(at(&classic, 1.0), "10");
        assert_eq!(at(&classic, 2.0), "11");
        assert_eq!(at(&classic, f64::INFINITY), "11");
    }

    #[test]
    fn coarse_schemas_and_negative_values_are_refused() {
        // Schema -1: bounds are powers of four.
        assert_eq!(classic(&native(&[(1.0, 4.0, 1.0)])), Err(COARSE));
        assert_eq!(classic(&native(&[(-4.0, -2.0, 1.0)])), Err(NEGATIVE));
    }
}
