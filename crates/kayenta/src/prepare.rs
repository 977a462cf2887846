//! The points of a metric before they are compared.

/// What a missing point (NaN) is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingPoints {
    #[default]
    Remove,
    /// A zero, as where errors are counted only while there are any.
    Replace,
}

/// What happens to points that are far from the others of their side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Outliers {
    #[default]
    Keep,
    /// Those farther from the quartiles than `factor` times the distance between them go. Kayenta's
    /// factor is 3, and the middle 98 % of the points always stay.
    Remove { factor: f64 },
}

pub(crate) fn prepare(points: &[f64], missing: MissingPoints, outliers: Outliers) -> Vec<f64> {
    let mut points: Vec<f64> = match missing {
        MissingPoints::Remove => points.iter().copied().filter(|it| !it.is_nan()).collect(),
        MissingPoints::Replace => {
            let or_zero = |it: &f64| if it.is_nan() { 0.0 } else { *it };
            points.iter().map(or_zero).collect()
        }
    };
    if let Outliers::Remove { factor } = outliers {
        let mut sorted = points.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share| percentile(&sorted, share);
        if let (Some(low), Some(q1), Some(q3), Some(high)) =
            (at(0.01), at(0.25), at(0.75), at(0.99))
        {
            let reach = factor * (q3 - q1);
            let (least, most) = (low.min(q1 - reach), high.max(q3 + reach));
            points.retain(|it| *it >= least && *it <= most);
        }
    }
    points
}

/// The quantile by definition 7 of Hyndman and Fan (1996), which R has by default.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * sorted.len().checked_sub(1)? as f64;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the slice"
    )]
    let below = position.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    Some(low + (position - below as f64) * (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_points_go_or_are_zeros() {
        let points = [1.0, f64::NAN, 2.0];
        assert_eq!(
            prepare(&points, MissingPoints::Remove, Outliers::Keep),
            [1.0, 2.0]
        );
        assert_eq!(
            prepare(&points, MissingPoints::Replace, Outliers::Keep),
            [1.0, 0.0, 2.0]
        );
    }

    #[test]
    fn quantiles_lie_between_the_points() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(percentile(&sorted, 0.25), Some(1.75));
        assert_eq!(percentile(&sorted, 0.5), Some(2.5));
        assert_eq!(percentile(&sorted, 1.0), Some(4.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn far_points_go_where_that_is_wanted_and_the_middle_stays() {
        let mut points: Vec<f64> = (0..200).map(f64::from).collect();
        points.push(10_000.0);
        let removed = Outliers::Remove { factor: 3.0 };
        assert_eq!(
            prepare(&points, MissingPoints::Remove, Outliers::Keep).len(),
            201
        );
        assert_eq!(prepare(&points, MissingPoints::Remove, removed).len(), 200);
        // Of so few, the middle 98 % end between the last two.
        let few = [1.0, 1.1, 1.2, 1.0, 1.1, 1.2, 1.0, 1.1, 1.2, 50.0];
        assert_eq!(prepare(&few, MissingPoints::Remove, removed).len(), 9);
        assert_eq!(prepare(&[7.0], MissingPoints::Remove, removed), [7.0]);
    }

    #[test]
    fn nothing_is_left_of_nothing() {
        let removed = Outliers::Remove { factor: 3.0 };
        assert!(prepare(&[], MissingPoints::Remove, removed).is_empty());
        assert!(prepare(&[f64::NAN], MissingPoints::Remove, removed).is_empty());
    }
}
