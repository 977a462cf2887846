//! The jobs of all workflows, each read in its place: after those that it needs, once for each row of its matrix and
//! for each workflow that calls it.

use std::collections::{BTreeMap, BTreeSet};

use yaml::{Kind, Node};

use crate::deployment::JobId;
use crate::event::Event;
use crate::run::Reader;
use crate::scope::Scope;
use repository::{Repository, joined};
use workflow::Line;
use workflow::inputs::{self, Open, is_input_of_release};
use workflow::{Job, Workflow, expression};

/// Rows of a matrix that are read.
const MAX_ROWS: usize = 32;
const MAX_CALLS: usize = 4;
/// Runs of jobs in all.
const MAX_RUNS: usize = 1_000;
/// What all of them do.
const MAX_EVENTS: usize = 20_000;

/// A job as it was read once.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: JobId,
    /// The workflow that events start, which leads there.
    pub(crate) started: usize,
    pub(crate) events: Vec<Event>,
    pub(crate) scope: Scope,
    pub(crate) by: Vec<Line>,
}

/// Reads them. Those that are `open` are read as they are written, whichever row of their matrix it is.
pub(crate) fn read(
    repository: &Repository,
    workflows: &[Workflow],
    origin: Option<&str>,
    open: &BTreeSet<JobId>,
) -> Vec<Run> {
    let mut all = Jobs {
        repository,
        workflows,
        open,
        runs: Vec::new(),
        events: 0,
    };
    let called = called(workflows, origin);
    for (at, workflow) in workflows.iter().enumerate() {
        if workflow.is_only_called() && called.contains(&at) {
            continue;
        }
        let mut scope = Scope {
            repository: origin.map(str::to_owned),
            ..Scope::default()
        };
        (scope.inputs, scope.open) = dispatched(workflow);
        all.workflow(at, at, &scope, &[], 0);
    }
    all.runs
}

/// The path of a workflow of this repository that a job calls, also by the repository's own name:
/// `OWNER/NAME/.github/workflows/FILE@main`.
fn path_here(uses: &str, origin: Option<&str>) -> Option<String> {
    let by_name = origin.and_then(|own| {
        let (path, _) = uses.strip_prefix(own)?.rsplit_once('@')?;
        path.strip_prefix('/')
    });
    joined(
        "",
        by_name.or_else(|| uses.starts_with("./").then_some(uses))?,
    )
}

/// The workflows that others of the repository call.
fn called(workflows: &[Workflow], origin: Option<&str>) -> Vec<usize> {
    let uses = workflows.iter().flat_map(|workflow| &workflow.jobs);
    let paths = uses.filter_map(|job| job.uses.as_ref());
    let paths = paths.filter_map(|text| path_here(text.value.text(), origin));
    paths
        .filter_map(|path| workflows.iter().position(|one| one.path == path))
        .collect()
}

/// The inputs of a workflow that is started by hand: their defaults, else the first choice that sounds like production.
/// And those that a person gives, of all that there are.
fn dispatched(workflow: &Workflow) -> (BTreeMap<String, String>, Open) {
    let on = workflow.on.as_ref();
    let (mut found, mut open) = (BTreeMap::new(), Open::new());
    let empty = left_empty(workflow);
    for event in ["workflow_dispatch", "workflow_call"] {
        let inputs = on.and_then(|on| on.get(event)?.get("inputs"));
        for (key, input) in inputs.map_or(&[][..], Node::entries) {
            let mut options = Vec::new();
            if let Some(node) = input.get("options") {
                node.texts(&mut options);
            }
            let production = options
                .iter()
                .find(|one| one.to_ascii_lowercase().starts_with("prod"));
            let default = input.get("default").and_then(Node::text);
            // A person chooses an environment among those of the repository, which no option names.
            let is_environment = input.get("type").and_then(Node::text) == Some("environment");
            let several = production.is_some() && options.len() > 1;
            open.insert(key.name.clone(), several || is_environment);
            let default = default.filter(|_| !empty.contains(key.name.as_str()));
            // What a person chooses for a release is not the default.
            let chosen = options.is_empty() && is_input_of_release(&key.name);
            if let Some(value) = production
                .copied()
                .or(default)
                .filter(|text| !text.is_empty() && !chosen)
            {
                found.insert(key.name.clone(), value.to_owned());
            }
        }
    }
    (found, open)
}

