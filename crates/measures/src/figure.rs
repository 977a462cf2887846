//! One figure: what it means, its value, and whether it meets its target.

use std::time::Duration;

use crate::exact::{Ratio, decimal, quotient};
use crate::goal::{Goal, Limit, Threshold};
use crate::history::Errors;
use crate::spread::{DurationSummary, Statistic};

/// Which figure. The first five are DORA's, as of 2024 (dora.dev); the others are those of the
/// runbooks' tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    ChangeLeadTime,
    DeploymentFrequency,
    FailedDeploymentRecoveryTime,
    ChangeFailRate,
    DeploymentReworkRate,
    SuccessRate,
    RollbackRate,
    RollbackTime,
    DeploymentDuration,
    MeanTimeToRecovery,
    PostDeploymentErrors,
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::ChangeLeadTime,
        Kind::DeploymentFrequency,
        Kind::FailedDeploymentRecoveryTime,
        Kind::ChangeFailRate,
        Kind::DeploymentReworkRate,
        Kind::SuccessRate,
        Kind::RollbackRate,
        Kind::RollbackTime,
        Kind::DeploymentDuration,
        Kind::MeanTimeToRecovery,
        Kind::PostDeploymentErrors,
    ];

    /// Its name in JSON and in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::ChangeLeadTime => "change_lead_time",
            Kind::DeploymentFrequency => "deployment_frequency",
            Kind::FailedDeploymentRecoveryTime => "failed_deployment_recovery_time",
            Kind::ChangeFailRate => "change_fail_rate",
            Kind::DeploymentReworkRate => "deployment_rework_rate",
            Kind::SuccessRate => "deployment_success_rate",
            Kind::RollbackRate => "rollback_rate",
            Kind::RollbackTime => "rollback_time",
            Kind::DeploymentDuration => "deployment_duration",
            Kind::MeanTimeToRecovery => "mean_time_to_recovery",
            Kind::PostDeploymentErrors => "post_deployment_errors",
        }
    }

    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            Kind::ChangeLeadTime => "Change lead time",
            Kind::DeploymentFrequency => "Deployment frequency",
            Kind::FailedDeploymentRecoveryTime => "Failed deployment recovery time",
            Kind::ChangeFailRate => "Change fail rate",
            Kind::DeploymentReworkRate => "Deployment rework rate",
            Kind::SuccessRate => "Deployment success rate",
            Kind::RollbackRate => "Rollback rate",
            Kind::RollbackTime => "Rollback time",
            Kind::DeploymentDuration => "Deployment duration",
            Kind::MeanTimeToRecovery => "Mean time to recovery",
            Kind::PostDeploymentErrors => "Post-deployment errors",
        }
    }

    /// What it is the measure of, in one sentence.
    pub fn definition(self) -> &'static str {
        match self {
            Kind::ChangeLeadTime => {
                "From the commit to the end of the deployment that brought it into production."
            }
            Kind::DeploymentFrequency => "Deployments that succeeded, per day of the window.",
            Kind::FailedDeploymentRecoveryTime => {
                "From the first evidence against a deployed release to the proof that a good one serves again."
            }
            Kind::ChangeFailRate => {
                "Deployments that failed, were rolled back, or were fixed by a later one while an incident about them was open, of \
                 those that succeeded, failed or were rolled back."
            }
            Kind::DeploymentReworkRate => {
                "Deployments that began within 24 hours after one before them was found bad or taken back, with no good one \
                 in between, of those that succeeded, failed or were rolled back."
            }
            Kind::SuccessRate => {
                "Deployments that succeeded, of those that succeeded, failed or were rolled back."
            }
            Kind::RollbackRate => {
                "Deployments that triggered a rollback, of those that succeeded, failed or were rolled back."
            }
            Kind::RollbackTime => {
                "From the start of a rollback to the proof that the earlier release serves again."
            }
            Kind::DeploymentDuration => {
                "From the start to the end of a deployment that succeeded, failed or was rolled back."
            }
            Kind::MeanTimeToRecovery => "From the opening of an incident to its resolution.",
            Kind::PostDeploymentErrors => {
                "Failed requests to the new release until the end of a deployment that succeeded, failed or was rolled back."
            }
        }
    }

    /// What of durations is shown first.
    pub fn statistic(self) -> Statistic {
        match self {
            Kind::ChangeLeadTime | Kind::FailedDeploymentRecoveryTime => Statistic::Median,
            _ => Statistic::Mean,
        }
    }

    /// The targets and warnings of the runbooks ("Deployment Metrics"). DORA names none.
    pub fn goal(self) -> Option<Goal> {
        let (target, warning) = match self {
            Kind::SuccessRate => (
                Threshold::above_percent(95),
                Some(Threshold::below_percent(90)),
            ),
            Kind::RollbackRate => (Threshold::below_percent(5), None),
            Kind::RollbackTime => (
                Threshold::below_minutes(5),
                Some(Threshold::above_minutes(10)),
            ),
            Kind::DeploymentDuration => (
                Threshold::below_minutes(15),
                Some(Threshold::above_minutes(30)),
            ),
            Kind::MeanTimeToRecovery => (Threshold::below_minutes(30), None),
            Kind::PostDeploymentErrors => (
                Threshold::Exactly(Limit::Count(0)),
                Some(Threshold::Above(Limit::Count(0))),
            ),
            Kind::ChangeLeadTime
            | Kind::DeploymentFrequency
            | Kind::FailedDeploymentRecoveryTime
            | Kind::ChangeFailRate
            | Kind::DeploymentReworkRate => return None,
        };
        Some(Goal::new(target, warning))
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Ratio(Ratio),
    Times(DurationSummary),
    Frequency(Frequency),
    Errors(Errors),
}

