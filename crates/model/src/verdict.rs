//! What a stage concludes, and the exit code that says it to a shell.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A conclusion, ordered so that the worst of several is their maximum.
///
/// `Skipped` is below `Pass`: it counts for nothing beside another verdict, and alone it is not
/// a pass (see [`Verdict::of`]). `Partial` and `Refused` come only from stages that act, and
/// from a safety rule; they describe the whole stage and so outrank every finding.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Not checked, for a reason that is given.
    Skipped,
    /// Checked: what is expected is so.
    Pass,
    /// Checked, and the answers do not decide.
    Inconclusive,
    /// It could not be checked.
    Error,
    /// Checked: what is expected is not so.
    Fail,
    /// Some hosts changed and some did not.
    Partial,
    /// A safety rule forbids it; nothing was changed.
    Refused,
}

impl Verdict {
    /// The verdict over several findings: the worst, and `Inconclusive` if there are no findings or
    /// all were skipped, because silence is not success.
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        match verdicts.into_iter().max() {
            None | Some(Verdict::Skipped) => Verdict::Inconclusive,
            Some(worst) => worst,
        }
    }

    /// The exit code of this verdict, one to one.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Verdict::Pass => ExitCode::Pass,
            Verdict::Fail => ExitCode::Fail,
            Verdict::Skipped | Verdict::Inconclusive => ExitCode::Inconclusive,
            Verdict::Error => ExitCode::Error,
            Verdict::Refused => ExitCode::Refused,
            Verdict::Partial => ExitCode::Partial,
        }
    }

    /// The word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Skipped => "skipped",
            Verdict::Pass => "pass",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Error => "error",
            Verdict::Fail => "fail",
            Verdict::Partial => "partial",
            Verdict::Refused => "refused",
        }
    }

    /// The sign used in summaries.
    pub fn emoji(self) -> &'static str {
        match self {
            Verdict::Pass => "✅",
            Verdict::Fail => "❌",
            Verdict::Error | Verdict::Partial => "⚠️",
            Verdict::Inconclusive => "❔",
            Verdict::Skipped => "⏭️",
            Verdict::Refused => "⛔",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The documented process exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Pass = 0,
    Fail = 1,
    /// Usage or configuration error: nothing was asked and nothing changed.
    Usage = 2,
    Inconclusive = 3,
    Error = 4,
    Refused = 5,
    Partial = 6,
    /// SIGINT, after leaving a resumable journal.
    Interrupted = 130,
    /// SIGTERM, after leaving a resumable journal.
    Terminated = 143,
}

impl ExitCode {
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The verdict of what ended with it.
    pub fn verdict(self) -> Verdict {
        match self {
            ExitCode::Pass => Verdict::Pass,
            ExitCode::Fail => Verdict::Fail,
            ExitCode::Inconclusive => Verdict::Inconclusive,
            ExitCode::Refused => Verdict::Refused,
            ExitCode::Partial => Verdict::Partial,
            ExitCode::Usage | ExitCode::Error | ExitCode::Interrupted | ExitCode::Terminated => {
                Verdict::Error
            }
        }
    }

    /// In a few words, as the table of exit codes has it.
    pub fn meaning(self) -> &'static str {
        match self {
            ExitCode::Pass => "pass",
            ExitCode::Fail => "fail",
            ExitCode::Usage => "usage or configuration error",
            ExitCode::Inconclusive => "inconclusive",
            ExitCode::Error => "error",
            ExitCode::Refused => "refused",
            ExitCode::Partial => "partial",
            ExitCode::Interrupted => "interrupted",
            ExitCode::Terminated => "terminated",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        std::process::ExitCode::from(code.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_wins_and_silence_is_not_success() {
        use Verdict::{Error, Fail, Inconclusive, Pass, Skipped};
        let cases: &[(&[Verdict], Verdict)] = &[
            (&[], Inconclusive),
            (&[Skipped, Skipped], Inconclusive),
            (&[Pass, Skipped], Pass),
            (&[Pass, Inconclusive], Inconclusive),
            (&[Inconclusive, Error], Error),
            (&[Error, Fail, Pass], Fail),
        ];
        for (given, expected) in cases {
            assert_eq!(Verdict::of(given.iter().copied()), *expected, "{given:?}");
        }
    }
}
