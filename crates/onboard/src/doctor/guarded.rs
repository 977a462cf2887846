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

    /// A step before ours that may set a variable for those after it: one that names it, one that writes the runner's file
    /// of variables, and one that fetches secrets, which are called by the name that the store has.
    pub(super) fn may_be_set(self, name: &str) -> Option<Line> {
        const FETCH: [&str; 3] = ["secret", "vault", "conjur"];
        let last = self.job.steps.iter().rposition(|step| step.own.is_some())?;
        let may_set = |step: &&Step| {
            let run = step.run.iter().map(|run| run.value.text());
            let with = step.with.iter().map(|(_, text)| text.value.text());
            let mut texts = run.clone().chain(with);
            let uses = step.uses.as_ref().map(|uses| uses.value.text());
            let uses = uses.unwrap_or_default().to_ascii_lowercase();
            texts.any(|text| text.contains(name))
                || run.clone().any(|text| text.contains("GITHUB_ENV"))
                || !uses.is_empty() && step.env.iter().any(|(key, _)| key == name)
                || FETCH.iter().any(|word| uses.contains(word))
        };
        let before = self.job.steps[..last].iter();
        let step = before.filter(|step| step.own.is_none()).find(may_set)?;
        Some(Line::new(&self.workflow.path, step.line))
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

    /// Whether a step of it may write the file: an action or a command that names it, and is not the one that reads it.
    pub(super) fn writes(self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.job.steps.iter().any(|step| {
            let by_action = step
                .with
                .iter()
                .any(|(_, text)| text.value.text().contains(name));
            let run = step.run.as_ref().map_or("", |run| run.value.text());
            let mut program = shell::Program::new(run);
            let mut commands = std::iter::from_fn(|| program.next(&|_| None));
            let by_command = commands.any(|command| {
                let mut words = command.words.iter().map(|word| word.text.as_str());
                let reads = words.next().is_none_or(|first| first.contains("docker"));
                let is_output = command.outputs.iter().any(|file| file.ends_with(name));
                is_output || !reads && words.any(|word| word.contains(name))
            });
            step.own.is_none() && (by_action || by_command)
        })
    }
}
