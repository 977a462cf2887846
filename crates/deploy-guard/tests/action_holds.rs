//! The Action's promises for a long summary and for a cancelled job, with the real binary.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::job::Job;
use testkit::wait_until;

/// A step of the workflow run of this number, with this configuration.
fn step(job: &Job, run: &str, inputs: &[(&str, &str)]) -> Command {
    let program = testkit::bin_path("deploy-guard");
    let folder = program.parent().unwrap().display().to_string();
    let mut command = job.command(&[&[("BIN_DIR", folder.as_str())], inputs].concat());
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_RUN_ID", run)
        .env("GITHUB_RUN_ATTEMPT", "1")
        .env("GITHUB_STEP_SUMMARY", job.path("summary"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn ends(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn three_megabytes_of_outcomes_arrive_as_a_summary_with_head_tail_and_a_note() {
    let job = Job::new();
    let name = "a-shard-of-a-service-with-a-long-name-".repeat(3);
    let probes: Vec<_> = (0..5500)
        .map(|n| format!("    - {{ name: {name}{n:04}, address: '127.0.0.1:1' }}\n"))
        .collect();
    let config = format!(
        "version: 1\nservice: shop\nhealthgate:\n  policy: {{ interval: 50ms, failure-limit: 0, deadline: 5m }}\n  tcp:\n{}",
        probes.concat()
    );
    fs::write(job.path("deploy-guard.yml"), config).unwrap();
    let report = job.path("report.json");
    let mut gate = step(&job, "1", &[("STAGE", "healthgate")]);
    ends(gate.env("DEPLOY_GUARD_REPORT", &report), 1);
    assert!(fs::metadata(&report).unwrap().len() > 3_000_000);
    let summary = fs::read_to_string(job.path("summary")).unwrap();
    assert!(summary.len() < 1_000_000, "{}", summary.len());
    let (head, tail) = (&summary[..200], &summary[summary.len() - 200..]);
    assert!(head.contains("healthgate: fail"), "{head}");
    assert!(
        summary.contains("more in the report: "),
        "what was left out"
    );
    assert!(tail.contains("deploy-guard 0.1.0</sub>"), "{tail}");
}

#[test]
fn a_summary_that_an_earlier_command_of_the_step_filled_is_cut_in_its_middle() {
    let job = Job::new();
    let rows: Vec<_> = (0..30_000)
        .map(|n| format!("| row {n:06} | {} |\n", "x".repeat(90)))
        .collect();
    let text = format!("## migrations\n\n| a | b |\n|---|---|\n{}\n", rows.concat());
    assert!(text.len() > 3_000_000);
    fs::write(job.path("summary"), text).unwrap();
    let gate = [
        ("STAGE", "healthgate"),
        (
            "ARGS",
            "--http\nhttp://127.0.0.1:1\n--status\n200\n--interval\n100ms\n--deadline\n1s",
        ),
    ];
    ends(&mut step(&job, "1", &gate), 1);
    let summary = fs::read_to_string(job.path("summary")).unwrap();
    assert!(summary.len() < 1_000_000, "{}", summary.len());
    assert!(summary.starts_with("## migrations\n\n| a | b |\n|---|---|\n| row 000000 |"));
    assert!(summary.contains(" bytes cut here: "), "no note");
    let tail = &summary[summary.len() - 3000..];
    assert!(
        tail.contains("healthgate: fail") && tail.contains("</sub>"),
        "{tail}"
    );
}

/// A service whose switch can be made to hang; v1 is good and v2 is live.
fn service() -> Job {
    let job = Job::new();
    let config = "version: 1\nservice: shop\nhealthgate:\n  policy: { interval: 20ms, success-threshold: 1, deadline: 5s }\n  \
                  command: [{ name: live, run: 'grep -q v1 live' }]\nrollback:\n  state: state.json\n  \
                  command: { run: ./switch.sh, current: cat live }\n";
    fs::write(job.path("deploy-guard.yml"), config).unwrap();
    let switch =
        "if [ -f slow ]; then rm slow; touch begun; sleep 20; fi\nprintf %s \"$RELEASE\" >live\n";
    fs::write(job.path("switch.sh"), format!("#!/bin/sh\n{switch}")).unwrap();
    let chmod = Command::new("chmod")
        .arg("+x")
        .arg(job.path("switch.sh"))
        .status();
    assert!(chmod.unwrap().success());
    for (release, args) in [("v1", "record"), ("v2", "record\n--pending")] {
        fs::write(job.path("live"), release).unwrap();
        ends(
            &mut step(
                &job,
                "1",
                &[("STAGE", "rollback"), ("RELEASE", release), ("ARGS", args)],
            ),
            0,
        );
    }
    job
}

/// A rollback of run 1 in the middle of its switch.
fn hanging(job: &Job) -> Child {
    fs::write(job.path("slow"), "").unwrap();
    let mut command = step(job, "1", &[("STAGE", "rollback")]);
    let child = command.process_group(0).spawn().unwrap();
    assert!(wait_until(Duration::from_secs(30), || job
        .path("begun")
        .exists()));
    child
}

fn signal(name: &str, target: &str) {
    let status = Command::new("kill")
        .args(["-s", name, "--", target])
        .status();
    assert!(status.unwrap().success());
}

fn lock(job: &Job) -> serde_json::Value {
    let state: serde_json::Value =
        serde_json::from_slice(&fs::read(job.path("state.json")).unwrap()).unwrap();
    state["lock"].clone()
}

/// The next run rolls back by itself: no unlocking, no waiting for the lock to expire.
fn next_run_succeeds(job: &Job) {
    let begun = Instant::now();
    ends(&mut step(job, "2", &[("STAGE", "rollback")]), 0);
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "it waited for the lock"
    );
    assert_eq!(fs::read_to_string(job.path("live")).unwrap(), "v1");
    assert!(lock(job).is_null(), "{}", lock(job));
}

/// As the runner cancels: SIGINT to the step's shell alone, and 7.5 s until it grows impatient.
#[test]
fn a_cancelled_job_leaves_no_lock_that_the_next_run_would_wait_for() {
    let job = service();
    let child = hanging(&job);
    let asked = Instant::now();
    signal("INT", &child.id().to_string());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(
        asked.elapsed() < Duration::from_millis(7500),
        "{:?}",
        asked.elapsed()
    );
    next_run_succeeds(&job);
}

#[test]
fn a_job_that_was_killed_leaves_a_lock_that_the_next_run_takes_over() {
    let job = service();
    let mut child = hanging(&job);
    let gate = Command::new("pgrep")
        .args(["-P", &child.id().to_string(), "-x", "deploy-guard"])
        .output()
        .unwrap();
    let stage = String::from_utf8(gate.stdout).unwrap().trim().to_owned();
    signal("KILL", &format!("-{}", child.id()));
    child.wait().unwrap();
    assert!(wait_until(Duration::from_secs(5), || {
        !std::path::Path::new(&format!("/proc/{stage}")).exists()
    }));
    assert!(
        !lock(&job).is_null(),
        "it was killed while it held the lock"
    );
    next_run_succeeds(&job);
}
