//! The parts of the file that are used apart from one another.

/// A part of the file. Its variables must be set where it is used, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Service,
    Hosts,
    Github,
    Runners,
    Preflight,
    RunnerCheck,
    Healthgate,
    Rollback,
    Traffic,
    Migrate,
    Incident,
    Deploy,
}

impl Section {
    const ALL: [Section; 12] = [
        Section::Service,
        Section::Hosts,
        Section::Github,
        Section::Runners,
        Section::Preflight,
        Section::RunnerCheck,
        Section::Healthgate,
        Section::Rollback,
        Section::Traffic,
        Section::Migrate,
        Section::Incident,
        Section::Deploy,
    ];

    pub(crate) fn of(key: &str) -> Option<Section> {
        Section::ALL
            .into_iter()
            .find(|section| section.key() == key)
    }

    /// Its key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Section::Service => "service",
            Section::Hosts => "hosts",
            Section::Github => "github",
            Section::Runners => "runners",
            Section::Preflight => "preflight",
            Section::RunnerCheck => "runner-check",
            Section::Healthgate => "healthgate",
            Section::Rollback => "rollback",
            Section::Traffic => "traffic",
            Section::Migrate => "migrate",
            Section::Incident => "incident",
            Section::Deploy => "deploy",
        }
    }
}
