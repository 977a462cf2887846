//! The repository that we are called in, and its workflows that use us.

use cli::Job;
use model::Outcome;
use survey::{Line, Survey, Workflow};
use workflow::{Own, OwnCall};
use yaml::{Kind, Node};

use super::finding::Finding;
use super::permission::{Permission, needed};

pub(super) struct Repository(Option<Survey>);

impl Repository {
    pub(super) fn find() -> Self {
        let folder = std::env::current_dir().ok();
        Repository(folder.and_then(|folder| survey::look(&folder).ok()))
    }

    /// `owner/name`, of the workflow's run, else of `origin`.
    pub(super) fn name(&self, job: &Job) -> Option<String> {
        let origin = || self.0.as_ref()?.origin.clone();
        job.actions.repository.clone().or_else(origin)
    }

    /// The step that asks an address by itself, where no step of ours needs a configuration.
    pub(super) fn asks_by_itself(&self) -> Option<Line> {
        let workflows = &self.survey()?.workflows;
        let steps = workflows.iter().flat_map(|workflow| {
            let steps = workflow.jobs.iter().flat_map(|job| &job.steps);
            steps.map(move |step| (workflow, step))
        });
        let ours: Vec<_> = steps
            .filter_map(|(workflow, step)| match &step.own {
                Some(Own::Runs(calls)) => Some((workflow.line(step.line), calls)),
                Some(Own::Setup) | None => None,
            })
            .collect();
        let asks = |call: &OwnCall| {
            // Only a gate is given an address; whether it is one, a run alone may know.
            let is_gate = call
                .stage
                .as_deref()
                .is_none_or(|stage| stage == "healthgate");
            is_gate && !call.asks.is_empty()
        };
        let (first, _) = ours.first()?;
        (ours.iter().all(|(_, calls)| calls.iter().all(asks))).then(|| first.clone())
    }

    /// What it contains, where it is one.
    pub(super) fn survey(&self) -> Option<&Survey> {
        self.0.as_ref().filter(|survey| survey.git)
    }

    pub(super) fn look(&self, job: &Job) -> Vec<Finding> {
        let Some(seen) = self.0.as_ref().filter(|seen| seen.git) else {
            let outcome = Outcome::fail("repository/git", "this folder")
                .expected("a Git repository")
                .actual("none")
                .reason("no Git repository is here: GitHub runs no workflow of it")
                .hint("call it in the repository's checkout, or make one: `git init`");
            return vec![Finding::new(outcome, &[])];
        };
        let root = seen.root.display().to_string();
        let git = Outcome::pass("repository/git", &root)
            .expected("a Git repository")
            .actual("one");
        let mut findings = vec![Finding::new(git, &[])];
        let ours: Vec<_> = seen
            .workflows
            .iter()
            .filter(|workflow| workflow.guards)
            .collect();
        if ours.is_empty() {
            let outcome = Outcome::fail("repository/workflow", ".github/workflows")
                .expected("a workflow that uses deploy-guard")
                .actual("none")
                .reason("no workflow uses deploy-guard")
                .hint("`deploy-guard init` writes one; or add a step to the one that deploys");
            findings.push(Finding::new(outcome, &[]));
            return findings;
        }
        for workflow in &ours {
            let outcome = Outcome::pass("repository/workflow", &workflow.path)
                .expected("a workflow that uses deploy-guard")
                .actual("one");
            findings.push(Finding::new(outcome, &[]));
        }
        // The workflow file grants its token's permissions; one workflow with the permission is enough.
        for Permission {
            name,
            stops,
            own_token,
        } in needed(job)
        {
            if own_token {
                continue;
            }
            let word = name.replace('_', "-");
            let given = ours
                .iter()
                .any(|workflow| permissions(workflow).any(|permissions| gives(permissions, &word)));
            let paths: Vec<&str> = ours.iter().map(|workflow| workflow.path.as_str()).collect();
            let id = format!("repository/permission-{word}");
            let expected = format!("`permissions: {{ {word}: read }}` in the job");
            let outcome = if given {
                Outcome::pass(id, paths.join(", "))
                    .expected(expected)
                    .actual("given")
            } else {
                Outcome::fail(id, paths.join(", "))
                    .expected(expected)
                    .actual("not given")
                    .reason(format!("the job's token may not read {word}"))
                    .hint(format!("add `{word}: read` under the job's `permissions`, and hand over `github-token: ${{{{ github.token }}}}`"))
            };
            findings.push(Finding::new(outcome, &stops));
        }
        findings
    }
}

/// Every `permissions` of a workflow.
fn permissions(workflow: &Workflow) -> impl Iterator<Item = &Node> {
    let of_jobs = workflow.jobs.iter().map(|job| &job.permissions);
    [&workflow.permissions].into_iter().chain(of_jobs).flatten()
}

/// Whether `permissions` gives this one.
fn gives(permissions: &Node, word: &str) -> bool {
    match &permissions.kind {
        Kind::Scalar(scalar) => matches!(scalar.text.as_str(), "read-all" | "write-all"),
        _ => matches!(
            permissions.get(word).and_then(Node::text),
            Some("read" | "write")
        ),
    }
}
