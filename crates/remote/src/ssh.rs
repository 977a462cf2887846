//! A login on a host, step by step, so that the first step that fails can be named, and the
//! commands that run there.

mod connect;
mod error;
mod proof;
mod run;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

pub use error::Error;
use proof::Proof;
use run::Connection;

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
    /// It had not ended in time; the connection was closed.
    TimedOut,
    /// It printed far more than was allowed; the connection was closed.
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

/// A login that stands. Commands run one after another; those asked for meanwhile wait.
///
/// Dropping it closes the connection at once, also under a command that still runs.
#[derive(Debug)]
pub struct Session {
    connection: tokio::sync::Mutex<Option<Connection>>,
    stream: Arc<std::net::TcpStream>,
}

/// Our own threads get this much longer than they were given, so that the step that hangs can be
/// named. Only then are they left to end by themselves.
const GUARD: Duration = Duration::from_millis(250);

impl Session {
    /// Runs a command in the login shell of the user (`sh`, `bash`, `zsh` and the like), with
    /// nothing to read. Values from outside
    /// go into it as [`quote`](crate::quote)d words.
    pub async fn run(&self, command: &str, limits: Limits) -> Result<Output, Error> {
        let (proof, command) = Proof::of_command(command);
        self.exec(command, proof, Vec::new(), limits).await
    }

    /// Runs a script in `sh`, whatever the login shell is.
    pub async fn script(&self, text: &str, limits: Limits) -> Result<Output, Error> {
        let (proof, text) = Proof::of_script(text);
        self.exec("sh -s".to_owned(), proof, text.into_bytes(), limits)
            .await
    }

    async fn exec(
        &self,
        command: String,
        proof: Proof,
        input: Vec<u8>,
        limits: Limits,
    ) -> Result<Output, Error> {
        let mut slot = self.connection.lock().await;
        // While it runs, the connection is the thread's: one that is given up is not taken back.
        let connection = slot.take().ok_or(Error::Closed)?;
        let task = tokio::task::spawn_blocking(move || {
            let result = connection.exec(&command, proof, &input, limits);
            (connection, result)
        });
        let Ok(Ok((connection, result))) = tokio::time::timeout(limits.timeout + GUARD, task).await
        else {
            return Err(Error::TimedOut(limits.timeout));
        };
        let output = result?;
        // What was cut off still runs, or still prints: nothing more can be asked here.
        if !matches!(output.exit, Exit::TimedOut | Exit::Flood) {
            *slot = Some(connection);
        }
        Ok(output)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.connection.get_mut().is_none() {
            // A thread still waits for the command: its next read ends at once.
            let _ = self.stream.shutdown(std::net::Shutdown::Both);
        }
    }
}
