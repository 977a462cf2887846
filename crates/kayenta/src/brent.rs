//! The root of a function between two points.

/// What Kayenta's solver takes for close enough, in the unit of the data.
const TOLERANCE: f64 = 1e-4;
const MAX_STEPS: usize = 1001;

/// Brent's method as R's `zeroin` has it, which Kayenta follows: its results carry the traces of
/// each step, so the order of the steps is theirs (R. P. Brent, Algorithms for Minimization without
/// Derivatives, 1973, chapter 4).
pub(crate) fn root(function: impl Fn(f64) -> f64, left: (f64, f64), right: (f64, f64)) -> f64 {
    // `best` is the newest point, `last` the one before it, `other` on the other side of the root.
    let (mut last, mut best, mut other) = (left, right, left);
    if left.1 == 0.0 {
        return left.0;
    }
    for _ in 0..MAX_STEPS {
        let before = best.0 - last.0;
        if other.1.abs() < best.1.abs() {
            (last, best, other) = (best, other, best);
        }
        let tolerance = 2.0 * f64::EPSILON * best.0.abs() + TOLERANCE / 2.0;
        let half = (other.0 - best.0) / 2.0;
        if half.abs() <= tolerance || best.1 == 0.0 {
            break;
        }
        let mut step = half;
        if before.abs() >= tolerance && last.1.abs() > best.1.abs() {
            step = interpolated(last, best, other, before, tolerance).unwrap_or(half);
        }
        if step.abs() < tolerance {
            step = tolerance.copysign(step);
        }
        last = best;
        best.0 += step;
        best.1 = function(best.0);
        if best.1 > 0.0 && other.1 > 0.0 || best.1 < 0.0 && other.1 < 0.0 {
            other = last;
        }
    }
    best.0
}

/// The step that a line through two points, or a parabola through three, proposes; `None` where it
/// leads too far.
fn interpolated(
    last: (f64, f64),
    best: (f64, f64),
    other: (f64, f64),
    before: f64,
    tolerance: f64,
) -> Option<f64> {
    let width = other.0 - best.0;
    let ratio = best.1 / last.1;
    let (mut up, mut down) = if last.0 == other.0 {
        (width * ratio, 1.0 - ratio)
    } else {
        let (q, r) = (last.1 / other.1, best.1 / other.1);
        (
            ratio * (width * q * (q - r) - (best.0 - last.0) * (r - 1.0)),
            (q - 1.0) * (r - 1.0) * (ratio - 1.0),
        )
    };
    if up > 0.0 {
        down = -down;
    } else {
        up = -up;
    }
    let is_near = up < 0.75 * width * down - (tolerance * down).abs() / 2.0
        && up < (before * down / 2.0).abs();
    is_near.then(|| up / down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_to_the_tolerance() {
        let cubic = |x: f64| x * x * x - 2.0;
        let found = root(cubic, (0.0, cubic(0.0)), (5.0, cubic(5.0)));
        assert!((found - 2_f64.cbrt()).abs() <= TOLERANCE, "{found}");
    }

    #[test]
    fn an_end_that_is_a_root_is_the_answer() {
        assert_eq!(root(|x| x, (0.0, 0.0), (1.0, 1.0)), 0.0);
        assert_eq!(root(|x| x - 1.0, (0.0, -1.0), (1.0, 0.0)), 1.0);
    }
}
