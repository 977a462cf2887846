//! How many files a new kind of probe, check or target touches, and a new key of the policy: one of each is added to a
//! copy of the sources, and works.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A probe's type, in a file of its own.
const PROBE_CONFIG: &str = r#"//! Files that must be there.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{PolicyOverlay, ProbeConfig};
use sections::KeyPosition;

/// A file that must be there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileProbe {
    /// The probe's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

impl ProbeConfig for FileProbe {
    common_fields!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("path").some_text(&self.path.display().to_string())
    }
}
"#;

/// Its measurement, in a file of its own.
const PROBE: &str = r#"//! Whether a file is there.

use std::time::Duration;

use config::file::FileProbe;
use model::Verdict;

use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

struct File(FileProbe);

impl Kind for FileProbe {
    fn subject(&self) -> String {
        self.path.display().to_string()
    }

    fn make(self, _around: &ProbeContext) -> Result<Box<dyn Probe>, crate::Error> {
        Ok(Box::new(File(self)))
    }
}

impl Probe for File {
    fn measure<'a>(&'a self, _release: Option<&'a str>, _timeout: Duration) -> Measuring<'a> {
        let reading = match self.0.path.exists() {
            true => Reading::pass("a file", "a file"),
            false => Reading::not(Verdict::Fail, "a file", "none", "the file is missing"),
        };
        Box::pin(async { reading })
    }

    fn hint(&self) -> String {
        format!("create {}", self.0.path.display())
    }
}
"#;

/// A check's type.
const CHECK_CONFIG: &str = r#"//! Files that must be there.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::CheckConfig;
use crate::value::Weight;

/// A file that must be there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileCheck {
    /// The file; also the check's name.
    pub path: PathBuf,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

impl CheckConfig for FileCheck {
    const KEYS: &[&str] = &["path"];
}
"#;

/// What is asked.
const CHECK: &str = r#"//! Whether a file is there.

use std::time::Duration;

use config::file::FileCheck;
use model::Outcome;

use super::{Check, Context, Planned};

impl Check for FileCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        let subject = self.path.display().to_string();
        let id = format!("file/{subject}");
        vec![Planned {
            id: id.clone(),
            subject: subject.clone(),
            severity: self.severity,
            weight: self.weight,
            asks: format!("look for {subject}"),
            needs: None,
            timeout: scene.timeout,
            wait: Duration::ZERO,
            ask: Box::pin(async move {
                match self.path.exists() {
                    true => Outcome::pass(id, subject).expected("a file").actual("a file"),
                    false => Outcome::fail(id, subject)
                        .expected("a file")
                        .actual("nothing")
                        .reason("the file is missing")
                        .hint("create it"),
                }
            }),
        }]
    }
}
"#;

/// A target's type.
const TARGET_CONFIG: &str = r#"//! A file that names the release that is live.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::TargetConfig;
use sections::KeyPosition;

/// A file that names the release that is live.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileTarget {
    /// The file.
    pub path: PathBuf,
}

impl TargetConfig for FileTarget {
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("path").some_text(&self.path.display().to_string())
    }
}
"#;

/// How it is read and switched.
const TARGET: &str = r#"//! A file that names the release that is live.

use std::fs;
use std::path::Path;

use config::file::FileTarget;

use place::{StepFuture, Context, Error, Place, Step};

use crate::kinds::Kind;
use crate::target::{
    Applied, Capabilities, Observe, Proving, Switch, Target, Transition,
};

struct File<'a>(&'a Path);

impl File<'_> {
    fn read(&self) -> Result<String, Error> {
        Ok(fs::read_to_string(self.0)?)
    }

    fn write(&self, release: &str) -> Result<String, Error> {
        fs::write(self.0, release)?;
        Ok(format!("{} names {release}", self.0.display()))
    }
}

impl Kind for FileTarget {
    fn make<'a>(&'a self, _context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(File(&self.path)))
    }
}

impl Observe for File<'_> {
    fn current<'a>(&'a self, _step: &'a Step, _likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(async { Ok(Some(self.read()?)) })
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        let read = self.read().ok().filter(|read| read == destination);
        Box::pin(async { read })
    }
}

impl Switch for File<'_> {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        vec![Step {
            name: "file/localhost".to_owned(),
            does: format!("write {} into {}", transition.to, self.0.display()),
            place: Place::Here,
        }]
    }

    fn plan<'a>(&'a self, step: &'a Step, _transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(async { self.read().map(|_| step.does.clone()) })
    }

    fn snapshot<'a>(
        &'a self,
        _step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async { Ok(Some(self.read()?)) })
    }

    fn apply<'a>(
        &'a self,
        _step: &'a Step,
        transition: Transition<'a>,
        _snapshot: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(async move { Ok(self.write(transition.to)?.into()) })
    }

    fn revert<'a>(
        &'a self,
        _step: &'a Step,
        _transition: Transition<'a>,
        snapshot: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(async move { self.write(snapshot.unwrap_or_default()) })
    }
}

