//! The report of a stage that will run again.

use std::path::Path;

use cli::Failure;
use model::report::v1;

/// A report of ten thousand outcomes is smaller.
const MAX_REPORT: u64 = 64 << 20;
/// What is wrong with a report may repeat a part of it.
const MAX_REASON: usize = 300;
/// The stages that can be run again, and which of their commands change something.
const STAGES: [(&str, ChangesState); 6] = [
    ("preflight", ChangesState::Never),
    ("runner-check", ChangesState::ByCommand),
    ("healthgate", ChangesState::Never),
    ("rollback", ChangesState::UnlessItLooks),
    ("traffic", ChangesState::UnlessItLooks),
    ("run", ChangesState::Always),
];

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
    match STAGES.iter().find(|(name, _)| *name == stage) {
        Some((_, ChangesState::Never)) => false,
        Some((_, ChangesState::ByCommand)) => looks == Some(false),
        Some((_, ChangesState::UnlessItLooks)) => looks != Some(true),
        Some((_, ChangesState::Always)) | None => true,
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
    if !STAGES.iter().any(|(name, _)| *name == report.stage) {
        return Err(refuse(format!(
            "the stage `{}` cannot be run again",
            report.stage
        )));
    }
    if report.inputs.is_none() {
        return Err(refuse(
            "it does not say what the stage was given: an older version wrote it".to_owned(),
        ));
    }
    Ok(report)
}
