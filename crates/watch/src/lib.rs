//! A release is watched until a verdict: its probes, and beside them the comparison with the release
//! before it. What is seen meanwhile is drawn.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod compared;
mod last_known_good;
mod live;
pub mod outlook;
mod view;

use std::path::Path;
use std::rc::Rc;

use cli::{Failure, Job};
use config::file::{Canary, Healthgate};
use gate::Gate;
use model::report::{Curve, Pause};
use model::{Id, Outcome};

pub use live::subject;
use live::{FirstFailure, Live};

/// How a release is watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// The part of the endpoints that is asked here.
    pub shard: Option<model::Shard>,
    /// Past a verdict, until a signal comes.
    pub forever: bool,
    /// Where each interval of the comparison is written as a line.
    pub record: Option<&'a Path>,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Of each probe, then of each metric that was compared.
    pub outcomes: Vec<Outcome>,
    pub curves: Vec<Curve>,
    /// When we ourselves were stopped.
    pub pauses: Vec<Pause>,
}

/// Asks the probes of the section and compares its metrics, side by side, until each is decided or one
/// that had to pass has failed.
///
/// # Errors
/// Returns an error if the comparison cannot begin: its configuration, or the state that names the
/// release before.
pub async fn watch(
    job: &Job,
    section: &Healthgate,
    settings: &Settings<'_>,
) -> Result<Watched, Failure> {
    let gate = Gate::of(section);
    let compared = section.canary.as_ref().map(Canary::compared);
    // One that `--only` leaves out needs no release to compare with.
    let chosen = compared
        .iter()
        .flatten()
        .any(|metric| job.only.selects(Id::canary(&metric.name).as_str()));
    let comparison = match &section.canary {
        Some(canary) if chosen => Some(Live::new(job, section, canary, settings.record).await?),
        _ => None,
    };
    let beside = Rc::new(FirstFailure::default());
    let signal = || -> gate::Interrupted {
        let interrupt = job.interrupt.clone();
        Box::pin(async move {
            interrupt.wait().await;
        })
    };
    let stopped = || -> gate::Interrupted {
        let (signal, beside) = (signal(), Rc::clone(&beside));
        Box::pin(async move {
            tokio::select! {
                () = signal => {}
                _ = beside.failed() => {}
            }
        })
    };
    let view = view::View::new(job.progress.board());
    let watch = gate::GateContext {
        selects: &|id| job.only.selects(id),
        observer: &view,
        interrupted: &stopped,
        failed_beside: &|| beside.which(),
        around: probe::ProbeContext {
            env: job.env.clone(),
            hosts: net::hosts::Hosts::new(&job.config.hosts, &job.env),
            redactor: job.redactor.clone(),
        },
        shard: settings.shard,
        forever: settings.forever,
    };
    let probes = async {
        if gate.probes.is_empty() {
            return Vec::new();
        }
        let outcomes = gate.run(job.release.as_deref(), &watch).await;
        beside.note(&outcomes);
        outcomes
    };
    let comparing = async {
        let Some(comparison) = comparison else {
            return (Vec::new(), Vec::new());
        };
        let (mut outcomes, curves) = comparison.watch(signal(), &beside, &view).await;
        outcomes.retain(|outcome| job.only.selects(outcome.id.as_str()));
        if !settings.forever {
            beside.note(&outcomes);
        }
        (outcomes, curves)
    };
    let (mut outcomes, (of_comparison, curves)) = tokio::select! {
        both = async { tokio::join!(probes, comparing) } => both,
        never = view.draw() => match never {},
    };
    outcomes.extend(of_comparison);
    Ok(Watched {
        outcomes,
        curves,
        pauses: view.into_pauses(),
    })
}
