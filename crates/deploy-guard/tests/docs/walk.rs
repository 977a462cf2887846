//! A page's blocks in a reader's order, and the folder in which they are run.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::docs::page::{Block, page};

/// The blocks of a page but for its YAML, which is read by other means. Each has to be asked for,
/// in order: one that nothing runs fails the test, and so does a test without its block.
pub(crate) struct Walk {
    page: String,
    blocks: VecDeque<Block>,
}

impl Walk {
    pub(crate) fn of(name: &str) -> Walk {
        let blocks = page(name).blocks.into_iter();
        Walk {
            page: name.to_owned(),
            blocks: blocks.filter(|block| block.language != "yaml").collect(),
        }
    }

    /// The next block, which begins so.
    #[track_caller]
    pub(crate) fn next(&mut self, begins: &str) -> Block {
        let block = self.blocks.pop_front();
        let block = block.unwrap_or_else(|| panic!("{} has no block `{begins}`", self.page));
        assert!(
            block.text.starts_with(begins),
            "{}: expected `{begins}`, and nothing runs this:\n{}",
            block.place(),
            block.text
        );
        block
    }

    /// The next block is run by others: each file has this text.
    #[track_caller]
    pub(crate) fn elsewhere(&mut self, begins: &str, why: &str, by: &[(&str, &str)]) {
        let block = self.next(begins);
        for (file, text) in by {
            let found = fs::read_to_string(testkit::workspace().join(file)).unwrap_or_default();
            assert!(
                found.contains(text),
                "{}: {why}, so {file} is to run it by `{text}`, and does not",
                block.place()
            );
        }
    }

    /// No block is left.
    #[track_caller]
    pub(crate) fn end(self) {
        let left = self.blocks.front();
        assert!(
            left.is_none(),
            "{}: nothing runs this:\n{}",
            left.map(Block::place).unwrap_or_default(),
            left.map(|block| block.text.clone()).unwrap_or_default()
        );
    }
}

/// A checkout of `acme/shop`, with our binaries on the `PATH`.
pub(crate) struct World {
    folder: TempDir,
    variables: Vec<(String, String)>,
    /// Other processes that must run during its lifetime.
    pub(crate) servers: Vec<Box<dyn std::any::Any>>,
}

/// What a command did.
pub(crate) struct Said {
    what: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let programs = [
            "deploy-guard",
            "preflight",
            "runner-check",
            "healthgate",
            "traffic",
            "migrate",
            "incident",
        ];
        for program in programs {
            testkit::bin_path(program);
        }
        let bin = testkit::bin_path("rollback");
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", bin.parent().unwrap().display());
        let mut world = World {
            folder,
            variables: Vec::new(),
            servers: Vec::new(),
        };
        world.set("PATH", &path);
        world.set("HOME", &world.path("").display().to_string());
        world.set("COLUMNS", "200");
        // No request leaves this machine.
        world.set("GITHUB_API_URL", "http://127.0.0.1:1");
        let git = "git init -q -b main . && git remote add origin https://github.com/acme/shop.git";
        world.sh(git).code(0);
        world
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A file with a shell script that may be run.
    pub(crate) fn script(&self, name: &str, text: &str) {
        self.write(name, &format!("#!/bin/sh\nset -eu\n{text}\n"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A whole block as its shell runs it, up to the first command that fails.
    #[track_caller]
    pub(crate) fn run(&self, block: &Block, words: &[(&str, &str)]) -> Said {
        let text = replaced(&block.text, &block.place(), words);
        self.shell(&block.language, &text)
    }

    /// One line of a shell.
    pub(crate) fn sh(&self, line: &str) -> Said {
        self.shell("sh", line)
    }

    fn shell(&self, shell: &str, text: &str) -> Said {
        assert!(["sh", "bash"].contains(&shell), "nothing runs `{shell}`");
        let mut command = Command::new(shell);
        testkit::clear_environment(&mut command).current_dir(self.folder.path());
        command.args(["-e", "-c", text]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = assert_cmd::Command::from_std(command)
            .timeout(Duration::from_mins(3))
            .output()
            .unwrap();
        let utf8 = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            what: text.to_owned(),
            code: output.status.code(),
            out: utf8(output.stdout),
            err: utf8(output.stderr),
        }
    }
}

impl Said {
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Said {
        assert_eq!(
            self.code,
            Some(code),
            "{}\n{}\n{}",
            self.what,
            self.out,
            self.err
        );
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Said {
        let all = format!("{}\n{}", self.out, self.err);
        assert!(
            all.contains(text),
            "`{text}` is missing:\n{}\n{all}",
            self.what
        );
        self
    }
}

/// A text with its placeholders for a reader's own names replaced; each of them must occur.
#[track_caller]
pub(crate) fn replaced(text: &str, place: &str, words: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in words {
        assert!(
            text.contains(from),
            "{place} says nothing of `{from}`:\n{text}"
        );
        text = text.replace(from, to);
    }
    text
}

/// The commands of a block: a line each, with those that it goes on in, and without its comment.
pub(crate) fn lines(block: &Block) -> Vec<String> {
    let joined = block.text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| line.split(" # ").next().unwrap_or(line).trim().to_owned())
        .collect()
}

/// The YAML block of a page that begins so.
#[track_caller]
pub(crate) fn yaml(name: &str, begins: &str) -> String {
    let blocks = page(name).blocks.into_iter();
    let mut found =
        blocks.filter(|block| block.language == "yaml" && block.text.starts_with(begins));
    let block = found.next();
    block
        .unwrap_or_else(|| panic!("{name} has no YAML that begins with `{begins}`"))
        .text
}
