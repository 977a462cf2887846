//! Asks for consent before a change that cannot be undone.

use std::io::{IsTerminal as _, Write as _};

use crate::{Failure, Job};

/// What a person, or the command line, said to a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    Given,
    /// `--dry-run`: the plan was shown, and that is all.
    DryRun,
}

/// A longer answer is neither yes nor no.
const MAX_ANSWER: u64 = 64;

impl Job {
    /// Prints the plan to stderr and decides whether it may run: `--dry-run` means no, `yes` means
    /// yes, otherwise a person at a terminal is asked. Without a terminal it is a usage error, and a
    /// person's no is a refusal.
    pub async fn consent(&self, plan: &[String], yes: bool) -> Result<Consent, Failure> {
        self.progress.clear();
        for line in plan {
            self.publisher.forward(line);
        }
        if self.dry_run {
            return Ok(Consent::DryRun);
        }
        if yes {
            return Ok(Consent::Given);
        }
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            return Err(Failure::usage("there is no terminal for a confirmation")
                .hint("add `--yes` to do it, or `--dry-run` to see it only"));
        }
        // The answer is read on a thread of its own: a signal must still be heard.
        let answer = tokio::task::spawn_blocking(prompt);
        tokio::select! {
            answer = answer => match answer {
                Ok(true) => Ok(Consent::Given),
                _ => Err(Failure::refused("not done: the answer was not yes").hint("answer `y`, or add `--yes`")),
            },
            _ = self.interrupt.wait() => Err(Failure::error("interrupted before anything was changed")),
        }
    }
}

fn prompt() -> bool {
    use std::io::{BufRead as _, Read as _};
    let _ = std::io::stderr().lock().write_all(b"Go on? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_ANSWER)
        .read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
