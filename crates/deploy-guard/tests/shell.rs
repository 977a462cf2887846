//! Help, completions and man pages, as shells and readers take them.

use std::fs;
use std::path::Path;
use std::process::Command;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;

fn help(program: &str, path: &[String], flag: &str) -> String {
    let output = testkit::bin(program)
        .args(path)
        .arg(flag)
        .env("COLUMNS", "80")
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{program} {path:?} {flag}: {output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Every command of a program, by its words.
fn commands(of: &clap::Command, path: &[String], all: &mut Vec<Vec<String>>) {
    all.push(path.to_vec());
    for sub in of.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        commands(sub, &[path, &[sub.get_name().to_owned()]].concat(), all);
    }
}

#[test]
fn the_short_help_of_every_command_fits_a_screen_and_shows_an_example() {
    let mut all = Vec::new();
    commands(&deploy_guard::command(), &[], &mut all);
    assert!(all.len() > 25, "{all:?}");
    for path in &all {
        let text = help("deploy-guard", path, "-h");
        let lines = text.trim_end().lines().count();
        assert!(lines <= 24, "{path:?} has {lines} lines:\n{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{path:?}:\n{text}"
        );
        assert!(text.contains("Example: "), "{path:?}:\n{text}");
        assert!(text.contains("`--help`"), "{path:?}:\n{text}");
        // On a line of its own, to be copied, and of the program that is asked.
        let example = text.lines().find_map(|line| line.strip_prefix("Example: "));
        let example = example.unwrap();
        assert!(
            text.ends_with(&format!("Example: {example}\nMore options: `--help`\n")),
            "{path:?}:\n{text}"
        );
        assert!(example.contains("deploy-guard"), "{path:?}: {example}");
    }
    // A stage as a separate program prints the same, under its own name.
    for path in &all {
        let Some((program, rest)) = path.split_first() else {
            continue;
        };
        if ![
            "preflight",
            "runner-check",
            "healthgate",
            "traffic",
            "migrate",
            "incident",
            "rollback",
        ]
        .contains(&program.as_str())
        {
            continue;
        }
        let text = help(program, rest, "-h");
        let usage = format!("Usage: {}", path.join(" "));
        assert!(text.contains(&usage), "{usage}\n{text}");
        assert!(text.contains(&format!("Example: {program}")), "{text}");
        assert!(text.trim_end().lines().count() <= 24, "{path:?}:\n{text}");
    }
}

#[test]
fn the_long_help_has_every_flag() {
    let mut all = Vec::new();
    commands(&deploy_guard::command(), &[], &mut all);
    for path in &all {
        let text = help("deploy-guard", path, "--help");
        let mut command = deploy_guard::command();
        command.build();
        let mut shown = &command;
        for word in path {
            shown = shown.find_subcommand(word).unwrap();
        }
        for arg in shown.get_arguments().filter(|arg| !arg.is_hide_set()) {
            if let Some(long) = arg.get_long() {
                assert!(
                    text.contains(&format!("--{long}")),
                    "{path:?} lacks --{long}:\n{text}"
                );
            }
        }
    }
}

fn folder(command: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("a/b");
    testkit::bin("deploy-guard")
        .arg(command)
        .arg("--folder")
        .arg(&made)
        .assert()
        .code(0);
    folder
}

fn run(program: &str, args: &[&str], file: &Path) -> String {
    let output = Command::new(testkit::tool(program))
        .args(args)
        .arg(file)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    assert!(
        output.status.success(),
        "{program} {args:?} {}: {text}",
        file.display()
    );
    text
}

#[test]
fn each_shell_takes_its_completions_and_completes_by_them() {
    let folder = folder("completions");
    let at = |name: &str| folder.path().join("a/b").join(name);
    for program in [
        "deploy-guard",
        "preflight",
        "runner-check",
        "healthgate",
        "traffic",
        "migrate",
        "incident",
        "rollback",
    ] {
        run("bash", &["-n"], &at(&format!("{program}.bash")));
        run("zsh", &["-n"], &at(&format!("_{program}")));
        run("fish", &["--no-execute"], &at(&format!("{program}.fish")));
        let power = fs::read_to_string(at(&format!("_{program}.ps1"))).unwrap();
        assert!(
            power.contains(&format!(
                "Register-ArgumentCompleter -Native -CommandName '{program}'"
            )),
            "{power}"
        );
    }
    let script = format!(
        "source '{}'; COMP_WORDS=(deploy-guard heal); COMP_CWORD=1; _deploy__guard deploy-guard heal deploy-guard; echo \"${{COMPREPLY[@]}}\"",
        at("deploy-guard.bash").display()
    );
    let output = Command::new("bash")
        .args(["--norc", "-c", &script])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "healthgate",
        "{output:?}"
    );
    let script = format!(
        "source '{}'; complete --do-complete 'rollback re'",
        at("rollback.fish").display()
    );
    let output = Command::new(testkit::tool("fish"))
        .args(["--no-config", "-c", &script])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["record", "resume", "rehearse"] {
        assert!(text.contains(word), "{text}");
    }
}

