//! Why a target could not be asked or switched. A cause stays what it is until it is shown.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use config::value::Split;
use model::text::duration;
use remote::CommandResult;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A host of the configuration cannot be reached or used.
    #[error("{0}")]
    Host(net::ConnectError),
    #[error("{what} could not be started: {cause}")]
    NotStarted {
        what: &'static str,
        cause: Arc<io::Error>,
    },
    /// A command did not end with success.
    #[error("{}", ended(.0))]
    Ended(CommandResult),
    /// A file, a folder or a socket cannot be read or written.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// A command printed more than is read of it.
    #[error("it printed more than {0} bytes")]
    TooLong(usize),
    #[error("it is too large")]
    TooLarge,
    #[error("{what} within {}", duration(*within))]
    Late {
        what: &'static str,
        within: Duration,
    },
    /// The time ended that the configuration gives; the whole sentence.
    #[error("{0}")]
    Deadline(String),
    /// What was printed, answered or written down is not understood.
    #[error("{0}")]
    Malformed(String),
    /// The configuration does not name what is needed.
    #[error("{0}")]
    Unconfigured(String),
    /// The configuration does not fit the release, or what is there.
    #[error("{0}")]
    Unfit(String),
    /// What is needed is not there.
    #[error("{0}")]
    Missing(String),
    /// What it takes to revert a step was not noted.
    #[error("{0}")]
    Unnoted(&'static str),
    /// What should do its work does not.
    #[error("{0}")]
    Down(String),
    /// What runs is not what it should be or was recorded as.
    #[error("{0}")]
    Contradicts(String),
    /// Another changes it at the same time, as a router reports it.
    #[error("{0}")]
    Raced(String),
    /// Another changed what was set.
    #[error("{0}")]
    Overtaken(Box<ForeignChange>),
    /// The service, or a server of it, did not name its release.
    #[error("{0}")]
    Unanswered(String),
    /// The same if the place of the release is not configured in the gate: it was only a guess.
    #[error("{0}")]
    Guessed(Box<Error>),
    /// A switch was made, and nothing proves that it took effect.
    #[error("{0}")]
    Unproved(String),
    /// A signal came before it was known whether what was done took effect; the whole sentence.
    #[error("{0}")]
    Interrupted(String),
    /// What was set is in effect, and a signal left no time for its proof; the whole sentence.
    #[error("{0}")]
    ProofInterrupted(String),
    /// A workflow's run ended without success.
    #[error("{0}")]
    RunFailed(String),
    /// A proxy did not do what it was told; its own words.
    #[error("{0}")]
    Refused(String),
    #[error("HAProxy has no backend {0}")]
    NoBackend(String),
    #[error("{backend} has no server {server}")]
    NoServer {
        backend: String,
        server: String,
        /// Those that it has.
        others: Vec<String>,
    },
    #[error("{socket} may not change servers: its level is `{level}`, not `admin`")]
    Level { socket: String, level: String },
    #[error("{0}: there is no such socket")]
    NoSocket(String),
    /// What was just started is not up.
    #[error(transparent)]
    Settle(#[from] probe::settle::Error),
    #[error(transparent)]
    Member(#[from] config::file::MemberError),
    /// The endpoints of a group are not known.
    #[error(transparent)]
    Members(#[from] probe::members::Error),
    /// The service did not name its release.
    #[error(transparent)]
    Release(#[from] probe::http::ReleaseError),
    #[error(transparent)]
    Project(#[from] tools::compose_config::ProjectError),
    #[error("{error}; {hint}", error = .0, hint = .0.hint())]
    Github(#[from] github::Error),
    #[error("{action}: {cause}; {}", aws_hint(service, action, cause))]
    Aws {
        /// As permissions name it: `ecs`.
        service: &'static str,
        action: String,
        cause: aws::Error,
    },
    /// A cause, and of what it is.
    #[error("{what}: {cause}")]
    At { what: String, cause: Box<Error> },
    /// A cause, and further details.
    #[error("{cause}; {then}")]
    Then { cause: Box<Error>, then: String },
    /// A switch that failed, and how what was before was put back at once.
    #[error("{cause}; {done}")]
    PutBack { cause: Box<Error>, done: String },
    /// A switch that failed, and what was before could not be put back.
    #[error("{cause}; {back}")]
    Stuck { cause: Box<Error>, back: Box<Error> },
}

/// A place that has something else than what was set there: another changed it.
#[derive(Clone, Debug)]
pub struct ForeignChange {
    /// The name of the place.
    pub place: String,
    pub set: Split,
    /// What is there; an error where it is no split between the two sides.
    pub found: Result<Split, Error>,
}

impl ForeignChange {
    /// What is there, in words.
    pub fn found(&self) -> String {
        match &self.found {
            Ok(found) => found.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl fmt::Display for ForeignChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ForeignChange { place, set, found } = self;
        match found {
            Ok(found) => write!(
                f,
                "{place} has {found}, and {set} was set: another changed it"
            ),
            Err(found) => write!(f, "{place} had {set}, and now {found}: another changed it"),
        }
    }
}

impl Error {
    pub fn at(self, what: impl ToString) -> Error {
        Error::At {
            what: what.to_string(),
            cause: Box::new(self),
        }
    }

    pub fn then(self, then: impl ToString) -> Error {
        Error::Then {
            cause: Box::new(self),
            then: then.to_string(),
        }
    }

    pub fn put_back(self, done: String) -> Error {
        Error::PutBack {
            cause: Box::new(self),
            done,
        }
    }

    pub fn stuck(self, back: Error) -> Error {
        Error::Stuck {
            cause: Box::new(self),
            back: Box::new(back),
        }
    }

    /// A command that did not succeed. Its output is not part of the reason.
    pub fn ended(ran: impl Into<CommandResult>) -> Error {
        Error::Ended(CommandResult {
            stdout: Vec::new(),
            ..ran.into()
        })
    }

    /// Whether another changed what was set, at the same time or since.
    pub fn is_overtaken(&self) -> bool {
        matches!(self.cause(), Error::Raced(_) | Error::Overtaken(_))
    }

    /// What another changed, also where that was found while something was put back.
    pub fn foreign_change(&self) -> Option<&ForeignChange> {
        match self {
            Error::Overtaken(change) => Some(change),
            Error::At { cause, .. } | Error::Then { cause, .. } => cause.foreign_change(),
            Error::Stuck { back, .. } => back.foreign_change(),
            _ => None,
        }
    }

    /// Whether a signal left no time to see whether what was done took effect, or to prove it.
    pub fn is_interrupted(&self) -> bool {
        matches!(
            self.cause(),
            Error::Interrupted(_) | Error::ProofInterrupted(_)
        )
    }

    /// What it comes from, whatever was added to it.
    pub fn cause(&self) -> &Error {
        match self {
            Error::At { cause, .. } | Error::Then { cause, .. } | Error::PutBack { cause, .. } => {
                cause.cause()
            }
            error => error,
        }
    }
}

impl From<net::ConnectError> for Error {
    fn from(problem: net::ConnectError) -> Self {
        Error::Host(problem)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::FileTooLarge => Error::TooLarge,
            _ => Error::Io(Arc::new(error)),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Malformed(error.to_string())
    }
}

fn aws_hint(service: &str, action: &str, cause: &aws::Error) -> String {
    match cause {
        aws::Error::Denied { .. } => {
            format!("allow `{service}:{action}`; `aws sts get-caller-identity` shows to whom")
        }
        cause => cause.hint(),
    }
}

/// How a command ended, and what it said last.
fn ended(ran: &CommandResult) -> String {
    match ran.tail.trim() {
        "" => ran.exit.clone(),
        tail => format!("{}: {tail}", ran.exit),
    }
}
