//! What could not be asked, and what it would take.

use github::RunId;

/// What a diagnosis lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The log could not be read.
    Log { reason: String, hint: String },
    /// The annotations could not be read.
    Annotations { reason: String, hint: String },
    /// GitHub has no log of the job: it still runs, or it never began.
    NoLog,
    /// GitHub kept the log for as long as the repository says.
    LogExpired,
    /// A part of the log was not read.
    LogCut(github::logs::Cut),
}

impl Gap {
    /// The next step for a person.
    pub fn hint(&self) -> &str {
        match self {
            Gap::Log { hint, .. } | Gap::Annotations { hint, .. } => hint,
            Gap::NoLog => "try again when the job has ended: GitHub publishes its log then",
            Gap::LogExpired => {
                "run the job again for a log; how long logs are kept is in the repository's settings, under Actions"
            }
            Gap::LogCut(_) => "read the whole log: `gh run view --log --job ID`",
        }
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Gap::Log { reason, .. } => write!(f, "the log could not be read: {reason}"),
            Gap::Annotations { reason, .. } => {
                write!(f, "the annotations could not be read: {reason}")
            }
            Gap::NoLog => f.write_str("GitHub has no log of the job"),
            Gap::LogExpired => f.write_str("the log has expired"),
            Gap::LogCut(github::logs::Cut::Beginning) => {
                f.write_str("the log is long: only its end was read")
            }
            Gap::LogCut(github::logs::Cut::End) => {
                f.write_str("the log is long: only its beginning was read")
            }
        }
    }
}

/// Why there is no diagnosis.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no {}run {run} in {repository}, or the token may not see it", of_attempt(*attempt))]
    NoRun {
        run: RunId,
        attempt: Option<u32>,
        repository: String,
        source: github::Error,
    },
    #[error(transparent)]
    GitHub(#[from] github::Error),
}

fn of_attempt(attempt: Option<u32>) -> String {
    attempt.map_or_else(String::new, |attempt| format!("attempt {attempt} of "))
}

impl Error {
    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Error::NoRun { source, .. } => {
                format!(
                    "compare its number with its page: a deleted run is not available; {}",
                    source.hint()
                )
            }
            Error::GitHub(error) => error.hint(),
        }
    }
}