/// A person at a terminal who types a part of each word and presses the tabulator.
#[test]
fn a_tabulator_completes_in_a_real_bash_zsh_and_fish() {
    let folder = folder("completions");
    let at = folder.path().join("a/b").display().to_string();
    for (shell, first) in [
        (
            "bash --norc --noprofile -i",
            format!("source {at}/deploy-guard.bash; deploy-guard() {{ echo \"got:$*\"; }}"),
        ),
        (
            "zsh -f -i",
            format!(
                "fpath=({at} $fpath); autoload -Uz compinit; compinit -u -D; deploy-guard() {{ echo \"got:$*\"; }}"
            ),
        ),
        (
            "fish --no-config -i",
            format!(
                "source {at}/deploy-guard.fish; function deploy-guard; echo \"got:$argv\"; end"
            ),
        ),
    ] {
        let mut script = Command::new(testkit::tool("script"));
        testkit::clear_environment(&mut script)
            .args(["--quiet", "--return", "--command", shell, "/dev/null"])
            .env("TERM", "xterm")
            .env("HOME", folder.path());
        let typed = format!("{first}\ndeploy-guard heal\t--targ\tx\nexit\n");
        let done = assert_cmd::Command::from_std(script)
            .write_stdin(typed)
            .timeout(std::time::Duration::from_secs(120))
            .assert();
        let seen = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
        assert!(
            seen.contains("got:healthgate --targets-file"),
            "{shell}: {seen:?}"
        );
    }
}

#[test]
fn completions_go_to_stdout_too() {
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef deploy-guard"),
        ("fish", "complete -c deploy-guard"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        testkit::bin("deploy-guard")
            .args(["completions", shell])
            .assert()
            .code(0)
            .stdout(contains(sign).and(contains("runner-check")))
            // Commands that are hidden stay so.
            .stdout(contains("generate").not().and(contains("serve ").not()));
    }
    testkit::bin("deploy-guard")
        .args(["completions", "tcsh"])
        .assert()
        .code(2);
    testkit::bin("deploy-guard")
        .arg("completions")
        .assert()
        .code(2);
}

/// Half a script that a shell loads at each start would be worse than none.
#[test]
fn what_could_not_be_written_is_no_success() {
    for args in [
        &["completions", "bash"][..],
        &["man"],
        &["schema"],
        &["init", "--dry-run"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = Command::new(testkit::bin_path("deploy-guard"));
        let output = testkit::clear_environment(&mut command)
            .args(args)
            .current_dir(folder.path())
            .stdout(full)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(4), "{args:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("failed to write to stdout"));
    }
}

#[test]
fn every_man_page_is_one() {
    let folder = folder("man");
    let folder = folder.path().join("a/b");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        let text = run("mandoc", &["-T", "utf8", "-W", "error"], &entry.path());
        // No page has a date: the same source gives the same page.
        let lint = Command::new(testkit::tool("mandoc"))
            .args(["-T", "lint", "-W", "warning"])
            .arg(entry.path())
            .output()
            .unwrap();
        let lint = String::from_utf8(lint.stdout).unwrap();
        let other: Vec<_> = lint
            .lines()
            .filter(|line| !line.contains("missing date"))
            .collect();
        assert!(other.is_empty(), "{other:#?}");
        assert!(
            text.trim_end().ends_with(')') && text.contains("deploy-guard 0.1.0"),
            "{text}"
        );
        // Bold letters are printed over themselves.
        let plain = text.replace('\u{8}', "");
        assert!(
            plain.contains("NNAAMMEE") || plain.contains("NAME"),
            "{}: {plain}",
            entry.path().display()
        );
        let source = fs::read_to_string(entry.path()).unwrap();
        assert!(source.contains(".SH EXAMPLES\n.nf\n"), "{source}");
        count += 1;
    }
    assert!(count > 40, "{count} pages");
    for name in [
        "deploy-guard.1",
        "deploy-guard-rollback-run.1",
        "rollback-run.1",
        "healthgate.1",
    ] {
        assert!(folder.join(name).exists(), "{name}");
    }
    testkit::bin("deploy-guard")
        .args(["man", "rollback", "run"])
        .assert()
        .code(0)
        .stdout(contains("deploy\\-guard\\-rollback\\-run").and(contains("\\-\\-dry\\-run")));
    testkit::bin("deploy-guard")
        .args(["man", "generate"])
        .assert()
        .code(2)
        .stderr(contains("there is no command `generate`"));
}
