//! The workflow dispatched again, with the release of its last run that succeeded: a way back for whatever deploys, where
//! an input names the release and the job's token may start workflows.

use survey::{Job, Workflow};
use yaml::Node;

use crate::again::chosen;
use crate::group::Group;
use crate::handed::StepEnv;
use crate::platform::OwnStep;
use crate::steps::Act;
use workflow::input_of;

/// How long the run that goes back may take, before its end is left to a person.
const MINUTES: u32 = 30;

/// Why a workflow is not dispatched by a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Bound {
    /// No input names the release, or a person has to say more than that.
    NoInput,
    /// Only a person says which release it is: a run does not tell.
    OnlyInput,
    /// The job's token may not start a workflow.
    Token,
}

/// The step that dispatches it.
pub fn step(workflow: &Workflow, job: &Job, group: &Group<'_>) -> Result<OwnStep, Bound> {
    let file = workflow.path.rsplit('/').next().unwrap_or_default();
    // Where inputs say where it is deployed, a dispatch is not a push.
    let chosen = chosen(workflow, group).ok_or(Bound::NoInput)?;
    let mut place = String::new();
    for (name, value) in &chosen {
        place.push_str(" -f ");
        place.push_str(&remote::quote(&format!("{name}={value}")));
    }
    let (input, of_run) = release(workflow, group, &chosen)?;
    if !may_dispatch(workflow, job) {
        return Err(Bound::Token);
    }
    let mut handed = StepEnv::default();
    handed.set("GH_TOKEN", "${{ github.token }}");
    handed.set("REF", "${{ github.ref_name }}");
    let (file, input) = (remote::quote(file), remote::quote(&input));
    // What a branch starts is told by its commit, what a tag starts by the tag.
    let (field, branch) = match of_run {
        OfRun::Commit => ("headSha", " --branch \"$REF\""),
        OfRun::Tag => ("headBranch", ""),
    };
    let mut run = format!(
        "good=$(gh run list --repo \"$GITHUB_REPOSITORY\" --workflow {file} --event push{branch} --status success \\\n\
         \x20 --limit 1 --json {field} --jq '.[0].{field} // \"\"')\n\
         if [ -z \"$good\" ]; then\n\
         \x20 echo '::error::no earlier run of this workflow succeeded: there is no release to go back to'\n\
         \x20 exit 1\n\
         fi\n\
         since=$(date -u +%Y-%m-%dT%H:%M:%SZ)\n\
         gh workflow run {file} --repo \"$GITHUB_REPOSITORY\" --ref \"$REF\" -f {input}=\"$good\"{place}\n\
         echo \"::notice::$good is deployed again\"\n"
    );
    // A run of the same group begins when this one has ended: to wait for it would never end.
    if !is_exclusive(workflow, job) {
        run.push_str(&format!(
            "for _ in $(seq {tries}); do\n\
             \x20 sleep 10\n\
             \x20 state=$(gh run list --repo \"$GITHUB_REPOSITORY\" --workflow {file} --event workflow_dispatch --created \">=$since\" \\\n\
             \x20   --limit 1 --json status,conclusion --jq '.[0] | select(.status == \"completed\") | .conclusion')\n\
             \x20 if [ -n \"$state\" ]; then\n\
             \x20   [ \"$state\" = success ]\n\
             \x20   exit\n\
             \x20 fi\n\
             done\n\
             echo '::error::the run that deploys it again has not ended'\n\
             exit 1\n",
            tries = MINUTES * 6
        ));
    }
    Ok(OwnStep {
        name: "Deploy the last good release again".to_owned(),
        act: Act::Run(run),
        folder: None,
        handed,
        before: None,
        after: None,
        // A release that a person named and that failed is a person's to take back; so is one that this step named.
        condition: Some("github.event_name == 'push'".to_owned()),
    })
}

/// By what a run tells its release.
enum OfRun {
    Commit,
    Tag,
}

