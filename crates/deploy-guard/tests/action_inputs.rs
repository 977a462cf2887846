//! The Action's inputs that are flags of a stage: by `action/run.sh` with a fake binary, and with the
//! real one.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::job::Job;
use crate::job::inputs::{How, Row, rows};
use clap::ArgAction;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use testkit::{Nginx, Shop};

const STAGES: [&str; 8] = [
    "preflight",
    "runner-check",
    "healthgate",
    "traffic",
    "migrate",
    "incident",
    "rollback",
    "run",
];

/// Inputs that are no flags: they have a place of their own in the scripts.
const OTHERS: [&str; 14] = [
    "stage",
    "config",
    "environment",
    "release",
    "header",
    "command",
    "fail-on",
    "args",
    "working-directory",
    "version",
    "install",
    "download-url",
    "bin-dir",
    "github-token",
];

/// The arguments of this flag, of a stage and of all its subcommands.
fn flags<'a>(command: &'a clap::Command, flag: &str) -> Vec<&'a clap::Arg> {
    let named = |arg: &&clap::Arg| arg.get_long() == flag.strip_prefix("--");
    let own = command.get_arguments().filter(named);
    let below = command.get_subcommands();
    own.chain(below.flat_map(|sub| flags(sub, flag))).collect()
}

#[test]
fn every_input_that_is_a_flag_belongs_to_the_stages_that_have_it_and_to_no_other() {
    let all = deploy_guard::command();
    for row in rows() {
        let mut known = Vec::new();
        for stage in STAGES {
            let found = flags(all.find_subcommand(stage).unwrap(), &row.flag);
            let takes = row.stages.iter().any(|one| one == stage);
            assert_eq!(!found.is_empty(), takes, "{} of {stage}", row.input);
            known.extend(found.into_iter().map(clap::Arg::get_action));
        }
        let is = |how: fn(&ArgAction) -> bool| known.iter().any(|action| how(action));
        let how = if is(|action| matches!(action, ArgAction::Append)) {
            How::Line
        } else if is(|action| matches!(action, ArgAction::SetTrue)) {
            How::Switch
        } else {
            How::Text
        };
        assert_eq!(how, row.how, "{}", row.input);
    }
}

/// An input that a script does not read would be ignored.
#[test]
fn every_input_and_output_of_the_actions_is_handed_over() {
    let root = testkit::workspace();
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let scripts = read("action/run.sh") + &read("action/common.sh");
    let rows = rows();
    let mut flags: BTreeSet<&str> = rows.iter().map(|row| row.input.as_str()).collect();
    assert_eq!(flags.len(), rows.len());
    flags.extend(OTHERS);
    for (file, known) in [
        ("action.yml", flags),
        (
            "setup/action.yml",
            BTreeSet::from([
                "version",
                "install",
                "download-url",
                "bin-dir",
                "github-token",
            ]),
        ),
    ] {
        let action = yaml::read(&read(file)).unwrap();
        let inputs = action["inputs"].as_object().unwrap();
        let names: BTreeSet<&str> = inputs.keys().map(String::as_str).collect();
        assert_eq!(names, known, "{file}");
        let step = &action["runs"]["steps"][0];
        for name in names {
            let variable = format!("INPUT_{}", name.to_uppercase().replace('-', "_"));
            let value = step["env"][&variable].as_str();
            assert_eq!(value, Some(format!("${{{{ inputs.{name} }}}}").as_str()));
            let row = rows.iter().any(|row| row.input == name);
            assert!(row || scripts.contains(&variable), "{variable} is not read");
        }
        let id = step["id"].as_str().unwrap();
        for (name, output) in action["outputs"].as_object().unwrap() {
            let value = format!("${{{{ steps.{id}.outputs.{name} }}}}");
            assert_eq!(output["value"].as_str(), Some(value.as_str()));
        }
        // A runner finds an expression in these texts too, and refuses the whole file.
        let texts = inputs
            .values()
            .chain(action["outputs"].as_object().unwrap().values());
        for text in texts.filter_map(|one| one["description"].as_str()) {
            assert!(!text.contains("${{"), "{text}");
        }
    }
}

