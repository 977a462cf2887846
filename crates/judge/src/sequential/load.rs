//! Whether an instance of the canary serves about as many requests as one of stable. Where it does
//! not, errors that depend on the load are no errors of the release.

/// Requests and instances, summed over the intervals in which both sides' instances were known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    canary: Served,
    stable: Served,
}

#[derive(Clone, Copy, Debug, Default)]
struct Served {
    requests: f64,
    instances: f64,
}

/// One side's instances may have so many times the requests of the other's.
const MOST: f64 = 2.0;

impl Load {
    pub(crate) fn add(&mut self, canary: (f64, usize), stable: (f64, usize)) {
        for (side, (requests, instances)) in
            [(&mut self.canary, canary), (&mut self.stable, stable)]
        {
            side.requests += requests;
            side.instances += instances as f64;
        }
    }

    /// The requests of an instance and interval on both sides, where they are too different for
    /// chance (three standard deviations).
    pub(crate) fn unequal(&self) -> Option<(f64, f64)> {
        let sides = [self.canary, self.stable];
        if sides.iter().any(|side| side.instances == 0.0) {
            return None;
        }
        let [canary, stable] = sides.map(|side| side.requests / side.instances);
        let spread = sides.map(|side| side.requests / (side.instances * side.instances));
        let is_above = |high: f64, low: f64, of_high: f64, of_low: f64| {
            high - MOST * low > 3.0 * (of_high + MOST * MOST * of_low).sqrt()
        };
        let unequal = is_above(canary, stable, spread[0], spread[1])
            || is_above(stable, canary, spread[1], spread[0]);
        unequal.then_some((canary, stable))
    }
}
