//! The stages of a pipeline, by name.

/// A stage that writes a report, or a phase of `run` that is one by itself.
///
/// Reports and the log of events have its name as text, because a newer version may know more of them: what asks for one
/// reads it with [`StageName::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageName {
    Preflight,
    RunnerCheck,
    Healthgate,
    Traffic,
    Migrate,
    Incident,
    Rollback,
    /// The phase of `run` that records a good release: `rollback record`.
    Record,
    Run,
    Doctor,
    Reproduce,
}

impl StageName {
    /// Those that the Action runs, in the order in which they are listed.
    pub const OF_ACTION: [StageName; 8] = [
        StageName::Preflight,
        StageName::RunnerCheck,
        StageName::Healthgate,
        StageName::Traffic,
        StageName::Migrate,
        StageName::Incident,
        StageName::Rollback,
        StageName::Run,
    ];

    /// As reports and the log have it, and as people type it.
    pub const fn as_str(self) -> &'static str {
        match self {
            StageName::Preflight => "preflight",
            StageName::RunnerCheck => "runner-check",
            StageName::Healthgate => "healthgate",
            StageName::Traffic => "traffic",
            StageName::Migrate => "migrate",
            StageName::Incident => "incident",
            StageName::Rollback => "rollback",
            StageName::Record => "record",
            StageName::Run => "run",
            StageName::Doctor => "doctor",
            StageName::Reproduce => "reproduce",
        }
    }

    /// The stage of this name; `None` for one that this version does not know.
    pub fn of(name: &str) -> Option<StageName> {
        let others = [StageName::Record, StageName::Doctor, StageName::Reproduce];
        let mut all = StageName::OF_ACTION.into_iter().chain(others);
        all.find(|stage| stage.as_str() == name)
    }
}

impl std::fmt::Display for StageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
