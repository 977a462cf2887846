//! A workflow that is there already: what it hands to its steps, and where its jobs run.

use std::collections::BTreeSet;

#[derive(Debug)]
pub(crate) struct Workflow {
    pub(crate) path: String,
    /// Its name or its file says that it deploys.
    pub(crate) deploys: bool,
    /// Secrets by their names, without the job's own token.
    pub(crate) secrets: BTreeSet<String>,
    /// The labels of its first job on a machine of one's own, else of its first job.
    pub(crate) labels: Option<Vec<String>>,
    pub(crate) environment: Option<String>,
    /// Cluster and service of an ECS deployment.
    pub(crate) ecs: Option<(String, String)>,
}

impl Workflow {
    pub(super) fn of(workflow: &survey::Workflow) -> Self {
        let says = |text: &str| text.to_ascii_lowercase().contains("deploy");
        let jobs = || workflow.jobs.iter();
        let all = || {
            jobs().filter_map(|job| {
                let labels: Vec<&str> = job.labels.iter().map(survey::Value::text).collect();
                let is_known = !labels.is_empty() && labels.iter().all(|label| is_word(label));
                is_known.then(|| labels.into_iter().map(str::to_owned).collect::<Vec<_>>())
            })
        };
        let is_own = |labels: &Vec<String>| labels.iter().any(|label| label == "self-hosted");
        let labels = all().find(is_own).or_else(|| all().next());
        let environment = jobs().find_map(|job| {
            let name = job.environment.as_ref()?.value.text();
            is_word(name).then(|| name.to_owned())
        });
        let steps = jobs().flat_map(|job| &job.steps);
        Workflow {
            path: workflow.path.clone(),
            deploys: says(&workflow.path) || workflow.name.as_deref().is_some_and(says),
            secrets: workflow.secrets(),
            labels,
            environment,
            ecs: steps.filter_map(ecs).next_back(),
        }
    }
}

fn ecs(step: &survey::Step) -> Option<(String, String)> {
    let uses = step.uses.as_ref()?.value.text();
    let word = |key: &str| {
        let (_, text) = step.with.iter().find(|(name, _)| name == key)?;
        Some(text.value.text()).filter(|text| is_word(text))
    };
    let (cluster, service) = (word("cluster")?, word("service")?);
    uses.starts_with("aws-actions/amazon-ecs-deploy-task-definition")
        .then(|| (cluster.to_owned(), service.to_owned()))
}

fn is_word(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 100
        && text.chars().all(good)
}
