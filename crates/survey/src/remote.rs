//! What `ssh` runs on a machine, and what commands leave behind for it: keys, settings, variables.

use std::collections::{BTreeMap, BTreeSet};

use openssh::Config;
use shell::{Command, Input, Program};

use crate::deployment::Need;
use crate::event::Place;
use crate::run::{MAX_DEPTH, Reader};
use crate::scope::Written;
use crate::session::Shell;
use crate::ssh;
use repository::joined;
use workflow::Value;
use workflow::{Fact, Line};

impl Reader<'_> {
    /// Outputs, variables, keys and settings of `ssh` that a command writes for those after it.
    #[expect(clippy::too_many_arguments, reason = "what a command is read with")]
    pub(crate) fn left_behind(
        &mut self,
        command: &Command,
        before: Option<&Command>,
        name: &str,
        arguments: &[String],
        at: &Line,
        shell: &Shell,
        step_id: Option<&str>,
    ) {
        if !shell.runner {
            return;
        }
        let secret = |words: &mut dyn Iterator<Item = &String>| {
            words
                .map(|word| Value::new(&**word))
                .find(|value| !value.secrets().is_empty())
        };
        let here = match &command.input {
            Some(Input::Text(word)) => Some(word.text.clone()),
            _ => None,
        };
        let piped = before.filter(|_| command.piped);
        let piped_words = || {
            piped
                .iter()
                .flat_map(|one| one.words.iter().map(|word| &word.text))
        };
        for output in &command.outputs {
            let pairs = || {
                let texts = arguments.iter().chain(&here);
                texts
                    .flat_map(|text| text.lines())
                    .filter_map(|line| line.split_once('='))
            };
            if output.contains("GITHUB_OUTPUT") {
                for (key, value) in pairs() {
                    if let Some(id) = step_id {
                        let key = (id.to_owned(), key.trim().to_owned());
                        self.scope.output(key, value);
                    }
                }
            } else if output.contains("GITHUB_ENV") {
                for (key, value) in pairs() {
                    self.scope.hand_on(key.trim(), value);
                }
            }
        }
        let tee = (name == "tee").then(|| arguments.last()).flatten();
        let outputs = command.outputs.iter().chain(tee);
        for output in outputs.filter(|output| output.contains(".ssh/") || output.contains("key")) {
            let found =
                secret(&mut arguments.iter().chain(&here)).or_else(|| secret(&mut piped_words()));
            if output.ends_with(".ssh/config") {
                let text = here
                    .clone()
                    .or_else(|| self.file_among(arguments))
                    .unwrap_or_else(|| shell::printed(name, arguments));
                self.ssh_config(&text, at);
            } else if output.ends_with("-cert.pub") {
                self.by_program(Need::Certificate(output.clone()), at);
            } else if output.ends_with("known_hosts") {
                let mut texts = arguments.iter().chain(&here).chain(piped_words());
                let signed = texts.any(|text| text.contains("@cert-authority"));
                if signed && self.scope.by_program.is_none() {
                    self.by_program(Need::Authority, at);
                }
                // What `ssh-keyscan` prints is whatever answers: no known key.
                if let Some(value) = found.filter(|_| WRITERS.contains(&name)) {
                    self.scope.known_hosts = Some(Fact::new(value, at.clone()));
                }
            } else if let Some(value) = found {
                let key = Fact::new(value, at.clone());
                self.scope.keys.push((Some(output.clone()), key));
            }
        }
        let copied = matches!(name, "cp" | "install" | "mv").then(|| arguments.last());
        if copied
            .flatten()
            .is_some_and(|to| to.ends_with(".ssh/config"))
            && let Some(text) = self.file_among(arguments)
        {
            self.ssh_config(&text, at);
        }
        if name == "ssh-add"
            && let Some(value) = secret(&mut here.iter()).or_else(|| secret(&mut piped_words()))
        {
            self.scope.keys.push((None, Fact::new(value, at.clone())));
        }
    }

    fn ssh_config(&mut self, text: &str, at: &Line) {
        // One `echo` after the other.
        if !Config::begins(text)
            && let Some(last) = self.scope.client.last_mut()
        {
            last.config.append(text);
            return;
        }
        self.scope.client.push(Written {
            config: Config::read(text),
            at: at.clone(),
            step: self.step,
        });
    }

    fn by_program(&mut self, need: Need, at: &Line) {
        self.scope.by_program = Some((Fact::new(need, at.clone()), self.step));
    }

    /// The text of the first argument that is a file of the repository.
    fn file_among(&self, arguments: &[String]) -> Option<String> {
        let paths = arguments.iter().filter_map(|word| joined("", word));
        let mut texts = paths.filter_map(|path| self.repository.text(&path));
        texts.next()
    }

    /// What `ssh` runs on the machine that it goes to: its words, what it reads, or a file of the repository.
    #[expect(clippy::too_many_arguments, reason = "what a command is read with")]
    pub(crate) fn over_ssh(
        &mut self,
        command: &Command,
        before: Option<&Command>,
        name: &str,
        words: &[String],
        line: &dyn Fn(usize) -> Line,
        by: &[Line],
        shell: &Shell,
        step_id: Option<&str>,
        depth: usize,
    ) {
        let at = line(command.line);
        let mut from = 0;
        let mut password = None;
        if name == "sshpass" {
            let Some(nth) = words
                .iter()
                .position(|word| word == "ssh" || word.ends_with("/ssh"))
            else {
                return;
            };
            from = nth;
            let texts = words[..nth].iter().chain(self.scope.env.get("SSHPASS"));
            password = (texts.map(|word| Value::new(&**word)))
                .find(|value| !value.secrets().is_empty())
                .map(|value| Fact::new(value, at.clone()));
        }
        let Some((mut login, remote)) = ssh::ssh(&words[from..], &at, &self.scope) else {
            return;
        };
        if password.is_some() {
            login.key = None;
            login.password = password;
        }
        if depth >= MAX_DEPTH {
            return;
        }
        let mut there = Shell {
            place: Place {
                login: Some(login),
                folder: None,
            },
            vars: BTreeMap::new(),
            runner: false,
            prefix: String::new(),
            assigned: BTreeSet::new(),
        };
        // The program's words, what is set for it, and whether it is a shell that reads what it is given.
        let mut inner = Program::new(&remote.join(" "));
        let first = inner.next(&|_| None);
        let reads = remote.is_empty()
            || inner.next(&|_| None).is_none()
                && first.as_ref().is_some_and(Command::reads_program);
        if let Some(command) = first.as_ref().filter(|_| reads) {
            there = there.under(command);
        }
        there.vars.extend(
            first
                .into_iter()
                .filter(|_| reads)
                .flat_map(|command| command.assignments),
        );
        if reads {
            let piped = before.filter(|_| command.piped);
            let file = match (&command.input, piped) {
                (Some(Input::Text(word)), _) => {
                    let first = word.line;
                    let inner = |nth: usize| line(first + nth);
                    self.program(&word.text, &inner, by, &mut there, step_id, depth + 1);
                    return;
                }
                (Some(Input::File(file)), _) => Some(file.clone()),
                (None, Some(cat)) if cat.words.first().is_some_and(|word| word.text == "cat") => {
                    cat.words.get(1).map(|word| word.text.clone())
                }
                (None, _) => None,
            };
            let folder = shell
                .place
                .folder
                .as_ref()
                .map_or("", |folder| &*folder.value);
            if let Some(path) = file.and_then(|file| joined(folder, &file)) {
                let env = shell.vars.clone();
                self.script(&path, Vec::new(), &at, by, &mut there, env, step_id, depth);
            }
            return;
        }
        let first = (command.words.len()).saturating_sub(remote.len());
        let first = command
            .words
            .get(first)
            .map_or(command.line, |word| word.line);
        let inner = |nth: usize| line(first + nth);
        self.program(
            &remote.join(" "),
            &inner,
            by,
            &mut there,
            step_id,
            depth + 1,
        );
    }
}

/// Programs that write what they are given.
const WRITERS: [&str; 6] = ["echo", "printf", "cat", "tee", "install", "base64"];
