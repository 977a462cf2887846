//! `action/run.sh` alone, with shell scripts as binaries that say what they were given.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::job::Job;
use predicates::prelude::*;
use predicates::str::contains;

#[test]
fn the_stage_is_handed_on_and_its_exit_code_is_the_steps() {
    for code in [0, 1, 2, 3, 4, 5, 6] {
        let job = Job::new().binary("deploy-guard", &format!("exit {code}"));
        job.run(&[("STAGE", "healthgate")]).code(code);
        assert_eq!(job.arguments(), ["[healthgate]"]);
    }
}

#[test]
fn a_single_binary_is_enough() {
    let job = Job::new().binary("preflight", "exit 1");
    job.run(&[("STAGE", "preflight"), ("ARGS", "--only\nhttp/ready")])
        .code(1);
    assert_eq!(job.arguments(), ["[--only]", "[http/ready]"]);
}

#[test]
fn arguments_are_one_a_line_and_mean_nothing_to_the_shell() {
    let job = Job::new().binary("deploy-guard", "");
    let args = "record\r\n\n--reason\n  a b 'c' \"d\" $(touch pwned) `id` * ; exit 9\n-n";
    job.run(&[("STAGE", "rollback"), ("ARGS", args)]).code(0);
    let expected = [
        "[rollback]",
        "[record]",
        "[--reason]",
        "[  a b 'c' \"d\" $(touch pwned) `id` * ; exit 9]",
        "[-n]",
    ];
    assert_eq!(job.arguments(), expected);
    assert!(!job.path("pwned").exists());
}

#[test]
fn inputs_reach_the_binary_as_they_are() {
    let job = Job::new().binary("deploy-guard", "");
    let release = "-v1' \"$(touch pwned)\" `id`\n::error::x\n";
    job.run(&[
        ("STAGE", "healthgate"),
        ("RELEASE", release),
        ("CONFIG", "a b.yml"),
        ("ENVIRONMENT", "--help"),
        ("GITHUB_TOKEN", "canary"),
    ])
    .code(0);
    let seen = job.seen();
    let line = format!("DEPLOY_GUARD_RELEASE={}\n", release.replace('\n', "~"));
    assert!(seen.contains(&line), "{seen}");
    assert!(seen.contains("DEPLOY_GUARD_CONFIG=a b.yml\n"));
    assert!(seen.contains("DEPLOY_GUARD_ENVIRONMENT=--help\n"));
    assert!(seen.contains("GITHUB_TOKEN=canary\n"));
    assert!(
        !seen.contains("INPUT_"),
        "no second copy of an input: {seen}"
    );
    assert!(!job.path("pwned").exists());
}

/// The system's bound is 128 KiB for a variable with its name, and the binary's names are longer.
#[test]
fn an_input_that_no_variable_holds_is_refused() {
    let job = Job::new().binary("deploy-guard", "");
    let long = "x".repeat(131_050);
    for (name, shown) in [
        ("RELEASE", "release"),
        ("CONFIG", "config"),
        ("ENVIRONMENT", "environment"),
    ] {
        job.run(&[("STAGE", "healthgate"), (name, &long)])
            .code(2)
            .stderr(contains(format!(
                "the input `{shown}` has 131050 characters"
            )));
    }
    assert_eq!(job.seen(), "", "nothing was started");
    // An argument of that length is one.
    job.run(&[("STAGE", "healthgate"), ("ARGS", &long)]).code(0);
    assert_eq!(job.arguments()[1].len(), long.len() + 2);
}

#[test]
fn a_binary_of_another_machine_is_refused() {
    let job = Job::new();
    let elf = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 57]].concat();
    fs::write(job.path("bin/deploy-guard"), elf).unwrap();
    let job = job.mode("deploy-guard", 0o755);
    for version in ["", "0.1.0"] {
        job.run(&[("STAGE", "run"), ("VERSION", version)])
            .code(2)
            .stderr(contains("built for"));
    }
    let outputs = job.outputs();
    assert_eq!(outputs["exit-code"], "2");
    assert_eq!(outputs["verdict"], "error");
    assert!(outputs["reason"].contains("does not tell its version"));
}

