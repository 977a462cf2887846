//! Secrets and variables *there*: whether the workflow hands each one to the step, and whether GitHub has it. Whether it
//! is set *here* is another question.

use std::time::{Duration, Instant};

use cli::Job;
use github::secrets::Store;
use github::{Client, Error};
use model::Outcome;
use proposal::guarded::{GuardedJob, SecretSource, runs};
use survey::{Line, Value};

use super::configuration::{TOKENS, uses};
use super::finding::Finding;
use super::needed;
use super::repository::Repository;

const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn look(job: &Job, repository: &Repository) -> Vec<Finding> {
    let Some(survey) = repository.survey() else {
        return Vec::new();
    };
    let guarded = runs(survey);
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
    let needed = needed::by(job);
    let secrets = needed.secrets.iter().map(|name| (name, "secret"));
    let plain = needed.plain.iter().map(|name| (name, "variable"));
    let asked = secrets.chain(plain).filter(|(name, _)| !is_given(name));
    let guarded: Vec<GuardedJob<'_>> = (guarded.into_iter())
        .filter(|one| !is_of_another(*one, job))
        .collect();
    let mut findings = Vec::new();
    for (name, kind) in asked {
        let id = format!("repository/{kind}-{name}");
        for outcome in of_variable(&id, name, kind, &guarded, there.as_ref()).await {
            findings.push(Finding::new(outcome, &uses(name, job)));
        }
    }
    findings
}

/// Whether each runner sets it, or the login action of AWS does.
fn is_given(name: &str) -> bool {
    const OF_RUNNERS: [&str; 10] = [
        "CI", "HOME", "PATH", "USER", "PWD", "SHELL", "TMPDIR", "HOSTNAME", "LANG", "TZ",
    ];
    let prefixes = ["GITHUB_", "RUNNER_", "ACTIONS_", "AWS_", "LC_"];
    TOKENS.contains(&name)
        || OF_RUNNERS.contains(&name)
        || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a job is for another environment of the configuration than the chosen one.
fn is_of_another(one: GuardedJob<'_>, job: &Job) -> bool {
    let own = one.environment().map(|(_, name)| name);
    let (Some(chosen), Some(own)) = (job.environment.as_deref(), own) else {
        return false;
    };
    let mut others = job
        .config
        .environments
        .keys()
        .filter(|name| *name != chosen);
    others.any(|name| name.eq_ignore_ascii_case(&own))
}

/// What is said of a variable: of each job that hands over what GitHub lacks, else of the first that hands it over.
async fn of_variable(
    id: &str,
    name: &str,
    kind: &str,
    guarded: &[GuardedJob<'_>],
    there: Option<&(Client, github::Repository)>,
) -> Vec<Outcome> {
    let mut given: Option<Outcome> = None;
    let mut lacking: Vec<Outcome> = Vec::new();
    for one in guarded {
        let Some((at, value)) = one.given(name) else {
            continue;
        };
        let found = look_there(there, *one, value).await;
        let is_lacking = matches!(found, There::Lacks(_));
        let outcome = handed(id.to_owned(), name, &at, found, *one);
        if !is_lacking {
            given.get_or_insert(outcome);
        } else if lacking.iter().all(|known| known.reason != outcome.reason) {
            lacking.push(outcome);
        }
    }
    if !lacking.is_empty() {
        return lacking;
    }
    let set = || {
        let at = guarded.iter().find_map(|one| one.may_be_set(name))?;
        let outcome = Outcome::pass(id.to_owned(), at.to_string());
        let expected = outcome.expected("a step that hands it over");
        Some(expected.actual("this step may set it; a run alone knows"))
    };
    let context = if kind == "secret" { "secrets" } else { "vars" };
    let outcome = given.or_else(set);
    vec![outcome.unwrap_or_else(|| not_handed(id.to_owned(), name, context, guarded))]
}

fn not_handed(id: String, name: &str, context: &str, guarded: &[GuardedJob<'_>]) -> Outcome {
    let mut at: Vec<String> = guarded.iter().map(|one| one.line().to_string()).collect();
    // A job that several others call is guarded once for each.
    at.dedup();
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
    /// The line of the job that calls the workflow which hands it over.
    at: Option<Line>,
    /// That job hands nothing over.
    is_not_handed: bool,
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
        There::Lacks(missing) => lacking(id, expected, name, at, &missing, job),
    }
}

fn lacking(
    id: String,
    expected: &str,
    name: &str,
    at: &Line,
    missing: &Missing,
    job: GuardedJob<'_>,
) -> Outcome {
    let Missing {
        kind,
        name: missing,
        at: caller,
        is_not_handed,
    } = missing;
    let outcome = Outcome::fail(id, at.to_string()).expected(expected);
    let environment = job.environment().map(|(_, name)| name);
    if let (Some(caller), true) = (caller, is_not_handed) {
        return outcome
            .actual(format!("{caller} does not hand {missing} over"))
            .reason(format!(
                "{at} hands {name} over from the {kind} {missing}, and the job of {caller}, which calls this workflow, does not hand it over"
            ))
            .hint(format!(
                "there: add `secrets: inherit` to the job of {caller}, or `{missing}: ${{{{ secrets.{missing} }}}}` to the `secrets:` that it has"
            ));
    }
    let stores = match &environment {
        Some(name) => format!("neither the repository nor its environment {name} has one"),
        None => "the repository has none".to_owned(),
    };
    let own = environment.map_or_else(String::new, |name| {
        format!("; for the environment alone: gh {kind} set {missing} --env {name}")
    });
    let caller = (caller.as_ref()).map_or_else(String::new, |caller| format!(" ({caller})"));
    outcome
        .actual(format!("GitHub has no {kind} {missing}"))
        .reason(format!(
            "{at} hands {name} over from the {kind} {missing}{caller}, and {stores}"
        ))
        .hint(format!("there: gh {kind} set {missing}{own}"))
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
        return There::NotKnown("set GITHUB_TOKEN to check".to_owned());
    };
    if job.job.environment.is_some() && job.environment().is_none() {
        return There::NotKnown("a run alone knows its environment".to_owned());
    }
    if job.is_from_outside() {
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
    let environment = job
        .environment()
        .map(|(_, name)| Store::Environment(repository.clone(), name));
    let shared = [
        Store::Repository(repository.clone()),
        Store::Shared(repository.clone()),
    ];
    for (kind, name) in names {
        let mut found = false;
        if let Some(store) = &environment {
            found |= has(client, store, kind, &name).await?;
        }
        let source = match kind {
            "secret" => job.source(&name),
            _ => SecretSource::Named(name.clone(), None),
        };
        let (name, at, is_not_handed) = match source {
            SecretSource::Given => continue,
            SecretSource::Named(name, at) => (name, at, false),
            SecretSource::NotHanded(at) => (name, Some(at), true),
        };
        for store in shared.iter().filter(|_| !is_not_handed) {
            found |= has(client, store, kind, &name).await?;
        }
        if !found {
            return Ok(Some(Missing {
                kind,
                name,
                at,
                is_not_handed,
            }));
        }
    }
    Ok(None)
}

async fn has(client: &Client, store: &Store, kind: &str, name: &str) -> Result<bool, Error> {
    let has = match kind {
        "secret" => client
            .secret_updated_at(store, name)
            .await
            .map(|at| at.is_some()),
        _ => client.has_variable(store, name).await,
    };
    match has {
        // An account without an organisation shares nothing.
        Err(_) if matches!(store, Store::Shared(_)) => Ok(false),
        has => has,
    }
}
