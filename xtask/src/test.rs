//! `cargo xtask test`: every step in turn, the cheap ones first. Nothing is skipped.

use std::time::Instant;

use crate::command::{Failure, cargo, run};
use crate::{generate, lint, setup};

type Step = (&'static str, fn() -> Result<(), Failure>);

// The lints come before the tests, so that the last thing in the output of a good run is what
// the tests said, then the list of steps.
const STEPS: [Step; 12] = [
    ("set-up", setup::install),
    ("set-up from nothing", setup::installable_from_nothing),
    ("format", || run(cargo().args(["fmt", "--all", "--check"]))),
    ("shell scripts", lint::shell),
    ("workflows", lint::workflows),
    ("action security", lint::security),
    ("one TLS provider", lint::one_tls_provider),
    ("clippy", || {
        run(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]))
    }),
    ("banned calls", lint::banned),
    ("build", || {
        run(cargo().args(["test", "--workspace", "--locked", "--no-run"]))
    }),
    ("generated files", generate::check_built),
    ("tests", || {
        run(cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]))
    }),
];

pub(crate) fn everything() -> Result<(), Failure> {
    let begun = Instant::now();
    let mut times = Vec::new();
    for (name, step) in STEPS {
        println!("==> {name}");
        let started = Instant::now();
        step().map_err(|failure| Failure {
            what: format!("{name}: {}", failure.what),
            ..failure
        })?;
        times.push((name, started.elapsed()));
    }
    println!();
    for (name, took) in &times {
        println!("{name:<20} ok {:>7.1} s", took.as_secs_f64());
    }
    let all = begun.elapsed().as_secs_f64();
    println!("everything passed: {} steps in {all:.1} s", times.len());
    Ok(())
}