/// 1 would mean that the stage ran and failed.
#[test]
fn a_folder_that_cannot_be_written_is_no_answer_of_the_stage() {
    let job = Job::new().binary("deploy-guard", "");
    for variable in ["RUNNER_TEMP", "GITHUB_OUTPUT"] {
        let mut command = job.command(&[("STAGE", "healthgate")]);
        command.env(variable, "/proc/nowhere/x");
        if variable == "GITHUB_OUTPUT" {
            command.env("INPUT_STAGE", "none");
        }
        assert_cmd::Command::from_std(command)
            .assert()
            .code(4)
            .stdout("")
            .stderr(contains("the Action ended at").and(contains("::error title=deploy-guard::")));
    }
    assert_eq!(job.outputs()["exit-code"], "4");
    assert_eq!(job.outputs()["verdict"], "error");
    assert!(job.outputs()["reason"].starts_with("the Action ended at"));
    assert_eq!(job.seen(), "", "nothing was started");
}

#[test]
fn what_an_error_repeats_is_short_and_a_percent_stays_one() {
    let job = Job::new().binary("deploy-guard", "");
    let output = job
        .command(&[("STAGE", &"x".repeat(100_000))])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.len() < 4096, "{}", output.stderr.len());
    job.run(&[("STAGE", "run"), ("BIN_DIR", "50%")])
        .code(2)
        .stderr(contains("error: bin-dir `50%` is not a folder"))
        .stderr(contains("::bin-dir `50%25` is not a folder"));
}

#[test]
fn an_empty_input_leaves_the_jobs_own_variable_alone() {
    let job = Job::new().binary("deploy-guard", "");
    let mut command = job.command(&[("STAGE", "run"), ("RELEASE", ""), ("CONFIG", "")]);
    command
        .env("DEPLOY_GUARD_RELEASE", "v7")
        .env("DEPLOY_GUARD_REPORT", "mine.json");
    assert_cmd::Command::from_std(command).assert().code(0);
    let seen = job.seen();
    assert!(seen.contains("DEPLOY_GUARD_RELEASE=v7\n") && !seen.contains("DEPLOY_GUARD_CONFIG="));
    assert!(seen.contains("DEPLOY_GUARD_REPORT=mine.json\n"));
}

#[test]
fn rollback_runs_unless_told_otherwise() {
    let job = Job::new().binary("rollback", "");
    job.run(&[("STAGE", "rollback")]).code(0);
    assert_eq!(job.arguments(), ["[run]"]);
    job.run(&[("STAGE", "rollback"), ("ARGS", " \n\n"), ("RELEASE", "v1")])
        .code(0);
    assert_eq!(job.arguments(), ["[run]"]);
    job.run(&[("STAGE", "rollback"), ("ARGS", "status")])
        .code(0);
    assert_eq!(job.arguments(), ["[status]"]);
}

#[test]
fn each_step_has_a_report_file_of_its_own() {
    let job = Job::new().binary("deploy-guard", "echo \"$DEPLOY_GUARD_REPORT\"");
    let report = || {
        let output = job.command(&[("STAGE", "healthgate")]).output().unwrap();
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    };
    let (first, second) = (report(), report());
    assert!(first.starts_with(job.path("temp")) && first.ends_with("healthgate.json"));
    assert!(first.parent().unwrap().is_dir() && first != second);
}

#[test]
fn a_missing_or_unknown_stage_is_our_own_error() {
    let job = Job::new().binary("deploy-guard", "");
    for (stage, complaint) in [
        ("", "the input `stage` is missing"),
        ("helthgate", "there is no stage `helthgate`"),
        ("run demo", "there is no stage `run demo`"),
        ("../deploy-guard", "there is no stage"),
    ] {
        job.run(&[("STAGE", stage)])
            .code(2)
            .stdout("")
            .stderr(contains(complaint))
            .stderr(contains("\n::error title=deploy-guard::"))
            .stderr(contains(
                "preflight runner-check healthgate traffic migrate incident rollback run",
            ));
    }
    assert_eq!(job.seen(), "", "nothing was started");
    assert_eq!(job.outputs()["exit-code"], "2");
    assert_eq!(job.outputs()["verdict"], "error");
    assert!(job.outputs()["reason"].starts_with("there is no stage"));
}

