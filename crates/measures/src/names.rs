//! The names of the series, which the text, the dashboard and the alerts share.

use crate::figure::Kind;

// Those of runbook 003 ("Key Metrics").
pub(crate) const STARTED: &str = "deployment_started_total";
pub(crate) const COMPLETED: &str = "deployment_completed_total";
pub(crate) const DURATION: &str = "deployment_duration_seconds";
pub(crate) const ROLLBACKS: &str = "rollback_triggered_total";

pub(crate) const LAST_COMPLETED: &str = "deploy_guard_last_completed_timestamp_seconds";
pub(crate) const LAST_ROLLBACK: &str = "deploy_guard_last_rollback_timestamp_seconds";
pub(crate) const NEWEST: &str = "deploy_guard_newest_deployment_timestamp_seconds";
pub(crate) const NEWEST_DURATION: &str = "deploy_guard_newest_deployment_duration_seconds";
pub(crate) const NEWEST_RETRIES: &str = "deploy_guard_newest_deployment_health_retries";
pub(crate) const RUNNING_SINCE: &str = "deploy_guard_running_deployment_started_timestamp_seconds";
pub(crate) const INCIDENTS: &str = "deploy_guard_incidents_total";
pub(crate) const OPEN_INCIDENTS: &str = "deploy_guard_open_incidents";
pub(crate) const UNREAD_LINES: &str = "deploy_guard_unread_log_lines";
pub(crate) const CANARY_SHARE: &str = "deploy_guard_canary_share_ratio";
pub(crate) const WINDOW: &str = "deploy_guard_window_seconds";
pub(crate) const COUNTED: &str = "deploy_guard_figure_counted";
pub(crate) const UNKNOWN: &str = "deploy_guard_figure_unknown";
pub(crate) const TARGET: &str = "deploy_guard_figure_target";
pub(crate) const WARNING: &str = "deploy_guard_figure_warning";
pub(crate) const TARGET_MET: &str = "deploy_guard_figure_target_met";

/// The series with the value of a figure.
pub(crate) fn of_figure(kind: Kind) -> &'static str {
    match kind {
        Kind::ChangeLeadTime => "deploy_guard_change_lead_time_seconds",
        Kind::DeploymentFrequency => "deploy_guard_deployments_per_day",
        Kind::FailedDeploymentRecoveryTime => "deploy_guard_failed_deployment_recovery_seconds",
        Kind::ChangeFailRate => "deploy_guard_change_fail_ratio",
        Kind::DeploymentReworkRate => "deploy_guard_deployment_rework_ratio",
        Kind::SuccessRate => "deploy_guard_deployment_success_ratio",
        Kind::RollbackRate => "deploy_guard_rollback_ratio",
        Kind::RollbackTime => "deploy_guard_rollback_seconds",
        Kind::DeploymentDuration => "deploy_guard_deployment_seconds",
        Kind::MeanTimeToRecovery => "deploy_guard_time_to_recovery_seconds",
        Kind::PostDeploymentErrors => "deploy_guard_post_deployment_errors",
    }
}
