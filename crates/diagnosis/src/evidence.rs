//! What the lines of a failed step say of the stage.

use crate::dockerfile;
use crate::log::StepLog;
use model::failed_run::Stage;

/// Parts of lines that one kind of failure writes, in lower case; a line with all words of a row has
/// it. What is more particular comes first.
const SIGNS: &[(&[&str], Stage)] = &[
    // Migration tools.
    (&["alembic.util"], Stage::Migration),
    (&["alembic.script"], Stage::Migration),
    (&["can't locate revision"], Stage::Migration),
    (&["multiple head revisions"], Stage::Migration),
    (&["django.db.migrations"], Stage::Migration),
    // A file of it in a traceback.
    (&["django/db/migrations/"], Stage::Migration),
    (&["conflicting migrations detected"], Stage::Migration),
    (&["migration file", "failed"], Stage::Migration),
    (&["migration failed"], Stage::Migration),
    (&["migrations failed"], Stage::Migration),
    (&["flywayexception"], Stage::Migration),
    (&["flyway", "validate failed"], Stage::Migration),
    (&["error: p3"], Stage::Migration),
    (&["dirty database version"], Stage::Migration),
    (&["activerecord::", "migration"], Stage::Migration),
    (
        &["standarderror: an error has occurred, this and all later migrations canceled"],
        Stage::Migration,
    ),
    (&["liquibaseexception"], Stage::Migration),
    // Registries.
    (&["failed to push"], Stage::Image),
    (&["push access denied"], Stage::Image),
    (&["docker pull failed"], Stage::Image),
    (&["response from daemon: denied"], Stage::Image),
    (&["pull access denied"], Stage::Image),
    (
        &["denied: requested access to the resource is denied"],
        Stage::Image,
    ),
    (&["denied: permission_denied"], Stage::Image),
    (&["denied: installation not allowed"], Stage::Image),
    (&["manifest unknown"], Stage::Image),
    (&["manifest for", "not found"], Stage::Image),
    (&["no basic auth credentials"], Stage::Image),
    (&["unauthorized: authentication required"], Stage::Image),
    (
        &["unauthorized: incorrect username or password"],
        Stage::Image,
    ),
    (&["toomanyrequests"], Stage::Image),
    // Tests.
    (&["short test summary info"], Stage::Test),
    (&["test suites:", "failed"], Stage::Test),
    (&["tests:", "failed,"], Stage::Test),
    (&["test result: failed"], Stage::Test),
    (&["--- fail:"], Stage::Test),
    (&["npm err! test failed"], Stage::Test),
    (&["there are test failures"], Stage::Test),
    (&["there were failing tests"], Stage::Test),
    (&["failures!!!"], Stage::Test),
    (&["eslint", "problems"], Stage::Test),
    // Requests after a deployment.
    (&["smoke test", "fail"], Stage::Smoke),
    // Whether it is up.
    (&["is unhealthy"], Stage::Health),
    (&["health check", "fail"], Stage::Health),
    (&["health checks failed"], Stage::Health),
    (&["failed elb health checks"], Stage::Health),
    (&["readiness probe failed"], Stage::Health),
    (&["liveness probe failed"], Stage::Health),
    (&["did not become healthy"], Stage::Health),
    // What changes what runs.
    (&["rollback failed"], Stage::Rollback),
    (&["servicesstable"], Stage::Deploy),
    (&["deployment", "progress deadline"], Stage::Deploy),
    (&["timed out waiting for the condition"], Stage::Deploy),
    (&["upgrade failed"], Stage::Deploy),
    (&["unreachable=1"], Stage::Deploy),
    (&["permission denied (publickey"], Stage::Deploy),
    (&["host key verification failed"], Stage::Deploy),
    (&["ssh: handshake failed"], Stage::Deploy),
    (&["ssh: connect to host"], Stage::Deploy),
    (&["deployment failed"], Stage::Deploy),
    // Compilers.
    (&["error ts"], Stage::Build),
    (&["error[e0"], Stage::Build),
    (&["could not compile"], Stage::Build),
    (&["compilation failed"], Stage::Build),
    (&["failed to compile"], Stage::Build),
    (&["compilation error"], Stage::Build),
    (&["module not found: "], Stage::Build),
    (&["failed to solve"], Stage::Build),
    (&["error building image"], Stage::Build),
    (&["returned a non-zero code"], Stage::Build),
];

