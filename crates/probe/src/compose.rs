//! Services of a Compose project: every container of each, as a container is watched.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::file::ComposeProbe;
use jiff::Timestamp;
use model::Verdict;
use model::text::excerpt;
use remote::{CommandResult, quote, quote_path};
use tools::compose_config::Project;

use crate::containers::{Container, FORMAT, NOW, time};
use crate::docker::program;
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;
use crate::restarts::Watch;
use crate::shell::Shell;

/// Between which Compose there is and what is said of the containers.
const MARK: &str = "@containers";
/// The labels that Compose puts on what it makes.
const PROJECT: &str = "com.docker.compose.project";
const FOLDER: &str = "com.docker.compose.project.working_dir";
/// More problems than these do not help.
const MAX_SHOWN: usize = 5;

/// One compose probe.
pub(crate) struct Compose {
    probe: ComposeProbe,
    shell: Shell,
    /// By service and number.
    watches: RefCell<BTreeMap<(String, String), Watch>>,
    found: RefCell<ProjectFacts>,
    /// What had ended at the last look, with nothing that starts it again.
    over: RefCell<BTreeSet<String>>,
    /// What of the troubles was seen that a key of the configuration ends.
    advice: RefCell<Option<String>>,
}

/// What was found out by the first looks; it stays so while we watch.
#[derive(Clone, Debug, Default)]
struct ProjectFacts {
    /// How Compose is called.
    program: Option<String>,
    /// The project's name, according to its containers.
    name: Option<String>,
    env_files: Vec<String>,
    /// What Compose wants of each service.
    project: Option<Project>,
}

impl Compose {
    pub(crate) fn new(probe: ComposeProbe, around: &ProbeContext) -> Result<Self, Error> {
        let shell = Shell::new(probe.host.as_deref(), around)?;
        Ok(Compose {
            probe,
            shell,
            watches: RefCell::default(),
            found: RefCell::default(),
            over: RefCell::default(),
            advice: RefCell::default(),
        })
    }

    /// For one who has asked before.
    pub(crate) fn knowing(self, program: &str, project: Project) -> Self {
        let mut found = self.found.take();
        found.program = Some(program.to_owned());
        found.project = Some(project);
        self.found.replace(found);
        self
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
        let found = self.found.borrow();
        let files = self.probe.files.iter();
        let mut words: Vec<String> = files
            .map(|file| format!("-f {}", quote(&file.display().to_string())))
            .collect();
        let own = self.probe.env_files.iter();
        let mut env_files: Vec<String> = own.map(|file| file.display().to_string()).collect();
        if env_files.is_empty() {
            env_files.clone_from(&found.env_files);
        }
        let env_files = env_files.iter();
        words.extend(env_files.map(|file| format!("--env-file {}", quote(file))));
        words.extend(
            self.probe
                .project
                .iter()
                .map(|name| format!("-p {}", quote(name))),
        );
        words.join(" ")
    }

    fn folder(&self) -> String {
        self.probe.folder.as_ref().map_or(String::new(), |folder| {
            format!(
                "cd -- {} || exit 1\n",
                quote_path(&folder.display().to_string())
            )
        })
    }

