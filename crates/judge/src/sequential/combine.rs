//! Several metrics: one guarantee for all of them together.
//!
//! FAIL: the mean of the metrics' e-values is an e-value for "no metric is worse", whatever they
//! have to do with one another. Which metric it is, closed testing tells: the adjusted e-value of a
//! metric is the smallest mean of itself and any number of the smallest others (Vovk & Wang,
//! "E-values: calibration, combination and applications", Annals of Statistics 2021). PASS needs
//! every metric at `β`, without a correction (intersection–union test).

use crate::sequential::numbers::ln_mean_exp;

/// The logarithms of the adjusted e-values, in the order of the metrics.
pub(crate) fn adjusted(ln_e: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ln_e.len()).collect();
    order.sort_by(|a, b| ln_e[*a].total_cmp(&ln_e[*b]));
    let of = |own: usize| {
        let mut terms = vec![ln_e[own]];
        let mut smallest = ln_e[own];
        for other in order.iter().filter(|other| **other != own) {
            terms.push(ln_e[*other]);
            smallest = smallest.min(ln_mean_exp(&terms));
        }
        smallest
    };
    (0..ln_e.len()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_adjusted_values_are_those_of_the_reference() {
        for (e, mean, wanted) in [
            (&[400.0, 1.0, 1.0][..], 134.0, &[134.0, 1.0, 1.0][..]),
            (&[150.0, 120.0, 0.5, 0.1], 67.65, &[50.2, 40.2, 0.3, 0.1]),
            (&[90.0, 80.0, 70.0], 80.0, &[80.0, 75.0, 70.0]),
            (
                &[1000.0, 0.2, 0.2, 0.2, 0.2],
                200.16,
                &[200.16, 0.2, 0.2, 0.2, 0.2],
            ),
        ] {
            let ln: Vec<f64> = e.iter().map(|e: &f64| e.ln()).collect();
            assert!((ln_mean_exp(&ln).exp() - mean).abs() < 1e-9);
            for (adjusted, wanted) in adjusted(&ln).into_iter().zip(wanted) {
                assert!(
                    (adjusted.exp() - wanted).abs() < 1e-9,
                    "{} {wanted}",
                    adjusted.exp()
                );
            }
        }
    }
}
