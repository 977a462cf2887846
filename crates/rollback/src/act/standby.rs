//! Whether the destination is healthy, where it can be asked before the traffic moves: behind a
//! proxy, the other colour runs already.

use futures_util::future::join_all;
use model::{Id, Outcome};
use operation::standby::unhealthy;
use target::{Target, Transition};

use super::Rollback;

impl Rollback<'_> {
    /// The refusal, where the gate's own probes fail at the destination itself.
    pub(super) async fn unhealthy(
        &self,
        target: &dyn Target,
        transition: Transition<'_>,
    ) -> Option<Outcome> {
        let gate = self.gate.as_ref()?;
        let steps = target.steps(transition);
        let asking = steps.iter().map(|step| async move {
            // Where it cannot be found, the plan says why.
            let router = target.router()?;
            let idle = router.standby(step, transition.to).await.ok()?;
            let interrupt = &self.session.job.interrupt;
            unhealthy(gate, &step.place, &idle, interrupt, self.probe_context()).await
        });
        let unhealthy: Vec<String> = join_all(asking).await.into_iter().flatten().collect();
        if unhealthy.is_empty() {
            return None;
        }
        let all = unhealthy.join("; ");
        Some(
            Outcome::refused(Id::refused("unhealthy"), self.destination)
                .expected(format!("{} is healthy before it gets traffic", self.destination))
                .actual(all.clone())
                .reason(format!("{} is not healthy: {all}", self.destination))
                .hint(
                    "nothing was changed; start or repair it there (its log, its database), or choose another: `rollback history`, `--to`",
                ),
        )
    }
}
