//! What is known while a job is read: its environment, inputs, outputs and logins.

use std::collections::{BTreeMap, BTreeSet};

use crate::deployment::Need;
use openssh::Config;
use workflow::Value;
use workflow::expression;
use workflow::inputs::Open;
use workflow::{Fact, Line};

/// A longer value is not kept.
const MAX_VALUE: usize = 1 << 13;

/// A configuration of the `ssh` program that the job writes.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) config: Config,
    pub(crate) at: Line,
    pub(crate) step: usize,
}

/// The contexts of a job, and what its steps have left behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// `owner/name`.
    pub(crate) repository: Option<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) inputs: BTreeMap<String, String>,
    /// They are those of an action, which has no others: what is not given to it is empty.
    pub(crate) in_action: bool,
    /// Those of them that a person gives.
    pub(crate) open: Open,
    pub(crate) matrix: BTreeMap<String, String>,
    /// `needs.JOB.outputs.NAME`, by job and name.
    pub(crate) needs: BTreeMap<(String, String), String>,
    /// `steps.ID.outputs.NAME`.
    pub(crate) outputs: BTreeMap<(String, String), String>,
    /// Private keys that are there for `ssh`, by the file that they are in; an agent's have none.
    pub(crate) keys: Vec<(Option<String>, Fact<Value>)>,
    pub(crate) known_hosts: Option<Fact<Value>>,
    /// The `ref` that is checked out, where it is not the one of the run.
    pub(crate) checked_out: Option<String>,
    /// What is written into `~/.ssh/config`.
    pub(crate) client: Vec<Written>,
    /// Keys in an agent that no single secret is, and a certificate: with the step that brings it.
    pub(crate) agent: Option<(Fact<Need>, usize)>,
    pub(crate) by_program: Option<(Fact<Need>, usize)>,
    pub(crate) unsure_outputs: BTreeSet<(String, String)>,
    /// Variables that steps have handed on.
    pub(crate) handed: BTreeSet<String>,
}

impl Scope {
    /// A text with the expressions that are known filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        expression::fill(text, &|path| self.context(path))
    }

    /// A program's text, likewise. What a command printed is no text of this program.
    pub(crate) fn fill_program(&self, text: &str) -> String {
        let printed = |value: &String| value.contains("$(") || value.contains(['`', '\n']);
        expression::fill(text, &|path| {
            self.context(path).filter(|value| !printed(value))
        })
    }

    /// Keeps an output of a step. One that is set to two values has the one or the other: it is not known.
    pub(crate) fn output(&mut self, key: (String, String), value: &str) {
        if self.unsure_outputs.contains(&key) || value.len() > MAX_VALUE {
            return;
        }
        // `$(git describe)`, `${GITHUB_REF_NAME#v}`: only the shell that writes it knows what it is, and an expression
        // is its name elsewhere.
        let of_shell = value.replace("${{", "");
        let of_shell = of_shell.contains("${") || of_shell.contains("$(") || of_shell.contains('`');
        if of_shell || self.outputs.get(&key).is_some_and(|old| old != value) {
            self.outputs.remove(&key);
            self.unsure_outputs.insert(key);
            return;
        }
        self.outputs.insert(key, value.to_owned());
    }

    /// Keeps a variable for the steps after this one, likewise.
    pub(crate) fn hand_on(&mut self, name: &str, value: &str) {
        let twice = !self.handed.insert(name.to_owned())
            && self.env.get(name).is_none_or(|old| old != value);
        if twice || value.len() > MAX_VALUE {
            self.env.remove(name);
        } else {
            self.env.insert(name.to_owned(), value.to_owned());
        }
    }

    /// What tells this run of the job from its others, by the workflow's names: `matrix.host`, `inputs.host`.
    pub(crate) fn row(&self) -> BTreeMap<String, String> {
        let all = [("matrix", &self.matrix), ("inputs", &self.inputs)].into_iter();
        let named = all.flat_map(|(context, values)| {
            values
                .iter()
                .map(move |(name, value)| (format!("{context}.{name}"), value.clone()))
        });
        named.collect()
    }

    fn context(&self, path: &str) -> Option<String> {
        let (context, name) = path.split_once('.')?;
        match context {
            "env" => self.env.get(name).cloned(),
            "inputs" if self.in_action => {
                let value = self.inputs.get(&name.to_ascii_lowercase()).cloned();
                Some(value.unwrap_or_default())
            }
            "inputs" => self.inputs.get(name).cloned(),
            "matrix" => self.matrix.get(name).cloned(),
            "needs" => {
                let (job, name) = name.split_once(".outputs.")?;
                self.needs.get(&(job.to_owned(), name.to_owned())).cloned()
            }
            "steps" => {
                let (step, name) = name.split_once(".outputs.")?;
                self.outputs
                    .get(&(step.to_owned(), name.to_owned()))
                    .cloned()
            }
            "github" => match name {
                "repository" => self.repository.clone(),
                "repository_owner" => Some(self.repository.as_ref()?.split_once('/')?.0.to_owned()),
                "event.repository.name" => {
                    Some(self.repository.as_ref()?.split_once('/')?.1.to_owned())
                }
                _ => self
                    .inputs
                    .get(name.strip_prefix("event.inputs.")?)
                    .cloned(),
            },
            _ => None,
        }
    }

    /// A variable of a shell on the runner.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        if let Some(value) = self.env.get(name) {
            return Some(value.clone());
        }
        let context = match name {
            shell::HEAD => return self.checked_out.clone(),
            "GITHUB_SHA" => "github.sha",
            "GITHUB_REF_NAME" => "github.ref_name",
            "GITHUB_RUN_NUMBER" => "github.run_number",
            "GITHUB_RUN_ID" => "github.run_id",
            "GITHUB_ACTOR" => "github.actor",
            "GITHUB_REPOSITORY" => return self.repository.clone(),
            "GITHUB_REPOSITORY_OWNER" => return self.context("github.repository_owner"),
            _ => return None,
        };
        Some(format!("${{{{ {context} }}}}"))
    }

    /// A text of a shell with its variables filled in.
    pub(crate) fn fill_shell(&self, text: &str) -> String {
        shell::filled(&self.fill(text), &|name| self.variable(name))
    }

    /// The key that `ssh` would use: of the named file, else the usual one, else the last.
    pub(crate) fn key(&self, file: Option<&str>) -> Option<Fact<Value>> {
        let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let named = file.and_then(|file| {
            let of_file = |(path, _): &&(Option<String>, _)| {
                path.as_deref().is_some_and(|path| base(path) == base(file))
            };
            self.keys.iter().rev().find(of_file)
        });
        let named = named.map(|(_, key)| key.clone());
        let last = || self.keys.last().map(|(_, key)| key.clone());
        named.or_else(|| self.usual_key()).or_else(last)
    }

    /// The key that `ssh` tries where no file is named: an agent's, or one in a usual file; else the only one.
    pub(crate) fn usual_key(&self) -> Option<Fact<Value>> {
        let is_usual = |path: &str| {
            path.rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with("id_"))
        };
        let usual = |(path, _): &&(Option<String>, _)| path.as_deref().is_none_or(is_usual);
        let only = match &self.keys[..] {
            [only] => Some(only),
            _ => None,
        };
        let found = self.keys.iter().rev().find(usual).or(only);
        found.map(|(_, key)| key.clone())
    }
}
