//! What a stage is given.

use std::time::Duration;

use model::{Env, Redactor, Report, glob};

use crate::{Interrupt, Progress, Publisher};

/// Everything that a stage may know of the outside. Cheap enough to clone for a stage that calls
/// another.
#[derive(Clone, Debug)]
pub struct Job {
    pub config: config::Config,
    /// The file that it was read from.
    pub config_path: Option<std::path::PathBuf>,
    /// What the stage was given.
    pub inputs: model::Inputs,
    /// Why it could not be read; only for a stage that goes on without it.
    pub broken: Option<config::Error>,
    pub env: Env,
    pub actions: actions::Context,
    /// `--release`.
    pub release: Option<String>,
    /// `--environment`.
    pub environment: Option<String>,
    pub only: Selection,
    pub dry_run: bool,
    pub redactor: Redactor,
    pub progress: Progress,
    pub interrupt: Interrupt,
    /// For a stage that runs others and shows each one's report.
    pub publisher: Publisher,
    /// The variables of which the configuration says that they hold a secret.
    pub secret_variables: std::collections::BTreeSet<String>,
    /// The lease of the operation that this job is a part of.
    pub within: Option<state::Within>,
}

impl Job {
    /// Fills in what every report contains about its surroundings.
    pub(crate) fn complete(&self, report: &mut Report, took: Duration) {
        // One that was put together of others took as long as they did.
        if report.duration.is_zero() {
            report.duration = took;
        }
        let or = |mine: Option<String>, ours: &Option<String>| mine.or_else(|| ours.clone());
        report.service = or(report.service.take(), &self.service());
        report.environment = or(report.environment.take(), &self.environment);
        report.release = or(report.release.take(), &self.release);
        report.context = self.actions.report(crate::VERSION);
        report.inputs = Some(self.inputs.clone());
    }

    /// What is deployed, as a person calls it.
    pub fn service(&self) -> Option<String> {
        // One that cannot be used ended the stage before it began.
        self.config.service().ok().flatten().map(str::to_owned)
    }

    /// A name for the workflow run, as the history keeps it.
    pub fn run_name(&self) -> Option<String> {
        let run = self.actions.run_id.as_ref()?;
        Some(format!("{run}/{}", self.actions.run_attempt.unwrap_or(1)))
    }

    /// Who is acting, for a person to ask.
    pub fn actor(&self) -> String {
        let who = self.actions.actor.as_deref();
        who.or(self.env.non_empty("USER"))
            .or(self.env.non_empty("LOGNAME"))
            .unwrap_or("unknown")
            .to_owned()
    }
}

/// Which checks were chosen by `--only` and `--skip`.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Selection {
    pub fn new(only: Vec<String>, skip: Vec<String>) -> Self {
        Selection { only, skip }
    }

    /// Whether this outcome id is asked for: by itself, by what it lies below (`hosts`,
    /// `hosts/web-01`), or by a pattern. An empty choice chooses all; what is skipped is never
    /// asked for.
    pub fn selects(&self, id: &str) -> bool {
        let named = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, id));
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }

    /// Patterns of `--only` that match none of these ids: mistyped names.
    pub fn unknown(&self, ids: &[String]) -> Vec<&str> {
        let none = |pattern: &&str| !ids.iter().any(|id| fits(pattern, id));
        self.only.iter().map(String::as_str).filter(none).collect()
    }
}

fn fits(pattern: &str, id: &str) -> bool {
    let below = id
        .strip_prefix(pattern)
        .is_some_and(|rest| rest.starts_with('/'));
    below || glob(pattern, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_kinds_and_patterns_choose() {
        let owned =
            |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        let only = |patterns: &[&str]| Selection::new(owned(patterns), Vec::new());
        let skip = |patterns: &[&str]| Selection::new(owned(&["http"]), owned(patterns));
        assert!(skip(&["http/live"]).selects("http/ready"));
        assert!(!skip(&["*/ready"]).selects("http/ready"));
        assert!(!skip(&["http"]).selects("http/ready"));
        assert!(only(&[]).selects("http/ready"));
        assert!(only(&["http/ready"]).selects("http/ready"));
        assert!(only(&["http"]).selects("http/ready"));
        assert!(only(&["hosts/web"]).selects("hosts/web/disk"));
        assert!(!only(&["hosts/web"]).selects("hosts/web-2/disk"));
        assert!(only(&["h*/r*y"]).selects("http/ready"));
        assert!(!only(&["http/live", "ht"]).selects("http/ready"));
        assert!(!only(&["*live"]).selects("http/ready"));
    }
}
