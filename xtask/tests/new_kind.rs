//! How many files a new kind of probe touches: one is added to a copy of the sources, and works.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its type, in its own file.
const CONFIG: &str = r#"//! Files that must be there.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{PolicyOverlay, ProbeConfig};
use crate::spot::Spot;

/// A file that must be there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileProbe {
    /// The probe's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// How it differs from the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

impl ProbeConfig for FileProbe {
    common_fields!();

    fn check(&self, spot: Spot<'_>) -> Result<(), Fault> {
        spot.key("path").some_text(&self.path.display().to_string())
    }
}
"#;

/// Its measurement, in its own file.
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

#[test]
fn a_new_kind_of_probe_is_two_files_a_row_and_their_module_lines() {
    let mut tree = Tree::new();
    tree.add("crates/config/src/file/healthgate/file.rs", CONFIG);
    tree.add("crates/probe/src/file.rs", PROBE);
    let http = "            /// HTTP endpoints.\n";
    let row = "            /// Files.\n            file: FileProbe,\n";
    let section = "crates/config/src/file/healthgate.rs";
    tree.insert(section, &[("mod grpc;", "mod file;\n"), (http, row)]);
    tree.insert(section, &[("pub use grpc::", "pub use file::FileProbe;\n")]);
    tree.insert("crates/probe/src/lib.rs", &[("mod grpc;", "mod file;\n")]);
    let healthgate = tree.build("healthgate");
    let folder = tempfile::tempdir().unwrap();
    for (path, code) in [("deploy-guard.yml", 0), ("missing.txt", 1)] {
        let config = format!(
            "version: 1\nhealthgate:\n  policy: {{ failure-limit: 0, interval: 10ms }}\n  file: [{{ name: it, path: {path} }}]\n"
        );
        fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        let mut gate = Command::new(&healthgate);
        let gate = testkit::clean(&mut gate).current_dir(folder.path());
        let gate = gate.output().unwrap();
        let told = String::from_utf8_lossy(&gate.stdout);
        assert_eq!(gate.status.code(), Some(code), "{told}");
        assert!(told.contains("file/it"), "{told}");
    }
}

/// A copy of the sources, by their paths.
struct Tree(BTreeMap<String, Vec<u8>>);

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
                "xtask",
            ])
            .current_dir(root)
            .output()
            .unwrap();
        let files = String::from_utf8(files.stdout).unwrap();
        let files = files.split_terminator('\0');
        // Uncommitted files are listed too, also deleted ones.
        let read = |file: &str| Some((file.to_owned(), fs::read(root.join(file)).ok()?));
        let mut tree = Tree(files.filter_map(read).collect());
        // Cargo tells packages of two workspaces apart by their versions, not by their folders:
        // with the same version, one would be taken for the other.
        let version = concat!("version = \"", env!("CARGO_PKG_VERSION"));
        tree.edit("Cargo.toml", version, &format!("{version}-copy"));
        tree
    }

    fn add(&mut self, file: &str, text: &str) {
        assert!(self.0.insert(file.to_owned(), text.into()).is_none());
    }

    /// Puts lines before others.
    fn insert(&mut self, file: &str, lines: &[(&str, &str)]) {
        for (before, line) in lines {
            self.edit(file, before, &format!("{line}{before}"));
        }
    }

    /// Replaces a text that is there once.
    fn edit(&mut self, file: &str, from: &str, to: &str) {
        let bytes = self.0.get_mut(file).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {file}");
        *bytes = text.replace(from, to).into();
    }

    /// Writes the copy and builds a binary of it, with the dependencies that are built already.
    /// The copy stays, so that the next run builds only what has changed.
    fn build(&self, name: &str) -> PathBuf {
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let copy = tmp.join("new-kind");
        for (file, content) in &self.0 {
            let path = copy.join(file);
            // An unchanged file keeps its time, by which cargo recognises it.
            if !fs::read(&path).is_ok_and(|before| before == *content) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
        }
        // Beside the binaries of the sources, not over them.
        let target = copy.join("target");
        let mut cargo = Command::new(env!("CARGO"));
        let cargo = cargo
            .args(["build", "--workspace", "--offline", "--bin", name])
            .current_dir(&copy)
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_BUILD_BUILD_DIR", tmp.parent().unwrap());
        let built = cargo.output().unwrap();
        let told = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{told}");
        target.join("debug").join(name)
    }
}
