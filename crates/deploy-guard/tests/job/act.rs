//! A repository whose workflows act runs on this machine, with the Action of this tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The repository `acme/shop`, and what a runner of it has at home.
pub(crate) struct Repository {
    folder: TempDir,
    home: TempDir,
    action: TempDir,
}

/// How a run of a workflow ended.
pub(crate) struct Run {
    pub(crate) passed: bool,
    /// What the runner printed.
    pub(crate) log: String,
}

impl From<Output> for Run {
    fn from(act: Output) -> Run {
        let text = [act.stdout, act.stderr].concat();
        Run {
            passed: act.status.success(),
            log: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}

impl Run {
    #[track_caller]
    pub(crate) fn passes(self) -> Run {
        assert!(self.passed, "the job failed:\n{}", self.log);
        self
    }

    #[track_caller]
    pub(crate) fn fails(self) -> Run {
        assert!(!self.passed, "the job passed:\n{}", self.log);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Run {
        assert!(self.log.contains(text), "no `{text}` in:\n{}", self.log);
        self
    }

    /// The step of this name succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self, step: &str) -> Run {
        self.ended("Success", step)
    }

    /// The step of this name ran, and failed.
    #[track_caller]
    pub(crate) fn failed(self, step: &str) -> Run {
        self.ended("Failure", step)
    }

    #[track_caller]
    fn ended(self, how: &str, step: &str) -> Run {
        let wanted = format!("{how} - Main {step} [");
        assert!(
            self.log.contains(&wanted),
            "no `{wanted}` in:\n{}",
            self.log
        );
        self
    }

    /// The step of this name was not reached, or its condition was false.
    #[track_caller]
    pub(crate) fn skipped(self, step: &str) -> Run {
        let started = format!("Run Main {step}\n");
        assert!(!self.log.contains(&started), "`{step}` ran:\n{}", self.log);
        self
    }
}

impl Repository {
    pub(crate) fn new() -> Repository {
        let new = || tempfile::tempdir().unwrap();
        let repository = Repository {
            folder: new(),
            home: new(),
            action: new(),
        };
        repository.git(&["init", "-q", "-b", "main"]);
        let origin = "https://github.com/acme/shop.git";
        repository.git(&["remote", "add", "origin", origin]);
        repository
    }

    /// A file of the repository, or its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The home folder of the runner's user.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        let status = testkit::clear_environment(&mut git)
            .current_dir(self.folder.path())
            .args(arguments)
            .status();
        assert!(status.unwrap().success(), "git {arguments:?}");
    }

    /// Commits all and runs the workflows of an event: `["push"]`, or
    /// `["workflow_dispatch", "--input", "release=v1"]`.
    pub(crate) fn act(&self, words: &[&str]) -> Run {
        self.command(words).output().unwrap().into()
    }

    /// The same, still to be started.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        self.git(&["add", "-A"]);
        self.git(&[
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@example.com",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "test",
        ]);
        // act ends a cancelled step by hanging up its terminal, which a step ignores if the tests were
        // started by something that ignores it (nohup).
        let mut act = Command::new("env");
        testkit::clear_environment(&mut act)
            .current_dir(self.folder.path())
            .arg("--default-signal=HUP")
            .arg(testkit::tool("act"))
            .args(words);
        for label in ["ubuntu-latest", "ubuntu-24.04", "self-hosted"] {
            act.args(["-P", &format!("{label}=-self-hosted")]);
        }
        for name in self.actions() {
            let here = self.action.path().display();
            act.args(["--local-repository", &format!("{name}={here}")]);
        }
        // act keeps its clones and settings in the home folder; this one is gone afterwards.
        let home = self.home.path();
        act.args(["--env", &format!("HOME={}", home.display())])
            .env("HOME", home)
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_CONFIG_HOME", home.join("config"));
        act
    }

    /// The names under which workflows use the Action, such as `org/deploy-guard@v1`. act finds the
    /// Action of this tree there, with the binary of this tree as what `bin-dir` is by default.
    fn actions(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(self.path(".github/workflows")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            let used = text.lines().filter_map(|line| line.split_once("uses: "));
            let words = used.filter_map(|(_, used)| used.split_whitespace().next());
            names.extend(
                words
                    .map(|word| word.replace("/deploy-guard/setup@", "/deploy-guard@"))
                    .filter(|word| word.contains("/deploy-guard@")),
            );
        }
        if !names.is_empty() {
            action_in(self.action.path());
            let program = testkit::bin_path("deploy-guard");
            let bin = format!("default: '{}'", program.parent().unwrap().display());
            for file in ["action.yml", "setup/action.yml"] {
                let file = self.action.path().join(file);
                let text = fs::read_to_string(&file).unwrap();
                let (before, after) = text.split_once("\n  bin-dir:\n").unwrap();
                let after = after.replacen("default: \"\"", &bin, 1);
                fs::write(&file, format!("{before}\n  bin-dir:\n{after}")).unwrap();
            }
        }
        names
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // Every process of its jobs has this home and no other has.
        testkit::end_all_with("HOME", &self.home.path().display().to_string());
    }
}

/// Copies the Action of this tree into a folder.
pub(crate) fn action_in(folder: &Path) {
    let root = testkit::workspace();
    fs::copy(root.join("action.yml"), folder.join("action.yml")).unwrap();
    for part in ["action", "setup"] {
        copy(&root.join(part), &folder.join(part));
    }
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
