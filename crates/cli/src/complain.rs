//! A stage that could not give a report tells why: on stderr, and in a workflow also as an annotation,
//! at the line of the configuration that is wrong, and in the step's summary.

use std::io::Write as _;
use std::path::Path;

use model::{Env, ExitCode, Redactor, Report};

use crate::failure::Failure;
use crate::{Publisher, publish, text};

/// Who writes the section of the summary. There is one, whatever happens.
#[derive(Clone, Copy)]
pub(crate) enum Section<'a> {
    /// Nothing was begun, so it is what `$GITHUB_STEP_SUMMARY` gets.
    Alone,
    /// The stages before have written already.
    With(&'a Publisher),
    /// A report follows, which has it.
    Follows,
}

/// The error, its causes and the hint, once.
pub(crate) fn complain(
    stage: &str,
    failure: &Failure,
    redactor: &Redactor,
    env: &Env,
    section: Section<'_>,
) -> ExitCode {
    let chain = redactor.redact(&text::plain(&failure.chain(), 0));
    let hint = failure.hint.as_ref();
    let hint = hint.map(|hint| redactor.redact(&text::plain(hint, 6)));
    let mut text = format!("error: {chain}\n");
    if let Some(hint) = &hint {
        text.push_str(&format!("\nhint: {hint}\n"));
    }
    // A closed stream changes nothing.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    annotate(stage, &chain, hint.as_deref(), failure, env, section);
    if !matches!(section, Section::Follows) {
        outputs(stage, &chain, failure.code, env, |text| {
            redactor.masks(text)
        });
    }
    failure.code
}

/// What a usage error of the command line prints, in a workflow.
pub(crate) fn usage(stage: &str, text: &str, env: &Env) {
    let message = text.trim().trim_start_matches("error: ");
    let (message, hint) = message.split_once("\n\n").unwrap_or((message, ""));
    let failure = Failure::usage(message.to_owned());
    let hint = Some(hint.trim()).filter(|hint| !hint.is_empty());
    annotate(stage, message, hint, &failure, env, Section::Alone);
    outputs(stage, message, failure.code, env, |_| false);
}

/// What later steps read: the verdict and the reason, as of a stage that has a report.
fn outputs(stage: &str, chain: &str, code: ExitCode, env: &Env, masked: impl Fn(&str) -> bool) {
    // As for the summary: elsewhere the variable may name any file.
    let file = env.non_empty("GITHUB_OUTPUT");
    let Some(path) = file.filter(|_| in_actions(env)) else {
        return;
    };
    let mut report = Report::from_outcomes(stage, jiff::Timestamp::now(), Vec::new());
    report.verdict = code.verdict();
    report.reason = chain.lines().next().unwrap_or_default().to_owned();
    let text = actions::output::outputs(&report, code, None, masked);
    publish::append(Path::new(path), &text);
}

fn in_actions(env: &Env) -> bool {
    env.get("GITHUB_ACTIONS") == Some("true")
}

/// The annotation and the section.
fn annotate(
    stage: &str,
    chain: &str,
    hint: Option<&str>,
    failure: &Failure,
    env: &Env,
    section: Section<'_>,
) {
    let title = format!("{stage}: {}", failure.code.meaning());
    let in_actions = in_actions(env);
    if in_actions {
        // The lines of the file around are for the log; an annotation is shown at its line.
        let first = chain.lines().next().unwrap_or_default();
        let message = match hint {
            Some(hint) => format!("{first}\nhint: {hint}"),
            None => first.to_owned(),
        };
        let workspace = env.non_empty("GITHUB_WORKSPACE").map(Path::new);
        let place = failure.place.as_ref();
        let place = place.map(|place| {
            let file = crate::repository::in_repository(&place.file, workspace);
            (file, place.line, place.column)
        });
        let annotation = actions::command::error(&title, &message, place);
        let _ = std::io::stderr().lock().write_all(annotation.as_bytes());
    }
    let text = || actions::summary::failure(&title, chain, hint);
    match section {
        Section::Follows => {}
        Section::With(publisher) => publisher.broke_off(text()),
        // Elsewhere the variable may name a file of the user, such as the one that is refused here.
        Section::Alone if !in_actions => {}
        Section::Alone => {
            if let Some(summary) = env.non_empty("GITHUB_STEP_SUMMARY") {
                publish::append(Path::new(summary), &text());
            }
        }
    }
}
