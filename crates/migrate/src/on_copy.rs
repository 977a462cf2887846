//! What a rehearsal does to the copy: the tool under the limits of a real run, and the test of the release before.

use cli::Failure;
use migrations::{Command, Reading};
use migrator::{Change, ChangeEnd, Session, ToolFailure, change};
use rehearsal::{Step, Steps};
use remote::local::{Script, Stream};

use crate::backup_folder::{failure, interrupted};

/// The copy, and what it was before.
pub(crate) struct OnCopy<'s> {
    /// Its database is the copy.
    pub(crate) session: &'s Session<'s>,
    /// What was applied before, in its order.
    pub(crate) before: &'s Reading,
    /// Whose test is run.
    pub(crate) release: Option<&'s str>,
}

/// What ends a rehearsal before its end.
pub(crate) struct RehearsalError(pub(crate) Failure);

impl From<Failure> for RehearsalError {
    fn from(failure: Failure) -> RehearsalError {
        RehearsalError(failure)
    }
}

impl From<dump::Error> for RehearsalError {
    fn from(error: dump::Error) -> RehearsalError {
        RehearsalError(failure(&error))
    }
}

impl From<database::Error> for RehearsalError {
    fn from(error: database::Error) -> RehearsalError {
        RehearsalError(Failure::error(error))
    }
}

impl OnCopy<'_> {
    async fn make(
        &self,
        commands: &dyn Fn(&Reading) -> Vec<Command>,
        is_made: &dyn Fn(&Reading) -> bool,
    ) -> Result<Step, RehearsalError> {
        let wish = Change {
            commands,
            is_made,
            token: u64::from(rand::random::<u32>()),
        };
        let made = Box::pin(change(self.session, &wish)).await?;
        Ok(match made.end {
            ChangeEnd::Done => Step::Done,
            ChangeEnd::Failed(ToolFailure { told: reason, .. }) | ChangeEnd::Late(reason) => {
                if made.is_blocked {
                    Step::Blocked(reason)
                } else {
                    Step::Failed(reason)
                }
            }
            ChangeEnd::Unknown(outcome) => Step::Failed(outcome.reason.unwrap_or_default()),
            ChangeEnd::Interrupted => return Err(Failure::error("interrupted").into()),
        })
    }
}

impl Steps for OnCopy<'_> {
    type Error = RehearsalError;

    async fn apply(&self) -> Result<Step, RehearsalError> {
        let commands = |reading: &Reading| vec![self.session.tool.apply(reading)];
        let is_made = |reading: &Reading| reading.pending.is_empty();
        self.make(&commands, &is_made).await
    }

    async fn undo(&self) -> Result<Step, RehearsalError> {
        let truth = match self.session.truth().await {
            Ok(truth) => truth,
            Err(unknown) => return Ok(Step::Failed(unknown.reason.unwrap_or_default())),
        };
        let to = self.before.revision().unwrap_or_default();
        let commands = match self.session.tool.undo(&truth.reading, Some(&to)) {
            Ok(commands) => commands,
            Err(none) => return Ok(Step::None(none.to_string())),
        };
        let commands = |_: &Reading| commands.clone();
        let is_made = |reading: &Reading| reading.applied.len() == self.before.applied.len();
        Ok(match self.make(&commands, &is_made).await? {
            Step::Failed(said) => match self.session.tool.no_way_back(&said) {
                Some(none) => Step::None(none),
                None => Step::Failed(said),
            },
            ended => ended,
        })
    }

    async fn smoke(&self) -> Result<Step, RehearsalError> {
        let section = self.session.section;
        let Some(smoke) = &section.rehearse.smoke else {
            return Ok(Step::None("`rehearse.smoke` is not set".to_owned()));
        };
        let mut env: Vec<(String, String)> = section
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        env.push((
            section.url_env.clone(),
            self.session.url.expose().to_owned(),
        ));
        env.push((
            "RELEASE".to_owned(),
            self.release.unwrap_or_default().to_owned(),
        ));
        let script = Script {
            text: smoke,
            env,
            timeout: section.deadline.get(),
        };
        let redactor = &self.session.job.redactor;
        let mut log = |_: Stream, line: &str| tracing::info!("{}", redactor.redact(line));
        let ran = interrupted(self.session.job, remote::local::run(&script, &mut log)).await?;
        let ran = ran.map_err(|error| {
            Failure::error(format!("`rehearse.smoke` could not be started: {error}"))
        })?;
        Ok(if ran.success() {
            Step::Done
        } else {
            Step::Failed(redactor.redact(&ran.summary()))
        })
    }
}
