//! What every job does, for those that put a deployment together from it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::deployment::{JobId, Login};
use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::logins;
use repository::Repository;
use tools::CommandEffect;
use tools::Tool;
use workflow::Value;
use workflow::Workflow;
use workflow::{Fact, Line};

/// An event with what it does.
pub(crate) struct RecordedEffect<'e> {
    pub(crate) event: &'e Event,
    pub(crate) deed: CommandEffect,
}

/// All that was read, for one run at a time.
pub(crate) struct Assembly<'s> {
    pub(crate) repository: &'s Repository,
    pub(crate) workflows: &'s [Workflow],
    pub(crate) runs: &'s [Run],
    all: Vec<Vec<RecordedEffect<'s>>>,
    /// What is built, by the workflow that is started.
    pub(crate) images: RefCell<BTreeMap<Option<usize>, Rc<Vec<Built>>>>,
}

/// An image that a workflow builds or pushes.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// With its tag.
    pub(crate) name: Value,
    /// Without its tag, in small letters: registries know no case.
    pub(crate) plain: String,
    pub(crate) pushed: bool,
    pub(crate) at: Line,
    /// The job that does.
    pub(crate) job: JobId,
}

/// Every event of a job with what it does.
fn done(run: &Run) -> Vec<RecordedEffect<'_>> {
    let mut all = Vec::new();
    for event in &run.events {
        let mut deeds = match &event.what {
            EventDetail::Command {
                words,
                program,
                env,
            } => tools::of_command(words, program, env, &event.at),
            EventDetail::Action { name, with, env } => tools::of_action(name, with, env, &event.at),
            EventDetail::Script { .. } | EventDetail::Writes { .. } => Vec::new(),
        };
        // On a machine that is logged in to, a program that is no known tool changes something, too.
        if let EventDetail::Command { words, .. } = &event.what
            && event.place.login.is_some()
            && deeds.is_empty()
            && tools::changes(words)
        {
            deeds.push(CommandEffect::Deploys(Box::new(Tool::Commands)));
        }
        all.extend(deeds.into_iter().map(|deed| RecordedEffect { event, deed }));
    }
    all
}

impl<'s> Assembly<'s> {
    pub(crate) fn of(
        repository: &'s Repository,
        workflows: &'s [Workflow],
        runs: &'s [Run],
    ) -> Assembly<'s> {
        Assembly {
            repository,
            workflows,
            runs,
            all: runs.iter().map(done).collect(),
            images: RefCell::default(),
        }
    }

    /// Every event with what it does.
    pub(crate) fn done(&self, run: &Run) -> &[RecordedEffect<'s>] {
        let at = self.runs.iter().position(|one| std::ptr::eq(one, run));
        at.and_then(|at| self.all.get(at))
            .map_or(&[], Vec::as_slice)
    }
}

/// The machine that an event is about: where it runs, or where it copies to, or the engine that it calls.
pub(crate) fn machine(event: &Event, run: &Run) -> Option<Login> {
    if event.place.login.is_some() {
        return event.place.login.clone();
    }
    match &event.what {
        EventDetail::Command { words, env, .. } => match words.first().map(String::as_str) {
            Some("rsync" | "scp") => {
                crate::ssh::copy(words, &event.at, &run.scope).map(|(login, _)| login)
            }
            Some("docker" | "docker-compose") => {
                let host = words
                    .iter()
                    .position(|word| matches!(word.as_str(), "-H" | "--host"));
                let host = host.and_then(|at| words.get(at + 1).cloned());
                let host = host.or_else(|| env.get("DOCKER_HOST").cloned());
                let host = host.or_else(|| run.scope.env.get("DOCKER_HOST").cloned());
                let host = host.or_else(|| of_context(words, env, run));
                let words = [
                    "ssh".to_owned(),
                    host.filter(|host| host.starts_with("ssh://"))?,
                ];
                crate::ssh::ssh(&words, &event.at, &run.scope).map(|(login, _)| login)
            }
            _ => None,
        },
        EventDetail::Action { name, with, env } => {
            let copies =
                name.contains("scp") || name.contains("rsync") || name == "easingthemes/ssh-deploy";
            copies.then(|| logins::copy_login(name, with, &event.at, env))?
        }
        EventDetail::Script { .. } | EventDetail::Writes { .. } => None,
    }
}

