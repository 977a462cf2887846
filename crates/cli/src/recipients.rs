//! Who is told what happened: the sinks of `incident:`, with what they need of a job.

use std::io::Write as _;
use std::path::Path;

use notify::{Recipient, SinkContext};

use crate::{Failure, Job};

impl Job {
    /// Hands over every sink of the configuration; none where it has no section `incident:`.
    pub async fn with_recipients<T>(
        &self,
        work: impl AsyncFnOnce(Vec<Recipient<'_>>) -> T,
    ) -> Result<T, Failure> {
        let Some(section) = self.config.incident()? else {
            return Ok(work(Vec::new()).await);
        };
        let github =
            |token_env: Option<&str>, timeout, until| self.github(token_env, timeout, until);
        let say = |line: &str| {
            let line = format!("{}\n", self.redactor.redact(line));
            // A closed stream changes nothing.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        };
        let around = SinkContext {
            env: &self.env,
            folder: Path::new(""),
            redactor: &self.redactor,
            github: &github,
            repository: self.actions.repository.as_deref(),
            say: &say,
            commit: self.actions.sha.as_deref(),
        };
        Ok(work(notify::recipients(section, around)).await)
    }
}
