//! The jobs that use us, as the repository's workflows have them.

use survey::{Job, Line, Step, Survey, Value, Workflow};

/// A job with a step that uses us.
#[derive(Clone, Copy)]
pub(super) struct GuardedJob<'s> {
    pub(super) workflow: &'s Workflow,
    pub(super) job: &'s Job,
}

/// Every job that uses us, in the order of the workflows.
pub(super) fn jobs(survey: &Survey) -> Vec<GuardedJob<'_>> {
    let all = survey.workflows.iter().flat_map(|workflow| {
        let jobs = workflow.jobs.iter();
        jobs.map(move |job| GuardedJob { workflow, job })
    });
    all.filter(|one| one.steps().next().is_some()).collect()
}

impl<'s> GuardedJob<'s> {
    /// The steps that use us.
    fn steps(self) -> impl Iterator<Item = &'s Step> {
        self.job.steps.iter().filter(|step| step.own.is_some())
    }

    /// What a variable is given in one of them: in the step's `env:`, the job's or the workflow's.
    pub(super) fn given(self, name: &str) -> Option<(Line, &'s Value)> {
        let of_steps = self.steps().flat_map(|step| &step.env);
        let all = of_steps.chain(&self.job.env).chain(&self.workflow.env);
        let (_, text) = all.into_iter().find(|(key, _)| key == name)?;
        Some((Line::new(&self.workflow.path, text.key_line), &text.value))
    }

    pub(super) fn environment(self) -> Option<(Line, &'s str)> {
        let text = self.job.environment.as_ref()?;
        let name = text.value.literal()?;
        Some((Line::new(&self.workflow.path, text.key_line), name))
    }

    pub(super) fn line(self) -> Line {
        Line::new(&self.workflow.path, self.job.line)
    }

    /// Whether its runner is not one of GitHub's.
    pub(super) fn is_on_own_runner(self) -> bool {
        self.labels().any(|label| label == "self-hosted")
    }

    /// The labels that are written out.
    pub(super) fn labels(self) -> impl Iterator<Item = &'s str> {
        self.job.labels.iter().filter_map(Value::literal)
    }

    /// The step that checks the repository out and cleans the folder.
    pub(super) fn cleans(self) -> Option<Line> {
        let checkout = |step: &&Step| {
            let uses = step
                .uses
                .as_ref()
                .is_some_and(|uses| uses.value.text().starts_with("actions/checkout"));
            let keeps = (step.with.iter())
                .any(|(key, value)| key == "clean" && value.value.text() == "false");
            uses && !keeps
        };
        let step = self.job.steps.iter().find(checkout)?;
        Some(Line::new(&self.workflow.path, step.line))
    }
}
