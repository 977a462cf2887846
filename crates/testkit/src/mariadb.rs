//! A database: MariaDB on a free port of 127.0.0.1.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, free_port, tool};

/// MariaDB with its data in a temporary folder. Its user `root` logs in without a password. It does
/// not run as root, so under root it is Debian's user `mysql` who runs it.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
    folder: TempDir,
    port: u16,
}

impl MariaDb {
    pub fn start() -> MariaDb {
        MariaDb::with(&[])
    }

    /// With these options of the server, such as `--ssl-cert=FILE`.
    pub fn with(options: &[&str]) -> MariaDb {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let data = format!("--datadir={}", at("data"));
        let mut chown = Command::new("chown");
        // Refused where we are not root, and not needed there.
        let _ = chown.arg("mysql").arg(folder.path()).output();
        let mut install = Command::new(tool("mariadb-install-db"));
        install.args(["--no-defaults", "--user=mysql", &data, "--skip-test-db"]);
        install.arg("--auth-root-authentication-method=normal");
        // A server that starts removes the temporary tables in it, those of another one too.
        let temporary = format!("--tmpdir={}", folder.path().display());
        install.arg(&temporary);
        let ran = install.output().expect("the program can be started");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{install:?}: {said}");
        let mut command = Command::new(tool("mariadbd"));
        command.args(["--no-defaults", "--user=mysql", &data, &temporary]);
        command.arg(format!("--socket={}", at("socket")));
        command.arg(format!("--pid-file={}", at("pid")));
        command.args(["--bind-address=127.0.0.1", &format!("--port={port}")]);
        command.args(["--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve"]);
        let process = Process::start(folder.path(), command.args(options));
        let mariadb = MariaDb {
            process,
            folder,
            port,
        };
        let ready = || {
            let ran = mariadb.client("mariadb").args(["-e", "select 1"]).output();
            ran.is_ok_and(|ran| ran.status.success())
        };
        mariadb.process.wait(Duration::from_mins(1), ready);
        mariadb
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Runs statements; what the last one returns, a line a row, with tabs between the cells.
    pub fn sql(&self, statements: &str) -> String {
        let mut client = self.client("mariadb");
        client.args(["--batch", "--skip-column-names", "-e", statements]);
        let ran = client.output().expect("mariadb can be started");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{statements}: {said}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// A program of MariaDB's, such as `mariadb-dump`, that logs in as root.
    pub fn client(&self, name: &str) -> Command {
        let mut command = Command::new(tool(name));
        let socket = self.folder.path().join("socket");
        command.args(["--no-defaults", "--user=root"]);
        command.arg(format!("--socket={}", socket.display()));
        command
    }
}