/// What a shell, a runner or a program would interpret.
const HOSTILE: [&str; 9] = [
    "v1'\"; touch pwned; '\"",
    "$(touch pwned)`touch pwned`$HOME",
    "* ? [a-z] {a,b} ~ !! \\ \\n",
    "--help",
    "-",
    "  leading and trailing  ",
    " é\u{202e}\u{1f4a5} \u{a0}",
    "c\td\u{1b}[31m%0A::error::x##[error]y",
    "a\nverdict=pass\r\n\n::add-mask::b\n",
];

#[test]
fn each_input_is_an_argument_of_its_own_whatever_it_holds() {
    let job = Job::new().binary("deploy-guard", "");
    let rows = rows();
    for stage in STAGES {
        let of = |row: &&Row| row.stages.iter().any(|one| one == stage) && row.how != How::Switch;
        let rows: Vec<&Row> = rows.iter().filter(of).collect();
        let names: Vec<String> = rows
            .iter()
            .map(|row| row.input.to_uppercase().replace('-', "_"))
            .collect();
        for text in HOSTILE {
            let mut inputs = vec![("STAGE", stage), ("ARGS", "first")];
            inputs.extend(names.iter().map(|name| (name.as_str(), text)));
            job.run(&inputs).code(0);
            let arguments = rows.iter().flat_map(|row| row.arguments(text));
            let arguments = arguments.map(|argument| format!("[{argument}]\n"));
            let expected = format!("[{stage}]\n[first]\n{}", arguments.collect::<String>());
            let seen = job.seen();
            assert!(seen.starts_with(&expected), "{expected}\n{seen}");
            let switch = [("STAGE", stage), ("DRY_RUN", text)];
            job.run(&switch)
                .code(2)
                .stderr(contains("the input `dry-run` cannot be `"));
        }
    }
    assert!(!job.path("pwned").exists(), "an input was run as code");
}

#[test]
fn an_input_that_the_stage_does_not_take_is_refused_and_never_ignored() {
    let job = Job::new().binary("deploy-guard", "");
    let header = Row {
        input: "header".to_owned(),
        flag: String::new(),
        how: How::Line,
        stages: vec!["healthgate".to_owned()],
    };
    let mut refused = 0;
    for row in rows().into_iter().chain([header]) {
        let name = row.input.to_uppercase().replace('-', "_");
        for stage in STAGES
            .iter()
            .filter(|stage| !row.stages.iter().any(|one| one == *stage))
        {
            job.run(&[("STAGE", stage), (&name, "true")])
                .code(2)
                .stderr(contains(format!(
                    "the input `{}` is not one that the stage `{stage}` takes",
                    row.input
                )))
                .stderr(contains(format!("it belongs to: {}", row.stages.join(" "))));
            refused += 1;
        }
        // Blank is left out, as where an expression gives nothing.
        job.run(&[("STAGE", "run"), (&name, " \n")]).code(0);
        assert_eq!(job.arguments(), ["[run]"]);
        fs::remove_file(job.path("seen")).unwrap();
    }
    assert!(refused > 100, "{refused}");
    job.run(&[("STAGE", "run"), ("COMMAND", "status")])
        .code(2)
        .stderr(contains(
            "the input `command` is not one that the stage `run` takes",
        ));
    assert_eq!(job.seen(), "", "nothing was started");
    assert_eq!(job.outputs()["verdict"], "error");
    assert!(job.outputs()["reason"].contains("the input `command`"));
}

