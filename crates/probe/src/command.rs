//! A command, here or at a host, whose exit status and output say whether the service is well.

use std::time::Duration;

use config::file::CommandProbe;
use model::evidence;
use model::text::excerpt;
use remote::{CommandResult, Expectation};

use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;
use crate::shell::Shell;

/// One command probe.
pub(crate) struct Command {
    probe: CommandProbe,
    shell: Shell,
}

impl Command {
    pub(crate) fn new(probe: CommandProbe, around: &ProbeContext) -> Result<Self, Error> {
        let shell = Shell::new(probe.host.as_deref(), around)?;
        Ok(Command { probe, shell })
    }

    fn expectation(&self) -> Expectation<'_> {
        let CommandProbe {
            name: _,
            run: _,
            host: _,
            hosts: _,
            require: _,
            status,
            contains,
            equals,
            matches,
            policy: _,
            severity: _,
        } = &self.probe;
        Expectation {
            status,
            contains: contains.as_deref(),
            equals: equals.as_deref(),
            matches: matches.as_ref(),
        }
    }

    fn judge(&self, ran: &CommandResult, timeout: Duration) -> Reading {
        let wanted = self.expectation();
        let expected = wanted.to_string();
        let said = excerpt(ran.tail.as_bytes());
        let actual = format!("{}: {said}", ran.exit);
        let mut reading = match wanted.judge(ran) {
            Ok(()) => Reading::pass(expected, actual),
            Err(unmet) => {
                let mut reason = unmet.reason;
                if ran.status.is_none() {
                    reason.push_str(&format!(
                        " (its time is {})",
                        model::text::duration(timeout)
                    ));
                }
                Reading::unmet(unmet.verdict, expected, actual, format!("{reason}: {said}"))
            }
        };
        reading.evidence = Some(evidence::tail(if ran.stdout.is_empty() {
            ran.tail.as_bytes()
        } else {
            &ran.stdout
        }));
        reading.value(ran.exit.clone())
    }
}

impl Kind for CommandProbe {
    fn subject(&self) -> String {
        self.run.to_string()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Command::new(self, around)?))
    }
}

impl Probe for Command {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            match self.shell.run(&self.probe.run, timeout).await {
                Ok(ran) => self.judge(&ran, timeout),
                Err(problem) => Reading::of_problem(problem, self.expectation().to_string()),
            }
        })
    }

    fn hint(&self) -> String {
        format!("run it {}", self.shell.by_hand(&self.probe.run))
    }
}
