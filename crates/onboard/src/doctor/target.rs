//! The rollback's target: what no rollback could ever switch is found before it is needed.

use ::target::fit::{FitReport, Switchability};
use ::target::kinds;
use ::target::{Place, PlaceAccess};
use cli::Job;
use model::{Outcome, StageName};

use super::finding::Finding;

pub(super) async fn look(job: &Job) -> Vec<Finding> {
    // The findings of the state report a variable that is not set.
    let Some(section) = job.config.rollback().ok().flatten() else {
        return Vec::new();
    };
    let places = PlaceAccess::new(&job.config.hosts, &job.env);
    let all = kinds::check_fit(section, &job.config, &places).await;
    let finding = |found: &FitReport| {
        let id = match &found.place {
            Place::Here => "target/switch".to_owned(),
            Place::Host(host) => format!("target/{host}"),
        };
        let (outcome, stops): (Outcome, &[StageName]) = match &found.fit {
            Switchability::Fits(said) => (Outcome::pass(id, &found.subject).actual(said), &[]),
            Switchability::Never(misfit) | Switchability::Missing(misfit) => (
                Outcome::fail(id, &found.subject)
                    .actual(misfit.reason.clone())
                    .reason(format!(
                        "no rollback could ever switch {}: {}",
                        found.full_subject(),
                        misfit.reason
                    ))
                    .hint(misfit.hint.clone()),
                &[StageName::Rollback],
            ),
            Switchability::Unknown(reason) => (
                Outcome::error(id, &found.subject)
                    .actual("not known")
                    .reason(format!(
                        "{} could not be looked at: {reason}",
                        found.full_subject()
                    ))
                    .hint("`rollback plan` shows more, as the user that rolls back"),
                &[],
            ),
        };
        Finding::new(outcome.expected("a rollback could switch it"), stops)
    };
    all.iter().map(finding).collect()
}
