//! Values for later steps, in the form of `$GITHUB_OUTPUT`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{ExitCode, Report};

use crate::command::token;

/// What a report gives to later steps: `verdict`, `exit-code`, `reason`, `score`, `release`, `report`
/// and the stage's own values. `report_file` is where the JSON was written.
///
/// The runner drops a value in which it finds a mask, without a word. The report is redacted
/// before it comes here, but every line of a secret is a mask, and a secret that is JSON makes one
/// of `[` or `{`. A value that `masked` says would be dropped is therefore also given as
/// `NAME-base64` (URL-safe, no padding), in which no such line can be found.
pub fn outputs(
    report: &Report,
    code: ExitCode,
    report_file: Option<&str>,
    masked: impl Fn(&str) -> bool,
) -> String {
    let mut values = vec![
        ("verdict".to_owned(), report.verdict.to_string()),
        ("exit-code".to_owned(), code.code().to_string()),
        ("reason".to_owned(), report.reason.clone()),
        (
            "score".to_owned(),
            report
                .score
                .map(|score| score.to_string())
                .unwrap_or_default(),
        ),
        (
            "release".to_owned(),
            report.release.clone().unwrap_or_default(),
        ),
        (
            "report".to_owned(),
            report_file.unwrap_or_default().to_owned(),
        ),
    ];
    values.extend(report.outputs.iter().cloned());
    let encoded: Vec<(String, String)> = values
        .iter()
        .filter(|(_, value)| masked(value))
        .map(|(name, value)| (format!("{name}-base64"), URL_SAFE_NO_PAD.encode(value)))
        .collect();
    values.extend(encoded);
    let mut text = String::new();
    for (name, value) in values {
        let delimiter = token();
        let _ = writeln!(text, "{name}<<{delimiter}\n{value}\n{delimiter}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_line_breaks_cannot_end_its_own_block() {
        let mut report = Report::from_outcomes("x", jiff::Timestamp::UNIX_EPOCH, Vec::new());
        report.release = Some("v1\nghadelimiter\nverdict=pass".into());
        let text = outputs(&report, ExitCode::Pass, None, |_| false);
        let start = text.find("release<<").map(|at| &text[at + 9..]);
        let (delimiter, rest) = start
            .and_then(|text| text.split_once('\n'))
            .unwrap_or_default();
        assert_eq!(delimiter.len(), 32);
        assert!(rest.starts_with(&format!("v1\nghadelimiter\nverdict=pass\n{delimiter}\n")));
    }
}