impl Target for File<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}
"#;

/// Two files, the row, the type's module and the measurement's: four files each.
#[test]
fn a_new_kind_is_two_files_a_row_and_their_module_lines_and_a_new_key_of_the_policy_five_places() {
    let mut tree = Tree::new();
    add_probe(&mut tree);
    assert_eq!(tree.touched(), 4, "a probe");
    add_check(&mut tree);
    assert_eq!(tree.touched(), 4, "a check");
    add_target(&mut tree);
    assert_eq!(tree.touched(), 4, "a target");
    add_key_of_the_policy(&mut tree);
    assert_eq!(tree.touched(), 5, "a key of the policy");

    let programs = tree.build(&["healthgate", "preflight", "rollback"]);
    let [healthgate, preflight, rollback] = &programs[..] else {
        panic!("three programs")
    };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("live"), "v2").unwrap();
    for (path, code) in [("live", 0), ("missing", 1)] {
        let config = format!(
            "version: 1\nservice: shop\nhealthgate:\n  policy: {{ failure-limit: 0, interval: 10ms, sample-limit: 7 }}\n  \
             file: [{{ name: it, path: {path} }}]\npreflight:\n  file: [{{ path: {path} }}]\nrollback:\n  \
             state: state.json\n  file: {{ path: live }}\n"
        );
        fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        let run = |program: &Path, args: &[&str], code: i32| {
            let mut command = Command::new(program);
            let command = testkit::clear_environment(&mut command).current_dir(folder.path());
            let ended = command.args(args).output().unwrap();
            let told = [ended.stdout, ended.stderr].concat();
            let told = String::from_utf8_lossy(&told).into_owned();
            assert_eq!(ended.status.code(), Some(code), "{told}");
            told
        };
        assert!(run(healthgate, &[], code).contains("file/it"));
        assert!(run(healthgate, &["--format", "json"], code).contains("\"sample_limit\": 7"));
        run(healthgate, &["--sample-limit", "8"], code);
        assert!(run(preflight, &[], code).contains(&format!("file/{path}")));
        if code == 0 {
            let forced = ["--force=not-running", "--reason=test"];
            run(
                rollback,
                &[&["record", "--release=v1"], &forced[..]].concat(),
                0,
            );
            run(rollback, &["record", "--pending", "--release=v2"], 0);
            let told = run(rollback, &["run"], 0);
            assert!(told.contains("rolled back from v2 to v1"), "{told}");
            assert_eq!(
                fs::read_to_string(folder.path().join("live")).unwrap(),
                "v1"
            );
        }
    }
}

fn add_probe(tree: &mut Tree) {
    tree.add("crates/config/src/file/healthgate/file.rs", PROBE_CONFIG);
    tree.add("crates/probe/src/file.rs", PROBE);
    let http = "            /// HTTP endpoints.\n";
    let row = "            /// Files.\n            file: FileProbe,\n";
    let section = "crates/config/src/file/healthgate.rs";
    tree.insert(section, &[("mod grpc;", "mod file;\n"), (http, row)]);
    tree.insert(section, &[("pub use grpc::", "pub use file::FileProbe;\n")]);
    tree.insert("crates/probe/src/lib.rs", &[("mod grpc;", "mod file;\n")]);
}

fn add_check(tree: &mut Tree) {
    tree.add("crates/config/src/file/preflight/file.rs", CHECK_CONFIG);
    tree.add("crates/preflight/src/check/file.rs", CHECK);
    let images = "            /// Container images that must";
    let row = "            /// Files.\n            #[serde(default)]\n            file: Vec<FileCheck>,\n";
    let section = "crates/config/src/file/preflight.rs";
    tree.insert(section, &[("mod freeze;", "mod file;\n"), (images, row)]);
    tree.insert(
        section,
        &[("pub use freeze::", "pub use file::FileCheck;\n")],
    );
    tree.insert(
        "crates/preflight/src/check.rs",
        &[("mod freeze;", "mod file;\n")],
    );
}

fn add_target(tree: &mut Tree) {
    tree.add("crates/config/src/file/rollback/file.rs", TARGET_CONFIG);
    tree.add("crates/target/src/file.rs", TARGET);
    let workflow = "            /// A workflow of GitHub Actions makes the switch.\n";
    let row =
        "            /// A file names the release that is live.\n            file: FileTarget,\n";
    let section = "crates/config/src/file/rollback.rs";
    tree.insert(section, &[("mod haproxy;", "mod file;\n"), (workflow, row)]);
    tree.insert(
        section,
        &[("pub use haproxy::", "pub use file::FileTarget;\n")],
    );
    tree.insert(
        "crates/target/src/lib.rs",
        &[("mod haproxy;", "mod file;\n")],
    );
}

