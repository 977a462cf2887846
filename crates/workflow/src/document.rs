//! A workflow as it is written: jobs and steps, each with its place in the text.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use yaml::{Kind, Node, Place};

use crate::expression;
use crate::fact::Line;
use crate::own::{Own, is_own_image};
use crate::program;
use crate::value::Value;

/// A file below `.github/workflows`.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// From the root.
    pub path: String,
    /// The whole file.
    pub text: String,
    pub name: Option<String>,
    /// The events that start it, by name: `push`, `workflow_dispatch`.
    pub triggers: Vec<String>,
    /// The inputs of `workflow_dispatch`, by name.
    pub inputs: Vec<String>,
    /// `permissions` at its top.
    pub permissions: Option<Node>,
    pub env: Vec<(String, Text)>,
    pub jobs: Vec<Job>,
    /// A step of it uses us.
    pub guards: bool,
    pub on: Option<Node>,
}

#[derive(Clone, Debug)]
pub struct Job {
    pub id: String,
    pub line: usize,
    pub name: Option<String>,
    pub needs: Vec<String>,
    /// The labels of `runs-on`, with expressions as they are.
    pub labels: Vec<Value>,
    /// `runs-on` names a group of runners; which labels those have, no workflow tells.
    pub has_runner_group: bool,
    pub permissions: Option<Node>,
    pub environment: Option<Text>,
    pub environment_url: Option<Text>,
    pub env: Vec<(String, Text)>,
    pub steps: Vec<Step>,
    /// The reusable workflow that it is.
    pub uses: Option<Text>,
    pub with: Vec<(String, Text)>,
    /// The secrets that it hands to that one: `inherit`, or each by name.
    pub handed: Option<Node>,
    /// Runs in a container, in which there is only what its image has.
    pub container: bool,
    pub condition: Option<String>,
    /// `continue-on-error: true`: the run goes well all the same. An expression is not known.
    pub may_fail: bool,
    pub matrix: Option<Node>,
    pub outputs: Vec<(String, Text)>,
    pub defaults_folder: Option<String>,
    /// The shell of its steps that name none: `defaults.run.shell` of the job, else of the workflow.
    pub defaults_shell: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub id: Option<String>,
    pub name: Option<String>,
    pub condition: Option<String>,
    pub uses: Option<Text>,
    pub run: Option<Text>,
    pub shell: Option<String>,
    pub folder: Option<String>,
    pub with: Vec<(String, Text)>,
    pub env: Vec<(String, Text)>,
    /// The line of its first key, from 1.
    pub line: usize,
    /// Its bytes in the workflow's text: from its first key to the end of its last value.
    pub place: Place,
    /// Whether it is written as a block, so that lines can follow it; `- { run: make }` is not.
    pub block: bool,
    /// What it is of ours, where it can run at all.
    pub own: Option<Own>,
    /// What an action of the repository that it calls hands to us in `env:`, in the words of the workflow.
    pub handed: Vec<(String, Value)>,
    /// The actions of the repository that it calls, and those that these call, as far as they use us.
    pub actions: Vec<ActionCall>,
}

/// An action of the repository that is made of steps.
#[derive(Clone, Debug)]
pub struct LocalAction {
    /// Its file.
    pub path: String,
    pub tree: Rc<Node>,
    pub steps: Vec<Step>,
}

impl LocalAction {
    /// The values of its inputs, by names in small letters, because GitHub ignores their case: what `given` has, else the
    /// default.
    pub fn inputs(&self, given: &dyn Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
        let declared = self.tree.get("inputs").map_or(&[][..], Node::entries);
        let each = declared.iter().filter_map(|(key, input)| {
            let name = key.name.to_ascii_lowercase();
            let default = || input.get("default")?.text().map(str::to_owned);
            let value = given(&name).or_else(default)?;
            Some((name, value))
        });
        each.collect()
    }
}

/// An action of the repository that uses us, as a step calls it.
#[derive(Clone, Debug)]
pub struct ActionCall {
    /// Its file.
    pub path: String,
    pub tree: Rc<Node>,
    /// What the step gives it, by names in small letters, else the defaults.
    inputs: BTreeMap<String, String>,
}

