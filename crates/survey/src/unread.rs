//! What a job does that is not understood: as long as there is some of it, nothing is said to be all or nothing.

use std::collections::BTreeSet;

use crate::NotKnown;
use crate::called_so;
use crate::counts::never_deploys;
use crate::deployment::JobId;
use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::record::{Assembly, RecordedEffect};
use shell::is_shell;
use tools::{CommandEffect, Tool};
use workflow::{Fact, Job, Line, Text, Workflow};

/// More than a person reads.
const MAX_SHOWN: usize = 60;
const MAX_UNREAD: usize = 64;

struct Unread {
    what: Fact<String>,
    job: JobId,
    step: usize,
    reaches: bool,
}

/// All of it, each once.
pub(crate) fn all(assembly: &Assembly<'_>, unfilled: &BTreeSet<JobId>) -> Vec<NotKnown> {
    let mut found: Vec<Unread> = Vec::new();
    let mut add = |one: Unread| {
        let is_known = found.iter().any(|known| known.what == one.what);
        if found.len() < MAX_UNREAD && !is_known && !unfilled.contains(&one.job) {
            found.push(one);
        }
    };
    for run in assembly.runs {
        let (workflow, job) = job_of(assembly, run);
        let is_idle = never_deploys(&assembly.workflows[run.started], workflow, job);
        let done = assembly.done(run);
        for event in &run.events {
            if let Some(reaches) = assembly.is_unread(run, event, done) {
                add(Unread {
                    what: Fact::new(shown(event), event.at.clone()),
                    job: run.id,
                    step: event.step,
                    reaches: reaches && !is_idle,
                });
            }
        }
        for (step, one) in job.steps.iter().enumerate() {
            if let Some(program) = tools::unread_program(one, job) {
                add(Unread {
                    what: Fact::new(program.to_owned(), workflow.line(one.line)),
                    job: run.id,
                    step,
                    reaches: (program.starts_with('$') || tools::reach(workflow, job, step))
                        && !is_idle,
                });
            }
        }
    }
    for (at, workflow) in assembly.workflows.iter().enumerate() {
        for (nth, job) in workflow.jobs.iter().enumerate() {
            let id = JobId {
                workflow: at,
                job: nth,
            };
            let is_read = |at: &Line| assembly.runs.iter().any(|run| run.by.contains(at));
            let elsewhere = |uses: &&Text| !is_read(&workflow.line(uses.key_line));
            if let Some(uses) = job.uses.as_ref().filter(elsewhere) {
                add(Unread {
                    what: Fact::new(
                        format!("uses: {}", uses.value.text()),
                        workflow.line(uses.key_line),
                    ),
                    job: id,
                    step: 0,
                    reaches: (job.handed.is_some() || tools::takes_identity(workflow, job))
                        && !never_deploys(workflow, workflow, job),
                });
            }
        }
    }
    let is_last = |nth: usize, one: &Unread| {
        let mut after = found[nth + 1..].iter();
        one.reaches && !after.any(|other| other.reaches && other.job == one.job)
    };
    let mut all = Vec::new();
    for (nth, one) in found.iter().enumerate() {
        let deployment = is_last(nth, one)
            .then(|| called_so::at_step(assembly, one.job, &one.what, one.step))
            .flatten();
        all.push(NotKnown {
            what: one.what.clone(),
            reaches: one.reaches,
            deployment: deployment.map(Box::new),
        });
    }
    all
}

fn job_of<'s>(assembly: &Assembly<'s>, run: &Run) -> (&'s Workflow, &'s Job) {
    let workflow = &assembly.workflows[run.id.workflow];
    (workflow, &workflow.jobs[run.id.job])
}