/// The inputs that other events than a person leave empty, and for which expressions then have another value:
/// `inputs.stage || 'production'`.
fn left_empty(workflow: &Workflow) -> BTreeSet<&str> {
    let by_person = |one: &String| matches!(one.as_str(), "workflow_dispatch" | "workflow_call");
    if workflow.triggers.iter().all(by_person) {
        return BTreeSet::new();
    }
    let filled = |inner| {
        let (first, _) = str::split_once(inner, "||")?;
        let first = first.trim();
        let first = first.strip_prefix("github.event.").unwrap_or(first);
        first.strip_prefix("inputs.")
    };
    expression::inners(&workflow.text)
        .filter_map(filled)
        .collect()
}

struct Jobs<'r> {
    repository: &'r Repository,
    workflows: &'r [Workflow],
    open: &'r BTreeSet<JobId>,
    runs: Vec<Run>,
    events: usize,
}

impl Jobs<'_> {
    /// Reads a workflow's jobs, and gives its outputs.
    fn workflow(
        &mut self,
        at: usize,
        started: usize,
        scope: &Scope,
        by: &[Line],
        depth: usize,
    ) -> BTreeMap<String, String> {
        let workflow = &self.workflows[at];
        let mut outputs: BTreeMap<(String, String), String> = BTreeMap::new();
        for nth in in_order(&workflow.jobs) {
            let job = &workflow.jobs[nth];
            let mut inner = scope.clone();
            // A job knows the outputs of those that it needs.
            inner.needs = (outputs.iter())
                .filter(|((of, _), _)| job.needs.contains(of))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let id = JobId {
                workflow: at,
                job: nth,
            };
            let mut rows = rows(job.matrix.as_ref());
            if self.open.contains(&id) {
                rows = opened(rows, job);
            }
            for row in rows {
                if self.runs.len() >= MAX_RUNS || self.events > MAX_EVENTS {
                    let note = "more jobs than are read: the rest was not looked at";
                    self.repository.pass_over(&workflow.path, note);
                    return BTreeMap::new();
                }
                let mut scope = inner.clone();
                scope.matrix = row
                    .into_iter()
                    .map(|(key, value)| (key, scope.fill(&value)))
                    .collect();
                for (name, value) in self.job(id, started, scope, by, depth) {
                    outputs.insert((job.id.clone(), name), value);
                }
            }
        }
        let on = workflow.on.as_ref();
        let named = on.and_then(|on| on.get("workflow_call")?.get("outputs"));
        let mut after = scope.clone();
        // `jobs.JOB.outputs.NAME` is what `needs` is within.
        after.needs = outputs;
        (named.map_or(&[][..], Node::entries).iter())
            .filter_map(|(key, output)| {
                let text = output.get("value")?.text()?.replace("jobs.", "needs.");
                Some((key.name.clone(), after.fill(&text)))
            })
            .collect()
    }

    fn job(
        &mut self,
        id: JobId,
        started: usize,
        mut scope: Scope,
        by: &[Line],
        depth: usize,
    ) -> BTreeMap<String, String> {
        let workflow = &self.workflows[id.workflow];
        let job = &workflow.jobs[id.job];
        if let Some(uses) = &job.uses {
            let path = uses.value.text();
            let called = path_here(path, scope.repository.as_deref());
            let called =
                called.and_then(|path| self.workflows.iter().position(|one| one.path == path));
            let Some(called) = called.filter(|_| depth < MAX_CALLS) else {
                let note = format!(
                    "line {} calls {path}, which is not in this repository",
                    uses.key_line
                );
                self.repository.pass_over(&workflow.path, &note);
                return BTreeMap::new();
            };
            let (inputs, _) = dispatched(&self.workflows[called]);
            let mut inner = Scope {
                repository: scope.repository.clone(),
                inputs,
                open: inputs::handed(&scope.open, &job.with),
                ..Scope::default()
            };
            for (name, text) in &job.with {
                inner
                    .inputs
                    .insert(name.clone(), scope.fill(text.value.text()));
            }
            let mut by = by.to_vec();
            by.push(workflow.line(uses.key_line));
            return self.workflow(called, started, &inner, &by, depth + 1);
        }
        // The environment's own variables are not known, and neither is a key of another job.
        scope.keys.clear();
        scope.outputs.clear();
        let reader = Reader::new(self.repository, workflow, job, scope, by.to_vec());
        let (trace, scope) = reader.read();
        let outputs = trace.outputs;
        self.events += trace.events.len();
        self.runs.push(Run {
            id,
            started,
            events: trace.events,
            scope,
            by: by.to_vec(),
        });
        outputs
    }
}

