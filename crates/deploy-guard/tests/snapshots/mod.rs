//! The texts that people read, as snapshots: a reviewer sees each change in the diff.
//!
//! After a wanted change: `INSTA_UPDATE=always cargo test --workspace --test snapshots`.

mod error_texts;
mod errors;
mod help;
mod hints;
mod mistakes;
mod rules;
pub(crate) mod source;
mod stages;

use std::fs;
use std::path::PathBuf;

use regex::Regex;
use tempfile::TempDir;

/// A folder with files in which commands are run, and the variables that they have.
struct Folder {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = Folder {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        };
        fs::create_dir(folder.path()).unwrap();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    /// Its name is the service's, where nothing else names it.
    fn path(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What a terminal shows of a command line, and how it ends; `name` is the snapshot's.
    fn shows(&self, name: &str, words: &str) {
        insta::assert_snapshot!(name, self.shown(words));
    }

    fn shown(&self, words: &str) -> String {
        let mut words = words.split(' ');
        let mut command = testkit::bin(words.next().unwrap());
        let output = command
            .args(words)
            .current_dir(self.path())
            .env("USER", "alice")
            .env("HOME", self.path())
            .env("COLUMNS", "100")
            .env("EMPTY", "")
            .envs(self.variables.clone())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        let shown = format!(
            "{}\n--- stderr\n{}\n--- exit code {code}",
            text(output.stdout).trim_end(),
            text(output.stderr).trim_end(),
        );
        self.steady(&shown)
    }

    /// Without what differs from run to run.
    fn steady(&self, text: &str) -> String {
        let here = self.path().display().to_string();
        let mut text = text.replace(&here, "/here");
        for (what, with) in [
            (r"(?m)^\+.*\n", ""),
            (
                r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?",
                "[time]",
            ),
            (r"\d\d:\d\d:\d\d(\.\d+)?", "[time]"),
            (r"\d{8}T\d{9}Z-[0-9a-f]{6}", "[backup]"),
            (r"\d{8}T\d{6}Z", "[time]"),
            (r"\.damaged-\d+", ".damaged-[time]"),
            (
                r"\b\d+(\.\d+)? ?(ms|s|min|m)\b( \d+(\.\d+)? ?(ms|s)\b)?",
                "[duration]",
            ),
            (r" +\+\[duration\]", " +[duration]"),
            (r"\[duration\] {2,}", "[duration] "),
            (r"\binc-[0-9a-f]{8}\b", "inc-[id]"),
            (r"\bprocess \d+\b", "process [pid]"),
            (r"\b[0-9a-f]{12,64}\b", "[hash]"),
            (r"\b\d+(\.\d+)? (KiB|MiB|GiB|bytes)\b", "[size]"),
            (r"\b\d+ of \d+ answers", "[n] of [m] answers"),
            (r"\b\d+ answers in a row", "[n] answers in a row"),
            (r"/\S*/\.tmp[A-Za-z0-9]+", "/there"),
            (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:[port]"),
        ] {
            let what = Regex::new(what).unwrap();
            text = what.replace_all(&text, with).into_owned();
        }
        // Only a slow run shows its progress.
        text.replace("--- stderr\n--- exit", "--- stderr\n\n--- exit")
    }
}
