//! A container: running, healthy, and not started again while we watch.

use std::cell::RefCell;
use std::time::Duration;

use config::file::DockerProbe;
use model::Verdict;
use model::text::excerpt;
use remote::{CommandResult, quote};

use crate::containers::{Container, FORMAT, NOW, time};
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;
use crate::restarts::Watch;
use crate::shell::Shell;

/// One docker probe.
pub(crate) struct Docker {
    probe: DockerProbe,
    shell: Shell,
    watch: RefCell<Watch>,
}

/// How Docker's own program is called.
pub(crate) fn program(sudo: bool) -> &'static str {
    if sudo { "sudo -n docker" } else { "docker" }
}

impl Docker {
    pub(crate) fn new(probe: DockerProbe, around: &ProbeContext) -> Result<Self, Error> {
        let shell = Shell::new(probe.host.as_deref(), around)?;
        Ok(Docker {
            probe,
            shell,
            watch: RefCell::default(),
        })
    }

    fn expected(&self) -> String {
        let mut text = "running, healthy if it has a health check, ".to_owned();
        text.push_str(&Watch::expected(self.probe.max_restarts));
        text
    }

    fn judge(&self, ran: &CommandResult) -> Reading {
        let expected = self.expected();
        if ran.tail.contains("No such container") || ran.tail.contains("No such object") {
            let reason = format!("there is no container `{}`", self.probe.container);
            return Reading::unmet(Verdict::Fail, expected, &reason, &reason).value("none");
        }
        let text = String::from_utf8_lossy(&ran.stdout);
        let read = |line| Container::read(line, &self.shell.redactor);
        let mut lines = text.lines();
        let now = lines.next().and_then(time);
        let Some(container) = lines.next().and_then(read) else {
            let reason = format!("docker: {}: {}", ran.exit, excerpt(ran.tail.as_bytes()));
            return Reading::unmet(Verdict::Error, expected, &reason, &reason).value("not checked");
        };
        let mut watch = self.watch.borrow_mut();
        container.note(&mut watch, now);
        let state = container.state();
        let actual = format!("{state}, {watch}, image {}", container.image);
        // Whatever it is at this moment: what crashes runs between its crashes.
        if let Some(reason) = watch.too_many(self.probe.max_restarts) {
            let reading = Reading::unmet(Verdict::Fail, expected, actual, reason);
            return reading.value(state).finally();
        }
        let young = || watch.young(self.probe.min_uptime);
        match container.trouble().or_else(young) {
            None => Reading::pass(expected, actual).value(state),
            Some(reason) => Reading::unmet(Verdict::Fail, expected, actual, reason).value(state),
        }
    }
}

impl Kind for DockerProbe {
    fn subject(&self) -> String {
        self.container.clone()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Docker::new(self, around)?))
    }
}

impl Probe for Docker {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let text = format!(
                "{NOW}\nLC_ALL=C {} inspect --type container --format {} -- {}",
                program(self.probe.sudo),
                quote(FORMAT),
                quote(&self.probe.container)
            );
            match self.shell.script(&text, timeout).await {
                Ok(ran) => self.judge(&ran),
                Err(problem) => Reading::of_problem(problem, self.expected()),
            }
        })
    }

    fn hint(&self) -> String {
        let docker = program(self.probe.sudo);
        let container = quote(&self.probe.container);
        let command = format!(
            "{docker} ps -a --filter name={container}; {docker} logs --tail 100 {container}"
        );
        format!("see why {}", self.shell.by_hand(&command))
    }
}
