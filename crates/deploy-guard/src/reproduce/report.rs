//! The report of a stage that will run again.

use std::path::Path;

use cli::Failure;
use model::StageName;
use model::report::v1;

/// A report of ten thousand outcomes is smaller.
const MAX_REPORT: u64 = 64 << 20;
/// What is wrong with a report may repeat a part of it.
const MAX_REASON: usize = 300;
/// Commands of the stages that only look.
const LOOKS: [&str; 5] = ["status", "history", "plan", "decide", "list"];

#[derive(Clone, Copy)]
enum ChangesState {
    Never,
    /// The stage itself only looks; its commands may not.
    ByCommand,
    UnlessItLooks,
    Always,
}

/// Whether a command of a stage changes something, so that it is only run dry. What is not known changes something.
pub(super) fn changes(stage: &str, command: Option<&str>) -> bool {
    let looks = command.map(|command| LOOKS.contains(&command));
    match again(stage) {
        Some(ChangesState::Never) => false,
        Some(ChangesState::ByCommand) => looks == Some(false),
        Some(ChangesState::UnlessItLooks) => looks != Some(true),
        Some(ChangesState::Always) | None => true,
    }
}

/// Which commands of a stage change something; `None` for what cannot be run again.
fn again(stage: &str) -> Option<ChangesState> {
    match StageName::of(stage)? {
        StageName::Preflight | StageName::Healthgate => Some(ChangesState::Never),
        StageName::RunnerCheck => Some(ChangesState::ByCommand),
        StageName::Rollback | StageName::Traffic => Some(ChangesState::UnlessItLooks),
        StageName::Run => Some(ChangesState::Always),
        StageName::Migrate
        | StageName::Incident
        | StageName::Record
        | StageName::Doctor
        | StageName::Reproduce => None,
    }
}

pub(super) fn read(path: &Path) -> Result<v1::Report, Failure> {
    let shown = path.display();
    let refuse = |why: String| {
        let why = cli::cut(&why, MAX_REASON);
        Failure::usage(format!("failed to read the report {shown}: {why}"))
            .hint("name a file that a stage wrote with `--report FILE`")
    };
    let bytes = files::read(path, MAX_REPORT).map_err(|error| refuse(error.to_string()))?;
    let report: v1::Report =
        serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
    if report.schema != v1::SCHEMA {
        return Err(refuse(format!(
            "its schema is `{}`, not `{}`",
            report.schema,
            v1::SCHEMA
        )));
    }
    if again(&report.stage).is_none() {
        return Err(refuse(format!(
            "the stage `{}` cannot be run again",
            report.stage
        )));
    }
    if report.inputs.is_none() {
        return Err(refuse(
            "it does not list the inputs of the stage: an older version wrote it".to_owned(),
        ));
    }
    Ok(report)
}
