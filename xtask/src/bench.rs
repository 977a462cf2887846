//! `cargo xtask bench`: each figure beside a peer's, measured in turns in the same run, because
//! an absolute time says as much of the machine as of the program.

mod gate;
mod hosts;
mod judge;
mod migrate;
mod rollback;
mod traffic;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::command::{Failure, cargo, program, run, succeeds, target};
use crate::size;

/// One line of the table.
struct Figure {
    what: &'static str,
    ours: String,
    peer: String,
    ratio: Option<f64>,
}

pub(crate) fn all() -> Result<(), Failure> {
    crate::setup::peers()?;
    run(cargo().args([
        "build",
        "--release",
        "--workspace",
        "--bins",
        "--exclude",
        "xtask",
    ]))?;
    let mut figures = vec![start_up()?];
    figures.extend(sizes()?);
    figures.extend(hosts::figures(&binary("preflight"))?);
    figures.extend(gate::figures(&binary("healthgate"))?);
    figures.extend(rollback::figures(&binary("rollback"))?);
    figures.extend(traffic::figures(&binary("traffic"), traffic::RUNS)?);
    figures.extend(migrate::figures(&binary("migrate"), migrate::SECONDS)?);
    show(figures);
    size::check()
}

fn show(figures: Vec<Figure>) {
    println!(
        "\n{:<38} {:>12} {:>26} {:>7}",
        "figure", "ours", "peer", "ratio"
    );
    for Figure {
        what,
        ours,
        peer,
        ratio,
    } in figures
    {
        let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        println!("{what:<38} {ours:>12} {peer:>26} {ratio:>7}");
    }
}

/// `healthgate --version` against `curl --version`: what a step costs before it does anything.
fn start_up() -> Result<Figure, Failure> {
    const RUNS: usize = 50;
    let healthgate = binary("healthgate");
    let time = |program_path: PathBuf| {
        let mut command = program(&program_path);
        command.arg("--version");
        let started = Instant::now();
        if succeeds(&mut command) {
            return Ok(started.elapsed());
        }
        Err(Failure::new(format!(
            "{} did not run",
            program_path.display()
        )))
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turns, so that a busy moment of the machine falls on both. The first pair only warms up.
    for round in 0..=RUNS {
        let pair = (time(healthgate.clone())?, time("curl".into())?);
        if round > 0 {
            ours.push(pair.0);
            theirs.push(pair.1);
        }
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Ok(Figure {
        what: "start-up (healthgate --version)",
        ours: milliseconds(ours),
        peer: format!("curl {}", milliseconds(theirs)),
        ratio: Some(ours.as_secs_f64() / theirs.as_secs_f64()),
    })
}

/// The size of each binary, stripped as it would be released.
fn sizes() -> Result<Vec<Figure>, Failure> {
    [
        "deploy-guard",
        "preflight",
        "runner-check",
        "healthgate",
        "rollback",
        "traffic",
    ]
    .into_iter()
    .map(|name| {
        Ok(Figure {
            what: name,
            ours: size::of(&binary(name))?,
            peer: String::new(),
            ratio: None,
        })
    })
    .collect()
}

/// Logins at a hundred hosts with a binary that is built already.
pub(crate) fn hosts_with(preflight: &std::path::Path) -> Result<(), Failure> {
    crate::setup::peers()?;
    hosts::figures(preflight).map(show)
}

/// The gate's loop with a binary that is built already.
pub(crate) fn gate_with(healthgate: &std::path::Path) -> Result<(), Failure> {
    crate::setup::peers()?;
    gate::figures(healthgate).map(show)
}

/// Switches with a binary that is built already.
pub(crate) fn rollback_with(rollback: &std::path::Path) -> Result<(), Failure> {
    crate::setup::peers()?;
    rollback::figures(rollback).map(show)
}

/// Changes of shares with a binary that is built already, each so many times.
pub(crate) fn traffic_with(traffic: &std::path::Path, runs: Option<usize>) -> Result<(), Failure> {
    let runs = runs.unwrap_or(traffic::RUNS);
    if runs == 0 {
        return Err(Failure::new("no runs to measure".to_owned()));
    }
    crate::setup::peers()?;
    traffic::figures(traffic, runs).map(show)
}

/// What others wait during a migration with a binary that is built already, behind a reader that stays so long.
pub(crate) fn migrate_with(migrate: &std::path::Path, seconds: Option<u64>) -> Result<(), Failure> {
    migrate::figures(migrate, seconds.unwrap_or(migrate::SECONDS)).map(show)
}

/// Our judge of canaries beside others, each situation so many times.
pub(crate) fn judge_with(runs: usize) -> Result<(), Failure> {
    if runs == 0 {
        return Err(Failure::new("no runs to compare".to_owned()));
    }
    judge::compare(runs);
    Ok(())
}

fn binary(name: &str) -> PathBuf {
    target().join("release").join(name)
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(format!("the benchmark could not be set up: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_run_does_not_move_the_median() {
        let times = [5, 900, 4, 6, 5].map(Duration::from_millis);
        assert_eq!(median(times.to_vec()), Duration::from_millis(5));
    }
}
