//! Services of a Compose project: every container of each, as a container is watched.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use config::file::ComposeProbe;
use jiff::Timestamp;
use model::Verdict;
use remote::{Ran, quote};

use crate::containers::{Container, FORMAT, NOW, time};
use crate::docker::program;
use crate::kinds::{Measuring, Probe, Surroundings};
use crate::restarts::Watch;
use crate::shell::Shell;
use crate::{Reading, shown};

/// Between the names of the services and what is said of the containers.
const MARK: &str = "@containers";
/// More troubles than these help nobody.
const TOLD: usize = 5;

/// One compose probe.
pub(crate) struct Compose {
    probe: ComposeProbe,
    shell: Shell,
    /// By service and number.
    watches: RefCell<BTreeMap<(String, String), Watch>>,
}

impl Compose {
    pub(crate) fn new(probe: ComposeProbe, around: &Surroundings) -> Result<Self, String> {
        let shell = Shell::new(probe.host.as_deref(), around)?;
        Ok(Compose {
            probe,
            shell,
            watches: RefCell::default(),
        })
    }

    fn expected(&self) -> String {
        let services = match self.probe.services.as_slice() {
            [] => "every service".to_owned(),
            names => names.join(", "),
        };
        let mut text = format!(
            "{services}: running, healthy if it has a health check, {}",
            Watch::expected(self.probe.max_restarts)
        );
        if !self.probe.completed.is_empty() {
            text.push_str(&format!("; {} completed", self.probe.completed.join(", ")));
        }
        text
    }

    /// The words that choose the project.
    fn project(&self) -> String {
        let files = self.probe.files.iter();
        let mut words: Vec<String> = files
            .map(|file| format!("-f {}", quote(&file.display().to_string())))
            .collect();
        words.extend(
            self.probe
                .project
                .iter()
                .map(|name| format!("-p {}", quote(name))),
        );
        words.join(" ")
    }