/// The engine of a context that the job makes: `docker context create live --docker host=ssh://deploy@box`.
fn of_context(words: &[String], env: &BTreeMap<String, String>, run: &Run) -> Option<String> {
    let of = |event: &Event| match &event.what {
        EventDetail::Command { words, .. } => {
            let is_one = words.get(1).is_some_and(|word| word == "context");
            is_one.then(|| words.clone())
        }
        _ => None,
    };
    let calls: Vec<Vec<String>> = run.events.iter().filter_map(of).collect();
    let does = |call: &&Vec<String>, verb: &str| call.get(2).is_some_and(|word| word == verb);
    let flag = words.iter().position(|word| word == "--context");
    let named = flag.and_then(|at| words.get(at + 1));
    let named = named.or_else(|| env.get("DOCKER_CONTEXT"));
    let in_use = || calls.iter().find(|call| does(call, "use"))?.get(3);
    let name = named.or_else(in_use)?;
    let mut made = calls.iter().filter(|call| does(call, "create"));
    let made = made.find(|call| call.contains(name))?;
    let (_, host) = made.iter().find_map(|word| word.split_once("host="))?;
    host.split(',').next().map(str::to_owned)
}

pub(crate) const COPY: usize = 20;

/// What tells more of a deployment comes first.
pub(crate) fn rank(deed: &CommandEffect) -> usize {
    let CommandEffect::Deploys(tool) = deed else {
        return usize::MAX;
    };
    match **tool {
        Tool::Kamal(_) => 0,
        Tool::Ecs(_) | Tool::CodeDeploy { .. } => 1,
        Tool::Helm(_) => 2,
        Tool::Kubectl(_) => 3,
        Tool::Compose(_) => 4,
        Tool::Swarm { .. } => 5,
        Tool::Ansible { .. } => 6,
        Tool::Deployer { .. } | Tool::Capistrano { .. } => 7,
        Tool::Platform(_) => 8,
        Tool::Systemd { .. } => 9,
        Tool::Pm2 { .. } => 10,
        Tool::Supervisor { .. } => 11,
        Tool::Container { .. } => 12,
        Tool::Script { .. } => 13,
        Tool::Commands => 16,
        Tool::Other { .. } | Tool::Called { .. } => 17,
        Tool::Site { .. } => 14,
        Tool::Hook { .. } => 15,
        Tool::Copy { .. } => COPY,
    }
}

pub(crate) fn same_machine(one: Option<&Login>, other: Option<&Login>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.address.value == other.address.value,
        (None, None) => true,
        _ => false,
    }
}

/// The folder of the machine that files are copied to.
pub(crate) fn copied_to(one: &RecordedEffect<'_>, run: &Run) -> Option<Fact<String>> {
    let CommandEffect::Deploys(tool) = &one.deed else {
        return None;
    };
    let Tool::Copy { target, .. } = &**tool else {
        return None;
    };
    let path = match &one.event.what {
        EventDetail::Command { words, .. } => {
            let path = crate::ssh::copy(words, &one.event.at, &run.scope)?.1;
            let name = path.rsplit('/').next().unwrap_or_default();
            // A file: `scp bin/shop host:/usr/local/bin/shop.new`.
            let is_file = words.first().is_some_and(|word| word == "scp") && name.contains('.');
            match path.rsplit_once('/').filter(|_| is_file) {
                Some((folder, _)) => folder.to_owned(),
                None => path,
            }
        }
        // A server of FTP is no folder.
        _ if matches!(&**tool, Tool::Copy { with: "FTP", .. }) => return None,
        _ => {
            let whole = target.text();
            openssh::split_target(whole)
                .map_or(whole, |(_, path)| path)
                .to_owned()
        }
    };
    let path = if path.len() > 1 {
        path.trim_end_matches('/')
    } else {
        &path
    };
    (!path.is_empty() && !path.starts_with("/tmp"))
        .then(|| Fact::new(path.to_owned(), one.event.at.clone()))
}
