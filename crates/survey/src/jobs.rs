//! The jobs of all workflows, each read in its place: after those that it needs, once for each row of its matrix and
//! for each workflow that calls it.

use std::collections::{BTreeMap, BTreeSet};

use yaml::Node;

use crate::deployment::JobId;
use crate::event::Event;
use crate::run::Reader;
use crate::scope::Scope;
use repository::{Repository, joined};
use workflow::Line;
use workflow::Workflow;
use workflow::{inputs, matrix};

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
        (scope.inputs, scope.open) = inputs::dispatched(workflow);
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
        for nth in matrix::in_order(&workflow.jobs) {
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
            let mut rows = matrix::rows(job.matrix.as_ref());
            if self.open.contains(&id) {
                rows = matrix::opened(rows, job);
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
            let (inputs, _) = inputs::dispatched(&self.workflows[called]);
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
