//! The text of the workflow. It takes only plain words from the repository, and no script in it
//! contains an expression.

use std::fmt::Write as _;

use super::plan::{DeployMethod, Plan, ROLE};
use proposal::steps::{CHECKOUT, pinned};
use yaml_edit::text::scalar;

const LOG_IN: &str =
    "aws-actions/configure-aws-credentials@8df5847569e6427dd6c4fb1cf565c83acfa8afa7 # v6.0.0";

pub(super) fn text(plan: &Plan) -> String {
    let mut text = format!(
        "# Deploys a release under guard: preflight, deploy, healthgate, then record it as good or roll back.\n\
         # Written by `deploy-guard init`, yours to change. The questions are in {config}.\n\
         name: deploy under guard\n\
         \n\
         on:\n\
         \x20 workflow_dispatch:\n\
         \x20   inputs:\n\
         \x20     release:\n\
         \x20       description: The release to deploy, such as v1.2.4\n\
         \x20       required: true\n\
         \n\
         # The job requests the permissions that it needs.\n\
         permissions: {{}}\n\
         \n\
         # Two deployments at once would each measure the other. The second waits; a running one is never\n\
         # cancelled half-way.\n\
         concurrency:\n\
         \x20 group: deploy-{group}\n\
         \x20 cancel-in-progress: false\n\
         \n\
         jobs:\n\
         \x20 deploy:\n\
         \x20   runs-on: {labels}\n{environment}\
         \x20   timeout-minutes: 60\n\
         \x20   permissions:\n\
         \x20     contents: read # to check the repository out\n",
        config = plan.config,
        group = plan.state_name(),
        labels = labels(&plan.labels),
        environment = named(plan, 4),
    );
    let ecs = matches!(plan.way, DeployMethod::Ecs(_));
    if ecs {
        text.push_str("      id-token: write # to log in to AWS\n");
    }
    // Elsewhere the process that holds the lock shows whether it is alive.
    if ecs || !plan.machines.is_empty() {
        text.push_str("      actions: read # to see whether a run that holds the lock has ended\n");
    }
    if let DeployMethod::Compose(project) = &plan.way
        && !project.pulled.is_empty()
    {
        text.push_str("      packages: read # to find the images in the registry\n");
    }
    let _ = write!(
        text,
        "    steps:\n      - uses: {CHECKOUT}\n        with:\n          persist-credentials: false\n\n"
    );
    if ecs {
        let _ = write!(
            text,
            "      # The job shows who it is, and AWS hands out credentials that end by themselves: no key is stored.\n\
             \x20     - name: Log in to AWS\n        uses: {LOG_IN}\n        with:\n\
             \x20         role-to-assume: ${{{{ vars.{ROLE} }}}}\n\
             \x20         aws-region: ${{{{ vars.AWS_REGION }}}}\n\n"
        );
    }
    text.push_str("      # Exit 0: the release is live, healthy and recorded. Anything else fails the job; a bad release was\n      # taken back by then.\n");
    step(
        plan,
        "Deploy under guard",
        "guard",
        &["stage: run", "release: ${{ inputs.release }}"],
        None,
        &mut text,
    );
    text.push_str(
        "\n      # A job that was cancelled half-way may have left the new release behind.\n",
    );
    step(
        plan,
        "Put the last good release back",
        "back",
        &["stage: rollback"],
        Some("cancelled()"),
        &mut text,
    );
    text
}

fn step(
    plan: &Plan,
    name: &str,
    id: &str,
    with: &[&str],
    condition: Option<&str>,
    text: &mut String,
) {
    let _ = writeln!(text, "      - name: {name}\n        id: {id}");
    if let Some(condition) = condition {
        let _ = writeln!(text, "        if: {condition}");
    }
    let note = pinned(&plan.action);
    let _ = writeln!(text, "        uses: {}{note}\n        with:", plan.action);
    for input in with {
        let _ = writeln!(text, "          {input}");
    }
    text.push_str(&named(plan, 10));
    if !config::PLACES.contains(&plan.config.as_str()) {
        let _ = writeln!(text, "          config: {}", scalar(&plan.config));
    }
    if let Some(folder) = &plan.bin_dir {
        let _ = writeln!(text, "          bin-dir: {}", scalar(folder));
    }
    text.push_str("          github-token: ${{ github.token }}\n");
    let (key, variables) = (plan.key(), plan.variables());
    if key.is_none() && variables.is_empty() {
        return;
    }
    text.push_str("        env:\n");
    if let Some(key) = key {
        let _ = writeln!(text, "          {key}: ${{{{ secrets.{key} }}}}");
    }
    for name in variables {
        let _ = writeln!(text, "          {name}: ${{{{ vars.{name} }}}}");
    }
}

/// The line with the environment, where one is known.
fn named(plan: &Plan, indent: usize) -> String {
    let environment = plan.environment.as_ref();
    environment.map_or(String::new(), |name| {
        format!("{:indent$}environment: {}\n", "", scalar(name))
    })
}

fn labels(labels: &[String]) -> String {
    match labels {
        [one] => scalar(one),
        all => format!(
            "[{}]",
            all.iter()
                .map(|label| scalar(label))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
