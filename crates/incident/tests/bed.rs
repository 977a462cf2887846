//! A folder with a configuration, in which the stage is called.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A secret that must be nowhere but in the environment.
pub(crate) const CANARY: &str = "canary-7c1f9e2a44b0";

pub(crate) struct Bed {
    folder: TempDir,
    /// What each command has in its environment.
    pub(crate) variables: Vec<(&'static str, String)>,
}

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bed {
    /// With these keys under `incident:`.
    pub(crate) fn new(incident: &Value) -> Bed {
        let bed = Bed {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        };
        bed.configure(&json!({"version": 1, "service": "shop", "incident": incident}));
        bed
    }

    pub(crate) fn configure(&self, config: &Value) {
        std::fs::write(self.path("deploy-guard.yml"), config.to_string()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(testkit::bin_path("incident"));
        testkit::clear_environment(&mut command);
        command.current_dir(self.folder.path()).args(args);
        command.env("USER", "ann");
        let variables = self.variables.iter();
        command.envs(variables.map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// The lines of the log, the oldest first.
    pub(crate) fn events(&self) -> Vec<Value> {
        let folder = self.path(".deploy-guard/state.json.events");
        let Ok(files) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let texts = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap());
        let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        lines
            .map(|line| serde_json::from_str(&line).unwrap())
            .collect()
    }

    pub(crate) fn events_of(&self, kind: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["kind"] == kind);
        events
    }
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Ran {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// That it ended so; shows all of it otherwise.
    pub(crate) fn code(self, expected: i32) -> Ran {
        assert_eq!(self.code, expected, "{}\n{}", self.stdout, self.stderr);
        self
    }
}