impl ActionCall {
    fn of(action: &LocalAction, with: &[(String, Text)]) -> ActionCall {
        let given = |name: &str| {
            let mut given = with
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name));
            given.next().map(|(_, text)| text.value.text().to_owned())
        };
        ActionCall {
            path: action.path.clone(),
            tree: Rc::clone(&action.tree),
            inputs: action.inputs(&given),
        }
    }

    /// A text of the action with its inputs filled in. One that is not given is empty.
    pub fn fill(&self, text: &str) -> String {
        expression::fill(text, &|path| {
            let name = path.strip_prefix("inputs.")?.to_ascii_lowercase();
            Some(self.inputs.get(&name).cloned().unwrap_or_default())
        })
    }
}

/// Actions within actions.
const MAX_DEPTH: usize = 4;
/// Calls of actions that one workflow's are followed to, those within actions too.
const MAX_CALLS: usize = 500;

impl Step {
    /// Takes over what the action of the repository that it calls does of ours.
    fn enter(&mut self, action: &dyn Fn(&str) -> Option<LocalAction>, depth: usize) {
        let is_never = self.condition.as_deref().is_some_and(expression::is_never);
        let uses = self.uses.as_ref().map(|uses| uses.value.text());
        let folder = uses.and_then(|uses| uses.strip_prefix("./"));
        let folder = folder.filter(|_| !is_never && depth < MAX_DEPTH);
        let Some(called) = folder.and_then(action) else {
            return;
        };
        let call = ActionCall::of(&called, &self.with);
        let mut steps = called.steps;
        for step in &mut steps {
            let named = step.with.iter_mut().chain(&mut step.env);
            for text in named.map(|(_, text)| text).chain(&mut step.run) {
                text.value = Value::new(call.fill(text.value.text()));
            }
        }
        mark(&mut steps, &[], false);
        enter(&mut steps, &[], action, depth + 1);
        let mut calls = Vec::new();
        for step in steps {
            match step.own {
                Some(Own::Runs(own)) => calls.extend(own),
                Some(Own::Setup) => self.own = Some(Own::Setup),
                None => continue,
            }
            let env = step.env.into_iter().map(|(name, text)| (name, text.value));
            self.handed.extend(env.chain(step.handed));
            self.actions.extend(step.actions);
        }
        if !calls.is_empty() {
            self.own = Some(Own::Runs(calls));
        }
        if self.own.is_some() {
            self.actions.push(call);
        }
    }

    /// What it asks instead of the configuration's probes, as a step of ours.
    pub fn asks(&self) -> impl Iterator<Item = &String> {
        let calls = match &self.own {
            Some(Own::Runs(calls)) => &calls[..],
            Some(Own::Setup) | None => &[],
        };
        calls.iter().flat_map(|call| &call.asks)
    }

    /// The shell program that it runs, on the runner or by another's action on a machine.
    pub fn program(&self) -> Option<&Text> {
        self.run.as_ref().or_else(|| {
            let given = || self.with.iter().chain(&self.env);
            let named = |name: &str| given().find(|(key, _)| key.eq_ignore_ascii_case(name));
            let uses = self.uses.as_ref()?.value.text();
            let input = program::input(uses, &|name| named(name).is_some())?;
            named(input).map(|(_, text)| text)
        })
    }
}

/// A scalar, and where its lines are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub value: Value,
    /// The line of its key or item.
    pub key_line: usize,
    /// The line of its first line of text, where each of its lines is one of the file.
    first_line: Option<usize>,
}

impl Text {
    /// The line of the file for a line of the text, from 0; the key's line where folding joined them.
    pub fn line(&self, nth: usize) -> usize {
        self.first_line.map_or(self.key_line, |first| first + nth)
    }
}

/// The lines of a text, by their first bytes.
pub struct Lines(Vec<usize>);

impl Lines {
    pub fn of(text: &str) -> Lines {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines([0].into_iter().chain(after).collect())
    }

    /// The line of a byte, from 1.
    pub fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }
}

