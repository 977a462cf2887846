//! The end of a rollout that passed: the release has everything.

use cli::Failure;
use config::value::Share;
use jiff::Timestamp;
use model::{Report, Verdict};
use operation::shares::work::Work;
use router::Router;
use state::{Lease, Rollout, Status};

use crate::old_side::{self, Keep};
use crate::rollout_report::RolloutReport;
use crate::session::Session;

/// Records that the release has everything, and looks after the side that it left.
pub(crate) async fn finish(
    session: &Session<'_>,
    work: &Work<'_>,
    router: &dyn Router,
    lease: &Lease,
    rollout: &Rollout,
    mut found: RolloutReport,
    keep: Option<Keep>,
) -> Result<Report, Failure> {
    let run = session.job.run_name();
    let old = old_side::to_stop(session, rollout, keep);
    let recorded = session.store.update(Some(lease), |document| {
        document.rollout = None;
        document.old_side.clone_from(&old);
        // Whether it is good is for `rollback record` to say, unless that is known.
        let known = document.status(&rollout.release);
        let status = known.filter(|status| *status == Status::Good);
        document.deployed(
            &rollout.release,
            status.unwrap_or(Status::Pending),
            Timestamp::now(),
            run.clone(),
        );
        Ok(())
    });
    recorded.await?;
    found.mark(Share::ALL);
    let after = old_side::after(session, work, router, (lease, rollout), old).await?;
    let left: Vec<String> = after
        .iter()
        .filter_map(|outcome| outcome.reason.clone())
        .collect();
    found.outcomes.extend(after);
    let mut report = session.report(found.outcomes.clone());
    if !left.is_empty() {
        report.reason = left.join("; ");
    }
    let Rollout { release, .. } = rollout;
    report.headline = Some(match keep {
        Some(Keep::Serves(failed)) => {
            let places = router.places().len();
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{failed} of {places} places do not give everything to {release}: repair them, then `traffic set 100% \
                 --release {release}`"
            );
            format!(
                "{release} has 100% at {} of {places} places",
                places - failed
            )
        }
        Some(Keep::HadNothing) | None => {
            format!("{release} has 100%, {} has none", rollout.stable_shown())
        }
    });
    found.illustrate(&mut report);
    Ok(report)
}
