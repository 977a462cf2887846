//! Chance that is the same for the same seed: for plans and simulations of traffic.

/// A generator of random numbers: SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom
/// number generators", 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// Above it the normal distribution stands in for the Poisson distribution.
const MAX_COUNTED: f64 = 500.0;

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0 and below 1.
    pub fn uniform(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Mean 0, variance 1 (Box & Muller).
    pub fn normal(&mut self) -> f64 {
        let length = (-2.0 * self.uniform().ln()).sqrt();
        length * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean > MAX_COUNTED {
            return rounded(mean + mean.sqrt() * self.normal());
        }
        let stop = (-mean).exp();
        let mut product = self.uniform();
        let mut count = 0;
        while product > stop {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// A Poisson number whose mean is a gamma number: the variance is `dispersion` times the mean.
    pub fn negative_binomial(&mut self, mean: f64, dispersion: f64) -> u64 {
        if dispersion <= 1.0 || mean <= 0.0 {
            return self.poisson(mean);
        }
        let scale = dispersion - 1.0;
        let mean = self.gamma(mean / scale) * scale;
        self.poisson(mean)
    }

    /// Marsaglia & Tsang, "A simple method for generating gamma variables", 2000.
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * self.uniform().powf(1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and small"
)]
fn rounded(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_variances_are_those_asked_for() {
        let mut random = Random::new(7);
        for (mean, dispersion) in [
            (0.3, 1.0),
            (9.0, 1.0),
            (90.0, 3.0),
            (5.0, 10.0),
            (900.0, 1.0),
        ] {
            let drawn: Vec<f64> = (0..20_000)
                .map(|_| random.negative_binomial(mean, dispersion) as f64)
                .collect();
            let average = drawn.iter().sum::<f64>() / 20_000.0;
            let spread = drawn.iter().map(|x| (x - average).powi(2)).sum::<f64>() / 20_000.0;
            assert!((average / mean - 1.0).abs() < 0.05, "{mean}: {average}");
            assert!(
                (spread / mean / dispersion - 1.0).abs() < 0.12,
                "{mean}: {spread}"
            );
        }
    }
}
