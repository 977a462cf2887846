//! Every runner, what it is doing, and the source that reports it.

use cli::{Failure, Job};
use config::file::RunnerCheck;
use jiff::Timestamp;
use model::{Outcome, Report, Verdict};
use runners::{Pool, State};

use crate::sources::{no_owner, rules, sources, unless_interrupted};

pub(crate) async fn list(job: &Job, section: &RunnerCheck) -> Result<Report, Failure> {
    let started_at = Timestamp::now();
    let here = job.actions.repository.as_ref();
    let all = Pool {
        members: job.config.runners()?.keys().cloned().collect(),
        ..Pool::everybody(section, here).ok_or_else(no_owner)?
    };
    job.progress
        .show(&format!("querying {} for runners", job.actions.api_url));
    let known = unless_interrupted(
        sources(job, section, std::time::Duration::ZERO).gather(std::slice::from_ref(&all)),
        job,
    )
    .await?;
    let judgement = runners::judge(&all, &known, &rules(section));
    let outcome = runners::outcome::outcome(
        format!("runners/{}", all.scope),
        &all,
        &judgement,
        known.at,
        &[],
    );
    let seen = judgement.answered() || judgement.refusal.is_none();
    // A view: that some are offline is what it shows, and no failure of it.
    let outcome = Outcome {
        subject: all.scope.to_string(),
        verdict: if seen { Verdict::Pass } else { outcome.verdict },
        expected: Some("every runner, with its state".to_owned()),
        ..outcome
    };
    let labels = |name: &str| {
        let listing = known
            .listings
            .get(&all.scope.to_string())
            .and_then(|listing| listing.as_ref().ok());
        let runner =
            listing.and_then(|listing| listing.runners.iter().find(|runner| runner.name == name));
        let labels = runner.map(|runner| {
            runner
                .labels
                .iter()
                .map(|label| label.name.as_str())
                .collect::<Vec<_>>()
        });
        labels.unwrap_or_default().join(", ")
    };
    let count = |state| judgement.count(state);
    let mut report = Report::from_outcomes("runner-check", started_at, vec![outcome]);
    report.tables = vec![
        runners::table::runners(format!("runners of {}", all.scope), &judgement, labels),
        runners::table::evidence(&all, &judgement),
    ];
    if seen {
        report.reason = format!(
            "{} runners: {} online, {} busy, {} offline, {} unknown",
            judgement.runners.len(),
            count(State::Online),
            count(State::Busy),
            count(State::Offline),
            count(State::Unknown)
        );
    }
    Ok(report)
}
