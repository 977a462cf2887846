//! Open code scanning alerts.

use config::file::{AlertSeverity, CodeScanning, CommitChecks};
use github::alerts::{Alert, Rule};
use jiff::Timestamp;
use model::Outcome;

use super::super::commit::Commit;
use super::super::github_query::{QueryError, some};
use super::super::waiver::{Grace, expired, render, waiver};
use super::super::{Context, Planned};
use super::poll::{Poll, patience, remarked};

pub(super) fn plan<'a>(
    check: &'a CommitChecks,
    scanning: &'a CodeScanning,
    scene: &'a Context<'a>,
) -> Planned<'a> {
    let CodeScanning {
        severity,
        reference,
        tool: _,
    } = scanning;
    let id = format!("checks/{}/code-scanning", check.name);
    let subject = reference.clone().unwrap_or_else(|| "the commit".into());
    let level = word(*severity);
    Planned {
        id: id.clone(),
        subject: subject.clone(),
        severity: check.severity,
        weight: check.weight,
        asks: format!("list the open code scanning alerts of {subject}"),
        needs: Some("`security-events: read`".to_owned()),
        timeout: patience(check.wait, scene),
        wait: check.wait.get(),
        ask: Box::pin(async move {
            let expected = format!("no open alert of severity {level} or above");
            let seen = match reference {
                Some(reference) => of_reference(check, scanning, reference, scene).await,
                None => of_commit(&id, check, scanning, scene).await,
            };
            match seen {
                Ok(seen) => seen.outcome(check, *severity, &id),
                Err(unknown) => unknown.outcome(&id, &subject, &expected),
            }
            .expected(expected)
        }),
    }
}

/// What was found, and where.
struct Analysis {
    /// `None` where nothing was ever analysed.
    alerts: Option<Vec<Alert>>,
    /// What the alerts are of.
    of: String,
    commit: Option<Commit>,
    hint: &'static str,
}

/// What the branch or pull request says now: the configuration names it.
async fn of_reference(
    check: &CommitChecks,
    scanning: &CodeScanning,
    reference: &str,
    scene: &Context<'_>,
) -> Result<Analysis, QueryError> {
    let look = Poll::new(check, scene, check.wait.get())?;
    let asked = &look.asked;
    let alerts = asked
        .client
        .alerts(&asked.repository, Some(reference), scanning.tool.as_deref())
        .await?;
    Ok(Analysis {
        alerts,
        of: reference.to_owned(),
        commit: None,
        hint: "does the workflow of the scanner run for it? see the repository's Security tab",
    })
}

/// What the analysis of the very commit found.
async fn of_commit(
    id: &str,
    check: &CommitChecks,
    scanning: &CodeScanning,
    scene: &Context<'_>,
) -> Result<Analysis, QueryError> {
    let mut look = Poll::new(check, scene, check.wait.get())?;
    let commit = Commit::of(scene, &look.asked, check.commit.as_deref()).await?;
    let tool = scanning.tool.as_deref();
    let analysed = loop {
        let client = &look.asked.client;
        let spent = client.spent();
        let analysed = client
            .analysis_of(&look.asked.repository, commit.id(), tool)
            .await?;
        if analysed.is_some() || !look.is_left() {
            break analysed;
        }
        look.pause(id, "not analysed yet", spent, scene).await;
    };
    let asked = &look.asked;
    let alerts = match &analysed {
        Some(analysed) => Some(
            asked
                .client
                .alerts_of(&asked.repository, analysed, tool)
                .await?,
        ),
        None => None,
    };
    Ok(Analysis {
        alerts,
        of: commit.label(),
        commit: Some(commit),
        hint: "wait for the scanner's workflow (`wait: 10m`), or name the ref whose alerts count instead: `code-scanning: { ref: refs/heads/main }`",
    })
}

impl Analysis {
    fn outcome(self, check: &CommitChecks, severity: AlertSeverity, id: &str) -> Outcome {
        let of = &self.of;
        let outcome = match &self.alerts {
            Some(alerts) => judge(check, severity, alerts, id, of),
            None => Outcome::inconclusive(id, of)
                .actual("nothing was ever analysed there")
                .reason(format!("code scanning never analysed {of}"))
                .hint(self.hint),
        };
        match &self.commit {
            Some(commit) => remarked(outcome, commit),
            None => outcome,
        }
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
                let_through.push(render(rule, &says, waiver));
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
