//! By how much one heap of numbers is shifted against another.

use crate::brent::root;

/// Φ⁻¹(0.99), for the two-sided confidence of 0.98 that `NetflixACAJudge` has fixed.
pub const Z_98: f64 = 2.326_347_874_040_841;

/// The shift of the canary against stable, with its confidence interval, in the unit of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    pub lower: f64,
    pub upper: f64,
    pub estimate: f64,
}

/// Why there is no shift to tell. Kayenta throws an exception there and classifies `Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShiftError {
    #[error("a side has no points")]
    Empty,
    #[error("one point against one point shows nothing")]
    Single,
    #[error("the points are too large to subtract, or infinite")]
    Infinite,
}

/// Numbers in their order, so that each shift of them is ranked in one pass.
struct Sorted {
    canary: Vec<f64>,
    stable: Vec<f64>,
}

/// The interval of the shift by the test of Mann and Whitney, with ties and the correction for
/// continuity, at the confidence whose quantile of the normal distribution is `z`.
///
/// Where both sides are constant and differ, Kayenta adds Gaussian noise of a hundred-thousandth of
/// the value. This is what remains when the noise goes to zero: the interval is the difference, and
/// the same data have the same answer every time.
pub fn shift(canary: &[f64], stable: &[f64], z: f64) -> Result<Shift, ShiftError> {
    let sides = Sorted::new(canary, stable);
    let (Some(low), Some(high)) = (ends(&sides.canary), ends(&sides.stable)) else {
        return Err(ShiftError::Empty);
    };
    let (left, right) = (low.0 - high.1, low.1 - high.0);
    let all = canary.iter().chain(stable).chain([&left, &right]);
    if !all.copied().all(f64::is_finite) {
        return Err(ShiftError::Infinite);
    }
    if left == right {
        if canary.len() + stable.len() == 2 {
            return Err(ShiftError::Single);
        }
        return Ok(Shift {
            lower: left,
            upper: left,
            estimate: left,
        });
    }
    let crossing = |quantile: f64| {
        let distance = |by: f64| sides.standardised(by) - quantile;
        let (first, last) = (distance(left), distance(right));
        if first <= 0.0 {
            left
        } else if last >= 0.0 {
            right
        } else {
            root(distance, (left, first), (right, last))
        }
    };
    Ok(Shift {
        lower: crossing(z),
        upper: crossing(-z),
        estimate: crossing(0.0),
    })
}

/// The sum of the canary's ranks among all points, ties with the mean of theirs.
pub(crate) fn rank_sum(canary: &[f64], stable: &[f64]) -> f64 {
    Sorted::new(canary, stable).ranked(0.0).0
}

fn ends(sorted: &[f64]) -> Option<(f64, f64)> {
    Some((*sorted.first()?, *sorted.last()?))
}

impl Sorted {
    fn new(canary: &[f64], stable: &[f64]) -> Sorted {
        let sorted = |points: &[f64]| {
            let mut points = points.to_vec();
            points.sort_by(f64::total_cmp);
            points
        };
        Sorted {
            canary: sorted(canary),
            stable: sorted(stable),
        }
    }

    /// The sum of the canary's ranks when it is moved down by `shift`, and Σ(t³ − t) of the ties.
    fn ranked(&self, shift: f64) -> (f64, f64) {
        let (mut rest, mut others) = (self.canary.as_slice(), self.stable.as_slice());
        let (mut sum, mut ties, mut before) = (0.0, 0.0, 0.0);
        while !(rest.is_empty() && others.is_empty()) {
            let own = rest.first().map_or(f64::INFINITY, |point| point - shift);
            let value = own.min(*others.first().unwrap_or(&f64::INFINITY));
            let mine = rest.iter().take_while(|point| **point - shift <= value);
            let mine = mine.count();
            let theirs = others.iter().take_while(|point| **point <= value).count();
            let alike = (mine + theirs) as f64;
            sum += mine as f64 * (before + f64::midpoint(alike, 1.0));
            ties += alike * alike * alike - alike;
            before += alike;
            (rest, others) = (&rest[mine..], &others[theirs..]);
        }
        (sum, ties)
    }

