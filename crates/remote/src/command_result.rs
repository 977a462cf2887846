//! What a command did, wherever it ran, and whether that is what was wanted.

use config::value::Pattern;
use model::Verdict;

use crate::{local, ssh};

/// What is kept of standard output; of a local command's its head and tail.
pub const MAX_KEPT_BYTES: usize = 64 << 10;

/// What a command did, here or on a host.
#[derive(Clone, Debug)]
pub struct CommandResult {
    /// `None` where it did not end by itself.
    pub status: Option<i32>,
    /// How it ended, in words.
    pub exit: String,
    pub stdout: Vec<u8>,
    /// Not all of its output is in `stdout`.
    pub dropped: bool,
    /// The last lines of stderr, else of stdout.
    pub tail: String,
}

impl From<local::Captured> for CommandResult {
    fn from(captured: local::Captured) -> CommandResult {
        CommandResult {
            status: status(captured.exit),
            exit: captured.exit.to_string(),
            dropped: captured.dropped,
            tail: captured.tail(),
            stdout: captured.stdout.into_bytes(),
        }
    }
}

impl From<local::FullOutput> for CommandResult {
    fn from(whole: local::FullOutput) -> CommandResult {
        CommandResult {
            status: status(whole.exit),
            exit: whole.exit.to_string(),
            dropped: whole.is_cut,
            tail: whole.tail,
            stdout: whole.stdout,
        }
    }
}

fn status(exit: local::Exit) -> Option<i32> {
    match exit {
        local::Exit::Code(code) => Some(code),
        local::Exit::Signal(_) | local::Exit::TimedOut => None,
    }
}

impl From<ssh::Output> for CommandResult {
    fn from(output: ssh::Output) -> CommandResult {
        let status = match output.exit {
            ssh::Exit::Code(code) => Some(code),
            ssh::Exit::Signal(_) | ssh::Exit::Unproven | ssh::Exit::TimedOut | ssh::Exit::Flood => {
                None
            }
        };
        let mut exit = output.exit.to_string();
        if output.exit == ssh::Exit::Flood {
            exit.push_str(&format!(" ({} bytes)", output.printed));
        }
        CommandResult {
            status,
            exit,
            dropped: output.truncated,
            tail: output.tail(),
            stdout: output.stdout,
        }
    }
}

/// What is good.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    pub status: &'a [u8],
    pub contains: Option<&'a str>,
    /// Without the white space around it.
    pub equals: Option<&'a str>,
    pub matches: Option<&'a Pattern>,
}

/// What is not as it was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub reason: String,
    pub verdict: Verdict,
}

/// The statuses by which a shell reports that it could not run a program: it is there but may not
/// be run, or it is not there.
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_08_02>
const NOT_RUN: [(i32, &str); 2] = [
    (126, "a program in it may not be run"),
    (127, "a program in it was not found"),
];

impl Expectation<'_> {
    /// Status first: a command that failed prints what it likes.
    pub fn judge(&self, ran: &CommandResult) -> Result<(), Mismatch> {
        let not = |reason: String| Mismatch {
            reason,
            verdict: Verdict::Fail,
        };
        let Some(code) = ran.status else {
            return Err(not(ran.exit.clone()));
        };
        if !self.status.iter().any(|good| i32::from(*good) == code) {
            let reason = format!("{}, expected {}", ran.exit, self.statuses());
            // The question was not asked, so this is not an answer of the service under test.
            return Err(match NOT_RUN.iter().find(|(status, _)| *status == code) {
                Some((_, what)) => Mismatch {
                    reason: format!("{reason}: {what}"),
                    verdict: Verdict::Error,
                },
                None => not(reason),
            });
        }
        let unmet = |what: String| {
            let lost = if ran.dropped {
                ", and what it printed beyond 64 KiB was not kept"
            } else {
                ""
            };
            Mismatch {
                reason: format!("{what}{lost}"),
                // What was not kept might have held it.
                verdict: if ran.dropped {
                    Verdict::Inconclusive
                } else {
                    Verdict::Fail
                },
            }
        };
        let text = String::from_utf8_lossy(&ran.stdout);
        if let Some(wanted) = self.contains
            && !text.contains(wanted)
        {
            return Err(unmet(format!("it does not print `{wanted}`")));
        }
        if let Some(wanted) = self.equals
            && text.trim() != wanted.trim()
        {
            // What was dropped makes it longer, never equal.
            return Err(not(format!("what it prints is not `{wanted}`")));
        }
        if let Some(pattern) = self.matches
            && !pattern.is_match(line_end_off(&ran.stdout))
        {
            let pattern = pattern.as_str();
            return Err(unmet(format!("what it prints does not match `{pattern}`")));
        }
        Ok(())
    }

    fn statuses(&self) -> String {
        let good: Vec<String> = self.status.iter().map(ToString::to_string).collect();
        format!("exit status {}", good.join(" or "))
    }
}

/// Strips line ends as a shell's `$(…)` does: `$` matches the end of the output.
fn line_end_off(bytes: &[u8]) -> &[u8] {
    let breaks = bytes.iter().rev().take_while(|byte| **byte == b'\n');
    &bytes[..bytes.len() - breaks.count()]
}

impl std::fmt::Display for Expectation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.statuses())?;
        if let Some(wanted) = self.contains {
            write!(f, ", prints `{wanted}`")?;
        }
        if let Some(wanted) = self.equals {
            write!(f, ", prints exactly `{wanted}`")?;
        }
        if let Some(pattern) = self.matches {
            write!(f, ", prints what matches `{}`", pattern.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_could_not_be_run_is_an_error_unless_its_status_is_wanted() {
        let judged = |code, status: &[u8]| {
            let ran = CommandResult {
                status: Some(code),
                exit: format!("exit status {code}"),
                stdout: Vec::new(),
                dropped: false,
                tail: String::new(),
            };
            let wanted = Expectation {
                status,
                contains: None,
                equals: None,
                matches: None,
            };
            wanted.judge(&ran).map_err(|unmet| unmet.verdict)
        };
        assert_eq!(judged(127, &[0]), Err(Verdict::Error));
        assert_eq!(judged(126, &[0, 2]), Err(Verdict::Error));
        assert_eq!(judged(125, &[0]), Err(Verdict::Fail));
        assert_eq!(judged(127, &[0, 127]), Ok(()));
    }
}
