//! Fix forward, undo or restore: which way to go after a failure, and the commands.

use cli::{Failure, Job};
use database::System;
use migrations::{Finding, FindingKind};
use migrator::{MIGRATE, SchemaState, Session};
use model::{Outcome, Report, Severity, Table, Verdict};
use state::KeptBackup;
use state::journal::Event;

use crate::backup_folder::by_hand;
use crate::interrupted::Interrupted;
use crate::rehearse;

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    Nothing,
    FixForward,
    Undo,
    Restore,
}

impl Recovery {
    fn as_str(self) -> &'static str {
        match self {
            Recovery::Nothing => "NOTHING TO DO",
            Recovery::FixForward => "FIX FORWARD",
            Recovery::Undo => "UNDO",
            Recovery::Restore => "RESTORE",
        }
    }
}

/// The way, why, and the commands in their order.
struct Decision {
    way: Recovery,
    reason: String,
    commands: Vec<String>,
}

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// Also rehearse on a copy of the database whether what is pending can complete
    #[arg(long)]
    rehearse: bool,
}

/// What is known beside the tables.
struct DecisionFacts {
    /// Why the last change failed, where it did.
    failed: Option<String>,
    release: String,
    /// The newest backup that was read to its end.
    backup: Option<KeptBackup>,
    /// Why the way down is not known to be right.
    untried: Option<String>,
}

