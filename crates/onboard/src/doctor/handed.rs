//! Secrets and variables *there*: whether the workflow hands each one to the step, and whether GitHub has it. Whether it
//! is set *here* is another question.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cli::Job;
use github::secrets::Store;
use github::{Client, Error};
use model::Outcome;
use survey::{Line, Value};

use super::configuration::{TOKENS, uses};
use super::finding::Finding;
use super::guarded::{GuardedJob, jobs};
use super::repository::Repository;

const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// A configuration is shorter.
const MAX_FILE: u64 = 1 << 20;

pub(super) async fn look(job: &Job, repository: &Repository) -> Vec<Finding> {
    let Some(survey) = repository.survey() else {
        return Vec::new();
    };
    let guarded = jobs(survey);
    if guarded.is_empty() {
        return Vec::new();
    }
    let client = job
        .github(None, QUERY_TIMEOUT, Instant::now() + QUERY_TIMEOUT)
        .ok();
    let parsed = repository
        .name(job)
        .and_then(|name| github::Repository::parse(&name).ok());
    let there = client.filter(Client::has_token).zip(parsed);
    let mut findings = Vec::new();
    let secrets: BTreeSet<&String> = job
        .secret_variables
        .iter()
        .filter(|name| !TOKENS.contains(&name.as_str()))
        .collect();
    for name in secrets {
        let id = format!("repository/secret-{name}");
        let outcome = match given(&guarded, name) {
            None => not_handed(id, name, "secrets", &guarded),
            Some((one, (at, value))) => {
                let found = look_there(there.as_ref(), one, value).await;
                handed(id, name, &at, found, one)
            }
        };
        findings.push(Finding::new(outcome, &uses(name, job)));
    }
    for name in plain_variables(job) {
        let id = format!("repository/variable-{name}");
        let outcome = match given(&guarded, name) {
            // A step before it may have set it.
            None if guarded.iter().any(|one| {
                [name.as_str(), "GITHUB_ENV"]
                    .iter()
                    .any(|text| one.workflow.text.contains(text))
            }) =>
            {
                continue;
            }
            None => not_handed(id, name, "vars", &guarded),
            Some((one, (at, value))) => {
                let found = look_there(there.as_ref(), one, value).await;
                handed(id, name, &at, found, one)
            }
        };
        findings.push(Finding::new(outcome, &uses(name, job)));
    }
    findings
}

/// The variables of the configuration that hold no secret, that no runner sets, and that have no default.
fn plain_variables(job: &Job) -> Vec<&String> {
    const OF_RUNNERS: [&str; 10] = [
        "CI", "HOME", "PATH", "USER", "PWD", "SHELL", "TMPDIR", "HOSTNAME", "LANG", "TZ",
    ];
    let path = job.config_path.as_ref();
    let text = path.and_then(|path| files::read_text(path, MAX_FILE).ok());
    let text = text.unwrap_or_default();
    let is_plain = |name: &&String| {
        let is_secret = job.secret_variables.contains(*name);
        // Those of AWS are set by its login action.
        let prefixes = ["GITHUB_", "RUNNER_", "ACTIONS_", "AWS_", "LC_"];
        let is_of_runner = OF_RUNNERS.contains(&name.as_str())
            || prefixes.iter().any(|prefix| name.starts_with(prefix));
        let needs_one = text.contains(&format!("${{{name}}}"));
        !is_secret && !is_of_runner && needs_one && !TOKENS.contains(&name.as_str())
    };
    job.inputs.variables.keys().filter(is_plain).collect()
}

/// What a variable is given by the first job that gives it something.
fn given<'s>(
    guarded: &[GuardedJob<'s>],
    name: &str,
) -> Option<(GuardedJob<'s>, (Line, &'s Value))> {
    let found = |one: &GuardedJob<'s>| Some((*one, one.given(name)?));
    guarded.iter().find_map(found)
}

