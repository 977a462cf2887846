//! HAProxy with two servers behind it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, free_port, tool};

/// The number of the signal.
const USR2: u32 = 12;

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

    /// The same, and waits until the new worker alone answers at the socket.
    pub fn reloaded(&self) {
        let pid = || {
            let info = self.try_command("show info").unwrap_or_default();
            let pid = info.lines().find(|line| line.starts_with("Pid:"));
            pid.map(str::to_owned)
        };
        let limit = Duration::from_secs(20);
        let mut before = None;
        self.process.wait(limit, || {
            before = pid();
            // A master that does not catch the signal yet would end by it, or not see it.
            before.is_some() && self.process.catches(USR2)
        });
        self.reload();
        self.process.wait(limit, || {
            (0..10).all(|_| pid().is_some_and(|now| Some(now) != before))
        });
    }

    /// Lets it read its configuration with a text in the place of another one.
    pub fn changed(&self, from: &str, to: &str) {
        let file = self.folder.path().join("haproxy.cfg");
        let text = fs::read_to_string(&file).expect("the configuration can be read");
        assert!(text.contains(from), "{text}");
        fs::write(&file, text.replace(from, to)).expect("the configuration can be written");
        self.reloaded();
    }

    /// What its socket answers to a command.
    pub fn send_command(&self, command: &str) -> String {
        self.try_command(command).expect("the socket answers")
    }

    fn try_command(&self, command: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub fn process(&self) -> &Process {
        &self.process
    }
}
