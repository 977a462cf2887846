//! `healthgate` with a configuration, as a user runs it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

/// A configuration and what surrounds it.
pub(crate) struct Gate {
    folder: TempDir,
    command: assert_cmd::Command,
}

/// What `healthgate` wrote, everywhere, and its exit code.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) text: String,
    pub(crate) json: Value,
}

/// Short times, of which a loaded machine does not run out.
pub(crate) const POLICY: &str = "{ interval: 100ms, timeout: 10s, success-threshold: 2, failure-limit: 1, deadline: 60s, \
     error-limit: 1, inconclusive-limit: 1 }";

/// A gate with this section and the usual policy.
pub(crate) fn gate(section: &str) -> Gate {
    gate_with(POLICY, section)
}

pub(crate) fn gate_with(policy: &str, section: &str) -> Gate {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("version: 1\nhealthgate:\n  policy: {policy}\n{section}");
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let mut command = testkit::bin("healthgate");
    command.current_dir(folder.path());
    Gate { folder, command }
}

impl Gate {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Gate {
        self.command.env(name, value);
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Gate {
        self.command.args(args);
        self
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        Path::join(self.folder.path(), name)
    }

    pub(crate) fn run(mut self) -> Ran {
        let output = self
            .command
            .args(["--report", "report.json"])
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        // None where the configuration was refused.
        let report = std::fs::read(self.file("report.json")).unwrap_or_default();
        Ran {
            code: output.status.code().unwrap(),
            text,
            json: serde_json::from_slice(&report).unwrap_or_default(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }

    /// The text contains this.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Ran {
        assert!(self.text.contains(words), "{words}\n in {}", self.text);
        self
    }

    pub(crate) fn ids(&self) -> Vec<&str> {
        let outcomes = self.json["outcomes"].as_array().unwrap();
        outcomes
            .iter()
            .filter_map(|one| one["id"].as_str())
            .collect()
    }

    /// An outcome, whole by contract: expected, actual, reason and hint.
    #[track_caller]
    pub(crate) fn outcome(&self, id: &str) -> &Value {
        let outcomes = self.json["outcomes"].as_array();
        let outcome = outcomes.and_then(|all| all.iter().find(|outcome| outcome["id"] == id));
        let outcome = outcome.unwrap_or_else(|| panic!("no {id} in {}", self.text));
        let mut keys = vec!["expected", "actual"];
        if outcome["verdict"] != "pass" {
            keys.extend(["reason", "hint"]);
        }
        for key in keys {
            assert!(outcome[key].is_string(), "{id} has no {key}: {outcome}");
        }
        outcome
    }

    /// An outcome's verdict and its reason.
    #[track_caller]
    pub(crate) fn ends(&self, id: &str, verdict: &str, why: &str) -> &Value {
        let outcome = self.outcome(id);
        assert_eq!(outcome["verdict"], verdict, "{}", self.text);
        let told = format!("{} {}", outcome["reason"], outcome["actual"]);
        let told = told.replace("\\\"", "\"");
        assert!(told.contains(why), "{why}\n in {told}");
        outcome
    }
}
