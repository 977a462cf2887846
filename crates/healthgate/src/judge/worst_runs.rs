//! The few runs that are drawn: the worst.

use cli::Failure;
use config::file::Canary;
use model::report::Curve;
use model::{Outcome, Verdict};

use super::run::Run;

/// More runs are not looked at, and no more metrics of them.
const RUNS: usize = 3;
const METRICS: usize = 3;

/// The worst runs so far, with the place of each metric's outcome where it was chosen.
#[derive(Default)]
pub(super) struct Worst(Vec<(Verdict, Vec<Option<usize>>, Run)>);

impl Worst {
    pub(super) fn add(&mut self, verdict: Verdict, places: Vec<Option<usize>>, run: Run) {
        self.0.push((verdict, places, run));
        // The first of those that are as bad: the sort is stable.
        self.0
            .sort_by_key(|(verdict, _, _)| std::cmp::Reverse(*verdict));
        self.0.truncate(RUNS);
    }

    /// The pictures, and the ratio of each interval in the outcomes that are drawn.
    pub(super) fn draw(
        &self,
        canary: &Canary,
        outcomes: &mut [Outcome],
    ) -> Result<Vec<Curve>, Failure> {
        let mut drawn = Vec::new();
        for (_, places, run) in &self.0 {
            let comparison = run.drawn(canary).map_err(Failure::usage)?;
            for (nth, place) in places.iter().enumerate() {
                let Some(outcome) = place.and_then(|at| outcomes.get(at)) else {
                    continue;
                };
                let curves = comparison.curves(nth, outcome.id.as_str());
                drawn.push(((outcome.weighs(), outcome.verdict), curves));
            }
        }
        drawn.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        let drawn = drawn.into_iter().take(METRICS);
        Ok(drawn.flat_map(|(_, curves)| curves).collect())
    }
}
