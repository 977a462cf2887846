//! What a workflow run must have left behind.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::CheckConfig;
use crate::value::{Size, Weight};
use sections::KeyPosition;

/// An artifact of this workflow run, or of the newest successful run of another workflow. Runs of
/// pull requests and of forks do not count.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ArtifactCheck {
    /// The check's name, and the artifact's unless `artifact` names another.
    pub name: String,
    /// The artifact's name; `*` stands for any text, and every artifact that matches must be good.
    pub artifact: Option<String>,
    /// File name or id of another workflow, such as `build.yml`. Default: this run itself.
    pub workflow: Option<String>,
    /// Only runs of that workflow on this branch.
    pub branch: Option<String>,
    /// Only runs of that workflow for the commit that is deployed. Default false.
    #[serde(default)]
    pub same_commit: bool,
    /// Only runs of that workflow for this commit, tag or branch's head. With `same-commit`,
    /// default: as `preflight.commit` has it.
    pub commit: Option<String>,
    /// The least size of its archive. Default: 1 byte.
    #[serde(default = "one_byte")]
    pub min_size: Size,
    /// `owner/name`. Default: the repository of the workflow run.
    pub repository: Option<String>,
    /// The environment variable that holds a token for this check. Default: as under `github:`.
    pub token_env: Option<String>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

fn one_byte() -> Size {
    Size::from_bytes(1)
}

impl CheckConfig for ArtifactCheck {
    const KEYS: &[&str] = &["name"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let chooses = [
            ("branch", self.branch.is_some()),
            ("same-commit", self.same_commit),
            ("commit", self.commit.is_some()),
        ];
        let chosen = chooses.into_iter().find(|(_, given)| *given);
        if let (None, Some((key, _))) = (&self.workflow, chosen) {
            let text =
                format!("`{key}` chooses a run of another workflow, and no `workflow` is named");
            return spot.refuse(key, text);
        }
        Ok(())
    }
}
