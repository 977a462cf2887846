//! The environment that a job is for.

use crate::deployment::Environment;
use crate::jobs::Run;
use crate::record::Assembly;
use workflow::Fact;
use workflow::Job;
use workflow::Value;
use workflow::rank::{rank_of, words};

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

/// The word that an expression for an environment chooses for production, or for what is next to it.
fn chosen(expression: &str) -> Option<String> {
    words(expression)
        .into_iter()
        .min_by_key(|word| rank_of(word))
}
