//! Runners that must take the job: the same knowledge as `runner-check`.

use config::file::RunnersCheck;
use model::Outcome;
use runners::{Pool, Rules, Sources};

use super::{Check, Context, Planned};

impl Check for RunnersCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        vec![plan(self, scene)]
    }
}

fn plan<'a>(check: &'a RunnersCheck, scene: &'a Context<'a>) -> Planned<'a> {
    let labels = check.labels.join(", ");
    let pool = Pool::of_check(check, scene.job.actions.repository.as_ref());
    let needs = pool
        .as_ref()
        .map_or("a repository to check", |pool| pool.scope.permission());
    let id = format!("runners/{}", check.name);
    Planned {
        id: id.clone(),
        subject: labels.clone(),
        severity: check.severity,
        weight: check.weight,
        asks: describe_queries(check),
        needs: Some(format!(
            "{needs}; without it `actions: read` shows jobs that wait"
        )),
        timeout: scene.patient(),
        wait: std::time::Duration::ZERO,
        ask: Box::pin(async move {
            match pool {
                Some(pool) => judge_pool(id, check, pool, scene).await,
                None => Outcome::error(id, labels)
                    .expected(format!("at least {} online", check.min_online))
                    .actual("no repository is named")
                    .reason("no repository is named, so whose runners are meant is not known")
                    .hint("add `repository: OWNER/NAME`; in a workflow GITHUB_REPOSITORY names it"),
            }
        }),
    }
}

fn describe_queries(check: &RunnersCheck) -> String {
    let mut asks = format!(
        "list the runners with {}, and the jobs that wait for one",
        check.labels.join(", ")
    );
    if let Some(metric) = &check.prometheus {
        asks.push_str(&format!(", query Prometheus for `{}`", metric.query));
    }
    if !check.runners.is_empty() {
        asks.push_str(&format!(
            ", log in at the machines of {}",
            check.runners.join(", ")
        ));
    }
    asks
}

async fn judge_pool(id: String, check: &RunnersCheck, pool: Pool, scene: &Context<'_>) -> Outcome {
    let client = scene.github(check.token_env.as_deref());
    let sources = Sources::new(scene.job, client, scene.timeout);
    let known = sources.gather(std::slice::from_ref(&pool)).await;
    let judgement = runners::judge(&pool, &known, &rules(scene));
    let runners = scene.job.config.runners().into_iter().flatten();
    let reachable: Vec<&str> = runners.map(|(name, _)| name.as_str()).collect();
    runners::outcome::outcome(id, &pool, &judgement, known.at, &reachable)
}

/// What counts as old and as long, as `runner-check` has it.
fn rules(scene: &Context<'_>) -> Rules {
    let section = scene.job.config.runner_check().ok().flatten();
    section.map_or_else(Rules::default, |section| Rules {
        max_evidence_age: section.max_evidence_age.get(),
        max_queue_time: section.max_queue_time.get(),
    })
}