#[test]
fn the_command_comes_first_then_args_then_the_other_inputs() {
    let job = Job::new().binary("deploy-guard", "");
    let run = |inputs: &[(&str, &str)]| {
        job.run(inputs).code(0);
        job.arguments().concat()
    };
    let forced = [
        ("STAGE", "rollback"),
        ("COMMAND", "record"),
        ("ARGS", "--pending"),
        ("FORCE", "known-bad\nfrozen\n"),
        ("REASON", "a b"),
        ("DRY_RUN", "true"),
    ];
    assert_eq!(
        run(&forced),
        "[rollback][record][--pending][--force=known-bad][--force=frozen][--reason=a b][--dry-run]"
    );
    let pending = [
        ("STAGE", "rollback"),
        ("COMMAND", "record"),
        ("PENDING", "true"),
    ];
    assert_eq!(run(&pending), "[rollback][record][--pending]");
    // `args` may name it, as before.
    let as_before = [("STAGE", "rollback"), ("ARGS", "record"), ("SKIP", "a,b")];
    assert_eq!(run(&as_before), "[rollback][record][--skip=a,b]");
    // It is `run` where neither does.
    let alone = [("STAGE", "rollback"), ("TO", "v1"), ("DRY_RUN", "false")];
    assert_eq!(run(&alone), "[rollback][run][--to=v1]");
    let several = [
        ("STAGE", "healthgate"),
        ("URL", "http://a\n\n  http://b\r\n"),
    ];
    assert_eq!(
        run(&several),
        "[healthgate][--http=http://a][--http=  http://b]"
    );
    for command in ["--help", "help", "run demo", "../x", "Run"] {
        job.run(&[("STAGE", "rollback"), ("COMMAND", command)])
            .code(2)
            .stderr(contains(format!(
                "`{command}` is not a command of rollback"
            )));
    }
}

#[test]
fn headers_are_in_no_argument() {
    let job = Job::new().binary("deploy-guard", "");
    let headers = "Authorization: Bearer canary\n\n  X-Two: 2\r\n";
    let inputs = [
        ("STAGE", "healthgate"),
        ("URL", "http://a"),
        ("HEADER", headers),
    ];
    job.run(&inputs).code(0);
    assert_eq!(job.arguments(), ["[healthgate]", "[--http=http://a]"]);
    let variable = "DEPLOY_GUARD_HEADER=Authorization: Bearer canary~  X-Two: 2\n";
    assert!(job.seen().contains(variable), "{}", job.seen());
    for flag in ["--header\nA: b", "--header=A: b"] {
        job.run(&[&inputs[..], &[("ARGS", flag)]].concat())
            .code(2)
            .stderr(contains("there is `--header` in `args`"))
            .stderr(contains("canary").not());
    }
}

#[test]
fn only_the_verdicts_of_fail_on_fail_the_step() {
    let code = |code: i32, fail_on: &str| {
        let job = Job::new().binary("deploy-guard", &format!("exit {code}"));
        let output = job
            .command(&[("STAGE", "healthgate"), ("FAIL_ON", fail_on)])
            .output()
            .unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        let ended = output.status.code().unwrap();
        // A later step always reads what the stage ended with, and the log has it too.
        assert_eq!(job.outputs()["exit-code"], code.to_string(), "{fail_on}");
        assert_eq!(
            log.contains("::warning title=deploy-guard::healthgate: "),
            ended != code,
            "{log}"
        );
        ended
    };
    let all = [0, 1, 2, 3, 4, 5, 6, 101, 130, 137, 143];
    let ended = |fail_on: &str| all.map(|one| code(one, fail_on));
    assert_eq!(ended(""), all);
    assert_eq!(ended(" \n"), all);
    assert_eq!(ended("fail"), [0, 1, 2, 0, 0, 0, 0, 101, 130, 137, 143]);
    assert_eq!(
        ended("fail, error"),
        [0, 1, 2, 0, 4, 0, 0, 101, 130, 137, 143]
    );
    assert_eq!(
        ended("inconclusive\r\nrefused\npartial\n"),
        [0, 0, 2, 3, 0, 5, 6, 101, 130, 137, 143]
    );
    assert_eq!(ended("none"), [0, 0, 2, 0, 0, 0, 0, 101, 130, 137, 143]);

    let job = Job::new().binary("deploy-guard", "");
    for (fail_on, complaint) in [
        ("pass", "fail-on cannot be `pass`"),
        ("fail,failed", "fail-on cannot be `failed`"),
        ("*", "fail-on cannot be `*`"),
        ("none fail", "fail-on names `none` and `fail`"),
    ] {
        job.run(&[("STAGE", "healthgate"), ("FAIL_ON", fail_on)])
            .code(2)
            .stderr(contains(complaint));
    }
    assert_eq!(job.seen(), "", "nothing was started");
}