/// Our own stages, by the first line of what each prints: `✗ healthgate: fail · shop · v3`; and the
/// parts of `run`: `✗ run/deploy  v3`.
const OURS: &[(&str, Stage)] = &[
    ("preflight", Stage::Deploy),
    ("runner-check", Stage::Deploy),
    ("deploy", Stage::Deploy),
    ("traffic", Stage::Deploy),
    ("record", Stage::Deploy),
    ("migrate", Stage::Migration),
    ("healthgate", Stage::Health),
    ("rollback", Stage::Rollback),
];

const VERDICTS: [&str; 5] = ["fail", "error", "inconclusive", "refused", "partial"];

/// The stage of ours that did not pass.
fn of_us(line: &str) -> Option<Stage> {
    let (mark, rest) = line.trim().split_once(' ')?;
    let is_mark = mark.chars().count() == 1 && !mark.starts_with(|c: char| c.is_alphanumeric());
    if !is_mark || matches!(mark, "✓" | "-") {
        return None;
    }
    let name = match rest.split_once(": ") {
        Some((name, verdict)) => {
            let verdict = verdict.split_whitespace().next()?;
            VERDICTS.contains(&verdict).then_some(name)?
        }
        None => rest.strip_prefix("run/")?.split_whitespace().next()?,
    };
    OURS.iter()
        .find(|(ours, _)| *ours == name)
        .map(|(_, stage)| *stage)
}

/// What Kaniko says of a step of a Dockerfile that failed; it does not number them.
const KANIKO: &str = "error building stage: failed to execute command";

/// Whether a step of a Dockerfile failed. A push that fails is none: it ends a build that went well, with the words of one
/// that did not.
pub(crate) fn has_failed_instruction(log: &StepLog) -> bool {
    dockerfile::failed_step(log.texts()).is_some() || log.texts().any(|line| line.contains(KANIKO))
}

/// The stage that the log of a step speaks of, if it does, and if no step of a Dockerfile failed.
pub(crate) fn stage(log: &StepLog) -> Option<Stage> {
    if let Some(stage) = log.texts().find_map(of_us) {
        return Some(stage);
    }
    let lines: Vec<String> = log.texts().map(str::to_lowercase).collect();
    let says = |words: &[&str]| {
        let has_all = |line: &String| words.iter().all(|word| line.contains(word));
        lines.iter().any(has_all)
    };
    let signs = SIGNS.iter().find(|(words, _)| says(words));
    match signs.map(|(_, stage)| *stage) {
        // Their words are more particular than a number of tests.
        Some(stage @ (Stage::Migration | Stage::Image)) => Some(stage),
        _ if lines.iter().any(|line| counts_failed_tests(line)) => Some(Stage::Test),
        stage => stage,
    }
}

/// The line with which a test runner ends, in lower case: `1 failing` of Mocha, `10 examples, 1 failure` of RSpec,
/// `test files  1 failed | 3 passed (4)` of Vitest.
fn counts_failed_tests(line: &str) -> bool {
    let words: Vec<&str> = line
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let counts = |nouns: &[&str]| {
        let mut pairs = words.windows(2);
        pairs.any(|pair| {
            nouns.contains(&pair[1]) && pair[0].parse().is_ok_and(|count: u32| count > 0)
        })
    };
    match words[..] {
        [_, "failing"] => counts(&["failing"]),
        [_, "example" | "examples", ..] => counts(&["failure", "failures"]),
        ["test", "files", ..] => counts(&["failed"]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_runner_counts_the_tests_that_failed() {
        for (line, expected) in [
            ("  1 failing", true),
            ("  0 failing", false),
            ("the health check is failing", false),
            ("10 examples, 1 failure", true),
            ("1 example, 1 failure, 1 pending", true),
            ("10 examples, 0 failures", false),
            (" test files  1 failed | 3 passed (4)", true),
            (" test files  4 passed (4)", false),
            ("", false),
        ] {
            assert_eq!(counts_failed_tests(line), expected, "{line}");
        }
    }

    #[test]
    fn our_own_output_is_known_by_its_first_lines() {
        assert_eq!(of_us("✗ healthgate: fail · shop · v3"), Some(Stage::Health));
        assert_eq!(of_us("? healthgate: inconclusive"), Some(Stage::Health));
        assert_eq!(of_us("✓ healthgate: pass · shop"), None);
        assert_eq!(of_us("  ✗ run/deploy  v3"), Some(Stage::Deploy));
        assert_eq!(of_us("  ✓ run/deploy  v3"), None);
        assert_eq!(of_us("✗ rollback: partial · shop"), Some(Stage::Rollback));
        assert_eq!(of_us("a healthgate: fail"), None);
        assert_eq!(of_us("- healthgate: failing again"), None);
        assert_eq!(of_us("✗"), None);
    }
}