impl Job {
    /// Whether its runner is a machine of one's own: not GitHub's, and not one that is rented for a job.
    pub fn is_on_own_machine(&self) -> bool {
        let labels: Vec<&str> = self.labels.iter().map(Value::text).collect();
        if self.container || labels.is_empty() {
            return false;
        }
        labels.contains(&"self-hosted")
            || !labels.iter().any(|label| {
                ["ubuntu", "macos", "windows", "${{"]
                    .iter()
                    .any(|hosted| label.to_ascii_lowercase().contains(hosted))
            })
    }
}

impl Workflow {
    pub fn read(path: &str, text: &str, tree: &Node) -> Workflow {
        let source = Source {
            text,
            lines: Lines::of(text),
            defaults: tree.get("defaults"),
        };
        let on = tree.get("on").cloned();
        let jobs = tree.get("jobs").map_or(&[][..], Node::entries);
        let jobs: Vec<Job> = (jobs.iter())
            .map(|(key, job)| source.job(&key.name, source.lines.at(key.place.start), job))
            .collect();
        let mut steps = jobs.iter().flat_map(|job| &job.steps);
        let guards = steps.any(|step| step.own.is_some());
        Workflow {
            path: path.to_owned(),
            text: text.to_owned(),
            name: tree.get("name").and_then(Node::text).map(str::to_owned),
            triggers: on.as_ref().map(words).unwrap_or_default(),
            inputs: (on.as_ref())
                .and_then(|on| on.get("workflow_dispatch")?.get("inputs"))
                .map(words)
                .unwrap_or_default(),
            permissions: tree.get("permissions").cloned(),
            env: source.texts(tree.get("env")),
            jobs,
            guards,
            on,
        }
    }

    /// Marks the steps that call an action of the repository which uses us. `action` gives the one in a folder.
    pub fn mark_actions(&mut self, action: &dyn Fn(&str) -> Option<LocalAction>) {
        let jobs = self.jobs.iter_mut();
        let jobs = jobs.filter(|job| !job.condition.as_deref().is_some_and(expression::is_never));
        let left = Cell::new(MAX_CALLS);
        let bounded = |folder: &str| {
            left.set(left.get().checked_sub(1)?);
            action(folder)
        };
        for job in jobs {
            enter(&mut job.steps, &job.env, &bounded, 0);
            self.guards |= job.steps.iter().any(|step| step.own.is_some());
        }
    }

    /// Whether a step uses us, or a command names us outside a comment, in whatever way it calls us.
    pub fn names_us(&self) -> bool {
        let steps = self.jobs.iter().flat_map(|job| &job.steps);
        let runs = steps.filter_map(Step::program);
        let mut lines = runs.flat_map(|run| run.value.text().lines());
        self.guards
            || lines.any(|line| {
                let code = line.split(" #").next().unwrap_or_default();
                !code.trim_start().starts_with('#') && code.contains("deploy-guard")
            })
    }

    /// Where it is started by events of a pull request alone: what it deploys is a preview.
    pub fn is_of_pull_requests(&self) -> bool {
        !self.triggers.is_empty()
            && (self.triggers.iter()).all(|trigger| trigger.starts_with("pull_request"))
    }

    /// That a pull request is closed is among its events.
    pub fn is_of_closed_requests(&self) -> bool {
        let types = self.on.as_ref().and_then(|on| {
            let event = on
                .get("pull_request")
                .or_else(|| on.get("pull_request_target"))?;
            Some(words(event.get("types")?))
        });
        types.is_some_and(|types| types.iter().any(|one| one == "closed"))
    }

    /// Tags or releases start it, and no branch does.
    pub fn is_of_tags(&self) -> bool {
        let on = |key: &str| self.on.as_ref().and_then(|on| on.get(key));
        let tags = on("push")
            .is_some_and(|push| push.get("tags").is_some() && push.get("branches").is_none());
        tags || on("push").is_none() && (on("release").is_some() || on("create").is_some())
    }

    /// A push to a branch starts it.
    pub fn is_of_branches(&self) -> bool {
        let push = self.triggers.iter().any(|trigger| trigger == "push");
        let of = self.on.as_ref().and_then(|on| on.get("push"));
        push && of.is_none_or(|push| push.get("tags").is_none())
    }

