//! A database: PostgreSQL on its own socket.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{kill, process_ids};
use crate::testbed::{missing, testbed};
use crate::{Certificate, Process, free_port, tool, wait_until};

/// KiB that several servers at once do not fill.
const ROOM_KIB: u64 = 4 << 20;

/// PostgreSQL with its data in a temporary folder. It does not run as root, so under root it is
/// Debian's user `postgres` who runs it.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    /// What started it.
    command: Vec<OsString>,
    folder: TempDir,
    as_root: bool,
    port: u16,
}

impl Postgres {
    pub fn start() -> Postgres {
        Postgres::with(5432, None, &[])
    }

    /// Also on a free port of 127.0.0.1, where these lines of `pg_hba.conf` say who may log in;
    /// with a certificate, by TLS too.
    pub fn listening(hba: &str, certificate: Option<&Certificate>) -> Postgres {
        Postgres::with(free_port(), certificate, &[hba])
    }

    fn with(port: u16, certificate: Option<&Certificate>, hba: &[&str]) -> Postgres {
        let folder = in_memory();
        let as_root = output(Command::new("id").arg("-u")).trim() == "0";
        if as_root {
            output(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let data = folder.path().join("data");
        copy_cluster(as_root, &folder, &data);
        let mut command = user(as_root, program("postgres"));
        command.arg("-D").arg(&data);
        command.args(["-c", "fsync=off", "-p", &port.to_string(), "-k"]);
        command.arg(folder.path());
        // In its folder, so that a server that is killed leaves nothing in the system's shared memory.
        command.args(["-c", "dynamic_shared_memory_type=mmap"]);
        let listen = if hba.is_empty() { "" } else { "127.0.0.1" };
        command.args(["-c", &format!("listen_addresses={listen}")]);
        for lines in hba {
            let text = format!("local all all trust\n{lines}\n");
            std::fs::write(data.join("pg_hba.conf"), text).expect("the file can be written");
        }
        if let Some(certificate) = certificate {
            for (from, to) in [
                (&certificate.certificate, "server.crt"),
                (&certificate.key, "server.key"),
            ] {
                let mut install = Command::new("install");
                install.args(["-m", "600"]).arg(from).arg(data.join(to));
                if as_root {
                    install.args(["-o", "postgres"]);
                }
                output(&mut install);
            }
            command.args(["-c", "ssl=on"]);
        }
        let process = Process::start(folder.path(), &mut command);
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let postgres = Postgres {
            process,
            command: words.map(OsString::from).collect(),
            folder,
            as_root,
            port,
        };
        postgres.until_ready("");
        postgres
    }

    /// Waits for what `pg_ctl` waits for: the last line of the server's file. `before` is what a server that crashed
    /// left there.
    fn until_ready(&self, before: &str) {
        let ready = || {
            let text = self.process_file();
            let last = text.lines().next_back().unwrap_or_default();
            last.trim() == "ready" && text != before
        };
        self.process.wait(Duration::from_mins(1), ready);
    }

    fn process_file(&self) -> String {
        let file = self.folder.path().join("data/postmaster.pid");
        std::fs::read_to_string(file).unwrap_or_default()
    }

    /// Kills the server and all of its processes, as a loss of power would: nothing is written any more.
    pub fn crash(&self) {
        let text = self.process_file();
        let server = text.lines().next().unwrap_or_default().to_owned();
        let of_server = |pid: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(1));
            parent == Some(server.as_str())
        };
        let children: Vec<String> = process_ids().filter(|pid| of_server(pid)).collect();
        for pid in [server.clone()].into_iter().chain(children) {
            kill("KILL", &pid);
        }
        let gone = || !self.process.alive();
        assert!(wait_until(Duration::from_secs(20), gone), "it lives on");
    }

