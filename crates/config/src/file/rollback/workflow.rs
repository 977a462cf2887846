//! A workflow of GitHub Actions makes the switch.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{TargetConfig, pause};
use crate::value::Span;
use sections::KeyPosition;

/// A workflow that makes a given release live. It is started by `workflow_dispatch`, with the release
/// among its inputs, and its run is followed to its end. It must be safe to run twice, must not call
/// `rollback` itself (we hold the lock), and must not share a `concurrency` group with the run that
/// waits for it. The token needs `actions: write`; `contents: read` lets us see before that the
/// workflow has these inputs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WorkflowTarget {
    /// The workflow's file, such as `rollback.yml`, or its id.
    pub workflow: String,
    /// `OWNER/NAME`. Default: `GITHUB_REPOSITORY`.
    pub repository: Option<String>,
    /// The branch or tag whose workflow runs. Default: the repository's default branch.
    pub r#ref: Option<String>,
    /// The workflow's inputs, with `{release}` in the place of the release that is to be live, and
    /// `{previous}` in that of the one that is left.
    pub inputs: BTreeMap<String, String>,
    /// An input that gets a word of its own for each rollback, which `run-name` must show:
    /// `run-name: rollback ${{ inputs.version }} ${{ inputs.rollback-id }}`. By it the run is found
    /// again after a kill, and on servers that do not return a run's id. Without it, the only run that
    /// the same account started since is ours, and where there are several, none is followed.
    pub correlation_input: Option<String>,
    /// The environment variable that holds a token. Default: the login of `github:`.
    pub token_env: Option<String>,
    /// Between two looks at the run. Default 5s.
    #[serde(default = "interval")]
    pub interval: Span,
    /// How long the run may take, with its time in the queue; see also `rollback.deadline`.
    /// Default 10m.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn interval() -> Span {
    Span::from_secs(5)
}

fn timeout() -> Span {
    Span::from_secs(10 * 60)
}

impl TargetConfig for WorkflowTarget {
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("workflow").plain(&self.workflow, "_-. ")?;
        if let Some(name) = &self.repository
            && name.split('/').filter(|part| !part.is_empty()).count() != 2
        {
            let fault = spot.key("repository");
            let fault = fault.fault(format!("`{name}` is not a repository"));
            return Err(fault.hint("write it as `OWNER/NAME`"));
        }
        if let Some(name) = &self.r#ref {
            spot.key("ref").a_word(name)?;
        }
        let inputs = spot.key("inputs");
        if !self.inputs.values().any(|text| text.contains("{release}")) {
            return Err(inputs
                .fault("no input names the release")
                .hint("such as `version: \"{release}\"`"));
        }
        for name in self.inputs.keys().chain(&self.correlation_input) {
            inputs.plain(name, "_-")?;
        }
        if let Some(name) = &self.correlation_input
            && self.inputs.contains_key(name)
        {
            let message = format!("the input `{name}` has a value already");
            return spot.refuse("correlation-input", message);
        }
        pause(spot, self.interval, self.timeout)
    }
}
