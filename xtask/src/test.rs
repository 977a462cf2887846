//! `cargo xtask test`: every step in turn, the cheap ones first. Nothing is skipped.

use std::time::Instant;

use crate::changed::Affected;
use crate::command::{Failure, cargo, root, run};
use crate::{generate, lint, setup};

type Step = (&'static str, fn(&Affected) -> Result<(), Failure>);

// The lints come before the tests, so that the last thing in the output of a good run is what
// the tests said, then the list of steps.
const STEPS: [Step; 12] = [
    ("set-up", |_| setup::install()),
    ("set-up from nothing", |_| setup::installable_from_nothing()),
    ("format", |_| run(cargo().args(["fmt", "--all", "--check"]))),
    ("shell scripts", |_| lint::shell()),
    ("workflows", |_| lint::workflows()),
    ("action security", |_| lint::security()),
    ("one TLS provider", |_| lint::one_tls_provider()),
    ("clippy", |_| {
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
    ("build", |_| {
        run(cargo().args(["test", "--workspace", "--locked", "--no-run"]))
    }),
    ("generated files", |_| generate::check_built()),
    ("tests", tests),
    ("examples in comments", |_| {
        run(cargo().args(["test", "--workspace", "--locked", "--doc"]))
    }),
];

/// How many of the slowest tests are named at the end.
const SLOWEST: usize = 15;

fn tests(affected: &Affected) -> Result<(), Failure> {
    let mut command = setup::cargo_tool::NEXTEST.command();
    // It builds every binary that a test starts.
    command.env("DEPLOY_GUARD_BUILT", "1");
    // docker-compose 1 then starts in half the time: it needs one class of distutils, and Debian's setuptools would
    // load itself in its place.
    command.env("SETUPTOOLS_USE_DISTUTILS", "stdlib");
    command.args(["run", "--workspace", "--locked"]);
    if let Some(filter) = affected.filter() {
        println!("only {filter}");
        // A package may have no tests of its own.
        command.args(["--no-tests=pass", "--filterset", &filter]);
    }
    let ran = run(&mut command);
    // Also after a failure: a test that timed out is among them.
    match slowest() {
        Ok(slowest) => {
            println!("the slowest tests:");
            for (seconds, name) in slowest {
                println!("{seconds:>8.1} s  {name}");
            }
        }
        Err(failure) => println!(
            "which tests were the slowest is not known: {}",
            failure.what
        ),
    }
    ran
}

/// The slowest tests of the last run, each with the seconds that it took.
fn slowest() -> Result<Vec<(f64, String)>, Failure> {
    // nextest keeps its results beside the workspace, wherever cargo builds.
    let path = root().join("target/nextest/default/junit.xml");
    let told = |error: &dyn std::fmt::Display| {
        Failure::new(format!("failed to read {}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(&path).map_err(|error| told(&error))?;
    let document = roxmltree::Document::parse(&text).map_err(|error| told(&error))?;
    let cases = document
        .descendants()
        .filter(|node| node.has_tag_name("testcase"));
    let mut all: Vec<(f64, String)> = cases
        .filter_map(|case| {
            let seconds = case.attribute("time")?.parse().ok()?;
            let (class, name) = (case.attribute("classname")?, case.attribute("name")?);
            Some((seconds, format!("{class} {name}")))
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.truncate(SLOWEST);
    Ok(all)
}

pub(crate) fn everything(affected: &Affected) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut times = Vec::new();
    for (name, step) in STEPS {
        println!("==> {name}");
        let started = Instant::now();
        step(affected).map_err(|failure| Failure {
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