impl Assembly<'_> {
    /// Whether an event is not understood; then, whether it could deploy something.
    fn is_unread(&self, run: &Run, event: &Event, done: &[RecordedEffect<'_>]) -> Option<bool> {
        let (workflow, job) = job_of(self, run);
        let there = event.place.login.is_some();
        let reaches =
            || there || job.is_on_own_machine() || tools::reach(workflow, job, event.step);
        let is_deed = |one: &&RecordedEffect<'_>| {
            let vague = matches!(&one.deed, CommandEffect::Deploys(tool) if matches!(**tool, Tool::Commands));
            std::ptr::eq(one.event, event) && !vague
        };
        if let Some(one) = done.iter().find(is_deed) {
            let CommandEffect::Deploys(tool) = &one.deed else {
                return None;
            };
            let is_open = match &**tool {
                Tool::Ansible { playbook, .. } => {
                    !self.is_whole(playbook.text()) && !self.is_test(run, one)
                }
                Tool::Other { .. } => true,
                // It deploys, and is not counted: a way back, upkeep.
                Tool::Ecs(_) | Tool::Platform(_) | Tool::Hook { .. } | Tool::CodeDeploy { .. } => {
                    !self.may_deploy(run) || self.is_undone(run, event) || self.is_upkeep(run)
                }
                _ => false,
            };
            return is_open.then_some(true);
        }
        match &event.what {
            EventDetail::Command { words, .. } => {
                let program = words.first().map_or("", String::as_str);
                if program.starts_with(['$', '`'])
                    || is_push_elsewhere(words, run)
                    || tools::starts_workflow(words)
                {
                    return Some(true);
                }
                let known = tools::is_harmless(words) || there && tools::changes(words);
                if known || self.is_function(program, &event.at) {
                    return None;
                }
                let sends = matches!(program, "curl" | "wget" | "http");
                let is_make = matches!(program, "make" | "gmake");
                (sends || is_make || reaches()).then(|| sends || reaches())
            }
            EventDetail::Action { name, with, .. } => {
                let is_remote =
                    |other: &Event| other.step == event.step && other.place.login.is_some();
                if tools::is_harmless_action(name, with) || run.events.iter().any(is_remote) {
                    return None;
                }
                let starts = tools::starts_elsewhere(name) || reaches();
                (starts || name.contains("compose")).then_some(starts)
            }
            EventDetail::Script {
                path,
                arguments,
                known,
                interpreter,
                ..
            } => {
                let is_read = *known && interpreter.as_deref().is_none_or(is_shell);
                // `./gradlew`, which is not read and is known.
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                let words = arguments.iter().map(|word| word.text().to_owned());
                let words: Vec<String> = [name].into_iter().chain(words).collect();
                (!is_read && !tools::is_harmless(&words)).then(reaches)
            }
            EventDetail::Writes { .. } => None,
        }
    }

    /// Whether a playbook is here, and names each file that it uses.
    fn is_whole(&self, playbook: &str) -> bool {
        let text = repository::joined("", playbook).and_then(|path| self.repository.text(&path));
        let more = ["roles", "import_", "include", "synchronize"];
        text.is_some_and(|text| !more.iter().any(|word| text.contains(word)))
    }

    /// Whether the file of a line defines a function of this name, so that its commands were read.
    fn is_function(&self, name: &str, at: &Line) -> bool {
        let text = self.repository.text(&at.path).unwrap_or_default();
        [
            format!("{name}()"),
            format!("{name} ()"),
            format!("function {name}"),
        ]
        .iter()
        .any(|head| text.contains(head))
    }
}

/// Whether a push of Git may go to another repository than the one that runs the job, or to a branch that is deployed.
fn is_push_elsewhere(words: &[String], run: &Run) -> bool {
    let is_git = words.first().is_some_and(|name| name == "git");
    let Some(at) = words
        .iter()
        .position(|word| word == "push")
        .filter(|_| is_git)
    else {
        return false;
    };
    let second = run.events.iter().any(|event| match &event.what {
        EventDetail::Action { name, with, .. } => {
            name == "actions/checkout"
                && (with.contains_key("repository") || with.contains_key("path"))
        }
        EventDetail::Command { words, .. } => {
            words.starts_with(&["git".to_owned(), "clone".to_owned()])
        }
        EventDetail::Script { .. } | EventDetail::Writes { .. } => false,
    });
    let names = ["deploy", "prod", "live", "gh-pages", "staging"];
    let elsewhere = |word: &String| {
        word.contains("://") || word.contains('@') || names.iter().any(|name| word.contains(name))
    };
    second || words[at + 1..].iter().any(elsewhere)
}

/// What a person finds it by, without what may be secret: options, and the path of an address.
fn shown(event: &Event) -> String {
    let text = match &event.what {
        EventDetail::Command { words, .. } => {
            let address = words.iter().find(|word| word.contains("://"));
            let host = address.and_then(|word| word.split('/').nth(2));
            let host = host.map(|host| host.rsplit('@').next().unwrap_or_default());
            let plain = |word: &&String| !word.starts_with('-') && !word.contains("://");
            let named = words.iter().take_while(plain).take(4).cloned();
            named
                .chain(host.map(str::to_owned))
                .collect::<Vec<_>>()
                .join(" ")
        }
        EventDetail::Action { name, .. } => format!("uses: {name}"),
        EventDetail::Script { path: name, .. } | EventDetail::Writes { file: name, .. } => {
            name.clone()
        }
    };
    let first = text.lines().next().unwrap_or_default();
    first.chars().take(MAX_SHOWN).collect()
}
