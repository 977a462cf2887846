//! What CI says of the commit. Judging is pure and waits for nothing; [`ask`] waits.

mod alerts;
mod judge;

use std::time::{Duration, Instant};

use config::file::CommitChecks;
use jiff::Timestamp;

use super::asked::{Asked, Unknown, commit, short};
use super::{Planned, Scene};
use judge::Judged;

/// Between two looks at checks that run: at first, and at most.
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(20);
/// What must be left of the stage's time to tell what was seen.
const MARGIN: Duration = Duration::from_secs(1);

/// The commit's checks, and the alerts if they are asked for.
pub(crate) fn plan<'a>(check: &'a CommitChecks, scene: &'a Scene<'a>) -> Vec<Planned<'a>> {
    let CommitChecks {
        name,
        required,
        ignored,
        code_scanning,
        severity,
        weight,
        ..
    } = check;
    let id = format!("checks/{name}");
    let subject = commit(scene, check.commit.as_deref()).map_or_else(
        |_| "the commit".to_owned(),
        |commit| short(commit).to_owned(),
    );
    let mut expected = match required.as_slice() {
        [] => "every check succeeded".to_owned(),
        names => format!("{} succeeded", names.join(", ")),
    };
    if !ignored.is_empty() {
        expected.push_str(&format!(", whatever {} say", ignored.join(", ")));
    }
    let mut planned = vec![Planned {
        id: id.clone(),
        subject: subject.clone(),
        severity: *severity,
        weight: *weight,
        asks: "ask GitHub for the checks and statuses of the commit".to_owned(),
        needs: Some("`checks: read` and `statuses: read`".to_owned()),
        timeout: scene.patient(),
        ask: Box::pin(async move {
            match ask(check, scene).await {
                Ok(judged) => judged.outcome(&id, &subject, &expected),
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

async fn ask(check: &CommitChecks, scene: &Scene<'_>) -> Result<Judged, Unknown> {
    let CommitChecks {
        name: _,
        commit: named,
        required: _,
        ignored: _,
        wait,
        allow_none: _,
        code_scanning: _,
        waivers: _,
        repository,
        token_env,
        severity: _,
        weight: _,
    } = check;
    let commit = commit(scene, named.as_deref())?;
    let asked = Asked::new(scene, repository.as_deref(), token_env.as_deref())?;
    let own = scene.job.actions.run_id.as_deref();
    let end =
        (Instant::now() + wait.get()).min(scene.until.checked_sub(MARGIN).unwrap_or(scene.until));
    let mut pause = SOON;
    loop {
        let seen = asked.client.checks(&asked.repository, commit, own).await?;
        let judged = judge::judge(check, &seen, Timestamp::now());
        if judged.is_final() || Instant::now() + pause >= end {
            return Ok(judged.waited(wait.get()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LATER);
    }
}
