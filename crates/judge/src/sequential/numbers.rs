//! Sums of numbers too large or too small to write out: all evidence is kept as logarithms.

/// `ln Σ exp(terms)`; minus infinity for no terms.
pub(crate) fn ln_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = terms.map(|term| (term - largest).exp()).sum();
    largest + sum.ln()
}

/// The logarithm of the mean of `exp(terms)`: the average of e-values, which is an e-value
/// whatever they have to do with one another.
pub(crate) fn ln_mean_exp(terms: &[f64]) -> f64 {
    ln_sum_exp(terms.iter().copied()) - (terms.len() as f64).ln()
}
