//! What a command on a host did, and how it ended.

use std::time::Duration;

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
    /// The channel was closed, and nothing proves that the command ran to its end: the server sent
    /// no exit status, or runs its own command instead (`ForceCommand`).
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
