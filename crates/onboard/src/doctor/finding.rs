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
    Rollback,
    Run,
}

/// In the order in which they are listed.
pub(super) const ALL: [Who; 5] = [
    Who::Preflight,
    Who::RunnerCheck,
    Who::Healthgate,
    Who::Rollback,
    Who::Run,
];

impl Who {
    pub(super) fn name(self) -> &'static str {
        match self {
            Who::Preflight => preflight::Stage::NAME,
            Who::RunnerCheck => runner_check::Stage::NAME,
            Who::Healthgate => healthgate::Stage::NAME,
            Who::Rollback => rollback::Stage::NAME,
            Who::Run => "run",
        }
    }

    pub(super) fn sections(self) -> &'static [config::Section] {
        match self {
            Who::Preflight => preflight::Stage::SECTIONS,
            Who::RunnerCheck => runner_check::Stage::SECTIONS,
            Who::Healthgate => healthgate::Stage::SECTIONS,
            Who::Rollback => rollback::Stage::SECTIONS,
            Who::Run => &Section::ALL,
        }
    }

    /// Whether the file says anything for it to do.
    pub(super) fn is_configured(self, config: &Config) -> bool {
        let gate = config.healthgate.as_ref();
        let asks = gate.is_some_and(|gate| !probe::kinds::planned(gate).is_empty());
        let unresolved = |section| config.is_unresolved(section);
        let back = config.rollback.is_some() || unresolved(Section::Rollback);
        match self {
            Who::Preflight => config.preflight.is_some() || unresolved(Section::Preflight) || back,
            Who::RunnerCheck => config.runner_check.is_some() || unresolved(Section::RunnerCheck),
            Who::Healthgate => asks || unresolved(Section::Healthgate),
            Who::Rollback => back,
            Who::Run => config.deploy.is_some() || unresolved(Section::Deploy),
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