/// Deployments within a time that is longer than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency {
    pub deployments: u64,
    pub within: Duration,
}

impl Frequency {
    /// Rounded half up to six decimals: `2.5`.
    pub fn per_day(self) -> String {
        const DAY_MS: u128 = 24 * 60 * 60 * 1000;
        let part = u128::from(self.deployments) * DAY_MS;
        decimal(quotient(part, self.within.as_millis(), 6), 6)
    }
}

impl Value {
    fn is_within(&self, bound: Threshold) -> bool {
        match self {
            Value::Ratio(ratio) => bound.holds_ratio(*ratio),
            Value::Times(times) => bound.holds_times(times),
            Value::Errors(errors) => bound.holds_count(errors.failed),
            Value::Frequency(_) => false,
        }
    }

    /// Whether a bound that the value is within would hold whatever `unknown` more were like.
    fn stays_within(&self, bound: Threshold, unknown: u64) -> bool {
        match self {
            Value::Ratio(ratio) => {
                bound.holds_ratio(ratio.at_worst(unknown, bound.more_is_better()))
            }
            // One that is not known may be as long, or as many, as anything.
            Value::Times(_) | Value::Errors(_) | Value::Frequency(_) => unknown == 0,
        }
    }
}

/// How a figure stands to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetStanding {
    /// Within the target, whatever the unknown ones were like.
    Met,
    /// Nothing was measured, or what is unknown could be outside of the target.
    Open,
    Missed,
    /// Missed by so much that the runbook warns.
    Warning,
}

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    pub kind: Kind,
    /// `None` where nothing was counted.
    pub value: Option<Value>,
    /// How many deployments or incidents the value is of.
    pub counted: u64,
    /// How many more there are whose part is not known; the value is without them.
    pub unknown: u64,
    /// `None` without a target.
    pub standing: Option<TargetStanding>,
}

impl Figure {
    pub(crate) fn new(kind: Kind, value: Option<Value>, counted: u64, unknown: u64) -> Self {
        let standing = kind
            .goal()
            .map(|goal| standing(goal, value.as_ref(), unknown));
        Figure {
            kind,
            value,
            counted,
            unknown,
            standing,
        }
    }

    /// Whether the target is met; `None` without a target, or where that cannot be said.
    pub fn is_met(&self) -> Option<bool> {
        match self.standing? {
            TargetStanding::Met => Some(true),
            TargetStanding::Open => None,
            TargetStanding::Missed | TargetStanding::Warning => Some(false),
        }
    }

    /// Whether the runbook warns of such a value.
    pub fn warns(&self) -> bool {
        self.standing == Some(TargetStanding::Warning)
    }
}

fn standing(goal: Goal, value: Option<&Value>, unknown: u64) -> TargetStanding {
    let Some(value) = value else {
        return TargetStanding::Open;
    };
    match goal.warning {
        Some(warning) if value.is_within(warning) => TargetStanding::Warning,
        _ if !value.is_within(goal.target) => TargetStanding::Missed,
        _ if value.stays_within(goal.target, unknown) => TargetStanding::Met,
        _ => TargetStanding::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::REWORK_WITHIN;

    #[test]
    fn the_definition_of_rework_names_the_time_that_counts() {
        let named = format!("within {} hours", REWORK_WITHIN.as_hours());
        let definition = Kind::DeploymentReworkRate.definition();
        assert!(definition.contains(&named), "{definition}");
    }
}
