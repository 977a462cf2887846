//! The programs of the repository that a job calls: scripts, targets of a Makefile, scripts of `package.json`.

use std::collections::{BTreeMap, BTreeSet};

use crate::counts::is_for_way_back;
use crate::event::EventDetail;
use crate::run::{MAX_DEPTH, Reader};
use crate::session::Shell;
use repository::joined;
use repository::makefile::{Call, Makefile};
use repository::package_json::package_script;
use shell::{is_powershell, is_shell, with_own_arguments};
use workflow::Value;
use workflow::{Fact, Line};

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
                // `bash -n FILE` looks at its syntax and runs nothing.
                if words[1..at]
                    .iter()
                    .any(|word| !word.starts_with("--") && word.contains('n'))
                {
                    return None;
                }
                (words[at].as_str(), &words[at + 1..])
            }
            "pwsh" | "powershell" | "pwsh.exe" | "powershell.exe" => {
                let at = words.iter().position(|word| is_powershell(word))?;
                (words[at].as_str(), &words[at + 1..])
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
            sources.any(|source| {
                let inner = only.strip_prefix(source.trim_end_matches("/*").trim_end_matches('/'));
                source == only || inner.is_some_and(|inner| inner.starts_with('/'))
            })
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

    /// The targets of a Makefile, each after what it needs.
    #[expect(clippy::too_many_arguments, reason = "what a command is read with")]
    pub(crate) fn make(
        &mut self,
        words: &[String],
        at: &Line,
        by: &[Line],
        shell: &Shell,
        env: &BTreeMap<String, String>,
        step_id: Option<&str>,
        depth: usize,
    ) {
        let call = Call::of(&words[1..]);
        let below = shell.place.folder.as_ref().filter(|_| shell.runner);
        let below = below.map_or("", |folder| &*folder.value);
        let folder = match &call.folder {
            Some(folder) => joined(below, folder),
            None => Some(below.to_owned()),
        };
        let makefile = folder.as_ref().and_then(|folder| {
            let file = call.file.as_deref();
            Makefile::read(self.repository, folder, file, &call.given, env)
        });
        let (Some(makefile), Some(folder)) = (makefile, folder) else {
            // What it does is not seen; that it is called is.
            let what = EventDetail::Command {
                words: words.to_vec(),
                program: words[0].clone(),
                env: env.clone(),
            };
            self.event(at.clone(), by, shell.place.clone(), what);
            return;
        };
        let targets = call.targets.iter().map(|target| Some(target.as_str()));
        let targets: Vec<Option<&str>> = if call.targets.is_empty() {
            vec![None]
        } else {
            targets.collect()
        };
        let mut by = by.to_vec();
        for target in targets {
            let Some((target, recipes)) = makefile.recipes(target) else {
                continue;
            };
            let what = EventDetail::Script {
                path: format!("make {target}"),
                interpreter: None,
                arguments: call.rest.iter().map(|word| Value::new(&**word)).collect(),
                known: true,
                env: env.clone(),
            };
            self.event(at.clone(), &by, shell.place.clone(), what);
            if depth >= MAX_DEPTH {
                return;
            }
            if by.last() != Some(at) {
                by.push(at.clone());
            }
            let mut inner = Shell {
                vars: env.clone(),
                assigned: BTreeSet::new(),
                ..shell.clone()
            };
            inner.vars.extend(makefile.variables());
            if call.folder.is_some() {
                inner.place.folder = Some(Fact::new(folder.clone(), at.clone()));
            }
            for recipe in recipes {
                let line = |nth: usize| Line::new(&recipe.file, recipe.first + nth + 1);
                let mut own = inner.clone();
                self.program(&recipe.text, &line, &by, &mut own, step_id, depth + 1);
            }
        }
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
        let found = if let Some(name) = path.strip_prefix("npm ") {
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
        let is_shell = interpreter.is_none_or(|name| is_shell(&name));
        // What a script does for its way back is no deployment.
        let goes_back = |word: &String| is_for_way_back(word);
        if depth >= MAX_DEPTH || !is_shell || arguments.iter().any(goes_back) {
            return;
        }
        let mut by = by.to_vec();
        by.push(at.clone());
        let mut vars = env;
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
        let text = with_own_arguments(&text);
        self.program(&text, &line, &by, &mut inner, step_id, depth + 1);
    }
}
