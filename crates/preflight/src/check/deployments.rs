//! What GitHub's deployments say: was this commit in staging, and is anybody else deploying?

use std::time::Duration;

use config::file::{DeploymentsCheck, StagingCheck};
use config::value::Age;
use github::deployments::{Deployment, LOOKED_AT};
use jiff::Timestamp;
use model::Outcome;

use super::asked::{Asked, Unknown, commit, short, some};
use super::{Planned, Scene};

const NEEDS: &str = "`deployments: read`";

pub(crate) fn staging<'a>(check: &'a StagingCheck, scene: &'a Scene<'a>) -> Planned<'a> {
    let StagingCheck {
        environment,
        within,
        commit: named,
        repository,
        token_env,
        severity,
        weight,
    } = check;
    let id = format!("staging/{environment}");
    Planned {
        id: id.clone(),
        subject: environment.clone(),
        severity: *severity,
        weight: *weight,
        asks: format!("ask GitHub for the deployments of this commit to {environment}"),
        needs: Some(NEEDS.to_owned()),
        timeout: scene.patient(),
        ask: Box::pin(async move {
            let expected =
                format!("the commit was deployed to {environment} with success within {within}");
            let asking = async {
                let commit = commit(scene, named.as_deref())?;
                let asked = Asked::new(scene, repository.as_deref(), token_env.as_deref())?;
                let all = asked
                    .client
                    .deployments(&asked.repository, environment, Some(commit), |seen| {
                        newest_ended(seen).is_some()
                    })
                    .await?;
                Ok::<_, Unknown>(judge_staging(&all, environment, commit, *within, &asked))
            };
            match asking.await {
                Ok(judged) => judged.outcome(&id, environment, &expected),
                Err(unknown) => unknown.outcome(&id, environment, &expected),
            }
        }),
    }
}

/// A verdict on its way to its outcome.
enum Judged {
    Pass(String),
    Fail { actual: String, hint: String },
    Undecided { actual: String, hint: String },
}

impl Judged {
    fn outcome(self, id: &str, subject: &str, expected: &str) -> Outcome {
        let not = |outcome: Outcome, actual: String, hint: String| {
            outcome
                .expected(expected)
                .reason(actual.clone())
                .actual(actual)
                .hint(hint)
        };
        match self {
            Judged::Pass(actual) => Outcome::pass(id, subject).expected(expected).actual(actual),
            Judged::Fail { actual, hint } => not(Outcome::fail(id, subject), actual, hint),
            Judged::Undecided { actual, hint } => {
                not(Outcome::inconclusive(id, subject), actual, hint)
            }
        }
    }
}

/// The newest deployment of the commit that came to an end decides.
fn judge_staging(
    all: &[Deployment],
    environment: &str,
    commit: &str,
    within: Age,
    asked: &Asked,
) -> Judged {
    let commit = short(commit);
    let repository = &asked.repository;
    let hint = format!(
        "deploy it to {environment} first; `gh api 'repos/{repository}/deployments?environment={environment}'` shows what was"
    );
    let Some(newest) = newest_ended(all) else {
        return match all.first() {
            None => Judged::Fail {
                actual: format!("{commit} was never deployed to {environment}"),
                hint,
            },
            Some(running) => Judged::Undecided {
                actual: format!(
                    "the deployment of {commit} to {environment} is still {}",
                    running.state()
                ),
                hint: format!("wait for deployment {} and try again", running.id),
            },
        };
    };
    let failed = matches!(newest.state(), "failure" | "error");
    match newest.succeeded_at() {
        Some(at) if !failed => {
            let age = age(at);
            let actual = format!("{commit} was deployed to {environment} {age} ago");
            if age.get() <= within.get() {
                return Judged::Pass(actual);
            }
            Judged::Fail {
                actual: format!("{actual}, more than within ({within})"),
                hint,
            }
        }
        _ => Judged::Fail {
            actual: format!(
                "the deployment of {commit} to {environment} ended with {}",
                newest.state()
            ),
            hint,
        },
    }
}

fn newest_ended(all: &[Deployment]) -> Option<&Deployment> {
    all.iter()
        .find(|one| one.succeeded_at().is_some() || !one.in_progress())
}

fn is_forgotten(one: &Deployment, after: Option<Age>) -> bool {
    after.is_some_and(|limit| age(one.created_at).get() > limit.get())
}

pub(crate) fn alone<'a>(check: &'a DeploymentsCheck, scene: &'a Scene<'a>) -> Planned<'a> {
    let DeploymentsCheck {
        environment,
        forget_after,
        repository,
        token_env,
        severity,
        weight,
    } = check;
    let id = format!("deployments/{environment}");
    Planned {
        id: id.clone(),
        subject: environment.clone(),
        severity: *severity,
        weight: *weight,
        asks: format!("ask GitHub for the deployments to {environment}"),
        needs: Some(NEEDS.to_owned()),
        timeout: scene.patient(),
        ask: Box::pin(async move {
            let expected = format!("no other deployment to {environment} is in progress");
            let asking = async {
                let asked = Asked::new(scene, repository.as_deref(), token_env.as_deref())?;
                let all = asked
                    .client
                    .deployments(&asked.repository, environment, None, |seen| {
                        seen.last()
                            .is_some_and(|one| is_forgotten(one, *forget_after))
                    })
                    .await?;
                let own = scene.job.actions.run_id.as_deref();
                Ok::<_, Unknown>(judge_alone(&all, own, *forget_after, &asked))
            };
            match asking.await {
                Ok(judged) => judged.outcome(&id, environment, &expected),
                Err(unknown) => unknown.outcome(&id, environment, &expected),
            }
        }),
    }
}

fn judge_alone(
    all: &[Deployment],
    own: Option<&str>,
    forget_after: Option<Age>,
    asked: &Asked,
) -> Judged {
    let mut running = Vec::new();
    let (mut ours, mut forgotten) = (0, 0);
    for one in all.iter().filter(|one| one.in_progress()) {
        if own.is_some_and(|run| one.is_of_run(run)) {
            ours += 1;
        } else if is_forgotten(one, forget_after) {
            forgotten += 1;
        } else {
            running.push(one);
        }
    }
    let Some(first) = running.first() else {
        let mut actual = format!("none of the newest {}", all.len());
        if all.len() < LOOKED_AT {
            actual = format!("none of {}", all.len());
        }
        if ours > 0 {
            actual.push_str(", besides this run's own");
        }
        if forgotten > 0 {
            actual.push_str(&format!("; {forgotten} forgotten (forget-after)"));
        }
        return Judged::Pass(actual);
    };
    let shown: Vec<String> = running
        .iter()
        .map(|one| {
            let by = one.creator.as_deref().unwrap_or("somebody");
            format!(
                "{} of {} by {by} ({}, {} old)",
                one.id,
                short(&one.sha),
                one.state(),
                age(one.created_at)
            )
        })
        .collect();
    Judged::Fail {
        actual: format!("{} in progress: {}", running.len(), some(&shown)),
        hint: format!(
            "wait for it; if it is long dead: `gh api -X POST repos/{}/deployments/{}/statuses -f state=inactive`",
            asked.repository, first.id
        ),
    }
}

/// How long ago; a clock that is ahead of ours makes it now.
fn age(at: Timestamp) -> Age {
    let age = Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default();
    Age::from(age)
}