/// The row; the flag; the report's key, to it and from it; and the rule that judges by it.
fn add_key_of_the_policy(tree: &mut Tree) {
    let soak = "    /// After passing, keep measuring this long. Default 0s.\n";
    let row = "    /// Measurements after which the probe ends.\n    sample_limit: optional u32,\n";
    tree.insert(
        "crates/config/src/file/healthgate/policy.rs",
        &[(soak, row)],
    );
    tree.insert(
        "crates/healthgate/src/flags.rs",
        &[
            (
                "    /// After passing, keep measuring this long [default: 0s]\n",
                "    /// Measurements after which the probe ends\n    #[arg(long)]\n    sample_limit: Option<u32>,\n",
            ),
            (
                "        set(&mut policy.soak, self.soak);\n",
                "        set(&mut policy.sample_limit, self.sample_limit.map(Some));\n",
            ),
        ],
    );
    tree.insert(
        "crates/model/src/watched.rs",
        &[
            (
                "    pub soak_ms: u64,\n",
                "    pub sample_limit: Option<u32>,\n",
            ),
            (
                "            soak_ms: _,\n",
                "            sample_limit: _,\n",
            ),
        ],
    );
    tree.insert(
        "crates/gate/src/policy_report.rs",
        &[
            (
                "        soak_ms: ms(policy.soak),\n",
                "        sample_limit: policy.sample_limit,\n",
            ),
            (
                "        soak: span(policy.soak_ms),\n",
                "        sample_limit: policy.sample_limit,\n",
            ),
        ],
    );
    tree.insert(
        "crates/gate/src/policy/assessor.rs",
        &[("            soak: _,\n", "            sample_limit: _,\n")],
    );
}

/// A copy of the sources, by their paths, and which of them were touched since that was counted.
struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    touched: BTreeSet<String>,
}

impl Tree {
    fn new() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let files = Command::new("git")
            .args([
                "ls-files",
                "-zco",
                "--exclude-standard",
                "--",
                "Cargo.*",
                "crates",
                "schema",
                "xtask",
            ])
            .current_dir(root)
            .output()
            .unwrap();
        let files = String::from_utf8(files.stdout).unwrap();
        let files = files.split_terminator('\0');
        // What is not committed yet is listed too, also where it was deleted.
        let read = |file: &str| Some((file.to_owned(), fs::read(root.join(file)).ok()?));
        let mut tree = Tree {
            files: files.filter_map(read).collect(),
            touched: BTreeSet::new(),
        };
        // Cargo tells packages of two workspaces apart by their versions, not by their folders:
        // with the same version, one would be taken for the other.
        let version = concat!("version = \"", env!("CARGO_PKG_VERSION"));
        tree.edit("Cargo.toml", version, &format!("{version}-copy"));
        tree.touched();
        tree
    }

    /// How many files were added or edited since this was asked last.
    fn touched(&mut self) -> usize {
        std::mem::take(&mut self.touched).len()
    }

    fn add(&mut self, file: &str, text: &str) {
        self.touched.insert(file.to_owned());
        assert!(self.files.insert(file.to_owned(), text.into()).is_none());
    }

    /// Puts lines before others.
    fn insert(&mut self, file: &str, lines: &[(&str, &str)]) {
        for (before, line) in lines {
            self.edit(file, before, &format!("{line}{before}"));
        }
    }

    /// Replaces a text that is there once.
    fn edit(&mut self, file: &str, from: &str, to: &str) {
        self.touched.insert(file.to_owned());
        let bytes = self.files.get_mut(file).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {file}");
        *bytes = text.replace(from, to).into();
    }

    /// Writes the copy and builds binaries of it, with the dependencies that are built already.
    /// The copy stays, so that the next run builds only what has changed.
    fn build(&self, names: &[&str]) -> Vec<PathBuf> {
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let copy = tmp.join("new-kind");
        for (file, content) in &self.files {
            let path = copy.join(file);
            // What has not changed keeps its time, by which cargo knows it.
            if !fs::read(&path).is_ok_and(|before| before == *content) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
        }
        // Beside the binaries of the sources, not over them.
        let target = copy.join("target");
        let mut cargo = Command::new(env!("CARGO"));
        let cargo = cargo
            .args(["build", "--workspace", "--offline"])
            .args(names.iter().flat_map(|name| ["--bin", name]))
            .current_dir(&copy)
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_BUILD_BUILD_DIR", tmp.parent().unwrap());
        let built = cargo.output().unwrap();
        let told = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{told}");
        let folder = target.join("debug");
        names.iter().map(|name| folder.join(name)).collect()
    }
}
