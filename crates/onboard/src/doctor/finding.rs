//! What was found, and the stages that it stops.

use config::Section;
use config::file::Config;
use model::{Outcome, StageName, Verdict};

/// The stages that can be stopped.
pub(super) const ALL: [StageName; 8] = StageName::OF_ACTION;

/// Those that log in to the machines of `hosts:`.
pub(super) const USERS_OF_HOSTS: [StageName; 6] = [
    StageName::Preflight,
    StageName::RunnerCheck,
    StageName::Healthgate,
    StageName::Traffic,
    StageName::Migrate,
    StageName::Rollback,
];

/// Whether the file has anything for a stage to do.
pub(super) fn is_configured(stage: StageName, config: &Config) -> bool {
    // A section that cannot be used here is there all the same.
    let asks = match config.healthgate() {
        Ok(gate) => gate.is_some_and(|gate| !probe::kinds::planned(gate).is_empty()),
        Err(_) => true,
    };
    let back = !matches!(config.rollback(), Ok(None));
    match stage {
        StageName::Preflight => back || !matches!(config.preflight(), Ok(None)),
        StageName::RunnerCheck => !matches!(config.runner_check(), Ok(None)),
        StageName::Healthgate => asks,
        StageName::Traffic => !matches!(config.traffic(), Ok(None)),
        StageName::Migrate => !matches!(config.migrate(), Ok(None)),
        StageName::Incident => !matches!(config.incident(), Ok(None)),
        StageName::Rollback => back,
        StageName::Run => !matches!(config.deploy(), Ok(None)),
        StageName::Record | StageName::Doctor | StageName::Reproduce => false,
    }
}

/// The stages that do not begin where a section cannot be used. `run` begins none of them.
pub(super) fn stopped_by(section: Section) -> &'static [StageName] {
    match section {
        Section::Service => &ALL,
        // What names a host cannot be used either.
        Section::Hosts => &[],
        // That people cannot be told stops no other stage.
        Section::Incident => &[StageName::Incident],
        Section::Github => &[
            StageName::Preflight,
            StageName::RunnerCheck,
            StageName::Traffic,
            StageName::Rollback,
        ],
        Section::Preflight => &[StageName::Preflight],
        Section::RunnerCheck | Section::Runners => &[StageName::RunnerCheck, StageName::Run],
        Section::Healthgate => &[
            StageName::Healthgate,
            StageName::Traffic,
            StageName::Rollback,
        ],
        Section::Rollback => &[StageName::Preflight, StageName::Rollback],
        Section::Traffic => &[StageName::Traffic, StageName::Run],
        Section::Migrate => &[StageName::Migrate, StageName::Run],
        Section::Deploy => &[StageName::Run],
    }
}

/// Something that was looked at, and the stages that it stops where it is not well.
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) stops: Vec<StageName>,
}

impl Finding {
    /// `run` runs the others but the runner-check.
    pub(super) fn new(outcome: Outcome, stops: &[StageName]) -> Self {
        let mut stops = stops.to_vec();
        if stops
            .iter()
            .any(|who| !matches!(who, StageName::RunnerCheck | StageName::Run))
        {
            stops.push(StageName::Run);
        }
        Finding { outcome, stops }
    }

    pub(super) fn is_bad(&self) -> bool {
        !matches!(self.outcome.verdict, Verdict::Pass | Verdict::Skipped)
    }
}