/// What the Action itself broke off is no verdict of a stage.
#[test]
fn fail_on_lets_no_failed_installation_pass() {
    let job = Job::new();
    let gone = job.path("gone").display().to_string();
    job.run(&[
        ("STAGE", "healthgate"),
        ("FAIL_ON", "none"),
        ("BIN_DIR", &gone),
    ])
    .code(2);
    let mut command = job.command(&[("STAGE", "healthgate"), ("FAIL_ON", "none")]);
    command.env("RUNNER_TEMP", "/proc/nowhere/x");
    let job = job.binary("deploy-guard", "");
    assert_cmd::Command::from_std(command).assert().code(4);
    assert_eq!(job.outputs()["exit-code"], "4");
    assert_eq!(job.outputs()["verdict"], "error");
}

/// A step with the real binary, in a folder with nothing in it.
fn real(job: &Job, inputs: &[(&str, &str)]) -> Command {
    let program = testkit::bin_path("deploy-guard");
    let folder = program.parent().unwrap().display().to_string();
    fs::create_dir_all(job.path("empty")).unwrap();
    fs::write(job.path("output"), "").unwrap();
    let mut command = job.command(&[inputs, &[("BIN_DIR", &folder)]].concat());
    command
        .current_dir(job.path("empty"))
        .env("GITHUB_ACTIONS", "true");
    command
}

fn ends(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(code), "{log}");
    log
}

