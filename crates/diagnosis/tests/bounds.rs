//! What comes from outside stays within its bounds, whatever it is.

use diagnosis::{Facts, StepLog, classify, error_lines};
use model::Redactor;
use proptest::prelude::*;

fn whole(text: &str, redactor: &Redactor) -> StepLog {
    StepLog::of(text, "Run ./x.sh", None, redactor)
}

#[test]
fn a_secret_is_nowhere_in_what_is_shown() {
    let redactor = Redactor::new([
        "canary-0123456789".to_owned(),
        "line one\nline two of it".to_owned(),
    ]);
    let log = "##[group]Run ./x.sh\n##[endgroup]\n\
        error: login with canary-0123456789 failed\n\
        error: canary-\u{1b}[31m0123456789\u{1b}[0m failed\n\
        error: Y2FuYXJ5LTAxMjM0NTY3ODk= failed\n\
        error: line one\n##[error]line two of it\n";
    let lines = error_lines(&whole(log, &redactor));
    let text = lines.join("\n");
    assert!(
        !text.contains("canary-") && !text.contains("0123456789"),
        "{text}"
    );
    assert!(
        !text.contains("Y2FuYXJ5") && !text.contains("line two"),
        "{text}"
    );
    assert!(text.contains("error: login with *** failed"), "{text}");
}

#[test]
fn of_many_lines_the_first_are_shown_and_of_long_ones_their_beginning() {
    let log: Vec<String> = (0..1000).map(|n| format!("error: number {n}")).collect();
    let lines = error_lines(&whole(&log.join("\n"), &Redactor::default()));
    assert_eq!(lines.len(), 10);
    assert_eq!(lines[0], "error: number 0");
    let log = format!("##[error]{}\n", "é".repeat(100_000));
    let lines = error_lines(&whole(&log, &Redactor::default()));
    assert_eq!(lines[0].chars().count(), 301);
    // What is repeated is shown once.
    let lines = error_lines(&whole(
        "error: a\nerror: a\n##[error]error: a\n",
        &Redactor::default(),
    ));
    assert_eq!(lines, ["error: a"]);
}

/// Each escape that a secret may hide behind is undone, also of a log that has all of them.
#[test]
fn a_long_log_with_every_escape_is_read_within_seconds_and_keeps_its_secrets() {
    let redactor = Redactor::new(["canary-0123456789".to_owned()]);
    let noise: String = (0..128_u8).map(char::from).collect();
    let log = noise.repeat(2000) + "\nerror: canary\\u002d0123456789 and canary%2d0123456789\n";
    let clock = std::time::Instant::now();
    let lines = error_lines(&whole(&log, &redactor));
    assert!(clock.elapsed().as_secs() < 12, "{:?}", clock.elapsed());
    let text = lines.join("\n");
    assert!(text.contains("error: *** and ***"), "{text}");
}

/// The clock of a runner of one's own may be wrong by hours.
#[test]
fn a_log_of_other_times_than_its_step_is_read_whole() {
    let log = "2026-11-21T07:00:00.0000000Z error: here\n";
    let from: jiff::Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
    let log = StepLog::of(
        log,
        "Run make",
        Some((from, Some(from))),
        &Redactor::default(),
    );
    assert_eq!(error_lines(&log), ["error: here"]);
}

/// A script may hold the words of an error; it is no error before it runs.
#[test]
fn what_the_runner_repeats_of_a_script_is_no_error() {
    let log = "##[group]Run test -f x || echo 'error: failed'\n\
        test -f x || echo 'error: failed'\nshell: bash\n##[endgroup]\nnothing here\n##[error]Process completed with exit code 1.\n";
    let lines = error_lines(&whole(log, &Redactor::default()));
    assert_eq!(
        lines,
        ["nothing here", "Process completed with exit code 1."]
    );
}

proptest! {
    #[test]
    fn no_log_is_too_odd(text in "(\\PC|[\u{0}-\u{20}\u{1b}\u{202e}#>\\[\\]/:|.])*", name in "\\PC{0,40}") {
        let redactor = Redactor::new(["s3cret-value".to_owned()]);
        let log = StepLog::of(&text, &name, None, &redactor);
        let lines = error_lines(&log);
        prop_assert!(lines.len() <= 10);
        prop_assert!(lines.iter().map(String::len).sum::<usize>() <= 4096);
        let shown = |c: char| c == '\t' || !c.is_control() && !model::text::is_bidi(c);
        prop_assert!(lines.iter().all(|line| line.chars().all(shown)));
        classify(&Facts { job: &name, step: Some(&text), runs: Some(&text), log: Some(&log) });
    }
}

#[test]
fn a_secret_at_the_end_of_a_line_joins_no_lines_and_one_over_two_lines_is_found() {
    let redactor = Redactor::new(["canary-0123456789".to_owned()]);
    let lines = error_lines(&whole(
        "error: with canary-0123456789\nerror: two\n",
        &redactor,
    ));
    assert_eq!(lines, ["error: with ***", "error: two"]);
    let lines = error_lines(&whole("error: with canary-0123\n456789 in it\n", &redactor));
    assert!(!lines.concat().contains("canary"), "{lines:?}");
}
