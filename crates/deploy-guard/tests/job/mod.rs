//! The Action with shell scripts as binaries that say what they were given; by act in [`act`].
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

pub(crate) mod act;
pub(crate) mod inputs;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A folder with fake binaries, and the runner's files.
pub(crate) struct Job {
    folder: TempDir,
}

impl Job {
    pub(crate) fn new() -> Job {
        let job = Job {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(job.path("bin")).unwrap();
        fs::create_dir(job.path("temp")).unwrap();
        for folder in ["action/action", "action/setup"] {
            fs::create_dir_all(job.path(folder)).unwrap();
        }
        let installer = testkit::workspace().join("action/install.sh");
        fs::copy(installer, job.path("action/action/install.sh")).unwrap();
        fs::write(job.path("output"), "").unwrap();
        job
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A fake binary that first records its arguments, each in brackets, and its variables.
    pub(crate) fn binary(self, name: &str, then: &str) -> Job {
        let seen = self.path("seen");
        let script = format!(
            "#!/bin/bash\nif [[ $1 == --version ]]; then echo '{name} 0.1.0'; exit; fi\n\
             {{ printf '[%s]\\n' \"$@\"; env -0 | tr '\\n\\0' '~\\n'; }} >'{}'\n{then}\n",
            seen.display()
        );
        fs::write(self.path("bin").join(name), script).unwrap();
        self.mode(name, 0o755)
    }

    pub(crate) fn mode(self, name: &str, mode: u32) -> Job {
        let path = self.path("bin").join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// A step of the Action.
    pub(crate) fn command(&self, inputs: &[(&str, &str)]) -> Command {
        self.script("run.sh", "action", inputs)
    }

    /// A step of its `setup`.
    pub(crate) fn setup(&self, inputs: &[(&str, &str)]) -> Command {
        self.script("setup.sh", "action/setup", inputs)
    }

    fn script(&self, name: &str, action: &str, inputs: &[(&str, &str)]) -> Command {
        let mut command = Command::new("bash");
        testkit::clear_environment(&mut command);
        command
            .args(["--noprofile", "--norc"])
            .arg(testkit::workspace().join("action").join(name));
        command
            .current_dir(self.folder.path())
            .env("GITHUB_OUTPUT", self.path("output"))
            .env("GITHUB_PATH", self.path("paths"));
        command
            .env("RUNNER_TEMP", self.path("temp"))
            .env("GITHUB_ACTION_PATH", self.path(action));
        command.env("INPUT_BIN_DIR", self.path("bin"));
        for (name, value) in inputs {
            command.env(format!("INPUT_{name}"), value);
        }
        command
    }

    pub(crate) fn run(&self, inputs: &[(&str, &str)]) -> assert_cmd::assert::Assert {
        assert_cmd::Command::from_std(self.command(inputs)).assert()
    }

    pub(crate) fn seen(&self) -> String {
        fs::read_to_string(self.path("seen")).unwrap_or_default()
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        self.seen()
            .lines()
            .take_while(|line| line.starts_with('['))
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.path("output")).unwrap()
    }

    /// What a later step reads: of two values of one name the last counts.
    pub(crate) fn outputs(&self) -> BTreeMap<String, String> {
        let text = self.output();
        let mut lines = text.lines();
        let mut found = BTreeMap::new();
        while let Some(line) = lines.next() {
            let (name, value) = match (line.split_once("<<"), line.split_once('=')) {
                (Some((name, end)), plain)
                    if plain.is_none_or(|(before, _)| before.len() > name.len()) =>
                {
                    let value: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
                    (name, value.join("\n"))
                }
                (_, Some((name, value))) => (name, value.to_owned()),
                _ => panic!("not an output: {line}"),
            };
            found.insert(name.to_owned(), value);
        }
        found
    }
}
