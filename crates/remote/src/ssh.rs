//! A login on a host, step by step, so that the first step that fails can be named, and the
//! commands that run there.

mod command;
mod connect;
mod error;
mod link;
mod offer;
mod proof;
mod pulse;
mod pump;
mod shared;
mod tunnel;

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::oneshot;

pub use error::Error;
pub use offer::Apart;
use proof::Proof;
use pump::Order;
pub use shared::Shared;
pub use tunnel::{Severed, Tunnel};

/// Where to log in, as whom.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: String,
    pub port: u16,
    pub user: String,
    pub key: SecretString,
    /// What opens the key, where it is protected.
    pub passphrase: Option<SecretString>,
    pub known_hosts: PathBuf,
}

/// How long a command may take, and how much it may print.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub timeout: Duration,
    /// What is kept of each stream, in bytes; the rest is read and dropped. A command that
    /// prints sixteen times as much (and at least 1 MiB) is cut off.
    pub max_output: usize,
}

/// How a command on a host ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    /// By a signal, such as `KILL`.
    Signal(String),
    /// The channel was closed, and nothing proves that the command ran to its end: the server
    /// told no exit status, or runs a command of its own instead (`ForceCommand`).
    Unproven,
    /// It had not ended in time; the connection takes no more commands.
    TimedOut,
    /// It printed far more than was allowed; the connection takes no more commands.
    Flood,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Unproven => f.write_str("ended without proof that it ran"),
            Exit::Signal(signal) => write!(f, "killed by signal {signal}"),
            Exit::TimedOut => f.write_str("not done in time"),
            Exit::Flood => f.write_str("cut off: it prints without end"),
        }
    }
}

/// What a command on a host did.
#[derive(Clone, Debug)]
pub struct Output {
    pub exit: Exit,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// More was printed than is kept here.
    pub truncated: bool,
    /// How much was printed, kept or not.
    pub printed: u64,
}

impl Output {
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// The last lines of stderr, else of stdout: what a person would look at first.
    pub fn tail(&self) -> String {
        let error = String::from_utf8_lossy(&self.stderr);
        let text = if error.trim().is_empty() {
            String::from_utf8_lossy(&self.stdout)
        } else {
            error
        };
        let lines: Vec<&str> = text.trim_end().lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

/// A login that stands. Commands run side by side, and tunnels beside them, all on one connection
/// that a thread of its own serves.
///
/// Dropping the last handle closes the connection at once, also under a command that still runs.
#[derive(Clone, Debug)]
pub struct Session(Arc<Handle>);

/// What the thread is told by.
#[derive(Debug)]
struct Handle {
    // Before `wake`, whose end wakes the thread: it must then see that nobody orders any more.
    inbox: mpsc::Sender<Order>,
    wake: UnixStream,
    /// Whether it takes orders; it does not after a command was cut off, or when it broke.
    open: Arc<AtomicBool>,
    unwanted: Arc<AtomicBool>,
}

/// What a host is to run, and by which shell.
#[derive(Clone, Copy)]
enum Work<'a> {
    Command(&'a str),
    Script(&'a str),
}

/// Our own threads get this much longer than they were given, so that the step that hangs can be
/// named. Only then are they left to end by themselves.
const GUARD: Duration = Duration::from_millis(250);

impl Session {
    /// Runs a command in the login shell of the user (`sh`, `bash`, `zsh` and the like), with
    /// nothing to read. Values from outside go into it as [`quote`](crate::quote)d words.
    pub async fn run(&self, command: &str, limits: Limits) -> Result<Output, Error> {
        self.exec(Work::Command(command), limits).await
    }

    /// Runs a script in `sh`, whatever the login shell is.
    pub async fn script(&self, text: &str, limits: Limits) -> Result<Output, Error> {
        self.exec(Work::Script(text), limits).await
    }

    async fn exec(&self, work: Work<'_>, limits: Limits) -> Result<Output, Error> {
        let (text, input, proof) = match work {
            Work::Command(command) => {
                let (proof, command) = Proof::of_command(command);
                (command, String::new(), proof)
            }
            Work::Script(text) => {
                let (proof, text) = Proof::of_script(text);
                ("sh -s".to_owned(), text, proof)
            }
        };
        let order = |reply| {
            Order::Command(command::Order {
                text,
                input: input.into_bytes(),
                proof,
                max_output: limits.max_output,
                deadline: Instant::now() + limits.timeout,
                timeout: limits.timeout,
                reply,
            })
        };
        self.order(order, limits.timeout)
            .await
            .unwrap_or(Err(Error::TimedOut(limits.timeout)))
    }

    /// A connection that the host makes to a place as it sees it, such as its own loopback.
    pub async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Tunnel, Error> {
        let order = |reply| {
            Order::Tunnel(tunnel::Order {
                host: host.to_owned(),
                port,
                deadline: Instant::now() + timeout,
                timeout,
                reply,
            })
        };
        let late = || Error::NoAnswer {
            host: host.to_owned(),
            port,
            within: timeout,
        };
        let stream = self.order(order, timeout).await.ok_or_else(late)??;
        Tunnel::new(stream, self.clone()).map_err(|error| Error::Ours(error.to_string()))
    }

    /// Whether the host still answers on this connection. Where it does not, the connection takes
    /// no more orders.
    pub async fn pulse(&self, timeout: Duration) -> Result<(), Error> {
        let order = |reply| {
            Order::Pulse(pulse::Order {
                deadline: Instant::now() + timeout,
                timeout,
                reply,
            })
        };
        let answer = self.order(order, timeout).await;
        answer.unwrap_or(Err(Error::NoPulse(timeout)))
    }

    /// Whether more can be asked.
    pub fn is_open(&self) -> bool {
        self.0.open.load(Ordering::Acquire)
    }

    /// What the thread answers; `None` where it does not.
    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Order,
        timeout: Duration,
    ) -> Option<Result<T, Error>> {
        if !self.is_open() {
            return Some(Err(Error::Closed));
        }
        let (reply, answer) = oneshot::channel();
        if self.0.inbox.send(order(reply)).is_err() {
            return Some(Err(Error::Closed));
        }
        // Full, it is awake already.
        let _ = (&self.0.wake).write(&[0]);
        match tokio::time::timeout(timeout + GUARD, answer).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(_)) => Some(Err(Error::Closed)),
            Err(_) => None,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Release);
    }
}
