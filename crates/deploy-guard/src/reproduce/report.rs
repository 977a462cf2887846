//! The report of a stage that will run again.

use std::path::Path;

use cli::Failure;
use model::report::v1;

/// A report of ten thousand outcomes is smaller.
const MAX_REPORT: u64 = 64 << 20;
/// What is wrong with a report may repeat a part of it.
const MAX_REASON: usize = 300;
/// The stages that can be run again.
const STAGES: [&str; 6] = [
    "preflight",
    "runner-check",
    "healthgate",
    "rollback",
    "traffic",
    "run",
];

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
    if !STAGES.contains(&report.stage.as_str()) {
        return Err(refuse(format!(
            "`{}` is no stage that can be run again",
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
