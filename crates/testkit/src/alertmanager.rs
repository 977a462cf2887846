//! An Alertmanager that tells one receiver at once.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, free_port, tool};

/// Alertmanager, for alerts of a [`Prometheus`](crate::Prometheus).
#[derive(Debug)]
pub struct Alertmanager {
    process: Process,
    _folder: TempDir,
    port: u16,
}

impl Alertmanager {
    /// Started; it sends every alert to this URL, each in a message of its own.
    pub fn sending_to(webhook: &str) -> Alertmanager {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("alertmanager.yml");
        let text = format!(
            "route: {{ receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}\n\
             receivers: [{{ name: test, webhook_configs: [{{ url: '{webhook}' }}] }}]\n"
        );
        fs::write(&config, text).expect("the file can be written");
        let port = free_port();
        let mut command = Command::new(tool("prometheus-alertmanager"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            // No cluster.
            .arg("--cluster.listen-address=")
            .arg("--log.level=warn");
        let process = Process::start(folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_mins(1));
        Alertmanager {
            process,
            _folder: folder,
            port,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
