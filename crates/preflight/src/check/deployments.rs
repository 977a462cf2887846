//! What GitHub's deployments show: was this commit in staging, and is another deployment running?

use std::time::Duration;

use config::file::{DeploymentsCheck, StagingCheck};
use config::value::Age;
use github::RunId;
use github::deployments::{Deployment, DeploymentProgress, LOOKED_AT};
use jiff::Timestamp;
use model::Outcome;

use super::commit::Commit;
use super::github_query::{Github, QueryError, short, some};
use super::{Check, Context, Planned};

const NEEDS: &str = "`deployments: read`";

impl Check for StagingCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        vec![staging(self, scene)]
    }
}

fn staging<'a>(check: &'a StagingCheck, scene: &'a Context<'a>) -> Planned<'a> {
    let StagingCheck {
        environment,
        max_age,
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
        asks: format!("list the deployments of this commit to {environment}"),
        needs: Some(format!(
            "{NEEDS}; `contents: read` where the release is a tag"
        )),
        timeout: scene.patient(),
        wait: Duration::ZERO,
        ask: Box::pin(async move {
            let expected =
                format!("the commit was deployed to {environment} with success within {max_age}");
            let asking = async {
                let asked = Github::new(scene, repository.as_deref(), token_env.as_deref())?;
                let commit = Commit::of(scene, &asked, named.as_deref()).await?;
                let mut all = asked
                    .client
                    .deployments(&asked.repository, environment, commit.whole_id(), |seen| {
                        newest_ended(seen.iter().filter(|one| commit.is(&one.sha))).is_some()
                    })
                    .await?;
                all.retain(|one| commit.is(&one.sha));
                if all.is_empty() && commit.whole_id().is_none() {
                    return Err(QueryError::new(
                        format!("{} is not a commit of {}", commit.id(), asked.repository),
                        "name the whole commit, or its tag",
                    ));
                }
                let judged = judge_staging(&all, environment, &commit, *max_age, &asked);
                Ok::<_, QueryError>(match commit.remark() {
                    Some(remark) => judged.remarked(&remark),
                    None => judged,
                })
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
    fn remarked(mut self, remark: &str) -> Self {
        let (Judged::Pass(actual) | Judged::Fail { actual, .. } | Judged::Undecided { actual, .. }) =
            &mut self;
        actual.push_str(&format!("; {remark}"));
        self
    }

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
    commit: &Commit,
    max_age: Age,
    asked: &Github,
) -> Judged {
    let commit = commit.label();
    let repository = &asked.repository;
    let hint = format!(
        "deploy it to {environment} first; `gh api 'repos/{repository}/deployments?environment={environment}'` shows what was"
    );
    let Some(newest) = newest_ended(all.iter()) else {
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
            if age.get() <= max_age.get() {
                return Judged::Pass(actual);
            }
            Judged::Fail {
                actual: format!("{actual}, more than `max-age` ({max_age})"),
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

fn newest_ended<'d>(mut all: impl Iterator<Item = &'d Deployment>) -> Option<&'d Deployment> {
    all.find(|one| one.succeeded_at().is_some() || one.standing() == DeploymentProgress::Ended)
}

fn is_forgotten(one: &Deployment, after: Option<Age>) -> bool {
    after.is_some_and(|limit| age(one.created_at).get() > limit.get())
}

impl Check for DeploymentsCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        vec![alone(self, scene)]
    }
}

fn alone<'a>(check: &'a DeploymentsCheck, scene: &'a Context<'a>) -> Planned<'a> {
    let DeploymentsCheck {
        environment,
        stale_after,
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
        asks: format!("list the deployments to {environment}"),
        needs: Some(NEEDS.to_owned()),
        timeout: scene.patient(),
        wait: Duration::ZERO,
        ask: Box::pin(async move {
            let expected = format!("no other deployment to {environment} is in progress");
            let asking = async {
                let asked = Github::new(scene, repository.as_deref(), token_env.as_deref())?;
                let mut all = asked
                    .client
                    .deployments(&asked.repository, environment, None, |seen| {
                        seen.last()
                            .is_some_and(|one| is_forgotten(one, *stale_after))
                    })
                    .await?;
                let own = scene.job.actions.run_id.as_deref().and_then(RunId::parse);
                let others = all.iter_mut().filter(|one| {
                    let ours = own.is_some_and(|run| one.is_of_run(run));
                    !ours && !is_forgotten(one, *stale_after)
                });
                let asking =
                    others.map(|one| asked.client.held_back(&asked.repository, environment, one));
                futures_util::future::join_all(asking).await;
                Ok::<_, QueryError>(judge_alone(&all, own, *stale_after, &asked))
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
    own: Option<RunId>,
    stale_after: Option<Age>,
    asked: &Github,
) -> Judged {
    let mut running = Vec::new();
    let (mut ours, mut forgotten, mut waiting) = (0, 0, 0);
    for one in all {
        if one.standing() == DeploymentProgress::Ended {
            continue;
        }
        if own.is_some_and(|run| one.is_of_run(run)) {
            ours += 1;
        } else if is_forgotten(one, stale_after) {
            forgotten += 1;
        } else if one.standing() == DeploymentProgress::Waiting {
            waiting += 1;
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
        if waiting > 0 {
            actual.push_str(&format!("; {waiting} waiting for approval"));
        }
        if forgotten > 0 {
            actual.push_str(&format!("; {forgotten} forgotten (stale-after)"));
        }
        return Judged::Pass(actual);
    };
    let shown: Vec<String> = running
        .iter()
        .map(|one| {
            let by = one.creator.as_deref().unwrap_or("an unknown user");
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
