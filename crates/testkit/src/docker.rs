//! A separate Docker engine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::testbed::{missing, testbed};
use crate::{Process, SystemdHost, target_dir, tool};

/// The two programs that are called Compose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compose {
    /// `docker compose`, the usual one.
    V2,
    /// `docker-compose` 1.29.
    V1,
}

/// Where Docker looks for plugins that a machine has.
const PLUGINS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];
/// Replaces a plugin: Docker then looks no further, so the plugin is missing.
const NO_PLUGIN: &str = "#!/bin/sh\nexit 1\n";

impl Compose {
    /// The value of `DOCKER_CONFIG`, below which the plugin is; for the first Compose, one without
    /// it, whatever this machine has.
    pub fn config(self) -> PathBuf {
        match self {
            Compose::V2 => {
                plugin();
                testbed().join("docker")
            }
            Compose::V1 => {
                let folder = target_dir().join("tmp/testkit-docker-1");
                write_whole(&folder.join("cli-plugins/docker-compose"), NO_PLUGIN);
                folder
            }
        }
    }

    /// How a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Compose::V2 => "docker compose",
            Compose::V1 => "docker-compose",
        }
    }

    /// Makes it the Compose of a host. Where the second is, the first is there too and fails.
    pub fn install_on(self, host: &SystemdHost) {
        let folder = PLUGINS[0];
        let there = host.disk().join("docker-compose");
        let text = match self {
            Compose::V2 => {
                fs::copy(plugin(), there).expect("the plugin can be copied");
                format!(
                    "mkdir -p {folder} && ln -s /srv/docker-compose {folder}/ && \
                     printf '#!/bin/sh\\nexit 9\\n' >/usr/local/bin/docker-compose && \
                     chmod +x /usr/local/bin/docker-compose && ln -sf /usr/local/bin/docker-compose /usr/bin/"
                )
            }
            Compose::V1 => format!(
                "mkdir -p {folder} && printf '#!/bin/sh\\nexit 1\\n' >{folder}/docker-compose && \
                 chmod +x {folder}/docker-compose"
            ),
        };
        host.must(&["sh", "-c", &text]);
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

/// The plugin of the test bed, else this machine's own.
fn plugin() -> PathBuf {
    let folders = PLUGINS.map(PathBuf::from);
    [testbed().join("docker/cli-plugins")]
        .into_iter()
        .chain(folders)
        .map(|folder| folder.join("docker-compose"))
        .find(|plugin| plugin.is_file())
        .unwrap_or_else(|| missing(Path::new("docker compose")))
}

/// A program, which another test may be writing or running at this moment.
fn write_whole(path: &Path, text: &str) {
    if path.is_file() {
        return;
    }
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder).expect("a folder can be made");
    let file = tempfile::NamedTempFile::new_in(folder).expect("a file can be made");
    fs::write(file.path(), text).expect("a file can be written");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(file.path(), executable).expect("it can be made a program");
    let closed = file.into_temp_path();
    closed.persist(path).expect("it can be named");
}

/// Tests of a module, each run with the usual Compose and with its predecessor. A test is a function
/// that takes a [`Compose`].
#[macro_export]
macro_rules! with_both {
    ($($name:ident)*) => {
        mod v2 {
            $(#[test]
            fn $name() {
                super::$name($crate::Compose::V2);
            })*
        }
        mod v1 {
            $(#[test]
            fn $name() {
                super::$name($crate::Compose::V1);
            })*
        }
    };
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
        // Its mounts end with it, and its folder can be removed.
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
        fs::create_dir(&bin).expect("a folder can be made");
        fs::copy(tool("busybox"), bin.join("busybox")).expect("busybox can be copied");
        std::os::unix::fs::symlink("busybox", bin.join("sh")).expect("a link can be made");
        for (path, text) in files {
            let path = root.path().join(path);
            let folder = path.parent().expect("a file lies in a folder");
            fs::create_dir_all(folder).expect("a folder can be made");
            fs::write(path, text).expect("a file can be written");
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
