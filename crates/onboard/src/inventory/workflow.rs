//! A workflow that is there already: what it hands to its steps, and where its jobs run.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Workflow {
    pub(crate) path: String,
    /// Its name or its file says that it deploys.
    pub(crate) deploys: bool,
    /// A step of it uses us.
    pub(crate) guards: bool,
    /// Every `permissions` in it.
    pub(crate) permissions: Vec<Value>,
    /// Secrets by their names, without the job's own token.
    pub(crate) secrets: BTreeSet<String>,
    /// The labels of a job on a machine of one's own.
    pub(crate) labels: Option<Vec<String>>,
    pub(crate) environment: Option<String>,
    /// Cluster and service of an ECS deployment.
    pub(crate) ecs: Option<(String, String)>,
}

pub(super) fn read(path: String, tree: &Value) -> Workflow {
    let says = |text: &str| text.to_ascii_lowercase().contains("deploy");
    let mut workflow = Workflow {
        deploys: says(&path) || tree["name"].as_str().is_some_and(says),
        path,
        guards: false,
        permissions: vec![tree["permissions"].clone()],
        secrets: BTreeSet::new(),
        labels: None,
        environment: None,
        ecs: None,
    };
    texts(tree, &mut workflow.secrets);
    for job in tree["jobs"]
        .as_object()
        .into_iter()
        .flat_map(|jobs| jobs.values())
    {
        workflow.permissions.push(job["permissions"].clone());
        let labels = labels(&job["runs-on"]);
        if labels.iter().any(|label| label == "self-hosted")
            && labels.iter().all(|label| is_word(label))
        {
            workflow.labels.get_or_insert(labels);
        }
        let environment = job["environment"]
            .as_str()
            .or(job["environment"]["name"].as_str());
        if let Some(name) = environment.filter(|name| is_word(name)) {
            workflow.environment.get_or_insert_with(|| name.to_owned());
        }
        for step in job["steps"].as_array().into_iter().flatten() {
            let uses = step["uses"].as_str().unwrap_or_default();
            let run = step["run"].as_str().unwrap_or_default();
            workflow.guards |= uses.contains("deploy-guard") || run.contains("deploy-guard");
            let word = |key: &str| step["with"][key].as_str().filter(|text| is_word(text));
            if uses.starts_with("aws-actions/amazon-ecs-deploy-task-definition")
                && let (Some(cluster), Some(service)) = (word("cluster"), word("service"))
            {
                workflow.ecs = Some((cluster.to_owned(), service.to_owned()));
            }
        }
    }
    workflow
}

fn labels(of: &Value) -> Vec<String> {
    match of {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

fn is_word(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 100
        && text.chars().all(good)
}

/// The secrets that its expressions name.
fn texts(tree: &Value, found: &mut BTreeSet<String>) {
    match tree {
        Value::String(text) if text.to_ascii_lowercase().contains("secrets") => {
            // Expressions know no case, and two ways to name one.
            let Ok(pattern) = Regex::new(r"(?i)\bsecrets(?:\.|\[')([a-z_][a-z0-9_]{0,99})") else {
                return;
            };
            let names = pattern.captures_iter(text).map(|found| found[1].to_owned());
            found.extend(names.filter(|name| !name.eq_ignore_ascii_case("GITHUB_TOKEN")));
        }
        Value::Array(all) => all.iter().for_each(|one| texts(one, found)),
        Value::Object(map) => map.values().for_each(|one| texts(one, found)),
        _ => {}
    }
}
