//! Fix forward, undo or restore: which way to go after a failure, and the commands.

use cli::{Failure, Job};
use migrations::Fault;
use migrator::{MIGRATE, Session, Truth};
use model::{Outcome, Report, Table, Verdict};
use state::journal::Event;

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Nothing,
    FixForward,
    Undo,
    Restore,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Way::Nothing => "NOTHING TO DO",
            Way::FixForward => "FIX FORWARD",
            Way::Undo => "UNDO",
            Way::Restore => "RESTORE",
        }
    }
}

/// The way, why, and the commands in their order.
struct Decision {
    way: Way,
    reason: String,
    commands: Vec<String>,
}

/// Looks at everything and changes nothing.
pub(crate) async fn decide(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let failed = last_failure(&session).await?;
    let release = job
        .release
        .clone()
        .or_else(|| document?.current)
        .unwrap_or_else(|| "RELEASE".to_owned());
    let decision = choose(&session, &truth, failed.as_deref(), &release);
    let verdict = match decision.way {
        Way::Nothing => Verdict::Pass,
        _ => Verdict::Fail,
    };
    let mut outcomes = vec![
        Outcome::new("migrate/decision", decision.way.as_str(), verdict)
            .expected("every migration is applied and nothing is wrong")
            .actual(decision.way.as_str())
            .reason(decision.reason.clone())
            .hint(decision.commands.first().cloned().unwrap_or_default()),
    ];
    outcomes.extend(truth.wrong().into_iter().map(|outcome| Outcome {
        severity: model::Severity::Advisory,
        ..outcome
    }));
    let mut report = session.report(outcomes);
    report.headline = Some(format!("{}: {}", decision.way.as_str(), decision.reason));
    report.tables.push(Table {
        title: "What to do, in this order".to_owned(),
        header: vec!["step", "command"],
        rows: (1..)
            .zip(&decision.commands)
            .map(|(nth, command): (u32, _)| vec![nth.to_string(), command.clone()])
            .collect(),
        only_in_summary: false,
    });
    Ok(report)
}

/// Why the last change of the schema failed, where it did.
async fn last_failure(session: &Session<'_>) -> Result<Option<String>, Failure> {
    let journals = session.store.journals().await?;
    let ours = journals.iter().rev().find(|(_, lines)| {
        matches!(
            lines.first().map(|line| &line.event),
            Some(Event::Begin { operation: Some(operation), .. }) if operation == MIGRATE
        )
    });
    let lines = ours.map(|(_, lines)| lines.as_slice()).unwrap_or_default();
    Ok(lines.iter().rev().find_map(|line| match &line.event {
        Event::Failed { reason, .. } => Some(reason.clone()),
        _ => None,
    }))
}

fn choose(session: &Session<'_>, truth: &Truth, failed: Option<&str>, release: &str) -> Decision {
    let reading = &truth.reading;
    let run = format!("migrate run --release {release}");
    if truth.is_at_head() {
        return Decision {
            way: Way::Nothing,
            reason: "every migration is applied and nothing is wrong".to_owned(),
            commands: Vec::new(),
        };
    }
    let half = reading
        .findings
        .iter()
        .find(|finding| matches!(finding.fault, Fault::Failed { .. }));
    let lock = reading
        .findings
        .iter()
        .any(|finding| matches!(finding.fault, Fault::Locked { .. }));
    if let Some(half) = half {
        let undoable = session.tool.undo(reading, None).is_ok();
        let (way, commands) = if undoable {
            (Way::Undo, vec!["migrate undo".to_owned(), run])
        } else {
            (
                Way::Restore,
                vec![
                    "migrate restore --backup ID --confirm RELEASE".to_owned(),
                    half.next.clone(),
                ],
            )
        };
        return Decision {
            way,
            reason: half.to_string(),
            commands,
        };
    }
    let repairs = !truth.invalid.is_empty() || lock;
    let mut commands: Vec<String> = Vec::new();
    if repairs {
        commands.push("migrate repair".to_owned());
    }
    if truth.is_clean() || repairs {
        let pending = reading.pending.len();
        let reason = match failed {
            Some(failed) => {
                format!("nothing is half applied; pending: {pending}; the last attempt: {failed}")
            }
            None if pending == 0 => "what a failed migration left has to be removed".to_owned(),
            None => format!("nothing is half applied; pending: {pending}"),
        };
        if pending > 0 {
            commands.push(run);
        }
        return Decision {
            way: Way::FixForward,
            reason,
            commands,
        };
    }
    let findings = reading
        .findings
        .iter()
        .filter(|finding| !finding.fault.is_work());
    let findings: Vec<_> = findings.collect();
    let reasons: Vec<String> = findings.iter().map(ToString::to_string).collect();
    commands.extend(findings.iter().map(|finding| finding.next.clone()));
    Decision {
        way: Way::FixForward,
        reason: reasons.join("; "),
        commands,
    }
}