    /// No event of the repository starts it: a person does, a clock, or a push to the branch that a starter names for a
    /// person to fill in.
    pub fn is_started_by_hand(&self) -> bool {
        let by_hand = ["workflow_dispatch", "repository_dispatch", "schedule"];
        let branches = self
            .on
            .as_ref()
            .and_then(|on| on.get("push")?.get("branches"));
        let is_unfilled = branches.is_some_and(|node| words(node) == ["$default-branch"]);
        self.triggers
            .iter()
            .all(|one| by_hand.contains(&one.as_str()) || one == "push" && is_unfilled)
    }

    /// Only other workflows start it.
    pub fn is_only_called(&self) -> bool {
        self.triggers == ["workflow_call"]
    }

    /// The secrets that its expressions name, without the job's own token.
    pub fn secrets(&self) -> BTreeSet<String> {
        let tree = Node::parse_foreign(&self.text).ok();
        let mut texts = Vec::new();
        if let Some(tree) = &tree {
            tree.texts(&mut texts);
        }
        let names = texts.into_iter();
        names
            .flat_map(|text| expression::names(text, "secrets"))
            .collect()
    }

    /// A line of it.
    pub fn line(&self, number: usize) -> Line {
        Line::new(&self.path, number)
    }
}

/// Marks the steps of a job that are ours; in an image of ours, the stages are installed. `env` is the job's.
fn mark(steps: &mut [Step], env: &[(String, Text)], mut is_installed: bool) {
    let is_never = |step: &Step| step.condition.as_deref().is_some_and(expression::is_never);
    for step in steps.iter_mut().filter(|step| !is_never(step)) {
        let inputs = step.with.iter();
        let inputs: Vec<(&str, &str)> = inputs
            .map(|(key, text)| (key.as_str(), text.value.text()))
            .collect();
        let own = (step.uses.as_ref()).and_then(|uses| Own::of_action(uses.value.text(), &inputs));
        // What a program on a machine installs, the runner does not have.
        let mut there = false;
        let is_there = match &step.uses {
            Some(_) => &mut there,
            None => &mut is_installed,
        };
        let given = env.iter().chain(&step.env);
        let given = given.map(|(name, text)| (name.clone(), text.value.text().to_owned()));
        let given: BTreeMap<String, String> = given.filter(|_| step.run.is_some()).collect();
        step.own = own.or_else(|| Own::of_program(step.program()?.value.text(), given, is_there));
        is_installed |= step.own == Some(Own::Setup);
    }
}

/// Marks those that call an action of the repository which uses us, likewise.
fn enter(
    steps: &mut [Step],
    env: &[(String, Text)],
    action: &dyn Fn(&str) -> Option<LocalAction>,
    depth: usize,
) {
    for nth in 0..steps.len() {
        let was_known = steps[nth].own.is_some();
        steps[nth].enter(action, depth);
        if !was_known && steps[nth].own == Some(Own::Setup) {
            mark(&mut steps[nth + 1..], env, true);
        }
    }
}

struct Source<'t> {
    text: &'t str,
    lines: Lines,
    /// What the workflow says for all of its jobs.
    defaults: Option<&'t Node>,
}

