//! The jobs that use us, as the repository's workflows have them.

use survey::{Job, Line, Step, Survey, Text, Value, Workflow};
use workflow::{Lines, expression};
use yaml::Node;

/// A job with a step that uses us.
#[derive(Clone, Copy)]
pub struct GuardedJob<'s> {
    pub workflow: &'s Workflow,
    pub job: &'s Job,
    /// The job that calls the workflow; `None` where the workflow starts by itself.
    caller: Option<(&'s Workflow, &'s Job)>,
}

/// Every job that uses us, in the order of the workflows.
pub fn jobs(survey: &Survey) -> Vec<GuardedJob<'_>> {
    let all = survey.workflows.iter().flat_map(|workflow| {
        let jobs = workflow.jobs.iter();
        jobs.map(move |job| GuardedJob {
            workflow,
            job,
            caller: None,
        })
    });
    all.filter(|one| one.steps().next().is_some()).collect()
}

/// The same, each once for its workflow that starts by itself and once for each job of the repository that calls that.
pub fn runs(survey: &Survey) -> Vec<GuardedJob<'_>> {
    let each = jobs(survey).into_iter().flat_map(|one| {
        let all = survey.workflows.iter();
        let all = all.flat_map(|workflow| workflow.jobs.iter().map(move |job| (workflow, job)));
        let calls = |job: &Job| {
            let path = job.uses.as_ref()?.value.text().strip_prefix("./")?;
            Some(path == one.workflow.path)
        };
        let callers = all.filter(|(_, job)| calls(job) == Some(true));
        let mut runs: Vec<GuardedJob<'_>> = callers
            .map(|caller| GuardedJob {
                caller: Some(caller),
                ..one
            })
            .collect();
        if runs.is_empty() || !one.workflow.is_only_called() {
            runs.insert(0, one);
        }
        runs
    });
    each.collect()
}

/// Where a job's secret comes from.
pub enum SecretSource {
    /// The secret of the repository of this name.
    Named(String, Option<Line>),
    /// A text, the workflow's own token, or what has a default.
    Given,
    /// The job that calls the workflow hands none over.
    NotHanded(Line),
}

impl<'s> GuardedJob<'s> {
    /// The steps that use us.
    fn steps(self) -> impl Iterator<Item = &'s Step> {
        self.job.steps.iter().filter(|step| step.own.is_some())
    }

    /// What a variable is given in one of them: in the step's `env:`, the job's or the workflow's.
    pub fn given(self, name: &str) -> Option<(Line, &'s Value)> {
        fn of(env: &[(String, Text)]) -> impl Iterator<Item = (&String, usize, &Value)> {
            env.iter()
                .map(|(key, text)| (key, text.key_line, &text.value))
        }
        let of_steps = self.steps().flat_map(|step| {
            let handed = step.handed.iter();
            of(&step.env).chain(handed.map(|(key, value)| (key, step.line, value)))
        });
        let mut all = of_steps
            .chain(of(&self.job.env))
            .chain(of(&self.workflow.env));
        let (_, line, value) = all.find(|(key, ..)| *key == name)?;
        Some((self.workflow.line(line), value))
    }

    /// A step before ours that may set a variable for those after it: one that names it, one that writes the runner's file
    /// of variables, and one that fetches secrets, which are called by the name that the store has.
    pub fn may_be_set(self, name: &str) -> Option<Line> {
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

    /// The environment that this run of the job has, where it can be known.
    pub fn environment(self) -> Option<(Line, String)> {
        let text = self.job.environment.as_ref()?;
        let filled = expression::fill(text.value.text(), &|path| self.input(path));
        let name = Value::new(filled).literal()?.to_owned();
        Some((Line::new(&self.workflow.path, text.key_line), name))
    }

    /// What the job that calls the workflow gives to an input, else the default.
    fn input(self, path: &str) -> Option<String> {
        let name = path.strip_prefix("inputs.")?;
        let (_, caller) = self.caller?;
        let mut given = caller.with.iter().filter(|(key, _)| key == name);
        if let Some((_, text)) = given.next() {
            return text.value.literal().map(str::to_owned);
        }
        let on = self.workflow.on.as_ref()?;
        let input = on.get("workflow_call")?.get("inputs")?.get(name)?;
        Some(input.get("default")?.text()?.to_owned())
    }

    /// Whether another repository calls the workflow, or the one that calls it.
    pub fn is_from_outside(self) -> bool {
        self.caller
            .map_or(self.workflow, |(workflow, _)| workflow)
            .is_only_called()
    }

    /// Where what the job calls `secrets.NAME` comes from, its environment's own apart.
    pub fn source(self, name: &str) -> SecretSource {
        let Some((workflow, caller)) = self.caller else {
            return SecretSource::Named(name.to_owned(), None);
        };
        let secrets = caller.handed.as_ref();
        if secrets.and_then(Node::text) == Some("inherit") {
            return SecretSource::Named(name.to_owned(), None);
        }
        let mut handed = secrets.map_or(&[][..], Node::entries).iter();
        let Some((key, value)) = handed.find(|(key, _)| key.name.eq_ignore_ascii_case(name)) else {
            return SecretSource::NotHanded(workflow.line(caller.line));
        };
        let value = Value::new(value.text().unwrap_or_default());
        match value.secrets().into_iter().next() {
            Some(name) if !value.has_default() => {
                let number = Lines::of(&workflow.text).at(key.place.start);
                SecretSource::Named(name, Some(workflow.line(number)))
            }
            _ => SecretSource::Given,
        }
    }

    pub fn line(self) -> Line {
        Line::new(&self.workflow.path, self.job.line)
    }

    /// Whether its runner is not one of GitHub's.
    pub fn is_on_own_runner(self) -> bool {
        self.labels().any(|label| label == "self-hosted")
    }

    /// The labels that are written out.
    pub fn labels(self) -> impl Iterator<Item = &'s str> {
        self.job.labels.iter().filter_map(Value::literal)
    }

    /// The step that checks the repository out and cleans the folder.
    pub fn cleans(self) -> Option<Line> {
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
    pub fn writes(self, path: &str) -> bool {
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
