//! A Redis server on a free port of 127.0.0.1.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Certificate, Process, free_port, tool};

/// Redis with its data in a temporary folder.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    folder: TempDir,
    port: u16,
}

impl Redis {
    /// With these lines of configuration.
    pub fn start(lines: &str) -> Redis {
        let port = free_port();
        Redis::with(port, &format!("port {port}\n{lines}\n"))
    }

    /// By TLS alone.
    pub fn tls(certificate: &Certificate) -> Redis {
        let port = free_port();
        let Certificate { certificate, key } = certificate;
        Redis::with(
            port,
            &format!(
                "port 0\ntls-port {port}\ntls-cert-file {}\ntls-key-file {}\n\
                 tls-auth-clients no\ntls-ca-cert-file {}\n",
                certificate.display(),
                key.display(),
                certificate.display()
            ),
        )
    }

    fn with(port: u16, lines: &str) -> Redis {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = start(folder.path(), lines);
        process.wait_for_port(port, Duration::from_secs(20));
        Redis {
            process,
            folder,
            port,
        }
    }

    /// Ends it, and starts it with the same data and these lines.
    pub fn restart(self, lines: &str) -> Redis {
        let Redis {
            process,
            folder,
            port,
        } = self;
        drop(process);
        // Else the next start would take its predecessor's word.
        let _ = fs::remove_file(folder.path().join("guardian.pid"));
        let process = start(folder.path(), &format!("port {port}\n{lines}\n"));
        process.wait_for_port(port, Duration::from_secs(20));
        Redis {
            process,
            folder,
            port,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs one command by `redis-cli`; its output.
    pub fn cli(&self, words: &[&str]) -> String {
        let mut command = Command::new(tool("redis-cli"));
        command.args(["-p", &self.port.to_string()]).args(words);
        let output = command.output().expect("redis-cli can be started");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn start(folder: &Path, lines: &str) -> Process {
    let config = folder.join("redis.conf");
    let text = format!(
        "bind 127.0.0.1\ndir {}\nsave \"\"\n{lines}",
        folder.display()
    );
    fs::write(&config, text).expect("the file can be written");
    Process::start(folder, Command::new(tool("redis-server")).arg(&config))
}
