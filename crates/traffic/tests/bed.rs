//! A folder with a configuration and a state, two sides, and `traffic` as a user runs it there.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use testkit::Shop;

pub(crate) struct Bed {
    folder: TempDir,
    pub(crate) blue: Shop,
    pub(crate) green: Shop,
}

/// How a command ended.
pub(crate) struct End {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl End {
    #[track_caller]
    pub(crate) fn is(self, code: i32, all: &[&str]) -> End {
        assert_eq!(self.code, code, "{}", self.text);
        for part in all {
            assert!(
                self.text.contains(part),
                "`{part}` is not in:\n{}",
                self.text
            );
        }
        self
    }
}

impl Bed {
    /// Blue runs v1, green v2.
    pub(crate) fn new() -> Bed {
        Bed {
            folder: tempfile::tempdir().unwrap(),
            blue: Shop::start("v1"),
            green: Shop::start("v2"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The section `traffic` with these lines, and what else the file has.
    pub(crate) fn configure(&self, traffic: &str, rest: &str) {
        let config =
            format!("version: 1\nservice: shop\ntraffic:\n  state: state.json\n{traffic}\n{rest}");
        fs::write(self.path("deploy-guard.yml"), config).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(testkit::bin_path("traffic"));
        testkit::clean(&mut command)
            .current_dir(self.folder.path())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn traffic(&self, args: &[&str]) -> End {
        let output = self.command(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        End {
            code: output.status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// The state document.
    pub(crate) fn state(&self) -> Value {
        let text = fs::read_to_string(self.path("state.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}
