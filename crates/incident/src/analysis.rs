//! The analysis of a failed deployment as JSON: what `deployment_failure_report.json` of the runbooks is.

use chronicle::{Conclusion, Evidence, Exposure};
use jiff::Timestamp;
use model::outcome::Requests;
use model::report::v1::{UnreadLine, millis};
use sections::incident::{Impact, Severity};
use serde::Serialize;

use crate::account::{ACTIONS, Account, QUESTIONS};

/// The format of the document.
const SCHEMA: &str = "deploy-guard/incident/v1";

#[derive(Serialize)]
struct Analysis<'a> {
    schema: &'static str,
    incident: &'a str,
    deployment_id: Option<&'a str>,
    service: Option<&'a str>,
    environment: Option<&'a str>,
    release: Option<&'a str>,
    previous_release: Option<&'a str>,
    /// The worst that it was, and why.
    severity: Severity,
    severity_reason: &'a str,
    /// What it is now, or was at its end.
    last_severity: Severity,
    last_severity_reason: &'a str,
    phase: &'static str,
    impact: Impact,
    failed_stage: Option<&'a str>,
    conclusion: Option<Conclusion>,
    /// What is certain; `null` where nothing is.
    exposure: Option<Requests>,
    /// The same with its bound, its source, and part by part.
    exposure_detail: Option<&'a Exposure>,
    /// Why it is not known, where it was asked.
    exposure_unknown: Option<&'a str>,
    summary: &'a str,
    opened_at: Timestamp,
    opened_by: &'a str,
    acknowledged_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
    resolution: Option<&'a str>,
    serving: Option<&'a str>,
    fix: Option<&'a str>,
    redeployment: Option<&'a str>,
    detection_ms: Option<u64>,
    response_ms: Option<u64>,
    recovery_ms: Option<u64>,
    duration_ms: Option<u64>,
    /// By how much the clocks of the machines disagree at least; `null` where the order of the times is that of the log.
    clocks_disagree_ms: Option<u64>,
    timeline: Vec<Row<'a>>,
    /// Lines of the log that could not be read: what they tell is not in this document.
    unread_lines: Vec<UnreadLine>,
    findings: &'a [String],
    questions: [&'static str; 6],
    action_items: [&'static str; 6],
}

#[derive(Serialize)]
struct Row<'a> {
    at: Timestamp,
    kind: &'static str,
    text: &'a str,
    by: &'a str,
    evidence: &'a [Evidence],
    log: &'a str,
}

/// The document, with a line break at its end.
pub(crate) fn render(account: &Account) -> String {
    let incident = &account.incident;
    let subject = &incident.subject;
    let deployment = account.deployment.as_ref();
    let end = incident.resolution.as_ref();
    let analysis = Analysis {
        schema: SCHEMA,
        incident: incident.id.as_str(),
        deployment_id: subject.deployment.as_deref(),
        service: subject.service.as_deref(),
        environment: subject.environment.as_deref(),
        release: subject.release.as_deref(),
        previous_release: deployment.and_then(|one| one.previous.as_deref()),
        severity: incident.worst,
        severity_reason: &incident.worst_why,
        last_severity: incident.severity,
        last_severity_reason: &incident.why,
        phase: incident.phase.word(),
        impact: incident.impact,
        failed_stage: incident.failed_stage.as_deref(),
        conclusion: deployment.and_then(|one| {
            if one.is_taken_back() {
                Some(Conclusion::RolledBack)
            } else {
                one.conclusion
            }
        }),
        exposure: account.exposure.known.as_ref().map(Exposure::counts),
        exposure_detail: account.exposure.known.as_ref(),
        exposure_unknown: match account.exposure.known {
            Some(_) => None,
            None => account.exposure.unknown.as_deref(),
        },
        summary: &incident.text,
        opened_at: incident.opened,
        opened_by: &incident.opened_by.actor,
        acknowledged_at: incident.acknowledged,
        resolved_at: end.map(|end| end.at),
        resolution: end.map(|end| end.text.as_str()),
        serving: end.and_then(|end| end.serving.as_deref()),
        fix: end.and_then(|end| end.fix.as_deref()),
        redeployment: end.and_then(|end| end.redeployment.as_deref()),
        detection_ms: account.times.detection.map(millis),
        response_ms: account.times.response.map(millis),
        recovery_ms: account.times.recovery.map(millis),
        duration_ms: account.times.whole.map(millis),
        clocks_disagree_ms: account.skew.as_ref().map(|skew| millis(skew.by)),
        timeline: account
            .timeline
            .iter()
            .map(|row| Row {
                at: row.at,
                kind: row.kind,
                text: &row.what,
                by: &row.by,
                evidence: &row.evidence,
                log: &row.place,
            })
            .collect(),
        unread_lines: account.unread.iter().map(UnreadLine::from).collect(),
        findings: &account.findings,
        questions: QUESTIONS,
        action_items: ACTIONS,
    };
    // The view holds text, numbers and lists only, which JSON can always say.
    let text = serde_json::to_string_pretty(&analysis).unwrap_or_default();
    text + "\n"
}
