//! Self-hosted runners that must be online, as GitHub lists them.

use config::file::RunnersCheck;
use github::Scope;
use model::Outcome;

use super::{Planned, Scene};

pub(crate) fn plan<'a>(check: &'a RunnersCheck, scene: &'a Scene<'a>) -> Planned<'a> {
    let RunnersCheck {
        name,
        labels,
        severity,
        weight,
        ..
    } = check;
    let id = format!("runners/{name}");
    Planned {
        id: id.clone(),
        subject: labels.join(", "),
        severity: *severity,
        weight: *weight,
        asks: format!("list the runners with {}", labels.join(", ")),
        needs: Some(
            "`administration: read` on the repository, or `organization_self_hosted_runners: read`"
                .to_owned(),
        ),
        timeout: scene.patient(),
        ask: Box::pin(async move { ask(id, check, scene).await }),
    }
}

async fn ask(id: String, check: &RunnersCheck, scene: &Scene<'_>) -> Outcome {
    let RunnersCheck {
        name: _,
        labels,
        repository,
        organization,
        token_env,
        min_online,
        severity: _,
        weight: _,
    } = check;
    let subject = labels.join(", ");
    let expected = format!("at least {min_online} online with {subject}");
    let scope = match (
        organization,
        repository
            .as_ref()
            .or(scene.job.actions.repository.as_ref()),
    ) {
        (Some(name), _) => Scope::Organization(name.clone()),
        (None, Some(name)) => Scope::Repository(name.clone()),
        (None, None) => {
            return Outcome::error(id, subject)
                .expected(expected)
                .actual("no repository is named")
                .reason("no repository is named: nobody knows whose runners are meant")
                .hint("add `repository: OWNER/NAME`; in a workflow GITHUB_REPOSITORY says it");
        }
    };
    let runners = match scene.github(token_env.as_deref()) {
        Ok(client) => client.runners(&scope).await,
        Err(error) => Err(error),
    };
    match runners {
        Err(error) => Outcome::error(id, subject)
            .expected(expected)
            .actual(error.to_string())
            .reason(format!("{scope}: {error}"))
            .hint(error.hint()),
        Ok(runners) => {
            let judgement = github::runners::judge(&runners, labels);
            if judgement.online() >= min_online.get() as usize {
                return Outcome::pass(id, subject)
                    .expected(expected)
                    .actual(judgement.to_string());
            }
            let verdict = if judgement.is_sure() {
                Outcome::fail
            } else {
                Outcome::inconclusive
            };
            verdict(id, subject)
                .expected(expected)
                .actual(judgement.to_string())
                .reason(format!("{scope}: {judgement}"))
                .hint("`runner-check` tells more; on the runner: `sudo systemctl status 'actions.runner.*'`")
        }
    }
}
