//! GitHub's REST API, played from GitHub's own description of it.

mod description;

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, free_port, tool};

/// prism answers with the examples of the description and refuses requests that do not fit it.
///
/// It takes some seconds: tests of one file share one.
#[derive(Debug)]
pub struct Prism {
    process: Process,
    _folder: TempDir,
    port: u16,
}

impl Prism {
    /// api.github.com.
    pub fn github() -> Prism {
        Prism::start("api.github.com.json")
    }

    /// GitHub Enterprise Server; the base URL has no `/api/v3` here.
    pub fn ghes() -> Prism {
        Prism::start("ghes-3.19.json")
    }

    fn start(description: &str) -> Prism {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let file = description::trimmed(description);
        let mut command = Command::new(tool("prism"));
        command
            .args(["mock", "--host", "127.0.0.1", "--port", &port.to_string()])
            .arg(&file);
        let process = Process::start(folder.path(), &mut command);
        // Other tests want the processor too.
        process.wait_for_port(port, Duration::from_mins(3));
        Prism {
            process,
            _folder: folder,
            port,
        }
    }

    /// The base URL, as in `GITHUB_API_URL`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
