//! Artifacts that a deployment needs: present, not expired, not too small.

use config::file::ArtifactCheck;
use config::value::Size;
use github::artifacts::Artifact;
use model::Outcome;

use super::commit::Commit;
use super::github_query::{Github, QueryError, short, some};
use super::{Check, Context, Planned};

impl Check for ArtifactCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        vec![plan(self, scene)]
    }
}

fn plan<'a>(check: &'a ArtifactCheck, scene: &'a Context<'a>) -> Planned<'a> {
    let ArtifactCheck {
        name,
        workflow,
        severity,
        weight,
        ..
    } = check;
    let of = match workflow {
        Some(workflow) => format!("the newest successful run of {workflow}"),
        None => "this run".to_owned(),
    };
    let (id, subject) = (format!("artifacts/{name}"), pattern(check).to_owned());
    Planned {
        id: id.clone(),
        subject: subject.clone(),
        severity: *severity,
        weight: *weight,
        asks: format!("list the artifacts of {of}"),
        needs: Some("`actions: read`".to_owned()),
        timeout: scene.patient(),
        wait: std::time::Duration::ZERO,
        ask: Box::pin(async move {
            let expected = format!("artifact {subject} of {of}, at least {}", check.min_size);
            match fetch_artifacts(check, scene).await {
                Ok(found) => found.judge(&id, check, &expected),
                Err(unknown) => unknown.outcome(&id, &subject, &expected),
            }
        }),
    }
}

fn pattern(check: &ArtifactCheck) -> &str {
    check.artifact.as_deref().unwrap_or(&check.name)
}

/// What GitHub showed.
enum Answer {
    /// The artifacts of a run, and how a person calls the run.
    Artifacts { of: String, all: Vec<Artifact> },
    NoRun {
        /// Of which commit a run was looked for.
        commit: Option<Commit>,
        passed_over: usize,
        hint: String,
    },
}

async fn fetch_artifacts(check: &ArtifactCheck, scene: &Context<'_>) -> Result<Answer, QueryError> {
    let ArtifactCheck {
        name: _,
        artifact: _,
        workflow,
        branch,
        same_commit,
        commit: named,
        min_size: _,
        repository,
        token_env,
        severity: _,
        weight: _,
    } = check;
    let asked = Github::new(scene, repository.as_deref(), token_env.as_deref())?;
    let (run, of) = if let Some(workflow) = workflow {
        let commit = match (same_commit, named) {
            (true, _) | (false, Some(_)) => {
                Some(Commit::of(scene, &asked, named.as_deref()).await?)
            }
            (false, None) => None,
        };
        let newest = asked
            .client
            .latest_success(
                &asked.repository,
                workflow,
                branch.as_deref(),
                commit.as_ref().map(Commit::id),
            )
            .await?;
        let Some(run) = newest.run else {
            return Ok(Answer::NoRun {
                commit,
                passed_over: newest.passed_over,
                hint: format!(
                    "`gh run list --repo {} --workflow {workflow}` shows how its runs went",
                    asked.repository
                ),
            });
        };
        let sha = run.head_sha.as_deref().map(short).unwrap_or_default();
        let mut of = format!(
            "run {} of {workflow} ({sha})",
            run.run_number.unwrap_or(run.id)
        );
        if let Some(remark) = commit.as_ref().and_then(Commit::remark) {
            of.push_str(&format!("; {remark}"));
        }
        (run.id.to_string(), of)
    } else {
        let run = scene.job.actions.run_id.clone().ok_or_else(|| {
            QueryError::new(
                "no workflow run is known",
                "add `workflow: build.yml`; in a workflow GITHUB_RUN_ID is the number of this run",
            )
        })?;
        (run, "this run".to_owned())
    };
    let all = asked.client.artifacts(&asked.repository, &run).await?;
    Ok(Answer::Artifacts { of, all })
}

impl Answer {
    fn judge(self, id: &str, check: &ArtifactCheck, expected: &str) -> Outcome {
        let subject = pattern(check);
        let fail = |actual: String, hint: String| {
            Outcome::fail(id, subject)
                .expected(expected)
                .reason(format!("{subject}: {actual}"))
                .actual(actual)
                .hint(hint)
        };
        let (of, all) = match self {
            Answer::NoRun {
                commit,
                passed_over,
                hint,
            } => {
                let mut actual = "no run ended with success".to_owned();
                if let Some(branch) = &check.branch {
                    actual.push_str(&format!(" on {branch}"));
                }
                if let Some(commit) = commit {
                    actual.push_str(&format!(" for the commit {}", commit.label()));
                    if let Some(remark) = commit.remark() {
                        actual.push_str(&format!("; {remark}"));
                    }
                }
                if passed_over > 0 {
                    actual.push_str(&format!(
                        "; {passed_over} of pull requests and other repositories do not count"
                    ));
                }
                return fail(actual, hint);
            }
            Answer::Artifacts { of, all } => (of, all),
        };
        let (foreign, all): (Vec<Artifact>, Vec<Artifact>) =
            all.into_iter().partition(Artifact::is_foreign);
        if all.is_empty() && !foreign.is_empty() {
            return fail(
                format!("{of} was of another repository's code: a fork's artifacts do not count"),
                "build what is deployed from a branch or a tag of the repository itself".to_owned(),
            );
        }
        // The newest of each name: another attempt of a run leaves its own.
        let mut matching: Vec<&Artifact> = Vec::new();
        for artifact in all.iter().filter(|one| cli::glob(subject, &one.name)) {
            if !matching.iter().any(|seen| seen.name == artifact.name) {
                matching.push(artifact);
            }
        }
        if matching.is_empty() {
            let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
            let (actual, there) = match names.as_slice() {
                [] => (format!("{of} has no artifact at all"), String::new()),
                names => (
                    format!("{of} has no such artifact"),
                    format!("; it has {}", some(names)),
                ),
            };
            return fail(
                actual,
                format!(
                    "look at the upload step of the build job, and at `needs:` of this one{there}"
                ),
            );
        }
        for artifact in &matching {
            if let Some((actual, hint)) = fault(artifact, check.min_size) {
                return fail(actual, hint);
            }
        }
        let shown: Vec<String> = matching
            .iter()
            .map(|one| format!("{} ({})", one.name, Size::from_bytes(one.size_in_bytes)))
            .collect();
        Outcome::pass(id, subject)
            .expected(expected)
            .actual(format!("{of}: {}", some(&shown)))
    }
}

/// What is wrong with an artifact that is there, and what to do.
fn fault(artifact: &Artifact, min_size: Size) -> Option<(String, String)> {
    let name = &artifact.name;
    if artifact.expired {
        let when = artifact.expires_at.map(|at| format!(" on {at}"));
        return Some((
            format!("{name} expired{}", when.unwrap_or_default()),
            "run its build again, and keep it longer with `retention-days`".to_owned(),
        ));
    }
    if artifact.size_in_bytes < min_size.get() {
        let size = Size::from_bytes(artifact.size_in_bytes);
        return Some((
            format!("{name} has {size}, less than min-size ({min_size})"),
            "look at `path:` of the upload step: did the build leave what it should?".to_owned(),
        ));
    }
    None
}