/// The jobs, each after those that it needs. Jobs that need one another in a circle never run.
fn in_order(jobs: &[Job]) -> Vec<usize> {
    let places: BTreeMap<&str, usize> = jobs
        .iter()
        .enumerate()
        .map(|(nth, job)| (job.id.as_str(), nth))
        .collect();
    let mut waits: Vec<usize> = vec![0; jobs.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); jobs.len()];
    for (nth, job) in jobs.iter().enumerate() {
        for needed in job
            .needs
            .iter()
            .filter_map(|need| places.get(need.as_str()))
        {
            waits[nth] += 1;
            after[*needed].push(nth);
        }
    }
    let mut ready: BTreeSet<usize> = (0..jobs.len()).filter(|nth| waits[*nth] == 0).collect();
    let mut order = Vec::new();
    while let Some(nth) = ready.pop_first() {
        order.push(nth);
        for later in &after[nth] {
            waits[*later] -= 1;
            if waits[*later] == 0 {
                ready.insert(*later);
            }
        }
    }
    order
}

/// The rows of a matrix that the workflow itself says.
fn rows(matrix: Option<&Node>) -> Vec<BTreeMap<String, String>> {
    let Some(matrix) = matrix else {
        return vec![BTreeMap::new()];
    };
    let mut rows = vec![BTreeMap::new()];
    for (key, node) in matrix.entries() {
        if matches!(key.name.as_str(), "include" | "exclude") || node.items().is_empty() {
            continue;
        }
        let mut more = Vec::new();
        for row in &rows {
            for item in node.items() {
                let mut row: BTreeMap<String, String> = row.clone();
                flat(&key.name, item, &mut row);
                more.push(row);
            }
        }
        rows = more;
        rows.truncate(MAX_ROWS);
    }
    let included = matrix.get("include").map_or(&[][..], Node::items);
    for one in included.iter().take(MAX_ROWS) {
        let mut row = BTreeMap::new();
        for (key, value) in one.entries() {
            flat(&key.name, value, &mut row);
        }
        let same = |other: &&mut BTreeMap<String, String>| {
            !other.is_empty()
                && other
                    .iter()
                    .all(|(key, value)| row.get(key).is_none_or(|one| one == value))
        };
        if rows.len() == 1 && rows[0].is_empty() {
            rows[0] = row;
        } else if let Some(other) = rows.iter_mut().find(same) {
            other.extend(row);
        } else {
            rows.push(row);
        }
    }
    rows.truncate(MAX_ROWS);
    rows
}

/// The rows with what their environment is called, and nothing else.
fn opened(rows: Vec<BTreeMap<String, String>>, job: &Job) -> Vec<BTreeMap<String, String>> {
    let environment = job
        .environment
        .as_ref()
        .map_or("", |text| text.value.text());
    let names = |key: &String| {
        expression::inners(environment)
            .any(|inner| expression::reads(inner, &format!("matrix.{key}")))
    };
    let mut kept: Vec<BTreeMap<String, String>> = Vec::new();
    for mut row in rows {
        row.retain(|key, _| names(key));
        if !kept.contains(&row) {
            kept.push(row);
        }
    }
    kept
}

fn flat(name: &str, node: &Node, row: &mut BTreeMap<String, String>) {
    match &node.kind {
        Kind::Scalar(scalar) => {
            row.insert(name.to_owned(), scalar.text.clone());
        }
        Kind::Map(entries) => {
            for (key, value) in entries {
                flat(&format!("{name}.{}", key.name), value, row);
            }
        }
        Kind::List(_) => {}
    }
}
