//! The figures as JSON, version 1: a frozen view, kept apart from the types that count.
//!
//! A key may be added; none may be renamed, retyped or removed without a version 2.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::figure::{Kind, Value};
use crate::history::Window;
use crate::labels::Labels;
use crate::tally::Tally;

/// The value of `schema`.
pub const SCHEMA: &str = "deploy-guard/measures/v1";

/// What `deploy-guard schema measures` prints.
pub const JSON_SCHEMA: &str = include_str!("../../../schema/measures.schema.json");

/// All figures of one service in one environment, over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Measures {
    /// `deploy-guard/measures/v1`.
    pub schema: String,
    /// As the configuration calls it.
    pub service: String,
    /// `--environment`.
    pub environment: String,
    /// RFC 3339 in UTC; what started or was opened at this time or later counts.
    pub from: String,
    /// RFC 3339 in UTC; what started or was opened at this time or later does not count.
    pub until: String,
    pub deployments: Deployments,
    /// Lines of the log that could not be read: their events are in no figure.
    #[serde(default)]
    pub unread_lines: u64,
    /// By name: DORA's five and those of the runbooks' tables. `value` is the median of
    /// `change_lead_time` and `failed_deployment_recovery_time`, and the mean of other durations.
    pub figures: BTreeMap<String, Figure>,
}

/// Deployments of the window by how they ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Deployments {
    /// All of them.
    pub started: u64,
    /// The release serves, and was not found bad since.
    pub succeeded: u64,
    /// The release was found bad, at its gate or later, and was not taken back.
    pub failed: u64,
    /// The release was found bad, and the one before it serves again.
    pub rolled_back: u64,
    /// A rule or a check refused before anything changed; in no figure.
    pub refused: u64,
    /// In no figure.
    pub cancelled: u64,
    /// Something changed, and it was never decided whether it was good; unknown in the figures.
    pub undecided: u64,
    /// In no figure.
    pub running: u64,
    /// Rollbacks that were triggered.
    pub rollbacks: u64,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Figure {
    /// In `unit`; null where nothing was counted. A ratio and a number per day are rounded half up to
    /// six decimals.
    #[schemars(with = "Option<f64>")]
    pub value: Option<Number>,
    /// Of `value`.
    pub unit: Unit,
    /// What the value is made of, where that is counted: the part of the `counted` ones, the
    /// deployments of a frequency, or the requests that failed.
    pub part: Option<u64>,
    /// All requests, of `post_deployment_errors`.
    pub total: Option<u64>,
    /// More of a duration; null for everything else.
    pub spread: Option<DurationSummary>,
    /// How many deployments or incidents the value is of.
    pub counted: u64,
    /// How many more there are whose part is not known; the value is without them.
    pub unknown: u64,
    /// The target of the runbook, such as `> 95%`; null without one. Durations are held against it by
    /// their mean.
    pub target: Option<String>,
    /// What the runbook warns of, such as `< 90%`; null without it.
    pub warning: Option<String>,
    /// Whether the target is met; null without one, where nothing was counted, or where what is
    /// unknown could be outside of it.
    pub met: Option<bool>,
    /// Whether the runbook warns of this value.
    pub warns: bool,
    /// What it is the measure of.
    pub definition: String,
}

/// What a value is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// From 0 to 1.
    Ratio,
    /// Whole milliseconds.
    Ms,
    /// Deployments per day.
    PerDay,
    /// Requests that failed.
    Requests,
}

/// How durations are spread, in whole milliseconds, half of one rounded up. The median of an even number is the mean of
/// the two in the middle; 90 % is by the nearest rank, so one of the durations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DurationSummary {
    pub mean_ms: u64,
    pub median_ms: u64,
    pub p90_ms: u64,
    pub max_ms: u64,
}

impl Measures {
    pub fn new(labels: &Labels, measures: &crate::Measures) -> Self {
        let Window { from, until } = measures.window;
        Measures {
            schema: SCHEMA.to_owned(),
            service: labels.service.clone(),
            environment: labels.environment.clone(),
            from: from.to_string(),
            until: until.to_string(),
            deployments: measures.tally.into(),
            unread_lines: measures.unread_lines,
            figures: measures
                .figures
                .iter()
                .map(|figure| (figure.kind.as_str().to_owned(), figure.into()))
                .collect(),
        }
    }
}

impl From<Tally> for Deployments {
    fn from(tally: Tally) -> Self {
        let Tally {
            started,
            succeeded,
            failed,
            rolled_back,
            refused,
            cancelled,
            undecided,
            running,
            rollbacks,
        } = tally;
        Deployments {
            started,
            succeeded,
            failed,
            rolled_back,
            refused,
            cancelled,
            undecided,
            running,
            rollbacks,
        }
    }
}

impl From<&crate::Figure> for Figure {
    fn from(figure: &crate::Figure) -> Self {
        let goal = figure.kind.goal();
        let mut view = Figure {
            value: None,
            unit: unit(figure.kind),
            part: None,
            total: None,
            spread: None,
            counted: figure.counted,
            unknown: figure.unknown,
            target: goal.map(|goal| goal.target.to_string()),
            warning: goal
                .and_then(|goal| goal.warning)
                .map(|warning| warning.to_string()),
            met: figure.is_met(),
            warns: figure.warns(),
            definition: figure.kind.definition().to_owned(),
        };
        match figure.value {
            None => {}
            Some(Value::Ratio(ratio)) => {
                view.value = number(&ratio.decimal());
                view.part = Some(ratio.part());
            }
            Some(Value::Frequency(frequency)) => {
                view.value = number(&frequency.per_day());
                view.part = Some(frequency.deployments);
            }
            Some(Value::Errors(errors)) => {
                view.value = number(&errors.failed.to_string());
                view.part = Some(errors.failed);
                view.total = Some(errors.total);
            }
            Some(Value::Times(times)) => {
                let shown = figure.kind.statistic().of(&times);
                view.value = number(&shown.as_millis().to_string());
                view.spread = Some(DurationSummary {
                    mean_ms: millis(times.mean()),
                    median_ms: millis(times.median),
                    p90_ms: millis(times.p90),
                    max_ms: millis(times.longest),
                });
            }
        }
        view
    }
}

fn unit(kind: Kind) -> Unit {
    match kind {
        Kind::ChangeLeadTime
        | Kind::FailedDeploymentRecoveryTime
        | Kind::RollbackTime
        | Kind::DeploymentDuration
        | Kind::MeanTimeToRecovery => Unit::Ms,
        Kind::DeploymentFrequency => Unit::PerDay,
        Kind::ChangeFailRate
        | Kind::DeploymentReworkRate
        | Kind::SuccessRate
        | Kind::RollbackRate => Unit::Ratio,
        Kind::PostDeploymentErrors => Unit::Requests,
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// The very decimal: a float could be printed as another one.
fn number(decimal: &str) -> Option<Number> {
    decimal.parse().ok()
}