#[test]
fn a_gate_by_url_needs_no_configuration_and_no_checkout() {
    let shop = Shop::start("v1");
    let (ready, page) = (shop.url("/health/ready"), shop.url("/"));
    let job = Job::new();
    let urls = format!("{ready}\n{page}\n");
    let quick = [
        ("STAGE", "healthgate"),
        ("URL", urls.as_str()),
        ("INTERVAL", "50ms"),
        ("TIMEOUT", "2s"),
        ("DEADLINE", "10s"),
        ("SUCCESS_THRESHOLD", "2"),
        ("FAILURE_LIMIT", "1"),
        ("STATUS", "200\n201-204"),
        ("RELEASE", "v1"),
    ];
    let log = ends(real(&job, &quick), 0);
    assert!(log.contains("healthgate: pass"), "{log}");
    let outputs = job.outputs();
    assert_eq!(
        (outputs["verdict"].as_str(), outputs["exit-code"].as_str()),
        ("pass", "0")
    );
    assert_eq!(outputs["release"], "v1");
    let report: Value =
        serde_json::from_str(&fs::read_to_string(&outputs["report"]).unwrap()).unwrap();
    assert_eq!(report["outcomes"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["reason"], outputs["reason"].as_str());

    let ready = [("URL", ready.as_str()), ("JQ", ".status == \"healthy\"\n")];
    let ready = [&quick[..], &ready[..]].concat();
    ends(real(&job, &ready), 0);
    shop.set_health("degraded", 200);
    ends(real(&job, &ready), 1);
    assert_eq!(job.outputs()["verdict"], "fail");
    let log = ends(
        real(&job, &[&ready[..], &[("FAIL_ON", "error")]].concat()),
        0,
    );
    assert!(
        log.contains("healthgate: fail. The step goes on: fail-on is error"),
        "{log}"
    );
    assert_eq!(job.outputs()["verdict"], "fail");
    assert_eq!(job.outputs()["exit-code"], "1");
    shop.set_health("healthy", 200);
    ends(real(&job, &[&ready[..], &[("RELEASE", "v2")]].concat()), 1);
}

/// More than one, each as it is written.
#[test]
fn headers_reach_the_server_and_no_output() {
    let nginx = Nginx::serving(
        "access_log off; map $http_authorization$http_x_two $denied { default 1; 'Bearer canary-t0ken2' 0; } \
         server { listen 127.0.0.1:PORT; location / { if ($denied) { return 403; } return 200; } }",
    );
    let url = nginx.url("/");
    let job = Job::new();
    let quick = [
        ("STAGE", "healthgate"),
        ("URL", url.as_str()),
        ("INTERVAL", "50ms"),
        ("DEADLINE", "5s"),
        ("FAILURE_LIMIT", "1"),
    ];
    let both = [("HEADER", "Authorization: Bearer canary-t0ken\nX-Two: 2\n")];
    let log = ends(real(&job, &[&quick[..], &both].concat()), 0);
    let report = fs::read_to_string(&job.outputs()["report"]).unwrap();
    assert!(!(log + &report + &job.output()).contains("canary-t0ken"));
    let one = [("HEADER", "Authorization: Bearer canary-t0ken")];
    ends(real(&job, &[&quick[..], &one].concat()), 1);
}

#[test]
fn a_stage_that_could_not_start_tells_later_steps_why() {
    let job = Job::new();
    for (inputs, reason) in [
        (vec![("STAGE", "deploy")], "there is no stage `deploy`"),
        (
            vec![("STAGE", "healthgate"), ("CONFIG", "gone.yml")],
            "gone.yml",
        ),
        (vec![("STAGE", "healthgate")], "no probe is configured"),
        (
            vec![
                ("STAGE", "healthgate"),
                ("URL", "http://127.0.0.1:1"),
                ("STATUS", "fine"),
            ],
            "invalid value 'fine' for '--status <CODE>'",
        ),
        (
            vec![("STAGE", "healthgate"), ("STATUS", "200")],
            "required arguments",
        ),
        (
            vec![
                ("STAGE", "healthgate"),
                ("URL", "http://127.0.0.1:1"),
                ("DEADLINE", "1s"),
                ("ARGS", "--deadline\n2s"),
            ],
            "'--deadline <TIME>' cannot be used multiple times",
        ),
        (
            vec![
                ("STAGE", "rollback"),
                ("COMMAND", "status"),
                ("REASON", "x"),
            ],
            "unexpected argument '--reason'",
        ),
        (
            vec![("STAGE", "rollback"), ("COMMAND", "stauts")],
            "unrecognized subcommand 'stauts'",
        ),
        (
            vec![("STAGE", "run"), ("FAIL_ON", "none"), ("RELEASE", "-v")],
            "begins with a dash",
        ),
    ] {
        ends(real(&job, &inputs), 2);
        let outputs = job.outputs();
        assert_eq!(outputs["verdict"], "error", "{inputs:?}");
        assert_eq!(outputs["exit-code"], "2", "{inputs:?}");
        assert!(
            outputs["reason"].contains(reason),
            "{inputs:?}: {outputs:?}"
        );
    }
    let killed = Job::new().binary("deploy-guard", "kill -s KILL $$");
    killed.run(&[("STAGE", "run")]).code(137);
    assert_eq!(killed.outputs()["verdict"], "error");
    assert_eq!(
        killed.outputs()["reason"],
        "run ended with exit code 137, which is none of its own"
    );
}

/// A later step runs in another folder than the stage.
#[test]
fn the_report_is_named_by_its_whole_path() {
    let job = Job::new();
    fs::create_dir_all(job.path("empty/site")).unwrap();
    let inputs = [
        ("STAGE", "preflight"),
        ("WORKING_DIRECTORY", "site"),
        ("REPORT", "a report.json"),
        ("HTML", "page.html"),
    ];
    ends(real(&job, &inputs), 3);
    let report = job.path("empty/site/a report.json");
    assert_eq!(
        job.outputs()["report"],
        report.canonicalize().unwrap().display().to_string()
    );
    assert!(job.path("empty/site/page.html").is_file());
}