#[test]
fn what_an_error_repeats_cannot_speak_to_the_runner() {
    let job = Job::new();
    job.run(&[(
        "STAGE",
        "x\n::add-mask::y\r::z ##[set-output name=verdict;]pass",
    )])
    .code(2)
    .stderr(contains("\n::add-mask").not())
    .stderr(contains("\r").not())
    .stderr(contains("##[").not());
    let output = job.output();
    assert!(
        !output.contains("\n::") && !output.contains("##["),
        "{output}"
    );
    assert_eq!(job.outputs().len(), 3, "{output}");
}

#[test]
fn missing_binaries_say_what_to_do() {
    let job = Job::new();
    let inputs = [("STAGE", "healthgate")];
    job.run(&inputs)
        .code(2)
        .stderr(contains("neither deploy-guard nor healthgate"));
    let job = job.binary("healthgate", "").mode("healthgate", 0o644);
    job.run(&inputs)
        .code(2)
        .stderr(contains("is not executable"))
        .stderr(contains("chmod +x"));
    let gone = job.path("gone").display().to_string();
    job.run(&[("STAGE", "healthgate"), ("BIN_DIR", &gone)])
        .code(2)
        .stderr(contains("is not a folder"));
}

#[test]
fn without_cargo_it_says_how_to_get_on() {
    let job = Job::new();
    // A PATH with what the script itself needs and no cargo.
    for tool in ["bash", "sh", "cat", "mktemp", "wc", "mkdir", "uname"] {
        std::os::unix::fs::symlink(testkit::tool(tool), job.path("bin").join(tool)).unwrap();
    }
    let mut command = job.command(&[("STAGE", "healthgate"), ("BIN_DIR", "")]);
    command.env("PATH", job.path("bin"));
    assert_cmd::Command::from_std(command)
        .assert()
        .code(2)
        .stderr(contains("there is no cargo"))
        .stderr(contains("rustup.rs").and(contains("bin-dir")));
}

