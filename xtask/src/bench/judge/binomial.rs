//! How many of a number of requests something happens to.

use judge::random::Random;

/// Means above it are drawn in parts: e to the minus so much is still a float.
const MAX_MEAN: f64 = 500.0;

/// How many of `number` happen, each with this probability.
pub(super) fn binomial(number: u64, probability: f64, random: &mut Random) -> u64 {
    if probability > 0.5 {
        return number - binomial(number, 1.0 - probability, random);
    }
    if probability <= 0.0 {
        return 0;
    }
    if number as f64 * probability > MAX_MEAN {
        let half = number / 2;
        return binomial(half, probability, random) + binomial(number - half, probability, random);
    }
    let odds = probability / (1.0 - probability);
    let mut left = random.uniform();
    let mut share = (number as f64 * (-probability).ln_1p()).exp();
    let mut happened = 0;
    while left > share && happened < number {
        left -= share;
        share *= (number - happened) as f64 / (happened + 1) as f64 * odds;
        happened += 1;
    }
    happened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_their_mean_and_variance() {
        const DRAWS: usize = 20_000;
        for (number, probability) in [(100, 0.01), (9000, 0.9), (7, 0.5)] {
            let mut random = Random::new(1);
            let mut draw = || binomial(number, probability, &mut random) as f64;
            let numbers: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
            let mean = numbers.iter().sum::<f64>() / DRAWS as f64;
            let squares = numbers.iter().map(|it| (it - mean).powi(2));
            let variance = squares.sum::<f64>() / DRAWS as f64;
            let wanted = number as f64 * probability;
            assert!((mean / wanted - 1.0).abs() < 0.03, "{mean}");
            let ratio = variance / (wanted * (1.0 - probability));
            assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
        }
    }
}
