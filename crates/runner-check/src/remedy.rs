//! What the remedies share: finding the runner, its machine's login, and running a command there
//! as root.

use std::time::Duration;

use cli::{Failure, Job};
use config::file::{RunnerCheck, RunnerHost};
use jiff::Timestamp;
use model::{HintedError, Outcome, Report};
use remote::ssh::{Exit, Limits, Output, Session};
use runners::State;
use runners::host::{self, HostSnapshot};

/// What a command that changes one thing prints.
const MAX_OUTPUT: usize = 64 << 10;

/// The parts of a remedy that is about one runner.
pub(crate) struct Patient<'a> {
    pub(crate) name: &'a str,
    pub(crate) runner: &'a RunnerHost,
    pub(crate) session: Session,
    /// What its machine said before anything was changed.
    pub(crate) before: HostSnapshot,
}

/// Why nothing could be done: the runner's machine could not be asked.
pub(crate) struct MachineError(pub(crate) HintedError);

impl<'a> Patient<'a> {
    /// Logs in and looks. The outer error is one of usage, the inner one the machine's.
    pub(crate) async fn find(
        job: &'a Job,
        section: &RunnerCheck,
        name: &'a str,
    ) -> Result<Result<Patient<'a>, MachineError>, Failure> {
        let runners = job.config.runners()?;
        let Some(runner) = runners.get(name) else {
            let known: Vec<&str> = runners.keys().map(String::as_str).collect();
            let hint = match known[..] {
                [] => format!("set its host: `runners: {{ {name}: {{ host: … }} }}`"),
                _ => format!("known are: {}", known.join(", ")),
            };
            return Err(Failure::usage(format!("no runner `{name}` under `runners:`")).hint(hint));
        };
        let timeout = section.timeout.get();
        job.progress.show(&format!("logging in at {}", runner.host));
        let session = match host::log_in(job, runner, timeout).await {
            Ok(session) => session,
            Err(refusal) => return Ok(Err(MachineError(refusal))),
        };
        let before = match host::observe_host(&session, name, runner, timeout).await {
            Ok(seen) => seen,
            Err(refusal) => return Ok(Err(MachineError(refusal))),
        };
        if before
            .unit
            .as_ref()
            .is_none_or(|unit| unit.load != "loaded")
        {
            let says = before.evidence(name).says;
            return Ok(Err(MachineError(HintedError {
                reason: format!(
                    "host `{}`: {}: {says}",
                    runner.host,
                    host::units(name, runner).join(" or ")
                ),
                hint: format!(
                    "`systemctl list-units --all 'actions.runner.*'` on host {}, then set `unit:`",
                    runner.host
                ),
            })));
        }
        Ok(Ok(Patient {
            name,
            runner,
            session,
            before,
        }))
    }

    /// The service, as systemd calls it.
    pub(crate) fn unit(&self) -> &str {
        self.before
            .unit
            .as_ref()
            .map_or("", |unit| unit.name.as_str())
    }

    /// The first line of every plan: what is.
    pub(crate) fn describe_state(&self) -> String {
        let says = self.before.evidence(self.name).says;
        format!("{} on host {}: {says}", self.name, self.runner.host)
    }

    /// Runs lines in which `$root` precedes what only root may do.
    pub(crate) async fn run(&self, lines: &str, timeout: Duration) -> Result<Output, RemedyError> {
        let script = format!(
            "export LC_ALL=C\nroot=''\n[ \"$(id -u)\" -eq 0 ] || root='sudo -n'\n{lines}\n"
        );
        let limits = Limits {
            timeout,
            max_output: MAX_OUTPUT,
        };
        Ok(self.session.script(&script, limits).await?)
    }
}

/// Why nothing is known to have changed on a host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemedyError {
    #[error(transparent)]
    Session(#[from] remote::ssh::Error),
    #[error("`{command}` ends with {exit}: {tail}")]
    Ended {
        command: String,
        exit: Exit,
        /// What it printed last.
        tail: String,
    },
    /// Its machine cannot be looked at.
    #[error("{}", .0.reason)]
    Unseen(HintedError),
    #[error("its machine does not report how full its disks are")]
    NoDisk,
    #[error("it is not known how full the disk is now")]
    NoDiskNow,
}

impl RemedyError {
    pub(crate) fn ended(command: impl Into<String>, output: &Output) -> Self {
        RemedyError::Ended {
            command: command.into(),
            exit: output.exit.clone(),
            tail: output.tail(),
        }
    }

    /// Whether sudo refused to run the command.
    pub(crate) fn is_of_sudo(&self) -> bool {
        let RemedyError::Ended { tail, .. } = self else {
            return false;
        };
        let refuses = |line: &str| {
            let line = line.trim_start();
            let begins = line.starts_with(OF_SUDO) && !line.contains(SUDO_WARNS);
            begins || SUDO_REFUSES.iter().any(|words| line.contains(words))
        };
        tail.lines().any(refuses)
    }
}

/// How sudo 1.8 and 1.9 begin what they print themselves, such as `sudo: a password is required`.
const OF_SUDO: &str = "sudo: ";
/// What they print of a user without a rule, or without one for this command.
const SUDO_REFUSES: [&str; 4] = [
    "is not in the sudoers file",
    "is not allowed to execute",
    "is not allowed to run sudo on",
    "may not run sudo on",
];
/// It goes on after this.
const SUDO_WARNS: &str = "unable to resolve host";

impl MachineError {
    /// Nothing was changed: we could not even look.
    pub(crate) fn report(
        self,
        id: String,
        subject: &str,
        expected: String,
        started_at: Timestamp,
    ) -> Report {
        let outcome = Outcome::error(id, subject)
            .expected(expected)
            .actual("nothing was changed")
            .reason(self.0.reason)
            .hint(self.0.hint);
        Report::from_outcomes("runner-check", started_at, vec![outcome])
    }
}

/// A report of one outcome.
pub(crate) fn report(outcome: Outcome, started_at: Timestamp) -> Report {
    Report::from_outcomes("runner-check", started_at, vec![outcome])
}

/// What a dry run comes to: it could be done, and nothing was.
pub(crate) fn planned(id: String, subject: &str, plan: &[String], started_at: Timestamp) -> Report {
    let outcome = Outcome::pass(id, subject)
        .expected("a plan that can be carried out")
        .actual(plan.join("\n"));
    let mut report = report(outcome, started_at);
    report.reason = "dry run: nothing was changed".to_owned();
    report
}

/// Whether a job would be lost, by what the machine and GitHub say.
pub(crate) fn is_working(state: State) -> bool {
    state == State::Busy
}