#[test]
fn it_builds_from_the_actions_own_source_when_no_binaries_are_given() {
    let job = Job::new();
    // A cargo that records its call and makes a binary where a real one would.
    let cargo = "#!/bin/bash\necho \"$PWD $*\" >\"$SEEN\"\nwhile [[ $1 != --target-dir ]]; do shift; done\n\
                 mkdir -p \"$2/release\"\nprintf '#!/bin/bash\\necho built \"$@\"\\n' >\"$2/release/deploy-guard\"\n\
                 chmod +x \"$2/release/deploy-guard\"\n";
    fs::write(job.path("bin/cargo"), cargo).unwrap();
    let job = job.mode("cargo", 0o755);
    let mut command = job.command(&[("STAGE", "healthgate"), ("BIN_DIR", "")]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", job.path("bin").display()));
    command.env("SEEN", job.path("seen"));
    assert_cmd::Command::from_std(command)
        .assert()
        .code(0)
        .stdout("built healthgate\n");
    let seen = job.seen();
    let action = job.path("action").display().to_string();
    assert!(
        seen.starts_with(&action) && seen.contains("--release --locked"),
        "{seen}"
    );
    let temp = job.path("temp").display().to_string();
    assert!(
        seen.contains(&temp),
        "the build lies outside the source: {seen}"
    );
}

#[test]
fn another_version_than_the_one_asked_for_is_refused() {
    let job = Job::new().binary("healthgate", "");
    job.run(&[("STAGE", "healthgate"), ("VERSION", "0.1.0")])
        .code(0);
    job.run(&[("STAGE", "healthgate"), ("VERSION", "v0.1.0")])
        .code(0);
    job.run(&[("STAGE", "healthgate"), ("VERSION", "0.2.0")])
        .code(2)
        .stderr(contains("version 0.2.0 is wanted").and(contains("is 0.1.0")));
}

#[test]
fn a_stage_that_ends_before_its_report_still_gives_its_exit_code() {
    let job = Job::new().binary("deploy-guard", "exit 2");
    job.run(&[("STAGE", "preflight")]).code(2);
    assert_eq!(job.output(), "exit-code=2\n");
    // What a step ends with is its exit code, also after outputs that came before a kill: of two
    // outputs of one name the last counts.
    let killed = "printf 'verdict=pass\\nexit-code=0\\n' >>\"$GITHUB_OUTPUT\"; kill -s KILL $$";
    let job = Job::new().binary("deploy-guard", killed);
    job.run(&[("STAGE", "preflight")]).code(137);
    assert_eq!(job.outputs()["exit-code"], "137");
    assert_eq!(job.outputs()["verdict"], "error");
}

#[test]
fn the_workflows_own_token_takes_the_place_of_no_other() {
    let token = |input: &str, own: &str, step: Option<&str>| {
        let job = Job::new().binary("deploy-guard", "");
        let mut command = job.command(&[("STAGE", "preflight"), ("GITHUB_TOKEN", input)]);
        command.env("WORKFLOW_TOKEN", own);
        if let Some(step) = step {
            command.env("GITHUB_TOKEN", step);
        }
        assert!(command.status().unwrap().success());
        let seen = job.seen();
        let line = seen.lines().find(|line| line.starts_with("GITHUB_TOKEN="));
        assert!(!seen.contains("WORKFLOW_TOKEN"), "{seen}");
        line.unwrap_or_default().to_owned()
    };
    assert_eq!(token("own", "own", None), "GITHUB_TOKEN=own");
    assert_eq!(
        token("own", "own", Some("of-the-step")),
        "GITHUB_TOKEN=of-the-step"
    );
    assert_eq!(
        token("named", "own", Some("of-the-step")),
        "GITHUB_TOKEN=named"
    );
}

#[test]
fn a_stage_runs_in_the_working_directory() {
    let job = Job::new().binary("deploy-guard", "pwd >where");
    fs::create_dir(job.path("-a folder")).unwrap();
    job.run(&[("STAGE", "run"), ("WORKING_DIRECTORY", "-a folder")])
        .code(0);
    let where_it_ran = fs::read_to_string(job.path("-a folder/where")).unwrap();
    assert!(where_it_ran.ends_with("/-a folder\n"), "{where_it_ran}");
    job.run(&[("STAGE", "run"), ("WORKING_DIRECTORY", "missing")])
        .code(2)
        .stderr(contains("working-directory `missing` is not a folder"));
}

#[test]
fn a_signal_to_the_step_reaches_the_stage_and_its_answer_counts() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        // A program sets its own handler where a shell keeps the SIGINT that it was told to ignore.
        let then = format!(
            "exec python3 -c '
import os, signal, sys, time
def caught(*_):
    # As a stage does, it heeds the first and no other.
    signal.signal(signal.SIG{signal}, signal.SIG_IGN)
    time.sleep(0.3); print(\"journal closed\", flush=True); sys.exit({code})
signal.signal(signal.SIG{signal}, caught)
open(os.environ[\"READY\"], \"w\").close()
time.sleep(30)
'"
        );
        let job = Job::new().binary("deploy-guard", &then);
        let ready = job.path("ready");
        let mut command = job.command(&[("STAGE", "rollback")]);
        let step = command
            .env("READY", &ready)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(testkit::wait_until(Duration::from_secs(20), || ready.exists()));
        let target = step.id().to_string();
        Command::new("kill")
            .args(["-s", signal, &target])
            .status()
            .unwrap();
        let output = step.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{signal}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "journal closed\n");
    }
}
