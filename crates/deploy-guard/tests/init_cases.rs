//! `deploy-guard init` in eighteen small repositories that deploy in common ways: what it must say and write, and what
//! it must never, as `EXPECT.md` of each names it; and what `--patch` makes of their workflows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const CONFIG: &str = ".github/deploy-guard.yml";

/// A copy of a case, as a person has it.
struct Case {
    folder: TempDir,
    expect: String,
}

/// What one call did.
struct Ran {
    code: i32,
    printed: String,
    /// The files that are new or changed, whole.
    written: BTreeMap<String, String>,
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/init/cases")
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(cases()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

impl Case {
    fn new(name: &str) -> Case {
        let folder = tempfile::tempdir().unwrap();
        let from = cases().join(name);
        for (path, text) in texts(&from) {
            let to = folder.path().join(path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(to, text).unwrap();
        }
        let expect = fs::read_to_string(folder.path().join("EXPECT.md")).unwrap();
        fs::remove_file(folder.path().join("EXPECT.md")).unwrap();
        let first = expect.lines().next().unwrap();
        let repository = first.trim_start_matches("# ").split(':').next().unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        fs::write(
            folder.path().join(".git/config"),
            format!("[remote \"origin\"]\n\turl = https://github.com/{repository}.git\n"),
        )
        .unwrap();
        Case { folder, expect }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn init(&self, args: &[&str]) -> Ran {
        let before = texts(self.folder.path());
        let output = testkit::bin("deploy-guard")
            .current_dir(self.folder.path())
            .arg("init")
            .args(args)
            .output()
            .unwrap();
        let mut written = texts(self.folder.path());
        written.retain(|path, text| before.get(path) != Some(text));
        let printed = [output.stdout, output.stderr].concat();
        Ran {
            code: output.status.code().unwrap(),
            printed: String::from_utf8(printed).unwrap(),
            written,
        }
    }

    /// The code spans of a line of `EXPECT.md`.
    fn spans(&self, line: &str) -> Vec<&str> {
        let begin = format!("- {line}:");
        let found = self.expect.lines().find(|line| line.starts_with(&begin));
        found
            .unwrap_or_default()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect()
    }
}

/// Every file below, without Git's.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with(".git") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                all.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    all
}

/// What a file says, and not what a comment in it says.
fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let cut = lines.map(|line| line.split(" # ").next().unwrap());
    cut.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_repository_is_told_what_is_true_of_it_and_nothing_else() {
    let mut complaints = Vec::new();
    for name in names() {
        let case = Case::new(&name);
        let ran = case.init(&["--yes"]);
        let whole: String = ran.written.values().cloned().collect();
        let said: String = ran
            .written
            .values()
            .map(|text| without_comments(text))
            .collect();
        for span in case.spans("Must appear") {
            if !ran.printed.contains(span) && !whole.contains(span) {
                complaints.push(format!("{name}: missing: {span}"));
            }
        }
        for span in case.spans("Must not be written") {
            if said.contains(span) {
                complaints.push(format!("{name}: written: {span}"));
            }
        }
        for span in case.spans("Must not be claimed") {
            if ran.printed.contains(span) {
                complaints.push(format!("{name}: claimed: {span}"));
            }
        }
        let code = if name == "17-library" { 3 } else { 0 };
        if ran.code != code {
            complaints.push(format!("{name}: exit {}: {}", ran.code, ran.printed));
        }
        // An existing file is changed only where that was asked for.
        let existing = ran.written.keys().filter(|path| *path != CONFIG);
        complaints.extend(existing.map(|path| format!("{name}: changed: {path}")));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn actionlint(case: &Case, workflow: &str) -> String {
    // The labels of runners of one's own, which no one else knows.
    let config = case.path(".github/actionlint.yaml");
    fs::write(&config, "self-hosted-runner: { labels: [depot] }\n").unwrap();
    let output = Command::new(testkit::tool("actionlint"))
        .args(["-color=false", "-oneline", "-shellcheck=", "-pyflakes="])
        .arg("-config-file")
        .arg(&config)
        .arg(case.path(workflow))
        .output()
        .unwrap();
    fs::remove_file(config).unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    // The actions of these repositories are as old as those of others.
    let lines = found
        .lines()
        .filter(|line| !line.contains("is deprecated in GitHub Actions"));
    let lines: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
    lines.concat()
}

/// How many findings each rule of zizmor has.
fn zizmor(case: &Case, workflow: &str) -> BTreeMap<String, usize> {
    let output = Command::new(testkit::tool("zizmor"))
        .args(["--offline", "--no-progress", "--format=json", "--"])
        .arg(case.path(workflow))
        .output()
        .unwrap();
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut counts = BTreeMap::new();
    for finding in findings.as_array().unwrap() {
        let ignored = finding["ignored"] == true;
        if !ignored {
            *counts
                .entry(finding["ident"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    counts
}

#[test]
fn a_patched_workflow_has_every_byte_of_before_and_no_new_finding() {
    for name in names() {
        let case = Case::new(&name);
        let before = texts(case.folder.path());
        let url = ["--patch", "--url", "https://invoices.example.com/health"];
        let args = if name == "18-codedeploy" {
            &url[..]
        } else {
            &url[..1]
        };
        let ran = case.init(args);
        if name == "17-library" {
            assert_eq!((ran.code, ran.written.len()), (3, 0), "{}", ran.printed);
            continue;
        }
        assert_eq!(ran.code, 0, "{name}: {}", ran.printed);
        let workflows = ran
            .written
            .keys()
            .filter(|path| path.starts_with(".github/workflows"));
        let workflows: Vec<&String> = workflows.collect();
        assert!(!workflows.is_empty(), "{name}: {}", ran.printed);
        for path in workflows {
            let (old, new) = (&before[path], &ran.written[path]);
            let mut rest = new.lines();
            for line in old.lines() {
                assert!(
                    rest.any(|new| new == line),
                    "{name}: `{line}` is gone from {path}:\n{new}"
                );
            }
            assert_eq!(actionlint(&case, path), "", "{name}:\n{new}");
            let found = zizmor(&case, path);
            fs::write(case.path(path), old).unwrap();
            let known = zizmor(&case, path);
            fs::write(case.path(path), new).unwrap();
            for (rule, count) in &found {
                assert!(known.get(rule) >= Some(count), "{name}: {rule} in\n{new}");
            }
        }
        // Every stage reads the configuration, for each environment.
        if let Some(config) = ran.written.get(CONFIG) {
            let tree = yaml::read(config).unwrap();
            let environments = tree["environments"].as_object();
            let each = environments.into_iter().flat_map(|all| all.keys());
            let mut flags: Vec<Vec<&str>> = each.map(|name| vec!["--environment", name]).collect();
            if flags.is_empty() {
                flags.push(Vec::new());
            }
            for flags in flags {
                let mut command = testkit::bin("deploy-guard");
                command
                    .current_dir(case.folder.path())
                    .env("HOME", "/home/deploy");
                for variable in variables(config) {
                    command.env(variable, "2222");
                }
                let output = command
                    .args(["preflight", "list", "--release", "v1"])
                    .args(flags)
                    .output()
                    .unwrap();
                let told = String::from_utf8_lossy(&output.stderr);
                // A gate alone has nothing to ask before.
                let read = matches!(output.status.code(), Some(0 | 3));
                assert!(read, "{name}: {told}\n{config}");
            }
        }
        // What is guarded is not guarded again.
        let again = case.init(args);
        assert_eq!(
            (again.code, again.written.len()),
            (5, 0),
            "{name}: {}",
            again.printed
        );
        assert!(
            again.printed.contains("uses deploy-guard already"),
            "{}",
            again.printed
        );
    }
}

/// What the configuration fills in, and the keys that it names.
fn variables(config: &str) -> Vec<String> {
    let words = config.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let capitals = |word: &&str| {
        word.len() > 3
            && word
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    words
        .filter(capitals)
        .filter(|word| *word != "HOME")
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_a_person_reads() {
    for name in [
        "13-staging-and-production",
        "06-pm2-and-a-script",
        "11-helm-chart",
        "17-library",
        "18-codedeploy",
    ] {
        let case = Case::new(name);
        let ran = case.init(&["--yes"]);
        let printed = ran.printed.replace(
            &case
                .folder
                .path()
                .canonicalize()
                .unwrap()
                .display()
                .to_string(),
            "REPOSITORY",
        );
        let files: Vec<String> = (ran.written.iter())
            .map(|(path, text)| format!("=== {path}\n{text}"))
            .collect();
        let files = files.concat();
        insta::with_settings!({ snapshot_path => "init/snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, format!("{printed}{files}"));
        });
    }
}

#[test]
fn a_gap_is_shown_and_never_written() {
    let case = Case::new("18-codedeploy");
    let ran = case.init(&["--patch"]);
    assert_eq!((ran.code, ran.written.len()), (2, 0), "{}", ran.printed);
    assert!(ran.printed.contains("--url"), "{}", ran.printed);
}

#[test]
fn the_gate_alone_is_one_step_and_no_file() {
    let case = Case::new("01-vps-ssh-compose");
    let ran = case.init(&["--kind", "gate", "--patch"]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    let paths: Vec<&String> = ran.written.keys().collect();
    assert_eq!(paths, [".github/workflows/deploy.yml"]);
    let workflow = case.read(".github/workflows/deploy.yml");
    assert_eq!(
        workflow.matches("org/deploy-guard@").count(),
        1,
        "{workflow}"
    );
    assert!(
        workflow.contains("url: \"https://shop.example.com/healthz\""),
        "{workflow}"
    );
}

#[test]
fn one_environment_of_a_job_that_serves_several_is_guarded_alone() {
    let case = Case::new("11-helm-chart");
    let ran = case.init(&["--environment", "prod", "--patch"]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    let workflow = case.read(".github/workflows/helm.yml");
    assert!(
        workflow.contains("if: inputs.environment == 'prod'\n"),
        "{workflow}"
    );
    assert!(!workflow.contains("quotes-dev"), "{workflow}");
}

#[test]
fn a_workflow_of_its_own_has_the_steps_of_the_job_for_a_named_release() {
    let case = Case::new("02-dev-compose-beside-prod");
    let ran = case.init(&["--new-workflow"]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    let path = ".github/workflows/deploy-guard.yml";
    let workflow = &ran.written[path];
    for part in [
        "runs-on: [self-hosted, linux, depot]",
        "clean: false",
        "ref: ${{ inputs.release }}",
        "DEPOT_VERSION: ${{ inputs.release }}",
        "stage: preflight",
    ] {
        assert!(workflow.contains(part), "`{part}` is not in:\n{workflow}");
    }
    assert!(!workflow.contains("github.ref_name"), "{workflow}");
    assert_eq!(actionlint(&case, path), "", "{workflow}");
    // A job that takes the release from others is not one of its own.
    let case = Case::new("11-helm-chart");
    let ran = case.init(&["--new-workflow"]);
    assert_eq!((ran.code, ran.written.len()), (5, 0), "{}", ran.printed);
}

/// A step that was proposed and is not there any more guards nothing.
#[test]
fn check_notices_each_step_that_was_removed() {
    let case = Case::new("01-vps-ssh-compose");
    let url = ["--patch", "--url", "https://invoices.example.com/health"];
    assert_eq!(case.init(&url).code, 0);
    let again = &url[1..];
    let check = || case.init(&[&["--check"], again].concat());
    let ran = check();
    assert_eq!(ran.code, 0, "{}", ran.printed);
    let path = ".github/workflows/deploy.yml";
    let whole = case.read(path);
    for (stage, told) in [
        ("stage: healthgate", "healthgate: step"),
        ("stage: preflight", "preflight: step"),
        ("gate: ${{ steps.gate.outcome }}", "rollback: step"),
        ("command: record", "rollback record: step"),
    ] {
        let step = whole.find(stage).unwrap();
        let begin = whole[..step].rfind("      - name: ").unwrap();
        let end = whole[step..]
            .find("\n      - ")
            .map_or(whole.len(), |at| step + at + 1);
        fs::write(
            case.path(path),
            format!("{}{}", &whole[..begin], &whole[end..]),
        )
        .unwrap();
        let ran = check();
        assert_eq!(ran.code, 1, "{stage}: {}", ran.printed);
        let shown = format!("no step of {path} runs it");
        assert!(
            ran.printed.contains(told) && ran.printed.contains(&shown),
            "{told}: {}",
            ran.printed
        );
    }
    // The stage's own command, written out, is the one that the step has without it.
    let own = "          gate: ${{ steps.gate.outcome }}\n";
    let written = whole.replacen(own, &format!("          command: run\n{own}"), 1);
    assert_ne!(written, whole);
    fs::write(case.path(path), written).unwrap();
    let ran = check();
    assert_eq!(ran.code, 0, "{}", ran.printed);
    fs::write(case.path(path), whole).unwrap();
    assert_eq!(check().code, 0);
}

#[test]
fn check_compares_the_configuration_with_the_repository_as_it_is_now() {
    let case = Case::new("13-staging-and-production");
    assert_eq!(case.init(&["--patch"]).code, 0);
    let ran = case.init(&["--check"]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    let path = ".github/workflows/deploy-production.yml";
    let moved = case
        .read(path)
        .replace("cd /srv/clinic ", "cd /srv/clinic2 ");
    fs::write(case.path(path), moved).unwrap();
    let ran = case.init(&["--check"]);
    assert_eq!(ran.code, 1, "{}", ran.printed);
    for part in [
        "Production: folder",
        "/srv/clinic (",
        "/srv/clinic2",
        "deploy-production.yml:",
    ] {
        assert!(
            ran.printed.contains(part),
            "`{part}` is not in:\n{}",
            ran.printed
        );
    }
    assert!(ran.written.is_empty());
}
