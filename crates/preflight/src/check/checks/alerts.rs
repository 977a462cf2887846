//! Open code scanning alerts.

use config::file::{AlertSeverity, CodeScanning, CommitChecks};
use github::checks::{Alert, Rule};
use jiff::Timestamp;
use model::Outcome;

use super::super::asked::{Asked, Unknown, some};
use super::super::waiver::{Grace, expired, shown, waiver};
use super::super::{Planned, Scene};

pub(super) fn plan<'a>(
    check: &'a CommitChecks,
    scanning: &'a CodeScanning,
    scene: &'a Scene<'a>,
) -> Planned<'a> {
    let CodeScanning {
        severity,
        reference,
        tool,
    } = scanning;
    let id = format!("checks/{}/code-scanning", check.name);
    let subject = reference
        .clone()
        .unwrap_or_else(|| "the default branch".into());
    let level = word(*severity);
    Planned {
        id: id.clone(),
        subject: subject.clone(),
        severity: check.severity,
        weight: check.weight,
        asks: format!("ask GitHub for the open code scanning alerts of {subject}"),
        needs: Some("`security-events: read`".to_owned()),
        timeout: scene.patient(),
        ask: Box::pin(async move {
            let expected = format!("no open alert of severity {level} or above");
            let asking = async {
                let asked = Asked::new(
                    scene,
                    check.repository.as_deref(),
                    check.token_env.as_deref(),
                )?;
                let alerts = asked
                    .client
                    .alerts(&asked.repository, reference.as_deref(), tool.as_deref())
                    .await?;
                Ok::<_, Unknown>(alerts)
            };
            match asking.await {
                Ok(Some(alerts)) => judge(check, *severity, &alerts, &id, &subject),
                Ok(None) => Outcome::inconclusive(&id, &subject)
                    .actual("nothing was ever analysed there")
                    .reason(format!("code scanning never analysed {subject}"))
                    .hint("does the workflow of the scanner run for it? see the repository's Security tab"),
                Err(unknown) => unknown.outcome(&id, &subject, &expected),
            }
            .expected(expected)
        }),
    }
}

fn judge(
    check: &CommitChecks,
    least: AlertSeverity,
    alerts: &[Alert],
    id: &str,
    subject: &str,
) -> Outcome {
    let now = Timestamp::now();
    let (mut open, mut let_through, mut over) = (Vec::new(), Vec::new(), Vec::new());
    let mut url = None;
    for alert in alerts.iter().filter(|alert| level(&alert.rule) >= least) {
        let rule = alert.rule.id.as_deref().unwrap_or("unnamed rule");
        let name = format!("code-scanning/{rule}");
        let says = format!("alert {}, {}", alert.number, word(level(&alert.rule)));
        match waiver(&check.waivers, &name, now) {
            Grace::Granted(waiver) => {
                let_through.push(shown(rule, &says, waiver));
                continue;
            }
            Grace::Expired(waiver) => over.push(expired(&name, waiver)),
            Grace::None => {}
        }
        url = url.or(alert.html_url.clone());
        open.push(format!("{rule} ({says})"));
    }
    let mut actual = match open.as_slice() {
        [] => format!("none of {} open", alerts.len()),
        open => format!("{} open: {}", open.len(), some(open)),
    };
    if !let_through.is_empty() {
        actual.push_str(&format!(
            "; {} waived: {}",
            let_through.len(),
            let_through.join(", ")
        ));
    }
    if open.is_empty() {
        return Outcome::pass(id, subject).actual(actual);
    }
    let mut reason = format!("{} open: {}", open.len(), some(&open));
    for text in over {
        reason.push_str(&format!("; {text}"));
    }
    Outcome::fail(id, subject)
        .actual(actual)
        .reason(reason)
        .hint(match url {
            Some(url) => format!("look at {url}"),
            None => "look at the repository's Security tab".to_owned(),
        })
}

/// A severity that is not known here counts as the worst.
fn level(rule: &Rule) -> AlertSeverity {
    match rule
        .security_severity_level
        .as_deref()
        .or(rule.severity.as_deref())
    {
        Some("low" | "note" | "none") => AlertSeverity::Low,
        Some("medium" | "warning") => AlertSeverity::Medium,
        Some("high" | "error") => AlertSeverity::High,
        _ => AlertSeverity::Critical,
    }
}

fn word(severity: AlertSeverity) -> &'static str {
    match severity {
        AlertSeverity::Low => "low",
        AlertSeverity::Medium => "medium",
        AlertSeverity::High => "high",
        AlertSeverity::Critical => "critical",
    }
}
