//! A Docker engine of its own.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::testbed::testbed;
use crate::{Process, tool};

/// The two programs that are called Compose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compose {
    /// `docker compose`, which nearly everybody has.
    V2,
    /// `docker-compose` 1.29.
    V1,
}

impl Compose {
    /// The value of `DOCKER_CONFIG`, below which the plugin is; for the first Compose there is none.
    pub fn config(self) -> PathBuf {
        let folder = testbed().join("docker");
        match self {
            Compose::V2 => {
                let plugin = folder.join("cli-plugins/docker-compose");
                assert!(
                    plugin.exists(),
                    "{} is missing: `cargo xtask setup`",
                    plugin.display()
                );
                folder
            }
            Compose::V1 => folder.join("none"),
        }
    }

    /// It as a person calls it.
    pub fn command(self) -> Command {
        let mut command = match self {
            Compose::V2 => {
                let mut command = Command::new(tool("docker"));
                command.arg("compose");
                command
            }
            Compose::V1 => Command::new(tool("docker-compose")),
        };
        command.env("DOCKER_CONFIG", self.config());
        command
    }

    /// What it puts between the parts of a container's name.
    pub fn separator(self) -> char {
        match self {
            Compose::V2 => '-',
            Compose::V1 => '_',
        }
    }
}

/// dockerd with its images and containers in a temporary folder. Containers have the machine's
/// network (`--network host`); it makes none.
#[derive(Debug)]
pub struct Docker {
    // Before the folder, in which it works until it has ended.
    process: Process,
    folder: TempDir,
}

impl Docker {
    pub fn start() -> Docker {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        // What it mounts and leaves mounted is gone with it, and its folder can be removed.
        let mut command = Command::new(tool("unshare"));
        command
            .args(["--mount", "--propagation=slave"])
            .arg(tool("dockerd"))
            .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
            .args([
                "--pidfile",
                &at("pid"),
                "-H",
                &format!("unix://{}", at("d.sock")),
            ])
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--bridge=none",
            ])
            .arg("--storage-driver=overlay2");
        let process = Process::start(folder.path(), &mut command);
        let docker = Docker { process, folder };
        docker.process.wait(Duration::from_mins(1), || {
            docker.run(&["version"]).status.success()
        });
        docker
    }

    /// The value of `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("d.sock").display())
    }

    /// Runs `docker`.
    pub fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(tool("docker"));
        command.env("DOCKER_HOST", self.address()).args(words);
        command.output().expect("docker can be started")
    }

    /// The same, which must succeed; its output.
    pub fn must(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {text} {error}");
        text
    }

    /// An image of busybox that shows `files` (path and text).
    pub fn image(&self, name: &str, files: &[(&str, &str)]) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let bin = root.path().join("bin");
        std::fs::create_dir(&bin).expect("a folder can be made");
        std::fs::copy(tool("busybox"), bin.join("busybox")).expect("busybox can be copied");
        std::os::unix::fs::symlink("busybox", bin.join("sh")).expect("a link can be made");
        for (path, text) in files {
            let path = root.path().join(path);
            let folder = path.parent().expect("a file lies in a folder");
            std::fs::create_dir_all(folder).expect("a folder can be made");
            std::fs::write(path, text).expect("a file can be written");
        }
        let tar = self.folder.path().join("image.tar");
        let made = Command::new("tar")
            .arg("-C")
            .arg(root.path())
            .arg("-cf")
            .arg(&tar)
            .arg(".")
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "tar makes an image"
        );
        self.must(&["import", &tar.display().to_string(), name]);
    }

    /// Where it works.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // Containers outlive their engine.
        let ids = self.run(&["ps", "-aq"]);
        let ids = String::from_utf8_lossy(&ids.stdout).into_owned();
        let mut words = vec!["rm", "-f"];
        words.extend(ids.split_whitespace());
        if words.len() > 2 {
            self.run(&words);
        }
    }
}
