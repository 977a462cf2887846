//! A server process that cannot outlive its test.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Ports below those that the kernel gives to connections (32768 and up by default), a block of them
/// for each test program: no connection and no other test takes one before its server has it.
const FIRST_PORT: u32 = 10_000;
const BLOCKS: u32 = 220;
const BLOCK: u32 = 100;

/// A port on which nothing listens at the moment.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let block = std::process::id() % BLOCKS;
    let free = (0..BLOCK * BLOCKS).find_map(|_| {
        let next = block * BLOCK + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST_PORT + next % (BLOCK * BLOCKS)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(port)
    });
    free.expect("a free port")
}

/// Waits until `ready` returns true; `false` if it does not in time.
pub fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !ready() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(15));
    }
    true
}

/// A program in a process group of its own, under a small shell that ends the group when its
/// input closes. So the program ends on `drop`, and also when the test itself is killed.
#[derive(Debug)]
pub struct Process {
    guardian: Child,
    pid: u32,
    log: PathBuf,
}

const GUARDIAN: &str = r#"
pid_file=$1; shift
"$@" &
child=$!
echo "$child" >"$pid_file.new" && mv "$pid_file.new" "$pid_file"
read -r _
trap '' TERM
kill -TERM 0
wait "$child"
"#;

impl Process {
    /// Starts `program` with its output in `folder/log`.
    pub fn start(folder: &Path, program: &mut Command) -> Process {
        let log = folder.join("log");
        let pid_file = folder.join("guardian.pid");
        // Of a program that ran in the same folder before.
        let _ = fs::remove_file(&pid_file);
        let output = File::create(&log).expect("the log can be made");
        let mut command = Command::new("sh");
        command.args(["-c", GUARDIAN, "guardian"]).arg(&pid_file);
        command.arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(program.get_current_dir().unwrap_or(folder));
        let guardian = command
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a file can be cloned"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .expect("sh can be started");
        let mut process = Process {
            guardian,
            pid: 0,
            log,
        };
        let mut text = String::new();
        let known = wait_until(Duration::from_secs(20), || {
            text = fs::read_to_string(&pid_file).unwrap_or_default();
            !text.is_empty()
        });
        assert!(known, "no process id was written: {}", process.log());
        process.pid = text.trim().parse().expect("a process id is a number");
        process
    }

    /// Waits until something accepts connections there.
    pub fn wait_for_port(&self, port: u16, limit: Duration) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.wait(limit, || {
            TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
        });
    }

    /// Waits until `ready` returns true; panics with the log if the process ends or time is up.
    pub fn wait(&self, limit: Duration, mut ready: impl FnMut() -> bool) {
        let mut alive = true;
        let up = wait_until(limit, || {
            alive = self.alive();
            ready() || !alive
        });
        assert!(alive, "the server ended at its start:\n{}", self.log());
        assert!(
            up,
            "the server was not ready within {limit:?}:\n{}",
            self.log()
        );
    }

    /// The process id of the program itself.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the program still runs.
    pub fn alive(&self) -> bool {
        // `pid (name) S …`: the name may hold anything, the state is the first word behind it.
        // A process that ended and was not yet waited for is a zombie.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
    }

    /// Sends a signal by name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        kill(name, &self.pid.to_string());
    }

    /// Whether the program itself handles a signal, by its number.
    pub fn catches(&self, signal: u32) -> bool {
        let path = format!("/proc/{}/status", self.pid);
        let status = fs::read_to_string(path).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
    }

    /// The end of what the program wrote.
    pub fn log(&self) -> String {
        let Ok(mut file) = File::open(&self.log) else {
            return String::new();
        };
        let length = file.metadata().map_or(0, |data| data.len());
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(8192)));
        let mut tail = Vec::new();
        let _ = file.read_to_end(&mut tail);
        String::from_utf8_lossy(&tail).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        let group = format!("-{}", self.guardian.id());
        let ended = wait_until(Duration::from_secs(5), || {
            !matches!(self.guardian.try_wait(), Ok(None))
        });
        if !ended {
            kill("KILL", &group);
            let _ = self.guardian.wait();
        }
    }
}

/// Ends every process that has this variable in its environment: what a job of a
/// workflow leaves behind is in no process group of ours.
pub fn end_all_with(name: &str, value: &str) {
    let wanted = format!("{name}={value}");
    let has = |pid: &str| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    };
    for pid in process_ids().filter(|pid| has(pid)) {
        kill("KILL", &pid);
    }
}

/// Whether a process runs that has this text among its arguments.
pub fn any_process_with(text: &str) -> bool {
    process_ids().any(|pid| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(text)
    })
}

pub(crate) fn process_ids() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").expect("the processes can be listed");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(crate) fn kill(signal: &str, target: &str) {
    let _ = Command::new("kill")
        .args(["-s", signal, "--", target])
        .stderr(Stdio::null())
        .status();
}
