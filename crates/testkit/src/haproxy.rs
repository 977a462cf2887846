//! HAProxy with two servers behind it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, free_port, tool};

/// HAProxy as a master with a worker, whose backend `app` has the servers `blue` and `green`: blue
/// takes requests, green is in maintenance. Its socket and its state file lie in a temporary folder.
#[derive(Debug)]
pub struct Haproxy {
    process: Process,
    folder: TempDir,
    port: u16,
}

impl Haproxy {
    /// With the two servers' ports; `check`: whether it asks them for their health.
    pub fn start(blue: u16, green: u16, check: bool) -> Haproxy {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let check = if check {
            " check inter 50ms fall 2 rise 2"
        } else {
            ""
        };
        let config = format!(
            "global
  stats socket {socket} mode 600 level admin expose-fd listeners
  server-state-file {state}
  hard-stop-after 5s
defaults
  mode http
  option httpchk GET /health/ready
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  load-server-state-from-file global
frontend web
  bind 127.0.0.1:{port}
  default_backend app
backend app
  server blue 127.0.0.1:{blue}{check}
  server green 127.0.0.1:{green}{check} disabled
",
            socket = at("admin.sock"),
            state = at("state"),
        );
        fs::write(folder.path().join("haproxy.cfg"), config)
            .expect("the configuration can be written");
        let mut command = Command::new(tool("haproxy"));
        command.args(["-W", "-db", "-f", &at("haproxy.cfg")]);
        let process = Process::start(folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_secs(20));
        Haproxy {
            process,
            folder,
            port,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    pub fn state_file(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Makes it read its configuration again, in a new worker.
    pub fn reload(&self) {
        self.process.signal("USR2");
    }

    pub fn process(&self) -> &Process {
        &self.process
    }
}
