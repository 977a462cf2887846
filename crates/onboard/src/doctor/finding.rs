//! What was found, and the stages that it stops.

use cli::Stage as _;
use config::Section;
use config::file::Config;
use model::{Outcome, StageName, Verdict};

/// The stages that can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StageKind {
    Preflight,
    RunnerCheck,
    Healthgate,
    Traffic,
    Migrate,
    Incident,
    Rollback,
    Run,
}

/// In the order in which they are listed.
pub(super) const ALL: [StageKind; 8] = [
    StageKind::Preflight,
    StageKind::RunnerCheck,
    StageKind::Healthgate,
    StageKind::Traffic,
    StageKind::Migrate,
    StageKind::Incident,
    StageKind::Rollback,
    StageKind::Run,
];

impl StageKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            StageKind::Preflight => preflight::Stage::NAME,
            StageKind::RunnerCheck => runner_check::Stage::NAME,
            StageKind::Healthgate => healthgate::Stage::NAME,
            StageKind::Traffic => traffic::Stage::NAME,
            StageKind::Migrate => StageName::Migrate.as_str(),
            StageKind::Incident => StageName::Incident.as_str(),
            StageKind::Rollback => rollback::Stage::NAME,
            StageKind::Run => StageName::Run.as_str(),
        }
    }

    /// Whether the file says anything for it to do.
    pub(super) fn is_configured(self, config: &Config) -> bool {
        // A section that cannot be used here is there all the same.
        let asks = match config.healthgate() {
            Ok(gate) => gate.is_some_and(|gate| !probe::kinds::planned(gate).is_empty()),
            Err(_) => true,
        };
        let back = !matches!(config.rollback(), Ok(None));
        match self {
            StageKind::Preflight => back || !matches!(config.preflight(), Ok(None)),
            StageKind::RunnerCheck => !matches!(config.runner_check(), Ok(None)),
            StageKind::Healthgate => asks,
            StageKind::Traffic => !matches!(config.traffic(), Ok(None)),
            StageKind::Migrate => !matches!(config.migrate(), Ok(None)),
            StageKind::Incident => !matches!(config.incident(), Ok(None)),
            StageKind::Rollback => back,
            StageKind::Run => !matches!(config.deploy(), Ok(None)),
        }
    }

    /// The stages that do not begin where a section cannot be used. `run` begins none of them.
    pub(super) fn stopped_by(section: Section) -> &'static [StageKind] {
        match section {
            Section::Service => &ALL,
            // What names a host cannot be used either.
            Section::Hosts => &[],
            // That people cannot be told stops no other stage.
            Section::Incident => &[StageKind::Incident],
            Section::Github => &[
                StageKind::Preflight,
                StageKind::RunnerCheck,
                StageKind::Traffic,
                StageKind::Rollback,
            ],
            Section::Preflight => &[StageKind::Preflight],
            Section::RunnerCheck | Section::Runners => &[StageKind::RunnerCheck, StageKind::Run],
            Section::Healthgate => &[
                StageKind::Healthgate,
                StageKind::Traffic,
                StageKind::Rollback,
            ],
            Section::Rollback => &[StageKind::Preflight, StageKind::Rollback],
            Section::Traffic => &[StageKind::Traffic, StageKind::Run],
            Section::Migrate => &[StageKind::Migrate, StageKind::Run],
            Section::Deploy => &[StageKind::Run],
        }
    }
}

/// Something that was looked at, and the stages that it stops where it is not well.
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) stops: Vec<StageKind>,
}

impl Finding {
    /// `run` runs the others but the runner-check.
    pub(super) fn new(outcome: Outcome, stops: &[StageKind]) -> Self {
        let mut stops = stops.to_vec();
        if stops
            .iter()
            .any(|who| !matches!(who, StageKind::RunnerCheck | StageKind::Run))
        {
            stops.push(StageKind::Run);
        }
        Finding { outcome, stops }
    }

    pub(super) fn is_bad(&self) -> bool {
        !matches!(self.outcome.verdict, Verdict::Pass | Verdict::Skipped)
    }
}
