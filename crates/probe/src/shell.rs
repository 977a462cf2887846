//! A shell where the thing under test runs: on this machine, or at a host over its one login.

use std::time::Duration;

use config::value::ShellText;
use model::Redactor;
use net::ConnectError;
use net::hosts::Host;
use remote::ssh::{self, Limits};
use remote::{CommandResult, MAX_KEPT_BYTES, local, local_error, with_variables};

use crate::error::Error;
use crate::probe::ProbeContext;

/// How long a command whose time is over may take to end.
const GRACE: Duration = Duration::from_millis(200);

/// Where commands are run.
pub struct Shell {
    /// Default: here.
    host: Option<Host>,
    pub(crate) redactor: Redactor,
}

impl Shell {
    pub fn new(host: Option<&str>, around: &ProbeContext) -> Result<Shell, Error> {
        let host = host.map(|name| around.hosts.get(name)).transpose();
        Ok(Shell {
            host: host.map_err(Error::Host)?,
            redactor: around.redactor.clone(),
        })
    }

    /// Runs a text: in `sh` here, in the user's login shell at a host.
    pub async fn run(
        &self,
        text: &ShellText,
        timeout: Duration,
    ) -> Result<CommandResult, ConnectError> {
        let ran = match &self.host {
            None => run_locally(text, text.variables(), timeout).await,
            Some(host) => {
                let ran = host.run(&with_variables(text), limits(timeout)).await;
                at(host, ran, timeout).await
            }
        };
        ran.map(|ran| self.redacted(ran))
    }

    /// Runs a script of ours in `sh`, wherever.
    pub(crate) async fn script(
        &self,
        text: &str,
        timeout: Duration,
    ) -> Result<CommandResult, ConnectError> {
        let ran = match &self.host {
            None => run_locally(text, &[], timeout).await,
            Some(host) => at(host, host.script(text, limits(timeout)).await, timeout).await,
        };
        ran.map(|ran| self.redacted(ran))
    }

    /// Runs a script of ours that prints much: all of it, up to so many bytes.
    pub async fn full_output(
        &self,
        text: &str,
        timeout: Duration,
        most: usize,
    ) -> Result<CommandResult, ConnectError> {
        let ran = match &self.host {
            None => here_whole(text, timeout, most).await,
            Some(host) => {
                let limits = Limits {
                    timeout,
                    max_output: most,
                };
                at(host, host.read(text, limits).await, timeout).await
            }
        };
        ran.map(|ran| self.redacted(ran))
    }

    /// A command as a person would give it, from where they sit.
    pub fn by_hand(&self, command: &str) -> String {
        match &self.host {
            None => format!("`{command}`"),
            Some(host) => format!("at {}: `{command}`", host.name()),
        }
    }

    /// What is shown is cut, and a secret that was cut is not found.
    fn redacted(&self, ran: CommandResult) -> CommandResult {
        CommandResult {
            tail: self.redactor.redact(&ran.tail),
            ..ran
        }
    }
}

fn limits(timeout: Duration) -> Limits {
    Limits {
        timeout,
        max_output: MAX_KEPT_BYTES,
    }
}

async fn run_locally(
    text: &str,
    env: &[(String, String)],
    timeout: Duration,
) -> Result<CommandResult, ConnectError> {
    let script = local::Script {
        text,
        env: env.to_vec(),
        timeout,
    };
    let mut unseen = |_, _: &str| ();
    let ran = local::run(&script, &mut unseen);
    // Dropped, it is killed with its children: who ignores a polite end gets no more time.
    let Ok(ran) = tokio::time::timeout(timeout + GRACE, ran).await else {
        return Ok(CommandResult {
            status: None,
            exit: local::Exit::TimedOut.to_string(),
            stdout: Vec::new(),
            dropped: true,
            tail: String::new(),
        });
    };
    ran.map(CommandResult::from).map_err(|error| {
        let why = local_error::fault(&error).map_or_else(|| error.to_string(), str::to_owned);
        ConnectError::of_way("not run", format!("`sh` cannot be started: {why}"))
    })
}

async fn here_whole(
    text: &str,
    timeout: Duration,
    most: usize,
) -> Result<CommandResult, ConnectError> {
    let script = local::Script {
        text,
        env: Vec::new(),
        timeout,
    };
    let whole = local::full_output(&script, most as u64)
        .await
        .map_err(|error| {
            let why = local_error::fault(&error).map_or_else(|| error.to_string(), str::to_owned);
            ConnectError::of_way("not run", format!("`sh` cannot be started: {why}"))
        })?;
    Ok(CommandResult {
        status: match whole.exit {
            local::Exit::Code(code) => Some(code),
            local::Exit::Signal(_) | local::Exit::TimedOut => None,
        },
        exit: whole.exit.to_string(),
        stdout: whole.stdout,
        dropped: whole.is_cut,
        tail: whole.tail,
    })
}

async fn at(
    host: &Host,
    output: Result<ssh::Output, ConnectError>,
    timeout: Duration,
) -> Result<CommandResult, ConnectError> {
    let output = output?;
    // A command that does not end looks the same as a host that does not answer.
    if output.exit == ssh::Exit::TimedOut && !host.is_alive().await {
        let party = host.party();
        let reason = party.late(timeout);
        return Err(ConnectError::new(party, "timeout", reason));
    }
    if output.exit == ssh::Exit::Unproven {
        let reason = format!(
            "host `{}`: it {}; the login may be bound to another command, or its shell is not a POSIX shell",
            host.name(),
            output.exit
        );
        return Err(ConnectError::of_way("not run", reason));
    }
    Ok(output.into())
}
