//! The actions that a job uses: those that run a program on a machine, and those of the repository.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{EventDetail, Place};
use crate::run::{MAX_DEPTH, Reader};
use crate::session::Shell;
use repository::{Repository, joined};
use workflow::Value;
use workflow::{Fact, Line};
use workflow::{LocalAction, Step, Text};

impl Reader<'_> {
    pub(crate) fn action(
        &mut self,
        step: &Step,
        uses: &Text,
        with: BTreeMap<String, Fact<Value>>,
        path: &str,
        by: &[Line],
        depth: usize,
    ) {
        let name = uses.value.text();
        let at = Line::new(path, uses.key_line);
        if let Some(folder) = name.strip_prefix("./") {
            if depth < MAX_DEPTH {
                self.composite(step, folder, &with, &at, by, depth);
            }
            return;
        }
        let name = name
            .split('@')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        crate::leaves::left_behind(&name, &with, step.id.as_deref(), self.step, &mut self.scope);
        // Its own `with:` is a mapping of this step; the lines of `script:` are the workflow's.
        if let Some(text) = step.program()
            && let Some(login) = crate::logins::remote_login(&name, &with, &at, &self.scope)
        {
            let handed = with
                .get("envs")
                .map(|envs| envs.value.text().to_owned())
                .unwrap_or_default();
            let vars = (handed.split(','))
                .filter_map(|name| {
                    Some((
                        name.trim().to_owned(),
                        self.scope.env.get(name.trim())?.clone(),
                    ))
                })
                .collect();
            let mut there = Shell {
                place: Place {
                    login: Some(login),
                    folder: None,
                },
                vars,
                runner: false,
                prefix: String::new(),
                assigned: BTreeSet::new(),
            };
            let program = self.scope.fill_program(text.value.text());
            let line = |nth: usize| Line::new(path, text.line(nth));
            let with_copy = EventDetail::Action {
                name,
                with,
                env: self.scope.env.clone(),
            };
            self.event(at, by, Place::default(), with_copy);
            self.program(&program, &line, by, &mut there, None, depth);
            return;
        }
        let env = self.scope.env.clone();
        self.event(
            at,
            by,
            Place::default(),
            EventDetail::Action { name, with, env },
        );
    }

    /// An action of the repository that is made of steps.
    fn composite(
        &mut self,
        step: &Step,
        folder: &str,
        with: &BTreeMap<String, Fact<Value>>,
        at: &Line,
        by: &[Line],
        depth: usize,
    ) {
        let Some(action) = local(self.repository, folder) else {
            return;
        };
        let inputs = action.inputs(&|name| Some(with.get(name)?.value.text().to_owned()));
        let LocalAction { path, tree, steps } = action;
        let outer = std::mem::replace(&mut self.scope.inputs, inputs);
        let outside = std::mem::replace(&mut self.scope.in_action, true);
        let mut by = by.to_vec();
        by.push(at.clone());
        for inner in &steps {
            self.one_step(inner, &path, &by, depth + 1);
        }
        if let Some(id) = &step.id {
            for (name, output) in tree.get("outputs").map_or(&[][..], yaml::Node::entries) {
                if let Some(text) = output.get("value").and_then(yaml::Node::text) {
                    let value = self.scope.fill(text);
                    self.scope
                        .outputs
                        .insert((id.clone(), name.name.clone()), value);
                }
            }
        }
        self.scope.inputs = outer;
        self.scope.in_action = outside;
    }
}

/// The action in a folder of the repository.
pub(crate) fn local(repository: &Repository, folder: &str) -> Option<LocalAction> {
    let mut names = ["action.yml", "action.yaml"].iter();
    let path = names.find_map(|name| joined(folder, name).filter(|path| repository.has(path)))?;
    let (tree, text) = (repository.tree(&path)?, repository.text(&path)?);
    // A composite action's `runs:` has the form of a job.
    let steps = workflow::steps_of(&text, tree.get("runs")?);
    Some(LocalAction { path, tree, steps })
}
