//! A command of the user's that prints an interval, as a line of a recorded trace.

use std::time::Duration;

use probe::shell::Shell;

use crate::error::Error;

/// A line with the numbers of hundreds of instances.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Runs the command, interval by interval.
pub struct Command {
    shell: Shell,
    run: String,
}

impl Command {
    pub fn new(shell: Shell, run: String) -> Command {
        Command { shell, run }
    }

    /// The line that it printed.
    pub async fn line(&self, timeout: Duration) -> Result<String, Error> {
        let wrong = |why: String| Error::Command {
            by_hand: self.shell.by_hand(&self.run),
            why,
        };
        let ran = self
            .shell
            .full_output(&self.run, timeout, MAX_LINE_BYTES)
            .await?;
        if ran.status != Some(0) {
            return Err(wrong(format!("{}: {}", ran.exit, ran.tail)));
        }
        if ran.dropped {
            return Err(wrong(format!("it prints more than {MAX_LINE_BYTES} bytes")));
        }
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        match (lines.next(), lines.next()) {
            (Some(line), None) => Ok(line.trim().to_owned()),
            (None, _) => Err(wrong("it prints nothing".to_owned())),
            (Some(_), Some(_)) => Err(wrong("it prints more than one line".to_owned())),
        }
    }
}