    fn script(&self) -> String {
        let docker = program(self.probe.sudo);
        let sudo = if self.probe.sudo { "sudo -n " } else { "" };
        let project = self.project();
        let folder = self.probe.folder.as_ref().map_or(String::new(), |folder| {
            format!("cd -- {} || exit 1\n", quote(&folder.display().to_string()))
        });
        let services = if self.probe.services.is_empty() {
            format!("$compose {project} config --services || exit 1\n")
        } else {
            String::new()
        };
        // Labels say which service a container belongs to; both programs set them alike.
        format!(
            "export LC_ALL=C
{folder}if {docker} compose version >/dev/null 2>&1; then compose='{docker} compose'
elif command -v docker-compose >/dev/null; then compose='{sudo}docker-compose'
else echo 'there is neither `docker compose` nor `docker-compose`' >&2; exit 1; fi
{services}ids=$($compose {project} ps -a -q) || exit 1
echo {MARK}
{NOW}
[ -z \"$ids\" ] || {docker} inspect --type container --format {format} $ids
",
            format = quote(FORMAT)
        )
    }

    fn judge(&self, ran: &Ran) -> Reading {
        let expected = self.expected();
        let not_asked = || {
            let reason = format!("compose: {}: {}", ran.exit, shown(ran.tail.as_bytes()));
            Reading::not(Verdict::Error, &expected, &reason, &reason).value("not asked")
        };
        let text = String::from_utf8_lossy(&ran.stdout);
        let Some((services, containers)) = text.split_once(MARK) else {
            return not_asked();
        };
        let mut lines = containers.trim_start().lines();
        let now = lines.next().and_then(time);
        let containers: Option<Vec<Container>> = lines
            .filter(|line| !line.trim().is_empty())
            .map(|line| Container::read(line, &self.shell.redactor))
            .collect();
        let (Some(0), false, Some(containers)) = (ran.status, ran.dropped, containers) else {
            return not_asked();
        };
        let running: Vec<&str> = match self.probe.services.as_slice() {
            [] => services
                .split_whitespace()
                .filter(|name| !self.probe.completed.iter().any(|other| other == name))
                .collect(),
            names => names.iter().map(String::as_str).collect(),
        };
        self.judge_services(&running, &containers, now)
    }

    fn judge_services(
        &self,
        running: &[&str],
        containers: &[Container],
        now: Option<Timestamp>,
    ) -> Reading {
        let of = |service: &str| {
            let all = containers.iter();
            all.filter(|one| one.service == service && !one.one_off)
                .collect::<Vec<_>>()
        };
        let mut watches = self.watches.borrow_mut();
        let mut troubles = Vec::new();
        let mut states = Vec::new();
        for service in running {
            let found = of(service);
            if found.is_empty() {
                troubles.push(format!("service `{service}` has no container"));
                states.push(format!("{service}: none"));
            }
            for container in found {
                let key = ((*service).to_owned(), container.number.clone());
                let watch = watches.entry(key).or_default();
                container.note(watch, now);
                states.push(format!("{}: {}", container.name, container.state()));
                let young = || watch.young(self.probe.min_uptime);
                if let Some(trouble) = container.trouble().or_else(young) {
                    troubles.push(format!("`{}`: {trouble}", container.name));
                }
            }
        }
        let there = |(service, number): &&(String, String)| {
            let is = |one: &Container| one.service == *service && one.number == *number;
            containers.iter().any(|one| is(one) && !one.one_off)
        };
        for (service, number) in watches.keys().filter(|key| !there(key)) {
            troubles.push(format!(
                "container {number} of `{service}` was there and is gone"
            ));
        }
        for service in &self.probe.completed {
            let found = of(service);
            if found.is_empty() {
                troubles.push(format!("service `{service}` has no container"));
            }
            for container in found {
                states.push(format!("{}: {}", container.name, container.state()));
                if let Some(trouble) = container.unfinished() {
                    troubles.push(format!("`{}`: {trouble}", container.name));
                }
            }
        }
        let mut total = Watch::default();
        for ((service, _), watch) in &*watches {
            total.restarts += watch.restarts;
            if watch.restarts > 0 {
                let end = watch.end.as_ref().map(|end| format!(" ({end})"));
                total.end = Some(format!("{service}{}", end.unwrap_or_default()));
            }
        }
        if running.is_empty() && self.probe.completed.is_empty() {
            troubles.push("the project has no service".to_owned());
        }
        let expected = self.expected();
        let good = states.len().saturating_sub(troubles.len());
        let value = format!("{good} of {}", states.len());
        let actual = format!("{}, {total}", states.join(", "));
        let too_many = total.too_many(self.probe.max_restarts);
        let is_final = too_many.is_some();
        troubles.splice(0..0, too_many);
        if troubles.is_empty() {
            return Reading::pass(expected, actual).value(value);
        }
        let more = troubles.len().saturating_sub(TOLD);
        troubles.truncate(TOLD);
        let mut reason = troubles.join("; ");
        if more > 0 {
            reason.push_str(&format!("; and {more} more"));
        }
        let reading = Reading::not(Verdict::Fail, expected, actual, reason).value(value);
        if is_final {
            return reading.finally();
        }
        reading
    }
}

impl Probe for Compose {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            match self.shell.script(&self.script(), timeout).await {
                Ok(ran) => self.judge(&ran),
                Err(problem) => problem.reading(&self.expected()),
            }
        })
    }

    fn hint(&self) -> String {
        let compose = format!("{} compose {}", program(self.probe.sudo), self.project());
        let compose = compose.trim_end();
        let folder = self.probe.folder.as_ref().map_or(String::new(), |folder| {
            format!("cd {} && ", quote(&folder.display().to_string()))
        });
        let services = self.probe.services.join(" ");
        let command = format!("{folder}{compose} ps -a; {compose} logs --tail 100 {services}");
        format!("see why {}", self.shell.by_hand(command.trim_end()))
    }
}
