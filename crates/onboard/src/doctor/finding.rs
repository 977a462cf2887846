//! What was found, and the stages that it stops.

use cli::Stage as _;
use config::Section;
use config::file::Config;
use model::{Outcome, Verdict};

/// The stages that can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
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
pub(super) const ALL: [Who; 8] = [
    Who::Preflight,
    Who::RunnerCheck,
    Who::Healthgate,
    Who::Traffic,
    Who::Migrate,
    Who::Incident,
    Who::Rollback,
    Who::Run,
];

impl Who {
    pub(super) fn name(self) -> &'static str {
        match self {
            Who::Preflight => preflight::Stage::NAME,
            Who::RunnerCheck => runner_check::Stage::NAME,
            Who::Healthgate => healthgate::Stage::NAME,
            Who::Traffic => traffic::Stage::NAME,
            Who::Migrate => migrator::MIGRATE,
            Who::Incident => cli::scribe::INCIDENT,
            Who::Rollback => rollback::Stage::NAME,
            Who::Run => "run",
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
            Who::Preflight => back || !matches!(config.preflight(), Ok(None)),
            Who::RunnerCheck => !matches!(config.runner_check(), Ok(None)),
            Who::Healthgate => asks,
            Who::Traffic => !matches!(config.traffic(), Ok(None)),
            Who::Migrate => !matches!(config.migrate(), Ok(None)),
            Who::Incident => !matches!(config.incident(), Ok(None)),
            Who::Rollback => back,
            Who::Run => !matches!(config.deploy(), Ok(None)),
        }
    }

    /// The stages that do not begin where a section cannot be used. `run` begins none of them.
    pub(super) fn stopped_by(section: Section) -> &'static [Who] {
        match section {
            Section::Service => &ALL,
            // What names a host cannot be used either.
            Section::Hosts => &[],
            // That people cannot be told stops no other stage.
            Section::Incident => &[Who::Incident],
            Section::Github => &[
                Who::Preflight,
                Who::RunnerCheck,
                Who::Traffic,
                Who::Rollback,
            ],
            Section::Preflight => &[Who::Preflight],
            Section::RunnerCheck | Section::Runners => &[Who::RunnerCheck, Who::Run],
            Section::Healthgate => &[Who::Healthgate, Who::Traffic, Who::Rollback],
            Section::Rollback => &[Who::Preflight, Who::Rollback],
            Section::Traffic => &[Who::Traffic, Who::Run],
            Section::Migrate => &[Who::Migrate, Who::Run],
            Section::Deploy => &[Who::Run],
        }
    }
}

/// Something that was looked at, and the stages that it stops where it is not well.
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) stops: Vec<Who>,
}

impl Finding {
    /// `run` runs the others but the runner-check.
    pub(super) fn new(outcome: Outcome, stops: &[Who]) -> Self {
        let mut stops = stops.to_vec();
        if stops
            .iter()
            .any(|who| !matches!(who, Who::RunnerCheck | Who::Run))
        {
            stops.push(Who::Run);
        }
        Finding { outcome, stops }
    }

    pub(super) fn is_bad(&self) -> bool {
        !matches!(self.outcome.verdict, Verdict::Pass | Verdict::Skipped)
    }
}
