//! The programs of the repository that a job calls: scripts, targets of a Makefile, scripts of `package.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::event::EventDetail;
use crate::run::{MAX_DEPTH, Reader};
use crate::session::Shell;
use repository::{Repository, joined};
use workflow::Line;
use workflow::Value;

/// More variables than a Makefile has.
const MAX_VARIABLES: usize = 200;

impl Reader<'_> {
    /// The program of the repository that a command is, by its path from the root, and its arguments.
    pub(crate) fn called(
        &self,
        name: &str,
        program: &str,
        words: &[String],
        shell: &Shell,
    ) -> Option<(String, Vec<String>)> {
        let (path, rest) = match name {
            "bash" | "sh" | "zsh" | "dash" | "source" | "." => {
                let at = words
                    .iter()
                    .skip(1)
                    .position(|word| !word.starts_with('-'))?
                    + 1;
                (words[at].as_str(), &words[at + 1..])
            }
            "pwsh" | "powershell" | "pwsh.exe" | "powershell.exe" => {
                let at = words.iter().position(|word| is_powershell(word))?;
                (words[at].as_str(), &words[at + 1..])
            }
            "make" => {
                let is_target = |word: &&String| !word.starts_with('-') && !word.contains('=');
                let at = words.iter().skip(1).position(|word| is_target(&word))? + 1;
                let rest = words[1..at].iter().chain(&words[at + 1..]);
                return Some((format!("make {}", words[at]), rest.cloned().collect()));
            }
            "npm" | "yarn" | "pnpm" | "bun" => {
                let mut rest = words.iter().skip(1).filter(|word| !word.starts_with('-'));
                let first = rest.next()?;
                let script = if matches!(first.as_str(), "run" | "run-script") {
                    rest.next()?
                } else if name != "npm" {
                    first
                } else {
                    return None;
                };
                let folder = shell.place.folder.as_ref().filter(|_| shell.runner);
                let below = folder.map_or("", |folder| &*folder.value);
                let is_script = package_script(self.repository, below, script).is_some();
                return is_script.then(|| (format!("npm {script}"), Vec::new()));
            }
            _ if program.contains('/')
                && !program.starts_with("/usr/")
                && !program.starts_with("/bin/") =>
            {
                (program, &words[1..])
            }
            _ => return None,
        };
        // Programs that packages put there are the tools themselves.
        if [
            "vendor/bin/",
            "node_modules/",
            "bin/kamal",
            "/kustomize",
            "venv/",
        ]
        .iter()
        .any(|tool| path.contains(tool))
        {
            return None;
        }
        let inside = shell.in_repository(path, self.repository);
        let sent = (!shell.runner && !self.repository.has(&inside)).then(|| self.sent(&inside));
        Some((sent.flatten().unwrap_or(inside), rest.to_vec()))
    }

    /// The only file of this name, where an earlier step of the job copies it to a machine.
    fn sent(&self, path: &str) -> Option<String> {
        let name = path.rsplit('/').next().filter(|name| name.contains('.'))?;
        let end = format!("/{name}");
        let mut files = self
            .repository
            .files
            .iter()
            .filter(|file| file.ends_with(&end) || *file == name);
        let only = files.next().filter(|_| files.next().is_none())?;
        let copied = |text: &str| {
            let mut sources = text
                .split([',', ' ', '\n'])
                .map(|source| source.trim_start_matches("./"));
            sources.any(|source| source == only)
        };
        let is_sent = self.trace.events.iter().any(|event| match &event.what {
            EventDetail::Action { name, with, .. } => {
                name.contains("scp")
                    && with
                        .get("source")
                        .is_some_and(|fact| copied(fact.value.text()))
            }
            EventDetail::Command { words, .. } => {
                matches!(words.first().map(String::as_str), Some("scp" | "rsync"))
                    && words.iter().any(|word| copied(word))
            }
            EventDetail::Script { .. } | EventDetail::Writes { .. } => false,
        });
        is_sent.then(|| only.clone())
    }

    #[expect(clippy::too_many_arguments, reason = "what a command is read with")]
    pub(crate) fn script(
        &mut self,
        path: &str,
        arguments: Vec<String>,
        at: &Line,
        by: &[Line],
        shell: &mut Shell,
        env: BTreeMap<String, String>,
        step_id: Option<&str>,
        depth: usize,
    ) {
        let below = shell
            .place
            .folder
            .as_ref()
            .map_or("", |folder| &*folder.value);
        let below = if shell.runner { below } else { "" };
        let mut made = BTreeMap::new();
        let found = if let Some(target) = path.strip_prefix("make ") {
            let file = ["Makefile", "makefile", "GNUmakefile"]
                .iter()
                .find_map(|name| {
                    let path = joined(below, name)?;
                    Some((self.repository.text(&path)?, path))
                });
            let Some((text, path)) = file else { return };
            let Some(found) = recipe(&text, target) else {
                return;
            };
            made = variables(&text, &arguments, &env);
            Some((found, path))
        } else if let Some(name) = path.strip_prefix("npm ") {
            let Some(found) = package_script(self.repository, below, name) else {
                return;
            };
            Some(found)
        } else {
            (self.repository.text(path)).map(|text| ((text, 0), path.to_owned()))
        };
        let interpreter = (found.as_ref())
            .and_then(|((text, _), _)| text.lines().next()?.strip_prefix("#!"))
            .and_then(|line| {
                line.trim_start_matches("/usr/bin/env")
                    .split_whitespace()
                    .next()
            })
            .map(|program| program.rsplit('/').next().unwrap_or_default().to_owned());
        let interpreter = interpreter.or_else(|| is_powershell(path).then(|| "pwsh".to_owned()));
        let what = EventDetail::Script {
            path: path.to_owned(),
            interpreter: interpreter.clone(),
            arguments: arguments.iter().map(|word| Value::new(&**word)).collect(),
            known: found.is_some(),
            env: env.clone(),
        };
        self.event(at.clone(), by, shell.place.clone(), what);
        let Some(((text, first), file)) = found else {
            return;
        };
        let is_shell = interpreter
            .is_none_or(|name| matches!(name.as_str(), "bash" | "sh" | "dash" | "zsh" | "ash"));
        if depth >= MAX_DEPTH || !is_shell {
            return;
        }
        let mut by = by.to_vec();
        by.push(at.clone());
        let mut vars = env;
        vars.extend(made);
        let whole = vars.remove("0").filter(|_| !shell.runner);
        let whole = whole.or_else(|| {
            let folder = shell.place.folder.as_ref().filter(|_| !shell.runner)?;
            (!path.starts_with('/')).then(|| crate::session::below(&folder.value, &file))
        });
        vars.insert("0".to_owned(), whole.unwrap_or_else(|| file.clone()));
        for (nth, argument) in arguments.iter().enumerate() {
            vars.insert((nth + 1).to_string(), argument.clone());
        }
        let mut inner = Shell {
            vars,
            assigned: BTreeSet::new(),
            ..shell.clone()
        };
        let line = |nth: usize| Line::new(&file, first + nth + 1);
        self.program(&text, &line, &by, &mut inner, step_id, depth + 1);
    }
}

