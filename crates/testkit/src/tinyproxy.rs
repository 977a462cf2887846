//! An HTTP proxy that keeps a log of what it was asked.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, free_port, tool, wait_until};

/// tinyproxy on a free port, for all users or for one.
#[derive(Debug)]
pub struct Tinyproxy {
    process: Process,
    _folder: TempDir,
    port: u16,
}

impl Tinyproxy {
    pub fn start() -> Tinyproxy {
        Tinyproxy::start_with("")
    }

    /// Lets in only who shows this user and password.
    pub fn start_private(user: &str, password: &str) -> Tinyproxy {
        Tinyproxy::start_with(&format!("BasicAuth {user} {password}\n"))
    }

    fn start_with(more: &str) -> Tinyproxy {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let config = folder.path().join("tinyproxy.conf");
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\nAllow 127.0.0.1\nLogLevel Info\nDisableViaHeader Yes\n{more}"
        );
        fs::write(&config, text).expect("the configuration can be written");
        let mut command = Command::new(tool("tinyproxy"));
        command.arg("-d").arg("-c").arg(&config);
        let process = Process::start(folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_secs(20));
        Tinyproxy {
            process,
            _folder: folder,
            port,
        }
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The proxy's URL, as in `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Whether its log shows a request that begins so: `GET http://…` or `CONNECT host:port`.
    pub fn has_logged(&self, request: &str) -> bool {
        wait_until(Duration::from_secs(2), || {
            self.process.log().contains(request)
        })
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