    /// How far the shifted canary is from being ranked like stable, in standard deviations.
    fn standardised(&self, shift: f64) -> f64 {
        let (n, m) = (self.canary.len() as f64, self.stable.len() as f64);
        let (sum, ties) = self.ranked(shift);
        let distance = sum - n * (n + 1.0) / 2.0 - n * m / 2.0;
        let correction = if distance == 0.0 {
            0.0
        } else {
            0.5_f64.copysign(distance)
        };
        let variance = n * m / 12.0 * ((n + m + 1.0) - ties / ((n + m) * (n + m - 1.0)));
        (distance - correction) / variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Φ⁻¹(0.975)
    const Z_95: f64 = 1.959_963_984_540_054;

    fn close(shift: Shift, lower: f64, upper: f64, estimate: f64, within: f64) {
        for (is, wanted) in [
            (shift.lower, lower),
            (shift.upper, upper),
            (shift.estimate, estimate),
        ] {
            assert!(
                (is - wanted).abs() <= within,
                "{is} is not {wanted}: {shift:?}"
            );
        }
    }

    /// A user's output of Kayenta itself (spinnaker/spinnaker#6278).
    #[test]
    fn seven_bad_points_of_ten_are_within_the_interval_to_the_last_digit() {
        let canary = [
            100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 1.0, 1.0, 1.0,
        ];
        let shift = shift(&canary, &[1.0; 10], Z_98).unwrap();
        assert_eq!(shift.lower, 6.825_022_991_538_781e-5);
        assert_eq!(shift.upper, 99.0);
        assert_eq!(shift.estimate, 98.999_929_041_701_93);
    }

    #[test]
    fn the_eighth_bad_point_moves_the_whole_interval() {
        let canary = [
            100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 1.0, 1.0,
        ];
        let shift = shift(&canary, &[1.0; 10], Z_98).unwrap();
        close(shift, 98.99993, 99.0, 99.0, 5e-6);
    }

    #[test]
    fn sparse_points_have_an_interval_from_their_least_to_their_largest_difference() {
        let shift = shift(&[0.0, 1.0, 2.0, 1.0, 0.0, 0.0], &[0.0; 6], Z_98).unwrap();
        assert_eq!((shift.lower, shift.upper), (0.0, 2.0));
    }

    /// The first case of spinnaker/kayenta#780.
    #[test]
    fn another_spread_is_no_shift() {
        let canary = [
            10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 17.0, 17.1, 17.2, 17.3, 17.4, 17.5, 17.6,
            17.7,
        ];
        let stable = [
            1.0, 100.0, 4.0, 101.0, 5.0, 102.0, 6.0, 103.0, 7.0, 104.0, 8.0, 105.0, 9.0, 106.0,
            17.0,
        ];
        let shift = shift(&canary, &stable, Z_98).unwrap();
        assert!((shift.lower + 88.40).abs() < 5e-3, "{shift:?}");
        assert!((shift.upper - 8.70).abs() < 5e-3, "{shift:?}");
    }

    /// Kayenta's own unit test, at the confidence of 0.95.
    #[test]
    fn points_of_another_size_are_shifted_by_what_kayentas_own_test_says() {
        let shift = shift(&[10.0, 20.0, 30.0, 40.0], &[1.0, 2.0, 3.0, 4.0], Z_95).unwrap();
        close(shift, 6.0, 39.0, 22.5, 0.5);
    }

    #[test]
    fn constant_sides_are_shifted_by_their_difference() {
        let constant = |canary, stable| shift(&[canary; 5], &[stable; 3], Z_98).unwrap();
        close(constant(3.0, 1.0), 2.0, 2.0, 2.0, 0.0);
        close(constant(0.0, 1.0), -1.0, -1.0, -1.0, 0.0);
    }

    #[test]
    fn too_few_or_endless_points_have_no_shift() {
        assert_eq!(shift(&[], &[1.0], Z_98), Err(ShiftError::Empty));
        assert_eq!(shift(&[2.0], &[1.0], Z_98), Err(ShiftError::Single));
        let endless = [f64::INFINITY, 1.0];
        assert_eq!(
            shift(&endless, &[1.0, 2.0], Z_98),
            Err(ShiftError::Infinite)
        );
        let far = [f64::MAX, 1.0];
        let other = [f64::MIN, 1.0];
        assert_eq!(shift(&far, &other, Z_98), Err(ShiftError::Infinite));
    }

    #[test]
    fn ties_share_the_mean_of_their_ranks() {
        assert_eq!(rank_sum(&[1.0, 2.0], &[1.0, 3.0]), 1.5 + 3.0);
        assert_eq!(rank_sum(&[5.0], &[1.0, 3.0]), 3.0);
    }
}