    /// Starts a server that crashed, with the data that it had.
    pub fn start_again(&mut self) {
        let before = self.process_file();
        let (program, arguments) = self.command.split_first().expect("a command");
        let mut command = Command::new(program);
        self.process = Process::start(self.folder.path(), command.args(arguments));
        self.until_ready(&before);
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, with a user and a password where one is asked for: `app:secret`.
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Runs statements, in one transaction if there are several.
    pub fn sql(&self, statements: &str) {
        self.sql_in("postgres", statements);
    }

    /// The same in another database; what the last statement returns, a line a row, with `|` between
    /// the cells.
    pub fn sql_in(&self, database: &str, statements: &str) -> String {
        let ran = self.psql(database).args(["-c", statements]).output();
        let ran = ran.expect("psql can be started");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{statements}: {said}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// The client on a database, which ends with the first error.
    pub fn psql(&self, database: &str) -> Command {
        let mut psql = self.client("psql");
        psql.args(["-d", database, "-qAt", "-v", "ON_ERROR_STOP=1"]);
        psql
    }

    /// A dump of everything in PostgreSQL's own format.
    pub fn dump(&self) -> Vec<u8> {
        self.dump_with(&[])
    }

    /// The same with further options.
    pub fn dump_with(&self, options: &[&str]) -> Vec<u8> {
        let mut command = self.client("pg_dump");
        let ran = command.arg("--format=custom").args(options).output();
        let ran = ran.expect("pg_dump can be started");
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        ran.stdout
    }

    fn client(&self, name: &str) -> Command {
        // Debian's `psql` is a script that looks for this one, which takes longer than what it is asked.
        let mut command = user(self.as_root, program(name));
        command.arg("-h").arg(self.folder.path());
        command.args(["-p", &self.port.to_string()]);
        command.args(["-U", "postgres", "-d", "postgres"]);
        command.current_dir(self.folder.path());
        command
    }
}

/// Puts a new cluster at `data`. `initdb` takes a second of processor time, so it makes one for all tests, which copy it.
fn copy_cluster(as_root: bool, folder: &TempDir, data: &Path) {
    let initdb = program("initdb");
    let version = initdb.iter().rev().nth(2).unwrap_or_default();
    let owner = if as_root { "postgres" } else { "user" };
    let name = format!("postgresql-{}-{owner}-1", version.display());
    let made = testbed().join(&name);
    if !made.is_dir() {
        let first = folder.path().join("first");
        let mut initdb = user(as_root, initdb);
        initdb.args(["--auth=trust", "--username=postgres", "--no-sync"]);
        // The log's first file is most of what is copied.
        initdb.args(["--wal-segsize=1", "-D"]);
        output(initdb.arg(&first).current_dir(folder.path()));
        let copy = testbed().join(format!(".{name}-{}", std::process::id()));
        std::fs::create_dir_all(testbed()).expect("a folder for the cluster");
        output(Command::new("cp").arg("-a").args([&first, &copy]));
        // Another test may have been first.
        if std::fs::rename(&copy, &made).is_err() {
            std::fs::remove_dir_all(&copy).expect("the copy can be removed");
        }
    }
    output(
        Command::new("cp")
            .arg("-a")
            .args([&made, &data.to_path_buf()]),
    );
}

/// A folder in memory, where there is room for a database: a disk takes ten times as long to copy one.
fn in_memory() -> TempDir {
    let free = Command::new("df")
        .args(["--output=avail", "/dev/shm"])
        .output();
    let free = free.map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned());
    let kib = free
        .ok()
        .and_then(|text| text.lines().last()?.trim().parse().ok());
    let has_room = kib.is_some_and(|kib: u64| kib > ROOM_KIB);
    let folder = if has_room {
        tempfile::tempdir_in("/dev/shm")
    } else {
        tempfile::tempdir()
    };
    folder.expect("a temporary folder")
}

/// What a command that must succeed printed.
fn output(command: &mut Command) -> String {
    let ran = command.output().expect("the program can be started");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn user(as_root: bool, program: PathBuf) -> Command {
    if !as_root {
        return Command::new(program);
    }
    let mut command = Command::new(tool("runuser"));
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

/// Debian keeps the server's programs by version.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    versions
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|path| path.is_file())
        .max()
        .unwrap_or_else(|| missing(&PathBuf::from(format!("postgresql's {name}"))))
}
