//! What CI reports about the commit. Judging is pure and waits for nothing; [`Poll`] waits.

mod alerts;
mod judge;
mod poll;

use config::file::CommitChecks;
use github::RunId;
use jiff::Timestamp;

use super::commit::Commit;
use super::github_query::QueryError;
use super::{Check, Context, Planned};
use judge::Tally;
use poll::{Poll, patience, remarked};

impl Check for CommitChecks {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        plan(self, scene)
    }
}

/// The commit's checks, and the alerts if they are asked for.
fn plan<'a>(check: &'a CommitChecks, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
    let CommitChecks {
        name,
        app,
        required,
        ignored,
        wait,
        code_scanning,
        severity,
        weight,
        ..
    } = check;
    let id = format!("checks/{name}");
    let subject = "the commit".to_owned();
    let mut expected = match required.as_slice() {
        [] => "every check succeeded".to_owned(),
        names => format!("{} succeeded", names.join(", ")),
    };
    if let Some(app) = app {
        expected.push_str(&format!(", by {app}"));
    }
    if !ignored.is_empty() {
        expected.push_str(&format!(", whatever {} report", ignored.join(", ")));
    }
    let mut planned = vec![Planned {
        id: id.clone(),
        subject: subject.clone(),
        severity: *severity,
        weight: *weight,
        asks: "list the checks and statuses of the commit on GitHub".to_owned(),
        needs: Some(
            "`checks: read` and `statuses: read`; `contents: read` where the release is a tag, `actions: read` to leave out this workflow's own earlier runs"
                .to_owned(),
        ),
        timeout: patience(*wait, scene),
        wait: wait.get(),
        ask: Box::pin(async move {
            match fetch_tally(&id, check, scene).await {
                Ok((commit, judged)) => {
                    remarked(judged.outcome(&id, &commit, &expected), &commit)
                }
                Err(unknown) => unknown.outcome(&id, &subject, &expected),
            }
        }),
    }];
    planned.extend(
        code_scanning
            .as_ref()
            .map(|scanning| alerts::plan(check, scanning, scene)),
    );
    planned
}

async fn fetch_tally(
    id: &str,
    check: &CommitChecks,
    scene: &Context<'_>,
) -> Result<(Commit, Tally), QueryError> {
    let CommitChecks {
        name: _,
        commit: named,
        app: _,
        required: _,
        ignored: _,
        wait,
        allow_none: _,
        code_scanning: _,
        waivers: _,
        repository,
        token_env: _,
        severity: _,
        weight: _,
    } = check;
    let mut look = Poll::new(check, scene, wait.get())?;
    let commit = Commit::of(scene, &look.asked, named.as_deref()).await?;
    let asker = {
        let actions = &scene.job.actions;
        // Ignore runs of another repository.
        let here = actions
            .repository
            .as_deref()
            .is_some_and(|here| here.eq_ignore_ascii_case(&look.asked.repository.to_string()));
        let run = actions.run_id.as_deref().and_then(RunId::parse);
        let run = run.filter(|_| here || repository.is_none());
        let client = &look.asked.client;
        client
            .asker(
                &look.asked.repository,
                run,
                actions.run_attempt,
                commit.id(),
            )
            .await
    };
    loop {
        let spent = look.asked.client.spent();
        let seen = look
            .asked
            .client
            .checks(&look.asked.repository, &commit.names(), &asker)
            .await;
        let judged = match seen {
            Ok(seen) => judge::judge(check, &seen, Timestamp::now()),
            Err(error) if error.is_passing() && look.is_left() => {
                look.pause(id, &error.to_string(), spent, scene).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if judged.is_final() || !look.is_left() {
            return Ok((commit, judged.waited(wait.get())));
        }
        look.pause(id, &judged.waits_for(), spent, scene).await;
    }
}
