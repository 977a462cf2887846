//! What a job, a step or an environment is for, by what it is called.

use crate::{Job, Step, Workflow};

/// What an environment is for, by its name: the lowest is guarded first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// `production`, `prod`, `live`.
    Production,
    /// A name that says neither.
    Unknown,
    /// `staging`, `qa`, `demo`.
    Staging,
    /// `dev`, `preview`, `pr-12`, `github-pages`: never taken for production.
    Preview,
}

/// What an environment is for, by its name.
pub fn rank_of(name: &str) -> Rank {
    let lower = name.to_ascii_lowercase();
    let has = |words: &[&str]| {
        lower
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|part| {
                words.iter().any(|word| {
                    part == *word
                        || part.len() > word.len()
                            && part.starts_with(word)
                            && part[word.len()..].chars().all(|c| c.is_ascii_digit())
                })
            })
    };
    if lower == "github-pages"
        || has(&[
            "preview",
            "pr",
            "review",
            "dev",
            "development",
            "sandbox",
            "test",
            "tests",
            "testing",
            "ci",
            "local",
            "ephemeral",
        ])
    {
        Rank::Preview
    } else if has(&[
        "staging",
        "stage",
        "stg",
        "qa",
        "uat",
        "demo",
        "preprod",
        "beta",
        "canary",
        "int",
        "acceptance",
        "backup",
    ]) {
        Rank::Staging
    } else if has(&["production", "prod", "live", "prd"]) {
        Rank::Production
    } else {
        Rank::Unknown
    }
}

/// What a job is for, by a name of its own or of its workflow that says so.
pub fn rank_of_job(workflow: &Workflow, job: &Job) -> Rank {
    let names = [
        Some(&workflow.path),
        workflow.name.as_ref(),
        Some(&job.id),
        job.name.as_ref(),
    ];
    let ranks = names.into_iter().flatten().map(|name| rank_of(name));
    let rank = ranks.max_by_key(|rank| (*rank != Rank::Unknown, *rank));
    rank.unwrap_or(Rank::Unknown)
}

/// What a step is for, by its name, else by the branch that its condition wants.
pub fn rank_of_step(step: &Step) -> Rank {
    let lower = step
        .name
        .as_deref()
        .unwrap_or_default()
        .to_ascii_lowercase();
    // "Test and deploy": the part of it that deploys.
    let parts = lower
        .split([',', '&', '+'])
        .flat_map(|part| part.split(" and "));
    let ranks = parts.filter(|part| part.contains("deploy")).map(rank_of);
    match ranks.min().unwrap_or(Rank::Unknown) {
        Rank::Unknown => rank_of_branch(step.condition.as_deref().unwrap_or_default()),
        rank => rank,
    }
}

fn rank_of_branch(condition: &str) -> Rank {
    let mut texts = condition.split('\'').skip(1).step_by(2);
    match texts.next() {
        _ if condition.contains('!') => Rank::Unknown,
        Some(text) if text.starts_with("refs/tags/") => Rank::Production,
        Some(text) => match text.trim_start_matches("refs/heads/") {
            "main" | "master" => Rank::Production,
            "develop" => Rank::Staging,
            name => rank_of(name),
        },
        None => Rank::Unknown,
    }
}

/// The words that such an expression chooses from.
pub fn words(expression: &str) -> Vec<String> {
    // `CONDITION && 'a' || 'b'`: words after `&&` and `||`, and not those that a condition compares with.
    let parts = expression
        .split("&&")
        .flat_map(|part| part.split("||"))
        .map(str::trim);
    let words = parts.filter_map(|part| {
        let part = part.trim_matches(['(', ')', ' ']);
        let word = part.strip_prefix('\'')?.strip_suffix('\'')?;
        (!word.contains('\'')).then(|| word.to_owned())
    });
    words.collect()
}
