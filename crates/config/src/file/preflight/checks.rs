//! What CI must report for the commit.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::CheckConfig;
use crate::value::{Expiry, Span, Weight};
use sections::KeyPosition;

/// Check runs and commit statuses of a commit, and open code scanning alerts. Of the check runs of
/// one app and name the newest counts; what this workflow itself reported before does not.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommitChecks {
    /// The check's name.
    pub name: String,
    /// The commit, a tag or a branch. Default: as `preflight.commit` has it.
    pub commit: Option<String>,
    /// Only check runs of this app, by its slug such as `github-actions`; `*` stands for any text.
    /// A commit status is of none. Default: the check runs of every app, and all statuses.
    pub app: Option<String>,
    /// Names of checks that must be there and have succeeded; `*` stands for any text. Others do
    /// not matter then. Default: every check must have succeeded.
    #[serde(default)]
    pub required: Vec<String>,
    /// Names of checks that do not matter; `*` stands for any text.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// How long to wait for checks that run or are still to come, whatever `preflight.deadline`
    /// is. Default: not at all.
    #[serde(default)]
    pub wait: Span,
    /// Whether a commit without any check is good. Default false.
    #[serde(default)]
    pub allow_none: bool,
    /// Open code scanning alerts that must not be there.
    pub code_scanning: Option<CodeScanning>,
    /// Checks that are let through although they did not succeed.
    #[serde(default)]
    pub waivers: Vec<Waiver>,
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

/// Open code scanning alerts that must not be there. A commit that nothing ever analysed is not
/// good.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CodeScanning {
    /// Alerts of this severity and above count. Default: high.
    #[serde(default)]
    pub severity: AlertSeverity,
    /// What the latest analysis of this branch or pull request found, such as `refs/heads/main`,
    /// whatever commit is deployed. Default: what the analysis of the commit itself found.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Only alerts of this tool, such as `CodeQL`.
    pub tool: Option<String>,
}

/// How bad an alert is. Rules that are not about security count as `high` (error), `medium`
/// (warning) or `low` (note).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AlertSeverity {
    /// All alerts.
    Low,
    /// `medium`, `high` and `critical`.
    Medium,
    /// `high` and `critical`.
    #[default]
    High,
    /// `critical` alone.
    Critical,
}

/// Lets a check through although it did not succeed. It is shown in every output. Under `checks`
/// it names what CI ran; under `preflight.waivers` an outcome of ours, such as `images/backend`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Waiver {
    /// The check's name; `*` stands for any text. Under `checks`, `code-scanning/RULE` is an
    /// alert's.
    pub check: String,
    /// Why it may be let through.
    pub reason: String,
    /// Who approved it.
    pub approver: String,
    /// The last day, such as `2026-12-01` (to its end in UTC), or a time such as
    /// `2026-12-01T12:00:00Z`. Afterwards it lets nothing through.
    pub expires: Expiry,
}

impl CheckConfig for CommitChecks {
    const KEYS: &[&str] = &["name"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        Waiver::check(&self.waivers, spot.key("waivers"))
    }
}

impl Waiver {
    /// A waiver must name its approver and reason. `list` is where the waivers stand.
    pub(crate) fn check(waivers: &[Waiver], list: KeyPosition<'_>) -> Result<(), Fault> {
        for (nth, waiver) in waivers.iter().enumerate() {
            for (key, text) in [
                ("check", &waiver.check),
                ("reason", &waiver.reason),
                ("approver", &waiver.approver),
            ] {
                if text.trim().is_empty() {
                    let text = format!("a waiver's `{key}` is empty");
                    return list.item(nth).refuse(key, text);
                }
            }
        }
        Ok(())
    }
}