fn not_handed(id: String, name: &str, context: &str, guarded: &[GuardedJob<'_>]) -> Outcome {
    let at: Vec<String> = guarded.iter().map(|one| one.line().to_string()).collect();
    Outcome::fail(id, at.join(", "))
        .expected("a step that hands it over")
        .actual("none does")
        .reason(format!(
            "the configuration names {name}, and no step that uses deploy-guard hands it over"
        ))
        .hint(format!(
            "there: map it in the step: `env: {{ {name}: ${{{{ {context}.{name} }}}} }}`"
        ))
}

/// What GitHub has of what a value names.
enum There {
    /// It names nothing of GitHub's, or has a default.
    NotNeeded,
    Has,
    Lacks(Missing),
    /// Without a token, or with one that may not list it.
    NotKnown(String),
}

struct Missing {
    /// As `gh` has it: `secret` or `variable`.
    kind: &'static str,
    name: String,
}

fn handed(id: String, name: &str, at: &Line, there: There, job: GuardedJob<'_>) -> Outcome {
    let expected = "a step that hands over what GitHub has";
    let passed = |actual: String| {
        let outcome = Outcome::pass(id.clone(), at.to_string());
        outcome.expected(expected).actual(actual)
    };
    match there {
        There::NotNeeded => passed("handed over".to_owned()),
        There::Has => passed("handed over, and GitHub has it".to_owned()),
        There::NotKnown(why) => passed(format!(
            "handed over; whether GitHub has it is not known: {why}"
        )),
        There::Lacks(Missing {
            kind,
            name: missing,
        }) => {
            let environment = job.environment().map(|(_, name)| name);
            let stores = match environment {
                Some(name) => format!("neither the repository nor its environment {name} has one"),
                None => "the repository has none".to_owned(),
            };
            let own = environment.map_or_else(String::new, |name| {
                format!("; for the environment alone: gh {kind} set {missing} --env {name}")
            });
            Outcome::fail(id, at.to_string())
                .expected(expected)
                .actual(format!("GitHub has no {kind} {missing}"))
                .reason(format!(
                    "{at} hands {name} over from the {kind} {missing}, and {stores}"
                ))
                .hint(format!("there: gh {kind} set {missing}{own}"))
        }
    }
}

async fn look_there(
    there: Option<&(Client, github::Repository)>,
    job: GuardedJob<'_>,
    value: &Value,
) -> There {
    let secrets = value.secrets().into_iter().map(|name| ("secret", name));
    let variables = value.variables().into_iter().map(|name| ("variable", name));
    let names: Vec<(&'static str, String)> = secrets.chain(variables).collect();
    let is_github_token = |(_, name): &(&str, String)| name == "GITHUB_TOKEN";
    if names.is_empty() || value.has_default() || names.iter().all(is_github_token) {
        return There::NotNeeded;
    }
    let Some((client, repository)) = there else {
        return There::NotKnown("set GITHUB_TOKEN to ask".to_owned());
    };
    if job.job.environment.is_some() && job.environment().is_none() {
        return There::NotKnown("a run alone knows its environment".to_owned());
    }
    if job.workflow.is_only_called() {
        return There::NotKnown("the workflow that calls this one hands it over".to_owned());
    }
    match missing(client, repository, job, names).await {
        Ok(Some(missing)) => There::Lacks(missing),
        Ok(None) => There::Has,
        // A token that may not list them does not tell that one is missing.
        Err(error) => There::NotKnown(error.to_string()),
    }
}

/// The first that neither the job's environment, nor the repository, nor its organisation has.
async fn missing(
    client: &Client,
    repository: &github::Repository,
    job: GuardedJob<'_>,
    names: Vec<(&'static str, String)>,
) -> Result<Option<Missing>, Error> {
    let mut stores = vec![
        Store::Repository(repository.clone()),
        Store::Shared(repository.clone()),
    ];
    if let Some((_, name)) = job.environment() {
        stores.insert(0, Store::Environment(repository.clone(), name.to_owned()));
    }
    for (kind, name) in names {
        let mut found = false;
        for store in &stores {
            let has = match kind {
                "secret" => client
                    .secret_updated_at(store, &name)
                    .await
                    .map(|at| at.is_some()),
                _ => client.has_variable(store, &name).await,
            };
            found |= match has {
                Ok(has) => has,
                // An account without an organisation shares nothing.
                Err(_) if matches!(store, Store::Shared(_)) => false,
                Err(error) => return Err(error),
            };
        }
        if !found {
            return Ok(Some(Missing { kind, name }));
        }
    }
    Ok(None)
}
