//! The environment that a job is for.

use crate::deployment::{Environment, Rank};
use crate::jobs::Run;
use crate::record::Assembly;
use workflow::Fact;
use workflow::Job;
use workflow::Value;

impl Assembly<'_> {
    pub(crate) fn environment(&self, run: &Run, job: &Job) -> Option<Environment> {
        let workflow = &self.workflows[run.id.workflow];
        let text = job.environment.as_ref()?;
        let filled = run.scope.fill(text.value.text());
        let at = run
            .by
            .last()
            .filter(|_| text.value.expression().is_some())
            .cloned()
            .unwrap_or_else(|| workflow.line(text.key_line));
        // `github.ref == 'refs/heads/main' && 'production' || 'staging'`: the first of its words.
        let name = match Value::new(&*filled).expression() {
            Some(inner) => chosen(inner)?,
            None => filled,
        };
        let good = |c: char| c.is_ascii_alphanumeric() || "._-/ ".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(good) {
            return None;
        }
        let url = job.environment_url.as_ref().map(|url| {
            let value = Value::new(run.scope.fill(url.value.text()));
            Fact::new(value, workflow.line(url.key_line))
        });
        Some(Environment {
            rank: rank_of(&name),
            name: Fact::new(name, at),
            written: text.value.clone(),
            url,
        })
    }
}

/// What an environment is for, by its name.
pub(crate) fn rank_of(name: &str) -> Rank {
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

/// The word that an expression for an environment chooses for production, or for what is next to it.
fn chosen(expression: &str) -> Option<String> {
    words(expression)
        .into_iter()
        .min_by_key(|word| rank_of(word))
}

/// The words that such an expression chooses from.
pub(crate) fn words(expression: &str) -> Vec<String> {
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
