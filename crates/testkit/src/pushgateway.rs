//! A Pushgateway without anything.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, free_port, tool};

/// Prometheus' Pushgateway.
#[derive(Debug)]
pub struct Pushgateway {
    _process: Process,
    _folder: TempDir,
    port: u16,
}

impl Pushgateway {
    pub fn start() -> Pushgateway {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut command = Command::new(tool("prometheus-pushgateway"));
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn");
        let process = Process::start(folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_mins(1));
        Pushgateway {
            _process: process,
            _folder: folder,
            port,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
