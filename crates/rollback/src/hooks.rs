//! What the user's own commands beside a rollback receive.

use std::path::PathBuf;
use std::time::Duration;

use cli::{Failure, Job, hooks};
use model::Report;

use crate::session::Session;

/// How long hooks may run after a signal: an interrupted rollback must end quickly.
pub(crate) const NO_TIME: Duration = Duration::ZERO;

/// What hooks receive about the current rollback.
#[derive(Clone, Debug, Default)]
pub(crate) struct HookContext {
    /// Whether there is a rollback to report.
    pub(crate) began: bool,
    pub(crate) destination: String,
    pub(crate) left: Option<String>,
    pub(crate) evidence: Option<PathBuf>,
}

impl HookContext {
    /// The context before the destination is known.
    pub(crate) fn begun() -> HookContext {
        HookContext {
            began: true,
            ..HookContext::default()
        }
    }

    /// There is a rollback to this destination.
    pub(crate) fn begin(&mut self, destination: &str) {
        self.began = true;
        destination.clone_into(&mut self.destination);
    }

    /// The variables that every hook gets. Empty rather than inherited: the caller's own RELEASE
    /// must not be taken for ours.
    pub(crate) fn env(&self, job: &Job) -> Vec<(String, String)> {
        let evidence = self.evidence.as_ref();
        [
            ("RELEASE", Some(self.destination.clone())),
            ("PREVIOUS_RELEASE", self.left.clone()),
            ("SERVICE", job.service()),
            ("ENVIRONMENT", job.environment.clone()),
            ("EVIDENCE", evidence.map(|path| path.display().to_string())),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.unwrap_or_default()))
        .collect()
    }
}

/// Runs the `after` hooks on what a rollback came to.
pub(crate) async fn after(
    session: &Session<'_>,
    mut hook_context: HookContext,
    ended: Result<Report, Failure>,
) -> Result<Report, Failure> {
    let (job, after) = (session.job, &session.section.after);
    // An interrupted rollback must end quickly; `resume` runs the hooks.
    if !hook_context.began || job.interrupt.caught().is_some() {
        return ended;
    }
    let told = match &ended {
        Ok(report) => report.clone(),
        Err(failure) => failure.report("rollback", session.started_at),
    };
    if hook_context.evidence.is_none() && after.is_empty() {
        return ended;
    }
    let file = session.keep_report(&mut hook_context, &told);
    let ended = ended.map(|mut report| {
        let folder = hook_context.evidence.as_ref();
        let folder = folder.map(|path| path.display().to_string());
        report
            .outputs
            .extend(folder.map(|path| ("evidence".to_owned(), path)));
        report
    });
    let env = hook_context.env(job);
    hooks::after(job, after, ended, &told, file.as_deref(), env, NO_TIME).await
}
