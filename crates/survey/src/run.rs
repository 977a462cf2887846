//! A job read as a program: its steps, their commands, and the scripts that these call, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use shell::{Command, Input, Program};

use crate::event::{Event, EventDetail, Place, Trace};
use crate::scope::Scope;
use crate::session::{Branches, Shell};
use repository::Repository;
use workflow::Value;
use workflow::{Fact, Line};
use workflow::{Job, Step, Text, Workflow};

/// Scripts that call scripts.
pub(crate) const MAX_DEPTH: usize = 6;
/// More than a job does.
const MAX_EVENTS: usize = 2_000;
const MAX_COMMANDS: usize = 5_000;

/// Reads one job, with one row of its matrix.
pub(crate) struct Reader<'r> {
    pub(crate) repository: &'r Repository,
    pub(crate) workflow: &'r Workflow,
    pub(crate) job: &'r Job,
    pub(crate) scope: Scope,
    /// The lines that lead to the job: of the workflows that call it.
    pub(crate) by: Vec<Line>,
    pub(crate) trace: Trace,
    pub(crate) step: usize,
    /// Commands that were read.
    pub(crate) read: usize,
    /// Where the command that is read is: in which part of each `if`.
    pub(crate) arms: Vec<(Line, usize)>,
}

impl<'r> Reader<'r> {
    pub(crate) fn new(
        repository: &'r Repository,
        workflow: &'r Workflow,
        job: &'r Job,
        scope: Scope,
        by: Vec<Line>,
    ) -> Reader<'r> {
        Reader {
            repository,
            workflow,
            job,
            scope,
            by,
            trace: Trace::default(),
            step: 0,
            read: 0,
            arms: Vec::new(),
        }
    }

    pub(crate) fn read(mut self) -> (Trace, Scope) {
        self.set_env(&self.workflow.env);
        self.set_env(&self.job.env);
        for (at, step) in self.job.steps.iter().enumerate() {
            self.step = at;
            if step
                .condition
                .as_deref()
                .is_some_and(|condition| self.is_of_another_row(condition))
            {
                continue;
            }
            let path = &self.workflow.path;
            self.one_step(step, path, &self.by.clone(), 0);
        }
        for (name, text) in &self.job.outputs {
            let value = self.scope.fill(text.value.text());
            self.trace.outputs.insert(name.clone(), value);
        }
        (self.trace, self.scope)
    }

    /// Whether a condition wants a value of the matrix that this row has not: `matrix.stage == 'production'`.
    fn is_of_another_row(&self, condition: &str) -> bool {
        let inner = condition
            .trim()
            .trim_start_matches("${{")
            .trim_end_matches("}}")
            .trim();
        let Some((left, right)) = inner.split_once("==") else {
            return false;
        };
        let name = left.trim().strip_prefix("matrix.");
        let wanted = right
            .trim()
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''));
        let value = name
            .and_then(|name| self.scope.matrix.get(name))
            .filter(|value| !value.contains("${{"));
        matches!((value, wanted), (Some(value), Some(wanted)) if value != wanted && !wanted.contains('\''))
    }

    fn set_env(&mut self, env: &[(String, Text)]) {
        for (name, text) in env {
            let value = self.scope.fill(text.value.text());
            self.scope.env.insert(name.clone(), value);
        }
    }

    pub(crate) fn one_step(&mut self, step: &Step, path: &str, by: &[Line], depth: usize) {
        self.read += 1;
        if self.read > MAX_COMMANDS {
            return;
        }
        let before = self.scope.env.clone();
        self.set_env(&step.env);
        let with: BTreeMap<String, Fact<Value>> = (step.with.iter())
            .map(|(name, text)| {
                let value = Value::new(self.scope.fill(text.value.text()));
                let at = Line::new(path, text.key_line);
                (name.to_ascii_lowercase(), Fact::new(value, at))
            })
            .collect();
        let folder = step.folder.as_ref().or(self.job.defaults_folder.as_ref());
        let folder =
            folder.map(|folder| Fact::new(self.scope.fill(folder), Line::new(path, step.line)));
        if let Some(run) = &step.run {
            let shell = step.shell.as_ref().or(self.job.defaults_shell.as_ref());
            let shell = shell.map_or("bash", String::as_str);
            if ["bash", "sh", "pwsh", "powershell"]
                .iter()
                .any(|known| shell.starts_with(known))
            {
                let place = Place {
                    login: None,
                    folder,
                };
                let step_id = step.id.clone();
                self.text(run, path, by, &place, step_id.as_deref(), depth);
            }
        }
        if let Some(uses) = &step.uses {
            self.action(step, uses, with, path, by, depth);
        }
        // What a step has is its own; what it wrote into GITHUB_ENV is everybody's.
        let own = |name: &String| step.env.iter().any(|(own, _)| own == name);
        let mut env: BTreeMap<String, String> = before
            .clone()
            .into_iter()
            .filter(|(name, _)| own(name))
            .collect();
        let written = self.scope.env.iter().filter(|(name, _)| !own(name));
        env.extend(written.map(|(name, value)| (name.clone(), value.clone())));
        self.scope.env = env;
    }

    fn text(
        &mut self,
        text: &Text,
        path: &str,
        by: &[Line],
        place: &Place,
        step_id: Option<&str>,
        depth: usize,
    ) {
        let program = with_slashes(&self.scope.fill_program(text.value.text()));
        let line = |nth: usize| Line::new(path, text.line(nth));
        let mut shell = Shell {
            place: place.clone(),
            vars: BTreeMap::new(),
            runner: place.login.is_none(),
            prefix: String::new(),
            assigned: BTreeSet::new(),
        };
        self.program(&program, &line, by, &mut shell, step_id, depth);
    }

    /// Reads the commands of a program in their order.
    pub(crate) fn program(
        &mut self,
        text: &str,
        line: &dyn Fn(usize) -> Line,
        by: &[Line],
        shell: &mut Shell,
        step_id: Option<&str>,
        depth: usize,
    ) {
        let mut program = Program::new(text);
        let mut before: Option<Command> = None;
        // What the shell around each open subshell was.
        let mut outer: Vec<(usize, Shell)> = Vec::new();
        let around = self.arms.len();
        let mut branches = Branches::default();
        loop {
            let command = {
                let lookup = |name: &str| shell.lookup(name, &self.scope);
                program.next(&lookup)
            };
            let Some(command) = command else {
                break;
            };
            self.read += 1;
            if self.trace.events.len() > MAX_EVENTS || self.read > MAX_COMMANDS {
                break;
            }
            let same = (outer.iter().zip(&command.groups))
                .take_while(|((open, _), group)| open == *group)
                .count();
            if let Some((_, around)) = outer.get(same) {
                shell.clone_from(around);
                outer.truncate(same);
            }
            for group in &command.groups[same..] {
                outer.push((*group, shell.clone()));
            }
            branches.enter(&command.arms, &mut shell.place.folder);
            let arms = command.arms.iter().map(|(at, part)| (line(*at), *part));
            self.arms.extend(arms);
            self.command(&command, before.as_ref(), line, by, shell, step_id, depth);
            self.arms.truncate(around);
            before = Some(command);
        }
        if let Some((_, around)) = outer.into_iter().next() {
            *shell = around;
        }
    }

    #[expect(
        clippy::too_many_arguments,
        clippy::too_many_lines,
        reason = "what a command is read with"
    )]
    fn command(
        &mut self,
        command: &Command,
        before: Option<&Command>,
        line: &dyn Fn(usize) -> Line,
        by: &[Line],
        shell: &mut Shell,
        step_id: Option<&str>,
        depth: usize,
    ) {
        let at = line(command.line);
        let before_words = before
            .filter(|_| command.piped)
            .map_or(&[][..], |one| &one.words[..]);
        if let [program, verb, ..] = before_words
            && matches!(program.text.as_str(), "kubectl" | "oc")
            && verb.text == "create"
        {
            // A secret or a namespace that is made anew, and no release.
            return;
        }
        let mut words: Vec<String> = command.words.iter().map(|word| word.text.clone()).collect();
        // `$COMPOSE up`, where the variable is `docker compose`, or one of its two programs.
        if let Some(first) = words.first() {
            let is_compose =
                first.starts_with('$') && first.to_ascii_lowercase().contains("compose");
            let whole = if is_compose { "docker compose" } else { first };
            if whole.starts_with("docker ") {
                let split: Vec<String> = whole.split_whitespace().map(str::to_owned).collect();
                words.splice(..1, split);
            }
        }
        let Some(program) = words.first().cloned() else {
            for (name, value) in &command.assignments {
                shell.set(name, value, !self.arms.is_empty());
            }
            return;
        };
        let name = program.rsplit('/').next().unwrap_or_default().to_owned();
        if UNPACKERS.contains(&&*name) && before_words.first().is_some_and(is_download) {
            self.trace.events.pop();
        }
        let arguments = &words[1..];
        self.left_behind(command, before, &name, arguments, &at, shell, step_id);
        let files = command
            .outputs
            .iter()
            .filter(|file| !file.contains("GITHUB_") && !file.starts_with("/dev/"));
        let text = match &command.input {
            Some(Input::Text(word)) => word.text.clone(),
            _ => arguments.join("\n"),
        };
        for file in files.cloned().collect::<Vec<_>>() {
            let text = text.clone();
            let what = EventDetail::Writes { file, text };
            self.event(at.clone(), by, shell.place.clone(), what);
        }
        match name.as_str() {
            "export" | "declare" | "local" | "readonly" | "typeset" => {
                for word in arguments {
                    if let Some((name, value)) = word.split_once('=') {
                        shell.set(name, value, !self.arms.is_empty());
                    }
                }
                return;
            }
            "cd" | "pushd" => {
                shell.cd(arguments.iter().find(|word| !word.starts_with('-')), &at);
                return;
            }
            "set" | "echo" | "printf" | "true" | "sleep" | "exit" | "mkdir" | "chmod" | "["
            | "[[" => return,
            _ => {}
        }
        let mut env = if shell.runner {
            self.scope.env.clone()
        } else {
            BTreeMap::new()
        };
        env.extend(shell.vars.clone());
        env.extend(command.assignments.iter().cloned());
        // `sh -c TEXT`, `eval TEXT`, `su - USER -c TEXT`.
        if depth < MAX_DEPTH
            && let Some(nth) = shell::inner_text(&name, &words)
            && let Some(word) = command.words.get(nth)
        {
            let first = word.line;
            let inner = |nth: usize| line(first + nth);
            let mut shell = shell.under(command);
            shell.vars = env;
            self.program(&word.text, &inner, by, &mut shell, step_id, depth + 1);
            return;
        }
        // `sshpass -e rsync …` copies as `rsync` does.
        if name == "sshpass"
            && let Some(nth) = words
                .iter()
                .position(|word| matches!(word.rsplit('/').next(), Some("rsync" | "scp")))
        {
            let words = words[nth..].to_vec();
            let program = words[0].clone();
            self.event(
                at,
                by,
                shell.place.clone(),
                EventDetail::Command {
                    words,
                    program,
                    env,
                },
            );
            return;
        }
        if name == "ssh" || name == "sshpass" {
            self.over_ssh(
                command, before, &name, &words, line, by, shell, step_id, depth,
            );
            return;
        }
        if matches!(name.as_str(), "make" | "gmake") {
            self.make(&words, &at, by, shell, &env, step_id, depth);
            return;
        }
        if let Some((path, rest)) = self.called(&name, &program, &words, shell) {
            env.retain(|name, _| !name.starts_with(|c: char| c.is_ascii_digit()));
            let own = shell.own_path(&words, &path).filter(|_| !shell.runner);
            env.extend(own.map(|path| ("0".to_owned(), path)));
            let mut shell = shell.under(command);
            self.script(&path, rest, &at, by, &mut shell, env, step_id, depth);
            return;
        }
        let program = format!("{}{}{program}", shell.prefix, command.runner);
        words[0].clone_from(&name);
        self.event(
            at,
            by,
            shell.place.clone(),
            EventDetail::Command {
                words,
                program,
                env,
            },
        );
    }

    pub(crate) fn event(&mut self, at: Line, by: &[Line], place: Place, what: EventDetail) {
        self.trace.events.push(Event {
            step: self.step,
            at,
            by: by.to_vec(),
            place,
            arms: self.arms.clone(),
            what,
        });
    }
}

/// What a download is piped into: it was no question.
const UNPACKERS: [&str; 8] = [
    "tar", "gunzip", "bsdtar", "bash", "sh", "zsh", "gpg", "apt-key",
];

fn is_download(word: &shell::Word) -> bool {
    matches!(word.text.rsplit('/').next(), Some("curl" | "wget"))
}

/// A program's text with `.\deploy.ps1` as `./deploy.ps1`: a shell takes the backslash for its own.
fn with_slashes(text: &str) -> String {
    static SCRIPT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)\.{1,2}\\[A-Za-z0-9._\\-]+\.ps1\b").ok());
    match &*SCRIPT {
        Some(script) => script
            .replace_all(text, |found: &regex::Captures<'_>| {
                found[0].replace('\\', "/")
            })
            .into_owned(),
        None => text.to_owned(),
    }
}
