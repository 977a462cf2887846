//! What is kept and read, whatever it lies on, and what can go wrong with it.

/// What is kept, beside the state or as it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    State,
    /// The version before the present one.
    Backup,
    /// A file of lines, one of a numbered series.
    Lines(Series, u64),
    /// A state that was replaced by a repair or a migration, by the end of its name.
    Aside(String),
}

impl Part {
    /// What its name has more than the state's.
    pub(super) fn suffix(&self) -> String {
        match self {
            Part::State => String::new(),
            Part::Backup => ".bak".to_owned(),
            Part::Aside(name) => format!(".{name}"),
            Part::Lines(series, number) => format!("{}{}", series.folder(), file_name(*number)),
        }
    }

    /// Far more than is needed, in bytes.
    pub(crate) fn limit(&self) -> usize {
        match self {
            Part::State | Part::Backup | Part::Aside(_) => 4 << 20,
            Part::Lines(..) => 16 << 20,
        }
    }
}

/// Files of lines that are numbered, in a folder of their own beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Series {
    /// One for each operation.
    Journals,
    /// The parts of the log of events.
    Events,
}

impl Series {
    /// Its folder, as an end of the state's name.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Series::Journals => ".journals/",
            Series::Events => ".events/",
        }
    }
}

/// `00000007.jsonl`
pub(super) fn file_name(number: u64) -> String {
    format!("{number:08}.jsonl")
}

/// `7` of `00000007.jsonl`.
pub(super) fn file_number(name: &str) -> Option<u64> {
    name.strip_suffix(".jsonl")?.parse().ok()
}

/// What was read, and what proves later that it is still there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blob {
    pub(crate) bytes: Vec<u8>,
    /// A bucket's own name for this version.
    pub(crate) etag: Option<String>,
}

/// Why an operation did not do what it was asked for.
#[derive(Clone, Debug)]
pub(crate) enum BackendError {
    /// Something else is there than was read before; nothing was written.
    Conflict,
    /// What is there is nothing that can be read: no regular file, or far too large.
    Unusable(String),
    /// Another process is writing, and does not finish.
    Busy(String),
    /// It may have been written or not.
    Unsure(String),
    /// It was not done.
    Failed {
        reason: String,
        hint: Option<String>,
    },
}

impl BackendError {
    pub(crate) fn failed(reason: impl ToString) -> BackendError {
        BackendError::Failed {
            reason: reason.to_string(),
            hint: None,
        }
    }

    /// The reason and the next step, which is `usual` if there is no better one.
    pub(crate) fn reason_and_hint(self, usual: &str) -> (String, String) {
        let usual = usual.to_owned();
        match self {
            BackendError::Conflict => ("another writer was first".to_owned(), usual),
            BackendError::Unusable(reason)
            | BackendError::Busy(reason)
            | BackendError::Unsure(reason) => (reason, usual),
            BackendError::Failed { reason, hint } => (reason, hint.unwrap_or(usual)),
        }
    }
}