/// The recipe of a Makefile's target, and the lines before it.
fn recipe(text: &str, target: &str) -> Option<(String, usize)> {
    let head = |line: &str| {
        line.split_once(':')
            .is_some_and(|(names, _)| names.split_whitespace().any(|name| name == target))
    };
    let at = text.lines().position(head)?;
    let lines = text
        .lines()
        .skip(at + 1)
        .take_while(|line| line.starts_with('\t') || line.trim().is_empty());
    let plain = |line: &str| {
        let line = line.trim_start_matches('\t');
        of_shell(line.trim_start_matches(['@', '-', '+'])).replace("$$", "$")
    };
    let recipe: Vec<String> = lines.map(plain).collect();
    Some((recipe.join("\n"), at + 1))
}

/// A text of a Makefile with its variables as a shell's: `${HOST}` for `$(HOST)`.
fn of_shell(text: &str) -> String {
    static NAMED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)").ok());
    match &*NAMED {
        Some(named) => named.replace_all(text, "$${$1}").into_owned(),
        None => text.to_owned(),
    }
}

/// The variables of a Makefile that are known: those of the call, then the file's own over the environment's, where
/// `?=` does not leave them.
fn variables(
    text: &str,
    arguments: &[String],
    env: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let given = arguments.iter().filter_map(|word| word.split_once('='));
    let given: BTreeMap<String, String> = given
        .filter(|(name, _)| is_name(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut all = given.clone();
    for line in text.lines().filter(|line| !line.starts_with('\t')) {
        if all.len() >= MAX_VARIABLES {
            break;
        }
        let line = line.trim_start().trim_start_matches("export ");
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        if name.ends_with('+') {
            continue;
        }
        let keeps = name.ends_with('?');
        let name = name.trim_end_matches(['?', ':']).trim();
        if !is_name(name) || given.contains_key(name) || keeps && env.contains_key(name) {
            continue;
        }
        let lookup = |name: &str| all.get(name).or_else(|| env.get(name)).cloned();
        let value = shell::filled(&of_shell(value.trim()), &lookup);
        all.insert(name.to_owned(), value);
    }
    all
}

/// A script of PowerShell: it is called, and what it does is not read.
pub(crate) fn is_powershell(path: &str) -> bool {
    let name = path.to_ascii_lowercase();
    name.strip_suffix(".ps1")
        .is_some_and(|stem| !stem.is_empty())
}

/// A script of `package.json`, and the lines before it.
fn package_script(
    repository: &Repository,
    below: &str,
    name: &str,
) -> Option<((String, usize), String)> {
    let path = joined(below, "package.json")?;
    let text = repository.text(&path)?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    let script = json["scripts"][name].as_str()?.to_owned();
    let key = format!("\"{name}\"");
    let line = text.lines().position(|line| line.contains(&key))?;
    Some(((script, line), path))
}