/// The input that names the release, and what names it where a push starts the workflow.
fn release(
    workflow: &Workflow,
    group: &Group<'_>,
    chosen: &[(String, String)],
) -> Result<(String, OfRun), Bound> {
    let release = group
        .lead
        .release
        .as_ref()
        .and_then(|release| release.value.expression());
    let release = release.unwrap_or_default();
    let name = input_of(release).ok_or(Bound::NoInput)?;
    let mut parts = release.split("||").map(str::trim).skip(1);
    let inputs = workflow
        .on
        .as_ref()
        .and_then(|on| on.get("workflow_dispatch")?.get("inputs"));
    let inputs = inputs.map_or(&[][..], Node::entries);
    if !inputs.iter().any(|(key, _)| key.name == name) {
        return Err(Bound::NoInput);
    }
    // An input that a push leaves empty, and that a dispatch fills, may change what is done: `dry-run: true`.
    let changes = |input: &Node| {
        let default = input.get("default").and_then(Node::text);
        let insists = input.get("required").and_then(Node::text) == Some("true");
        default.map_or(insists, |text| !matches!(text, "" | "false"))
    };
    let is_given = |key: &str| key == name || chosen.iter().any(|(there, _)| there == key);
    if inputs
        .iter()
        .any(|(key, input)| !is_given(&key.name) && changes(input))
    {
        return Err(Bound::NoInput);
    }
    match (parts.next(), parts.next()) {
        (Some("github.sha"), None) if !workflow.is_of_tags() => {
            Ok((name.to_owned(), OfRun::Commit))
        }
        (Some("github.ref_name"), None) if workflow.is_of_tags() => {
            Ok((name.to_owned(), OfRun::Tag))
        }
        _ => Err(Bound::OnlyInput),
    }
}

/// Whether `permissions` give the token what a dispatch needs; what the repository gives by default is not seen here.
fn may_dispatch(workflow: &Workflow, job: &Job) -> bool {
    let permissions = job.permissions.as_ref().or(workflow.permissions.as_ref());
    permissions.is_some_and(|node| {
        node.text() == Some("write-all")
            || node.get("actions").and_then(Node::text) == Some("write")
    })
}

/// Whether a second run of the job waits for the first.
fn is_exclusive(workflow: &Workflow, job: &Job) -> bool {
    let tree = Node::parse_foreign(&workflow.text).ok();
    let has = |node: &Node| node.get("concurrency").is_some();
    tree.is_some_and(|tree| {
        has(&tree)
            || tree
                .get("jobs")
                .and_then(|jobs| jobs.get(&job.id))
                .is_some_and(has)
    })
}

/// What a person can do about it.
pub fn told(bound: &Bound) -> Option<&'static str> {
    match bound {
        Bound::Token => Some(
            "with `permissions: { actions: write }` in the job, `init` writes the step that does it",
        ),
        Bound::NoInput | Bound::OnlyInput => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(text: &str) -> Workflow {
        let tree = Node::parse(text).unwrap();
        Workflow::read(".github/workflows/live.yml", text, &tree)
    }

    #[test]
    fn a_token_and_a_group_are_read_where_they_are_written() {
        let flow = workflow(
            "on: push\npermissions: { actions: write }\njobs:\n  a: { steps: [{ run: x }] }\n  b: { permissions: { contents: read }, concurrency: live, steps: [{ run: x }] }\n",
        );
        let jobs: Vec<_> = flow
            .jobs
            .iter()
            .map(|job| (may_dispatch(&flow, job), is_exclusive(&flow, job)))
            .collect();
        assert_eq!(jobs, [(true, false), (false, true)]);
        let whole = workflow(
            "on: push\npermissions: write-all\nconcurrency: live\njobs:\n  a: { steps: [{ run: x }] }\n",
        );
        assert!(may_dispatch(&whole, &whole.jobs[0]) && is_exclusive(&whole, &whole.jobs[0]));
    }
}