/// Looks at everything and changes nothing but a copy.
pub(crate) async fn decide(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    let current = document
        .as_ref()
        .and_then(|document| document.current.clone());
    let known = DecisionFacts {
        failed: last_failure(&session).await?,
        release: job
            .release
            .clone()
            .or(current)
            .unwrap_or_else(|| "RELEASE".to_owned()),
        backup: document
            .as_ref()
            .and_then(|document| document.backup.clone()),
        untried: migrator::way_down(&session, document.as_ref(), &truth, None).await?,
    };
    let mut decision = match Interrupted::find(&session).await? {
        Some((_, interrupted)) => Decision {
            way: Recovery::Restore,
            reason: interrupted.describe_state(&session).await?,
            commands: vec!["migrate resume".to_owned()],
        },
        None => choose(&session, &truth, &known),
    };
    let mut tried = None;
    if flags.rehearse && decision.way == Recovery::FixForward && !truth.reading.pending.is_empty() {
        let report = Box::pin(rehearse::run(job, &rehearse::Flags::default())).await?;
        let outcome = Outcome::new("migrate/tried", "a copy of the database", report.verdict);
        tried = Some(
            outcome
                .severity(Severity::Advisory)
                .reason(report.reason.clone()),
        );
        if report.verdict == Verdict::Fail {
            decision.reason = format!(
                "{}; on a copy it cannot complete: {}",
                decision.reason, report.reason
            );
            decision
                .commands
                .insert(0, "correct the migration's file".to_owned());
        }
    }
    let verdict = match decision.way {
        Recovery::Nothing => Verdict::Pass,
        _ => Verdict::Fail,
    };
    let mut outcomes = vec![
        Outcome::new("migrate/decision", decision.way.as_str(), verdict)
            .expected("every migration is applied and nothing is wrong")
            .actual(decision.way.as_str())
            .reason(decision.reason.clone())
            .hint(decision.commands.first().cloned().unwrap_or_default()),
    ];
    outcomes.extend(tried);
    outcomes.extend(known.backup.as_ref().map(|backup| {
        let lost = "all that was written since is lost where it is restored";
        Outcome::pass("migrate/backup", &backup.path)
            .actual(format!("{} of {:.0}; {lost}", backup.id, backup.taken))
    }));
    outcomes.extend(truth.wrong().into_iter().map(|outcome| Outcome {
        severity: Severity::Advisory,
        ..outcome
    }));
    let mut report = session.report(outcomes);
    report.headline = Some(format!("{}: {}", decision.way.as_str(), decision.reason));
    if !decision.commands.is_empty() {
        report.tables.push(Table {
            title: "What to do, in this order".to_owned(),
            header: vec!["step", "command"],
            rows: (1..)
                .zip(&decision.commands)
                .map(|(nth, command): (u32, _)| vec![nth.to_string(), command.clone()])
                .collect(),
            only_in_summary: false,
        });
    }
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

fn choose(session: &Session<'_>, truth: &SchemaState, known: &DecisionFacts) -> Decision {
    let reading = &truth.reading;
    let run = format!("migrate run --release {}", known.release);
    if truth.is_at_head() {
        return Decision {
            way: Recovery::Nothing,
            reason: "every migration is applied and nothing is wrong".to_owned(),
            commands: Vec::new(),
        };
    }
    let half = reading
        .findings
        .iter()
        .find(|one| matches!(one.kind, FindingKind::Failed { .. }));
    if let Some(half) = half {
        return half_applied(session, truth, known, half, run);
    }
    let locked = reading
        .findings
        .iter()
        .any(|one| matches!(one.kind, FindingKind::Locked { .. }));
    let repairs = !truth.invalid.is_empty() || locked;
    let mut commands: Vec<String> = Vec::new();
    if repairs {
        commands.push("migrate repair".to_owned());
    }
    let pending = reading.pending.len();
    if truth.is_clean() || repairs {
        let reason = match &known.failed {
            Some(failed) if session.leaves_nothing(reading) => {
                format!("nothing is half applied; pending: {pending}; the last attempt: {failed}")
            }
            Some(failed) => {
                let first = reading.pending.first().map_or("", String::as_str);
                let look = "see which of its statements are done (`migrate plan` shows them), and take them back or out of the file";
                commands.push(look.to_owned());
                format!(
                    "a part of {first} may be applied, for it does not run in a transaction; the last attempt: {failed}"
                )
            }
            None if pending == 0 => "what a failed migration left has to be removed".to_owned(),
            None => format!("pending: {pending}"),
        };
        if pending > 0 {
            commands.push(run);
        }
        return Decision {
            way: Recovery::FixForward,
            reason,
            commands,
        };
    }
    let findings = reading
        .findings
        .iter()
        .filter(|finding| !finding.kind.is_work());
    let findings: Vec<_> = findings.collect();
    let reasons: Vec<String> = findings.iter().map(ToString::to_string).collect();
    commands.extend(findings.iter().map(|finding| finding.next.clone()));
    Decision {
        way: Recovery::FixForward,
        reason: reasons.join("; "),
        commands,
    }
}

/// The tool says that one was begun and did not end: back by its own way where that was tried, else by the
/// backup, else by hand.
fn half_applied(
    session: &Session<'_>,
    truth: &SchemaState,
    known: &DecisionFacts,
    half: &Finding,
    run: String,
) -> Decision {
    let can_undo = session.tool.undo(&truth.reading, None).is_ok();
    let release = &known.release;
    match (&known.untried, &known.backup) {
        (None, _) if can_undo => Decision {
            way: Recovery::Undo,
            reason: format!("{half}; its way down was rehearsed"),
            commands: vec!["migrate undo".to_owned(), run],
        },
        (_, Some(backup)) => Decision {
            way: Recovery::Restore,
            reason: format!(
                "{half}; {}",
                known
                    .untried
                    .as_deref()
                    .unwrap_or("the tool has no way down")
            ),
            commands: vec![
                match session.system() {
                    System::Postgres => {
                        format!("migrate restore --backup {} --confirm {release}", backup.id)
                    }
                    System::MySql => format!(
                        "stop the service, and restore by hand: `{}`",
                        by_hand(session.database.address.database_name(), &backup.path)
                    ),
                },
                run,
            ],
        },
        (_, None) => Decision {
            way: Recovery::FixForward,
            reason: format!("{half}; no backup is recorded"),
            commands: vec![half.next.clone(), run],
        },
    }
}