    /// Prints the kind of Compose, and then every container of the project.
    fn script(&self) -> String {
        let docker = program(self.probe.sudo);
        let sudo = if self.probe.sudo { "sudo -n " } else { "" };
        let found = self.found.borrow().clone();
        let compose = match &found.program {
            Some(program) => format!("compose={}\n", quote(program)),
            None => format!(
                "if {docker} compose version >/dev/null 2>&1; then compose='{docker} compose'
elif command -v docker-compose >/dev/null; then compose='{sudo}docker-compose'
else echo 'there is neither `docker compose` nor `docker-compose`' >&2; exit 1; fi\n"
            ),
        };
        let by = |label: &str| format!("{docker} ps -aq --no-trunc --filter label={label}");
        let ids = if let Some(name) = found.name.as_ref().or(self.probe.project.as_ref()) {
            by(&quote(&format!("{PROJECT}={}", plain(name))))
        } else {
            // Where Compose cannot read its files, what it made before tells where that was.
            let first = self.probe.files.first();
            let first = first.map_or("./x".to_owned(), |file| file.display().to_string());
            let made = format!(
                "{FOLDER}=\"$(cd -- \"$(dirname -- {})\" && pwd)\"",
                quote(&first)
            );
            format!(
                "$compose {} ps -a -q 2>/dev/null || {}",
                self.project(),
                by(&made)
            )
        };
        format!(
            "export LC_ALL=C
{folder}{compose}printf '%s\\n' \"$compose\"
ids=$({ids}) || exit 1
echo {MARK}
{NOW}
[ -z \"$ids\" ] || {docker} inspect --type container --format {format} $ids
",
            folder = self.folder(),
            format = quote(FORMAT)
        )
    }

    /// Asks Compose once what it wants.
    async fn resolve(&self, timeout: Duration) -> Result<(), CommandResult> {
        let found = self.found.borrow().clone();
        let (None, Some(program)) = (&found.project, &found.program) else {
            return Ok(());
        };
        let text = format!(
            "export LC_ALL=C\n{}{program} {} config",
            self.folder(),
            self.project()
        );
        let Ok(ran) = self.shell.script(&text, timeout).await else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(&ran.stdout);
        match Project::read(&text) {
            Ok(project) if ran.status == Some(0) && !ran.dropped => {
                self.found.borrow_mut().project = Some(project);
                Ok(())
            }
            _ => Err(ran),
        }
    }

    fn script_failed(&self, ran: &CommandResult) -> Reading {
        let reason = format!("compose: {}: {}", ran.exit, excerpt(ran.tail.as_bytes()));
        Reading::unmet(Verdict::Error, self.expected(), &reason, &reason).value("not checked")
    }

    /// What was reported about the containers, by the clock of their machine.
    fn read(&self, ran: &CommandResult) -> Option<(Vec<Container>, Option<Timestamp>)> {
        let text = String::from_utf8_lossy(&ran.stdout);
        let (program, containers) = text.split_once(MARK)?;
        let mut lines = containers.trim_start().lines();
        let now = lines.next().and_then(time);
        let containers: Option<Vec<Container>> = lines
            .filter(|line| !line.trim().is_empty())
            .map(|line| Container::read(line, &self.shell.redactor))
            .collect();
        let containers = containers.filter(|_| ran.status == Some(0) && !ran.dropped)?;
        let mut found = self.found.borrow_mut();
        found.program = Some(program.trim().to_owned());
        if let Some(one) = containers.iter().find(|one| !one.one_off)
            && found.name.is_none()
        {
            found.name = Some(one.project.clone());
            found.env_files.clone_from(&one.env_files);
        }
        Some((containers, now))
    }

    async fn inspect_project(&self, timeout: Duration) -> Reading {
        let ran = match self.shell.script(&self.script(), timeout).await {
            Ok(ran) => ran,
            Err(problem) => return Reading::of_problem(problem, self.expected()),
        };
        let Some((containers, now)) = self.read(&ran) else {
            return self.script_failed(&ran);
        };
        let refused = self.resolve(timeout).await;
        let project = self.found.borrow().project.clone();
        // What is named is looked at all the same.
        if let Err(ran) = refused
            && self.probe.services.is_empty()
        {
            return self.script_failed(&ran);
        }
        let project = project.unwrap_or_default();
        let ends = |name: &&String| {
            let told = self.probe.completed.contains(*name);
            told || (project.is_one_shot(name) && !self.probe.services.contains(*name))
        };
        // Of a profile that is not chosen there is nothing.
        let there = |name: &&String| {
            let made = containers
                .iter()
                .any(|one| one.service == **name && !one.one_off);
            made || !project.is_of_a_profile(name)
        };
        let completed: Vec<&str> = if project.services.is_empty() {
            self.probe.completed.iter().map(String::as_str).collect()
        } else {
            let all = project.services.keys().chain(&self.probe.completed);
            let mut all: Vec<&str> = all.filter(ends).filter(there).map(String::as_str).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let running: Vec<&str> = match self.probe.services.as_slice() {
            [] => project
                .services
                .keys()
                .filter(|name| !ends(name))
                .filter(there)
                .map(String::as_str)
                .collect(),
            names => names.iter().map(String::as_str).collect(),
        };
        // Where services are named, others are not asked for.
        let completed = if self.probe.services.is_empty() {
            completed
        } else {
            self.probe.completed.iter().map(String::as_str).collect()
        };
        self.judge_services(&running, &completed, &containers, now, &project)
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one pass over all services, whose findings are reported together"
    )]
    fn judge_services(
        &self,
        running: &[&str],
        completed: &[&str],
        containers: &[Container],
        now: Option<Timestamp>,
        project: &Project,
    ) -> Reading {
        let of = |service: &str| {
            let all = containers.iter();
            all.filter(|one| one.service == service && !one.one_off)
                .collect::<Vec<_>>()
        };
        // In the namespaces of a replaced service it no longer reaches anything.
        let left = |one: &Container| {
            let service = project.services.get(&one.service)?;
            let there = |id: &str| containers.iter().any(|other| other.id == id);
            let gone = one.lives_in().any(|id| !there(id));
            let left = gone && !service.namespaces.is_empty();
            left.then(|| "it lives in a container that was replaced".to_owned())
        };
        let mut watches = self.watches.borrow_mut();
        let mut troubles = Vec::new();
        let mut states = Vec::new();
        let mut ended = Vec::new();
        let mut over = BTreeSet::new();
        for service in running {
            let found = of(service);
            if project.wants_none(service) && found.is_empty() {
                states.push(format!("{service}: none wanted"));
                continue;
            }
            let wanted = project.services.get(*service).and_then(|one| one.replicas);
            if let Some(wanted) = wanted
                && (found.len() as u64) < wanted
                && !found.is_empty()
            {
                troubles.push(format!(
                    "service `{service}` has {} of {wanted} containers",
                    found.len()
                ));
            }
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
                if container.is_over() {
                    over.insert(container.id.clone());
                }
                if container.has_ended_well() {
                    ended.push(*service);
                }
                if let Some(trouble) = container
                    .trouble()
                    .or_else(young)
                    .or_else(|| left(container))
                {
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
        // At two looks, for at one it may be about to be replaced.
        let before = self.over.replace(over.clone());
        let mut is_final = over.iter().any(|id| before.contains(id));
        for service in completed {
            let found = of(service);
            if found.is_empty() {
                troubles.push(format!("service `{service}` has no container"));
            }
            for container in found {
                states.push(format!("{}: {}", container.name, container.state()));
                if let Some(trouble) = container.unfinished() {
                    // Docker does not start it again, and nothing else does.
                    is_final |= container.is_over();
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
        ended.dedup();
        *self.advice.borrow_mut() = (!ended.is_empty()).then(|| {
            format!(
                "; if {} only has to end with exit code 0: `completed: [{}]`",
                ended.join(", "),
                ended.join(", ")
            )
        });
        if running.is_empty() && completed.is_empty() {
            troubles.push("the project has no service".to_owned());
        }
        let expected = self.expected();
        let good = states.len().saturating_sub(troubles.len());
        let value = format!("{good} of {}", states.len());
        let actual = format!("{}, {total}", states.join(", "));
        let too_many = total.too_many(self.probe.max_restarts);
        is_final |= too_many.is_some();
        troubles.splice(0..0, too_many);
        if troubles.is_empty() {
            return Reading::pass(expected, actual).value(value);
        }
        let more = troubles.len().saturating_sub(MAX_SHOWN);
        troubles.truncate(MAX_SHOWN);
        let mut reason = troubles.join("; ");
        if more > 0 {
            reason.push_str(&format!("; and {more} more"));
        }
        let reading = Reading::unmet(Verdict::Fail, expected, actual, reason).value(value);
        if is_final {
            return reading.finally();
        }
        reading
    }
}

impl Kind for ComposeProbe {
    fn subject(&self) -> String {
        self.name.clone()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Compose::new(self, around)?))
    }
}

impl Probe for Compose {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move { self.inspect_project(timeout).await })
    }

    fn hint(&self) -> String {
        let compose = format!("{} compose {}", program(self.probe.sudo), self.project());
        let compose = compose.trim_end();
        let folder = self.probe.folder.as_ref().map_or(String::new(), |folder| {
            format!("cd {} && ", quote_path(&folder.display().to_string()))
        });
        let services = self.probe.services.join(" ");
        let command = format!("{folder}{compose} ps -a; {compose} logs --tail 100 {services}");
        let advice = self.advice.borrow().clone().unwrap_or_default();
        format!("see why {}{advice}", self.shell.by_hand(command.trim_end()))
    }
}

/// A project's name as Compose has it: docker-compose 1 leaves out what it does not like.
fn plain(name: &str) -> String {
    let good = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(*c);
    name.to_lowercase().chars().filter(good).collect()
}