impl Source<'_> {
    fn job(&self, id: &str, line: usize, node: &Node) -> Job {
        let environment = self.entry(node, "environment");
        let of_environment = |key: &str| self.entry(node.get("environment")?, key);
        let default = |key: &str| {
            let all = [node.get("defaults"), self.defaults];
            let mut runs = all.into_iter().flatten().filter_map(|all| all.get("run"));
            let text = runs.find_map(|run| run.get(key)?.text());
            text.map(str::to_owned)
        };
        let condition = node.get("if").and_then(Node::text).map(str::to_owned);
        let steps = node.get("steps").map_or(&[][..], Node::items).iter();
        let mut steps: Vec<Step> = steps.map(|step| self.step(step)).collect();
        let never = condition.as_deref().is_some_and(expression::is_never);
        let env = self.texts(node.get("env"));
        if !never {
            let container = node.get("container");
            let image = container.map(|one| one.get("image").unwrap_or(one));
            mark(
                &mut steps,
                &env,
                image.and_then(Node::text).is_some_and(is_own_image),
            );
        }
        Job {
            id: id.to_owned(),
            line,
            name: node.get("name").and_then(Node::text).map(str::to_owned),
            needs: node.get("needs").map(words).unwrap_or_default(),
            labels: labels(node.get("runs-on")),
            has_runner_group: node
                .get("runs-on")
                .is_some_and(|on| on.get("group").is_some()),
            permissions: node.get("permissions").cloned(),
            environment: of_environment("name").or(environment),
            environment_url: of_environment("url"),
            env,
            steps,
            uses: self.entry(node, "uses"),
            with: self.texts(node.get("with")),
            handed: node.get("secrets").cloned(),
            container: node.get("container").is_some(),
            condition,
            may_fail: node.get("continue-on-error").and_then(Node::text) == Some("true"),
            matrix: node
                .get("strategy")
                .and_then(|it| it.get("matrix"))
                .cloned(),
            outputs: self.texts(node.get("outputs")),
            defaults_folder: default("working-directory"),
            defaults_shell: default("shell"),
        }
    }

    fn step(&self, node: &Node) -> Step {
        let plain = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
        Step {
            id: plain("id"),
            name: plain("name"),
            condition: plain("if"),
            uses: self.entry(node, "uses"),
            run: self.entry(node, "run"),
            shell: plain("shell"),
            folder: plain("working-directory"),
            with: self.texts(node.get("with")),
            env: self.texts(node.get("env")),
            line: self.lines.at(node.place.start),
            place: node.place.clone(),
            block: !self.text[node.place.start..].starts_with(['{', '*', '&']),
            own: None,
            handed: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// The scalars of a mapping, in its order.
    fn texts(&self, node: Option<&Node>) -> Vec<(String, Text)> {
        let entries = node.map_or(&[][..], Node::entries);
        (entries.iter())
            .filter_map(|(key, value)| {
                let text = self.scalar(self.lines.at(key.place.start), key.place.end, value)?;
                Some((key.name.clone(), text))
            })
            .collect()
    }

    fn entry(&self, node: &Node, name: &str) -> Option<Text> {
        let (key, value) = (node.entries().iter()).find(|(key, _)| key.name == name)?;
        self.scalar(self.lines.at(key.place.start), key.place.end, value)
    }

    fn scalar(&self, key_line: usize, after_key: usize, node: &Node) -> Option<Text> {
        let Kind::Scalar(scalar) = &node.kind else {
            return None;
        };
        // What follows the key on its line: an anchor or a tag may come before the sign of a block.
        let rest = self.text.get(after_key..).unwrap_or_default();
        let rest = rest.lines().next().unwrap_or_default();
        let rest = rest.trim_start_matches(['"', '\'']).trim_start();
        let sign = (rest
            .strip_prefix(':')
            .unwrap_or_default()
            .split_whitespace())
        .find(|word| !word.starts_with(['&', '!']));
        let first_line = match sign {
            Some(sign) if sign.starts_with('|') => Some(key_line + 1),
            _ if !scalar.text.contains('\n') => Some(key_line),
            _ => None,
        };
        Some(Text {
            value: Value::new(&*scalar.text),
            key_line,
            first_line,
        })
    }
}

/// A word, the words of a list, or the keys of a mapping.
fn words(node: &Node) -> Vec<String> {
    match &node.kind {
        Kind::Scalar(scalar) => vec![scalar.text.clone()],
        Kind::List(items) => {
            let texts = items.iter().filter_map(Node::text);
            texts.map(str::to_owned).collect()
        }
        Kind::Map(entries) => entries.iter().map(|(key, _)| key.name.clone()).collect(),
    }
}

fn labels(node: Option<&Node>) -> Vec<Value> {
    let Some(node) = node else {
        return Vec::new();
    };
    match &node.kind {
        Kind::Map(_) => labels(node.get("labels")),
        _ => words(node).into_iter().map(Value::new).collect(),
    }
}

/// The steps of a composite action's `runs:`.
pub fn steps_of(text: &str, runs: &Node) -> Vec<Step> {
    let source = Source {
        text,
        lines: Lines::of(text),
        defaults: None,
    };
    let steps = runs.get("steps").map_or(&[][..], Node::items);
    steps.iter().map(|step| source.step(step)).collect()
}
