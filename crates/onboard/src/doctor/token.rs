//! What the token that is here may ask of GitHub, where something configured asks it.

use std::time::{Duration, Instant};

use cli::Job;
use github::Error;
use github::token::MayRead;
use model::{Outcome, StageName};

use super::finding::Finding;
use super::permission::{Permission, needed};
use super::repository::Repository;

const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn look(job: &Job, repository: &Repository) -> Vec<Finding> {
    let needed = needed(job);
    let stops: Vec<StageName> = needed.iter().flat_map(|one| one.stops.clone()).collect();
    let finding = |outcome| vec![Finding::new(outcome, &stops)];
    if needed.is_empty() {
        let outcome = Outcome::skipped(
            "token/github",
            "GitHub",
            "no configured check or target queries GitHub",
        );
        return finding(outcome);
    }
    let Some(name) = repository.name(job) else {
        let outcome = Outcome::inconclusive("token/github", "GitHub")
            .expected("a repository to check")
            .actual("none")
            .reason("neither GITHUB_REPOSITORY nor `origin` names this repository")
            .hint("export GITHUB_REPOSITORY=OWNER/NAME");
        return finding(outcome);
    };
    // The section's own token where it has one: for the list of runners it is another.
    let own = job
        .config
        .runner_check()
        .ok()
        .flatten()
        .and_then(|section| section.token_env.as_deref());
    let identity = job.github(None, QUERY_TIMEOUT, Instant::now() + QUERY_TIMEOUT);
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
                .expected("a repository to check")
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
            Some(own) => job.github(Some(own), QUERY_TIMEOUT, Instant::now() + QUERY_TIMEOUT),
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
                    "give the token `{word}: read`; `gh auth status` shows whose it is"
                ))
        }
        Ok(MayRead::Unasked) => Outcome::inconclusive(id, repository)
            .expected(expected)
            .actual("not known")
            .reason("this permission cannot be checked")
            .hint("`deploy-guard preflight` checks it"),
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
