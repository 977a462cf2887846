//! What the token that is here may ask of GitHub, where something configured asks it.

use std::time::{Duration, Instant};

use cli::Job;
use github::Error;
use github::token::MayRead;
use model::Outcome;

use super::repository::Repository;
use super::{Finding, Who};

const PATIENCE: Duration = Duration::from_secs(10);

/// A permission that a configured check or target cannot do without.
pub(super) struct Permission {
    /// A fine-grained token's word with underscores.
    pub(super) name: &'static str,
    pub(super) stops: Vec<Who>,
    /// A workflow's own token can never have it.
    pub(super) own_token: bool,
}

pub(super) fn needed(job: &Job) -> Vec<Permission> {
    let config = &job.config;
    let mut all: Vec<Permission> = Vec::new();
    let mut need = |name, who, own_token| match all.iter_mut().find(|one| one.name == name) {
        Some(one) => one.stops.push(who),
        None => all.push(Permission {
            name,
            stops: vec![who],
            own_token,
        }),
    };
    if let Some(section) = &config.preflight {
        if !section.checks.is_empty() {
            need("checks", Who::Preflight, false);
            need("statuses", Who::Preflight, false);
        }
        if !section.artifacts.is_empty() {
            need("actions", Who::Preflight, false);
        }
        if !section.staging.is_empty() || !section.deployments.is_empty() {
            need("deployments", Who::Preflight, false);
        }
        for check in &section.runners {
            let name = if check.organization.is_some() {
                "organization_self_hosted_runners"
            } else {
                "administration"
            };
            need(name, Who::Preflight, true);
        }
    }
    if let Some(section) = &config.runner_check {
        let name = if section.organization.is_some() {
            "organization_self_hosted_runners"
        } else {
            "administration"
        };
        need(name, Who::RunnerCheck, true);
    }
    if config
        .rollback
        .as_ref()
        .is_some_and(|section| section.workflow.is_some())
    {
        need("actions", Who::Rollback, false);
    }
    all
}

pub(super) async fn look(job: &Job, repository: &Repository) -> Vec<Finding> {
    let needed = needed(job);
    let stops: Vec<Who> = needed.iter().flat_map(|one| one.stops.clone()).collect();
    let finding = |outcome| vec![Finding::new(outcome, &stops)];
    if needed.is_empty() {
        let outcome = Outcome::skipped(
            "token/github",
            "GitHub",
            "nothing that is configured asks GitHub",
        );
        return finding(outcome);
    }
    let Some(name) = repository.name(job) else {
        let outcome = Outcome::inconclusive("token/github", "GitHub")
            .expected("a repository to ask about")
            .actual("none")
            .reason("neither GITHUB_REPOSITORY nor `origin` says which repository this is")
            .hint("export GITHUB_REPOSITORY=OWNER/NAME");
        return finding(outcome);
    };
    // The section's own token where it has one: for the list of runners it is another.
    let own = job
        .config
        .runner_check
        .as_ref()
        .and_then(|section| section.token_env.as_deref());
    let identity = job.github(None, PATIENCE, Instant::now() + PATIENCE);
    let client = match identity.and_then(|client| {
        if client.has_token() {
            Ok(client)
        } else {
            Err(Error::NoVariable {
                variable: "GITHUB_TOKEN".to_owned(),
            })
        }
    }) {
        Ok(client) => client,
        Err(error) => {
            let outcome = Outcome::fail("token/github", &name)
                .expected("a token that GitHub knows")
                .actual("none")
                .reason(format!("there is no token for GitHub: {error}"))
                .hint("here: `export GITHUB_TOKEN=$(gh auth token)`; in the workflow: `github-token: ${{ github.token }}`");
            return finding(outcome);
        }
    };
    let parsed = match github::Repository::parse(&name) {
        Ok(parsed) => parsed,
        Err(error) => {
            let outcome = Outcome::inconclusive("token/github", &name)
                .expected("a repository to ask about")
                .actual(name.clone())
                .reason(error.to_string())
                .hint("export GITHUB_REPOSITORY=OWNER/NAME");
            return finding(outcome);
        }
    };
    let mut findings = Vec::new();
    for Permission {
        name: permission,
        stops,
        own_token,
    } in needed
    {
        let asking = match own.filter(|_| own_token) {
            Some(own) => job.github(Some(own), PATIENCE, Instant::now() + PATIENCE),
            None => Ok(client.clone()),
        };
        let answer = match asking {
            Ok(client) => client.may_read(&parsed, permission).await,
            Err(error) => Err(error),
        };
        findings.push(Finding::new(told(permission, &name, answer), &stops));
    }
    findings
}

fn told(permission: &str, repository: &str, answer: Result<MayRead, Error>) -> Outcome {
    let word = permission.replace('_', "-");
    let id = format!("token/{word}");
    let expected = format!("a token that may read {word}");
    match answer {
        Ok(MayRead::Yes) => Outcome::pass(id, repository)
            .expected(expected)
            .actual("it may"),
        Ok(MayRead::No { says }) => {
            let says = says.map_or(String::new(), |says| format!(": {says}"));
            Outcome::fail(id, repository)
                .expected(expected)
                .actual("it may not")
                .reason(format!(
                    "the token that is here may not read {word} of {repository}{says}"
                ))
                .hint(format!(
                    "give the token `{word}: read`; `gh auth status` says whose it is"
                ))
        }
        Ok(MayRead::Unasked) => Outcome::inconclusive(id, repository)
            .expected(expected)
            .actual("not known")
            .reason("this permission cannot be asked about")
            .hint("`deploy-guard preflight` asks with it"),
        Err(Error::BadToken) => Outcome::fail(id, repository)
            .expected(expected)
            .actual("GitHub does not know the token")
            .reason(Error::BadToken.to_string())
            .hint(Error::BadToken.hint()),
        Err(error) => Outcome::error(id, repository)
            .expected(expected)
            .actual("not known")
            .reason(error.to_string())
            .hint(error.hint()),
    }
}
